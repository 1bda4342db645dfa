"""Where messages go in a thread."""

from __future__ import annotations

from chat.conversation import ordering

T = 1_761_998_400_000


def test_the_time_decides_and_the_arrival_breaks_ties() -> None:
    positions = [
        ordering.position(T + 1000, 1, "c"),
        ordering.position(T, 3, "c"),
        ordering.position(T, 20, "c"),
    ]
    assert sorted(positions) == [positions[1], positions[2], positions[0]]


def test_positions_of_merged_conversations_differ() -> None:
    assert ordering.position(T, 1, "aaaaaaaa") != ordering.position(T, 1, "bbbbbbbb")


def test_an_answer_of_the_same_second_goes_after_what_it_answers() -> None:
    # Sent at .700; the customer's answer comes in whole seconds and would sort before it.
    ms = ordering.incoming_ms(T, [T + 700])
    assert ordering.position(ms, 2, "c") > ordering.position(T + 700, 1, "c")
    assert ordering.position(ms, 2, "c") < ordering.position(T + 701, 1, "c")


def test_the_newest_near_outgoing_message_counts() -> None:
    assert ordering.incoming_ms(T, [T - 9000, T + 200, T + 900, T + 60_000]) == T + 900


def test_a_message_from_long_before_stays_there() -> None:
    sent = T - ordering.REACTION_MS - 1
    assert ordering.incoming_ms(sent, [T]) == sent


def test_our_message_goes_below_a_customer_whose_clock_is_ahead() -> None:
    last = ordering.position(T + 3000, 7, "c")
    assert ordering.position(ordering.outgoing_ms(T, last), 8, "c") > last


def test_a_message_from_the_far_future_does_not_hold_ours_down() -> None:
    last = ordering.position(T + ordering.AHEAD_MS + 1, 7, "c")
    assert ordering.outgoing_ms(T, last) == T


def test_our_first_message_has_its_own_time() -> None:
    assert ordering.outgoing_ms(T, None) == T


def test_remembered_times_are_bounded_and_sorted() -> None:
    remembered: list[int] = []
    for ms in (3, 1, 2, *range(10, 100)):
        remembered = ordering.remember(remembered, ms)
    assert remembered == list(range(50, 100))
