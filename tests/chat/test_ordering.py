"""Where messages go in a thread."""

from __future__ import annotations

from chat.conversation import ordering

T = 1_761_998_400_000


def position(ms: int, *, at: int = 0, received: int = T, place: int = 0, arrival: int = 1) -> str:
    """A position in conversation c; `at` is the message's own time, the effective one if 0."""
    return ordering.position(
        ms,
        sent_ms=at or ms,
        received_ms=received,
        place=place,
        arrival=arrival,
        conversation_id="c",
    )


def test_the_time_decides_before_all_else() -> None:
    earlier = position(T, received=T + 900, place=9, arrival=20)
    assert earlier < position(T + 1, received=T + 1, place=0, arrival=3)


def test_in_one_second_the_calls_stand_as_they_came_and_each_keeps_its_order() -> None:
    first = [position(T, received=T + 5, place=place, arrival=30 - place) for place in range(12)]
    second = [position(T, received=T + 6, place=place, arrival=place) for place in range(12)]
    assert sorted([*second, *reversed(first)]) == [*first, *second]


def test_the_arrival_breaks_the_last_ties() -> None:
    assert position(T, arrival=9) < position(T, arrival=10)


def test_positions_of_merged_conversations_differ() -> None:
    same = {"sent_ms": T, "received_ms": T, "place": 0, "arrival": 1}
    one, other = (ordering.position(T, **same, conversation_id=id_ * 8) for id_ in "ab")
    assert one != other


def test_an_answer_of_the_same_second_goes_after_what_it_answers() -> None:
    # Sent at .700; the customer's answer comes in whole seconds and would sort before it.
    ms = ordering.incoming_ms(T, [T + 700])
    assert position(T + 700) < position(ms) < position(T + 702)


def test_what_goes_after_one_of_ours_keeps_its_own_order() -> None:
    seconds = [T, T + 1000, T + 2000]
    lifted = [position(ordering.incoming_ms(at, [T + 2500]), at=at) for at in seconds]
    assert sorted(lifted) == lifted


def test_the_newest_near_outgoing_message_counts() -> None:
    assert ordering.incoming_ms(T, [T - 9000, T + 200, T + 900, T + 60_000]) == T + 901


def test_a_message_from_long_before_stays_there() -> None:
    sent = T - ordering.REACTION_MS - 1
    assert ordering.incoming_ms(sent, [T]) == sent


def test_our_message_goes_below_a_customer_whose_clock_is_ahead() -> None:
    last = position(T + 3000)
    assert position(ordering.outgoing_ms(T, last)) > last


def test_a_message_from_the_far_future_does_not_hold_ours_down() -> None:
    last = position(T + ordering.AHEAD_MS + 1)
    assert ordering.outgoing_ms(T, last) == T


def test_our_first_message_has_its_own_time() -> None:
    assert ordering.outgoing_ms(T, None) == T


def test_remembered_times_are_bounded_and_sorted() -> None:
    remembered: list[int] = []
    for ms in (3, 1, 2, *range(10, 100)):
        remembered = ordering.remember(remembered, ms)
    assert remembered == list(range(50, 100))
