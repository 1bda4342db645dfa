"""Webhooks on their way: retries, and every fault that can be switched on."""

import threading

import pytest

from local.simulator import RetryPolicy
from local.simulator.payloads import sign
from tests.helpers import wait_until
from tests.local.simulator_world import MARIA, SECRET, Webhook, World, make_simulator


@pytest.mark.parametrize("answer", [400, 403, 404, 429, 500, 503, 204])
def test_whatever_is_not_200_is_retried_until_it_is(world: World, answer: int) -> None:
    world.hook.answers = [answer, answer]
    world.write()
    world.advance()
    assert len(world.hook.received) == 1
    assert world.phone()[0]["status"] == "sent"
    world.advance(0.49)
    assert len(world.hook.received) == 1
    world.advance(0.01)
    assert len(world.hook.received) == 2
    world.advance(0.99)
    assert len(world.hook.received) == 2
    world.advance(0.01)
    assert len(world.hook.received) == 3
    counts = world.deliveries()
    assert (counts["posted"], counts["acked"], counts["retried"]) == (3, 1, 2)
    assert counts["idle"] is True
    assert counts["last"][0]["last_status"] == 200
    assert len({body for _, body in world.hook.received}) == 1
    assert world.phone()[0]["status"] == "delivered"


def test_retries_wait_twice_as_long_each_time_up_to_the_cap() -> None:
    policy = RetryPolicy(first=0.5, cap=60)
    delays = [policy.delay(attempts) for attempts in range(1, 10)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert policy.delay(100_000) == 60
    assert policy.give_up_after == 7 * 24 * 3600


def test_a_business_that_cannot_be_reached_is_retried(world: World) -> None:
    url = world.hook.url
    world.simulator.webhook_url = "http://127.0.0.1:9/webhook"
    world.write()
    assert (world.deliveries()["pending"], world.deliveries()["unanswered"]) == (1, 1)
    world.advance(3)
    assert world.deliveries()["last"][0]["last_status"] == "ConnectionError"
    assert (world.deliveries()["pending"], world.deliveries()["unanswered"]) == (1, 0)
    world.simulator.webhook_url = url
    world.advance(10)
    assert world.hook.texts() == ["Olá"]
    assert world.deliveries()["idle"] is True


def test_a_business_that_does_not_answer_in_time_is_retried(hook: Webhook) -> None:
    silent, again = threading.Event(), []

    def hold_the_first() -> None:
        again.append(True)
        if len(again) == 1:
            silent.wait(10)

    hook.before_answer = hold_the_first
    retry = RetryPolicy(first=0.01, timeout=0.1)
    with make_simulator(hook.url, retry=retry) as simulator:
        simulator.app.test_client().post(f"/customers/{MARIA}/messages", json={"text": "oi"})
        assert simulator.wait_idle()
        assert simulator.deliveries.as_json()["retried"] >= 1
    silent.set()


def test_a_webhook_is_given_up_after_its_time(world: World) -> None:
    world.hook.answers = [500] * 1000
    world.write()
    world.advance(500)
    counts = world.deliveries()
    assert (counts["given_up"], counts["pending"], counts["idle"]) == (1, 0, True)
    assert world.phone()[0]["status"] == "sent"


def test_several_webhooks_are_on_their_way_at_once(hook: Webhook) -> None:
    together = threading.Barrier(3, timeout=10)
    hook.before_answer = together.wait
    with make_simulator(hook.url) as simulator:
        body = {"text": "oi", "count": 3}
        simulator.app.test_client().post(f"/customers/{MARIA}/messages", json=body)
        assert simulator.wait_idle()
    assert sorted(hook.texts()) == ["oi 1", "oi 2", "oi 3"]
    assert not together.broken


def test_without_faults_webhooks_leave_in_their_order(world: World) -> None:
    world.write(text="m", count=20)
    world.advance()
    assert world.hook.texts() == [f"m {number}" for number in range(1, 21)]


def test_delayed_webhooks_come_late(world: World) -> None:
    world.switch(webhook_delay_ms=5000)
    world.write()
    world.advance(4.9)
    assert world.hook.received == []
    world.advance(0.1)
    assert world.hook.texts() == ["Olá"]


def test_repeated_webhooks_come_byte_for_byte_the_same(world: World) -> None:
    world.switch(webhook_repeat=3)
    world.write()
    world.advance()
    assert len(world.hook.received) == 3
    assert len({body for _, body in world.hook.received}) == 1


def shuffled(world: World, seed: int) -> list[str]:
    before = len(world.hook.received)
    world.switch(webhook_reorder=10, seed=seed)
    world.write(text="m", count=10)
    world.advance()
    return world.hook.texts()[before:]


def test_reordered_webhooks_are_all_there_in_another_order_and_the_seed_repeats_it(
    world: World,
) -> None:
    natural = [f"m {number}" for number in range(1, 11)]
    first, second, other = shuffled(world, 7), shuffled(world, 7), shuffled(world, 8)
    assert sorted(first) == sorted(natural)
    assert first != natural
    assert first == second
    assert first != other


def test_a_shuffled_window_that_does_not_fill_leaves_after_a_second(world: World) -> None:
    world.switch(webhook_reorder=10)
    world.write(count=3)
    world.advance(0.9)
    assert world.hook.received == []
    assert world.deliveries()["held"] == 3
    world.advance(0.1)
    assert len(world.hook.texts()) == 3


def test_a_batch_leaves_when_full_or_when_its_time_is_up(world: World) -> None:
    world.switch(webhook_batch={"size": 5, "wait_ms": 2000})
    world.write(text="m", count=7)
    world.advance()
    assert [len(world.hook.texts()), len(world.hook.received)] == [5, 1]
    world.advance(2)
    assert [len(world.hook.texts()), len(world.hook.received)] == [7, 2]


def test_a_batch_carries_messages_and_statuses_together(world: World) -> None:
    world.switch(webhook_batch=1000)
    world.write()
    world.send()
    world.advance(1)
    assert world.http.get("/switches").json["webhook_batch"] == {"size": 1000, "wait_ms": 200}
    world.advance(5)
    assert len(world.hook.values("messages")) == 1
    assert world.hook.states() == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("what", "messages", "statuses"), [("messages", 0, 2), ("statuses", 1, 0), ("both", 0, 0)]
)
def test_lost_updates_never_come(world: World, what: str, messages: int, statuses: int) -> None:
    world.switch(webhook_lose={"share": 1, "what": what})
    world.write()
    world.send()
    world.advance(500)
    assert len(world.hook.values("messages")) == messages
    assert len(world.hook.states()) == statuses
    assert world.deliveries()["lost"] == 3 - messages - statuses


