"""Which sends wait too long: when the server is asked, and what its answer cannot undo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page

AWAITING = """
  const { setTimeout: real, clearTimeout: realClear } = globalThis;
  const restore = () => Object.assign(globalThis, { setTimeout: real, clearTimeout: realClear });
  let now = 1_000_000;
  const timers = new Map();
  globalThis.setTimeout = (run, ms) => {
    const id = {};
    timers.set(id, [now + ms, run]);
    return id;
  };
  globalThis.clearTimeout = (id) => timers.delete(id);
  const pending = () => [...timers.values()].map(([at]) => at - now);
  const settle = () => new Promise((done) => real(done, 0));
  const advance = async (ms) => {
    now += ms;
    for (const [id, [at, run]] of [...timers]) if (at <= now && timers.delete(id)) run();
    await settle();
  };
  const answers = [];
  let changes = 0;
  const waiting = new awaiting.Awaiting({
    fetch: () => new Promise((resolve, reject) => answers.push({ resolve, reject })),
    onChange: () => { changes += 1; },
    now: () => now,
  });
  const page = (ids, more = false) => (
    { messages: ids.map((id) => ({ id, status: 'sending' })), more, seconds: 60 });
  const answer = async (ids, more) => { answers.at(-1).resolve(page(ids, more)); await settle(); };
  const tell = (id, name, at, error = null) => waiting.onEvent({ type: 'message.status_changed', at,
    data: { message_id: id, status: name, statuses: {}, error } });
  const sent = (id, name = 'sending', more = {}) => waiting.onEvent({
    type: 'message.created', at: '1',
    data: { message: { id, direction: 'out', status: name, ...more } },
  });
  const shown = () => waiting.messages.map((m) => m.id + (m.error ? '?' : '')).join();
  const doubt = { code: 'unconfirmed', message: '?' };
  try { BODY } finally { restore(); }
"""


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as page:
        yield page


def played(run: Run, body: str) -> object:
    return run(AWAITING.replace("BODY", body))


def test_what_waits_is_asked_for_only_when_a_send_has_waited_long(run: Run) -> None:
    body = """
      const log = [];
      const note = () => log.push([answers.length, shown(), changes]);
      waiting.start(); await answer([]); note();
      await advance(62_000); await answer([]); note();  // what was too young at the start
      for (let n = 0; n < 20; n += 1) {
        sent(`q${n}`); await advance(500); tell(`q${n}`, 'sent', '2');
      }
      await advance(300_000); note();                   // all goes well: nothing is asked
      sent('in', 'sending', { direction: 'in' });
      sent('old', 'failed');
      sent('again', 'sending', { retried_as: 'x' });
      sent('slow');
      await advance(59_000); note();
      await advance(3_000); await answer(['slow']); note(); // now it is listed
      tell('slow', 'delivered', '3'); note();           // a late callback repairs it
      return log;
    """
    assert played(run, body) == [
        [1, "", 0], [2, "", 0], [2, "", 0], [2, "", 0], [3, "slow", 1], [3, "", 2],
    ]  # fmt: skip


def test_an_answer_does_not_bring_back_what_stopped_waiting_while_it_was_on_its_way(
    run: Run,
) -> None:
    body = """
      const first = waiting.refresh();
      tell('a', 'sent', '1');
      tell('b', 'sending', '2', doubt);
      answers[0].resolve(page(['a', 'b', 'c'])); await first;
      const seen = [shown()];
      // Of two requests the later one counts, in whichever order they are answered.
      const [older, newer] = [waiting.refresh(), waiting.refresh()];
      answers[2].resolve(page(['c'])); await newer;
      answers[1].resolve(page(['b', 'c'])); await older;
      seen.push(shown());
      return seen;
    """
    assert played(run, body) == ["b?,c", "c"]


def test_a_listed_message_becomes_doubtful_and_certain_again(run: Run) -> None:
    body = """
      waiting.refresh(); await answer(['a']);
      const seen = [[shown(), changes]];
      for (const [at, error] of [['2', doubt], ['2', doubt], ['1', null], ['3', null]]) {
        tell('a', 'sending', at, error);
        seen.push([shown(), changes]);
      }
      return seen;
    """
    assert played(run, body) == [["a", 1], ["a?", 2], ["a?", 2], ["a?", 2], ["a", 3]]


def test_after_a_failure_and_while_there_are_more_it_is_asked_again_soon(run: Run) -> None:
    body = """
      const log = [];
      waiting.refresh();
      log.push(pending());                              // never two requests at once
      answers[0].reject(new Error('down')); await settle();
      log.push(pending());
      sent('x'); await advance(29_000);
      log.push([pending(), answers.length]);            // no loop, whatever is due meanwhile
      await advance(1_000); await answer(['a', 'b'], true);
      tell('a', 'sent', '1'); tell('b', 'sent', '2');
      log.push([pending(), shown()]);
      await advance(30_000); await answer(['c']);
      log.push([pending(), shown(), answers.length]);
      return log;
    """
    assert played(run, body) == [
        [], [30_000], [[1_000], 1], [[30_000], ""], [[1_500], "c", 3],
    ]  # fmt: skip
