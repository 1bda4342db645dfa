"""What the simulator serves from files."""

from __future__ import annotations

from tests.local.simulator_world import World


def test_a_file_is_closed_before_anybody_reads_the_answer(world: World) -> None:
    # Left open when a browser goes in mid-answer, it would be a warning in some later test.
    app = world.simulator.app
    with app.test_request_context("/static/phone.svg"):
        answer = app.full_dispatch_request()
    assert answer.is_sequence
    assert answer.get_data().startswith(b"<svg")
    assert answer.content_length == len(answer.get_data())


def test_a_file_that_the_browser_has_is_not_sent_again(world: World) -> None:
    tag = world.http.get("/static/phone.svg").headers["ETag"]
    answer = world.http.get("/static/phone.svg", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.get_data() == b""