def test_the_next_n_are_lost_and_then_no_more(world: World) -> None:
    world.switch(webhook_lose={"next": 2})
    world.write(text="m", count=4)
    world.advance()
    assert world.hook.texts() == ["m 3", "m 4"]


def test_a_share_is_lost_and_the_rest_comes(world: World) -> None:
    world.switch(webhook_lose={"share": 0.5}, seed=1)
    world.write(count=100)
    world.advance()
    assert 25 < len(world.hook.received) < 75
    assert world.deliveries()["lost"] == 100 - len(world.hook.received)


def test_paused_webhooks_wait_and_all_come_when_resumed(world: World) -> None:
    world.switch(webhook_pause=True)
    world.write(text="m", count=3)
    world.advance(3600)
    assert world.hook.received == []
    counts = world.deliveries()
    assert (counts["held"], counts["idle"]) == (3, False)
    world.switch(webhook_pause=False)
    world.advance()
    assert world.hook.texts() == ["m 1", "m 2", "m 3"]


def test_switching_all_off_lets_go_what_was_held(world: World) -> None:
    world.switch(webhook_pause=True, webhook_reorder=100, webhook_batch=100)
    world.write(count=3)
    assert world.http.delete("/switches").status_code == 200
    world.advance()
    assert len(world.hook.texts()) == 3


@pytest.mark.parametrize(("batch", "posts"), [(1000, 1), (100, 10), (1, 1000)])
def test_a_burst_comes_in_as_many_posts_as_asked(world: World, batch: int, posts: int) -> None:
    body = {"customers": 50, "messages": 20, "batch": batch}
    answer = world.http.post("/bursts", json=body)
    assert answer.status_code == 202
    assert (answer.json["messages"], answer.json["posts"]) == (1000, posts)
    if posts > 10:  # a thousand real POSTs are not needed to see the other two
        assert world.deliveries()["pending"] == posts
        return
    world.advance()
    messages = world.hook.values("messages")
    assert [one["id"] for one in messages] == answer.json["ids"]
    assert len({one["from"] for one in messages}) == 50
    assert len(world.hook.received) == posts


def test_a_burst_of_1000_stays_under_metas_3_megabytes(world: World) -> None:
    world.http.post("/bursts", json={"customers": 1000, "messages": 1, "batch": 1000})
    world.advance()
    ((_, body),) = world.hook.received
    assert len(body) < 3 * 1024 * 1024


def test_a_raw_webhook_is_signed_and_its_answer_told(world: World) -> None:
    world.hook.answers = [202]
    answer = world.http.post("/webhooks/raw", json={"body": {"object": "ç", "entry": []}})
    assert answer.json == {"status": 202}
    headers, body = world.hook.received[0]
    assert body == rb'{"object":"\u00e7","entry":[]}'
    assert headers["X-Hub-Signature-256"] == sign(body, SECRET)


def test_a_raw_text_goes_out_as_it_is(world: World) -> None:
    world.http.post("/webhooks/raw", json={"body": "{no json"})
    assert world.hook.received[0][1] == b"{no json"


def test_a_bad_signature_differs_and_is_not_retried(world: World) -> None:
    world.hook.answers = [403]
    answer = world.http.post("/webhooks/raw", json={"body": {}, "bad_signature": True})
    assert answer.json == {"status": 403}
    world.advance(500)
    ((headers, body),) = world.hook.received
    signature = headers["X-Hub-Signature-256"]
    assert signature != sign(body, SECRET)
    assert len(signature) == len(sign(body, SECRET))


def test_reset_forgets_customers_faults_and_what_was_on_its_way(world: World) -> None:
    world.hook.answers = [500]
    world.switch(webhook_repeat=2)
    world.write()
    world.advance()
    world.http.post("/reset")
    received = len(world.hook.received)
    world.advance(1000)
    assert len(world.hook.received) == received
    assert world.http.get("/customers").json["customers"] == []
    assert world.http.get("/switches").json["webhook_repeat"] == 1
    assert world.deliveries()["idle"] is True


def test_on_real_time_everything_is_acknowledged_and_the_simulator_becomes_idle(
    hook: Webhook,
) -> None:
    hook.answers = [503]
    with make_simulator(hook.url, retry=RetryPolicy(first=0.01)) as simulator:
        http = simulator.app.test_client()
        http.post(f"/customers/{MARIA}/messages", json={"text": "oi"})
        wait_until(lambda: simulator.deliveries.as_json()["retried"] == 1)
        assert simulator.wait_idle()
    assert hook.texts() == ["oi", "oi"]
