"""What the screen knows of Claude: who has a chat, what needs a person, and its suggestions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from chat.auto_reply import service, settings
from chat.outgoing.sending import CALL_SECONDS
from tests.browser.screen_modules import Run, modules_page

CLAUDE = """
  let now = 1_000_000;
  const iso = (ms) => new Date(ms).toISOString();
  const state = new page_state.PageState();
  const needed = [];
  const failed = [];
  let changes = 0;
  let answer = async () => ({ enabled: true, needs_you: { count: 0, more: false, ids: [] } });
  const screen = new claude.Claude({
    api: { call: () => answer(), setOwner: () => answer() }, state, now: () => now, startedAt: now,
    onChange: () => { changes += 1; },
    onFailed: (words) => failed.push(words),
    onNeeded: ({ id }) => needed.push(id),
  });
  const tell = (id, version, more, catchUp = false) => {
    const event = { type: 'conversation.updated', conversation_id: id, catchUp,
      data: { conversation: { id, version, last_message: null, ...more } } };
    state.apply(event);
    screen.onEvent(event);
  };
"""

SUGGESTIONS = """
  const typed = { a: '', b: '' };
  const mine = new Set(['a', 'b']);
  const waiting = [];
  const failed = [];
  const made = new suggestions.Suggestions({
    ask: (id, signal) => new Promise((resolve, reject) => {
      waiting.push({ resolve, reject, signal });
    }),
    canTake: (id) => mine.has(id),
    draftOf: (id) => typed[id],
    setDraft: (id, text) => { typed[id] = text; },
    onChange: () => {},
    onFailed: (words) => failed.push(words),
  });
  const settle = () => new Promise((done) => setTimeout(done, 0));
  const come = async (n, text) => { waiting[n].resolve(text); await settle(); };
  const seen = () => [typed.a, made.of('a')?.state ?? null];
"""


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as page:
        yield page


def test_an_answer_whose_worker_died_ends_by_the_servers_clock(run: Run) -> None:
    body = """
      await screen.refresh();
      const real = globalThis.setTimeout;
      const timers = [];
      globalThis.setTimeout = (then, ms) => timers.push([ms, then]);
      try {
        tell('a', 1, { owner: 'claude', replying_until: iso(now + 90_000) });
        tell('b', 1, { owner: 'claude', replying_until: iso(now + 30_000) });
        tell('c', 1, { owner: 'claude', replying_until: iso(now - 1) });
        screen.watchReplies();
        const isReplying = (id) => screen.ownership(state.conversation(id)).isReplying;
        const shown = () => ['a', 'b', 'c'].map(isReplying);
        const before = [shown(), timers.length, timers[0][0] >= 30_000, timers[0][0] < 31_000];
        now += timers[0][0];
        changes = 0;
        timers[0][1]();
        screen.watchReplies(); // as drawing does
        return [...before, changes, shown(), timers[1][0] < 61_000];
      } finally { globalThis.setTimeout = real; }
    """
    assert run(CLAUDE + body) == [
        [True, True, False], 1, True, True, 1, [True, False, False], True,
    ]  # fmt: skip


def test_a_handover_is_told_once_while_it_is_news(run: Run) -> None:
    body = """
      const need = (ms) => ({ owner: 'human', needs_you: true, needs_you_at: iso(now + ms) });
      tell('old', 5, need(-1));           // from before this page
      tell('missed', 5, need(5), true);   // told in a catch-up
      tell('missed', 6, need(5));
      tell('a', 5, need(10));
      tell('a', 6, need(10));             // as a further message tells it
      tell('a', 7, { owner: 'human', needs_you: false, needs_you_at: null });
      tell('a', 6, need(10));             // late
      const first = [...needed];
      tell('a', 9, need(20));             // handed over again
      return [first, needed];
    """
    assert run(CLAUDE + body) == [["a"], ["a", "a"]]


def test_what_needs_a_person_is_the_servers_list_and_all_news_since(run: Run) -> None:
    body = """
      const counts = () => [screen.needing().n, screen.needing().more];
      tell('a', 5, { owner: 'human', needs_you: false }); // newer than the answer
      const listed = { count: 3, more: true, ids: ['a', 'b', 'c'] };
      answer = async () => ({ enabled: true, needs_you: listed });
      await screen.refresh();
      const seen = [counts()];
      tell('b', 2, { owner: 'human', needs_you: false });
      seen.push(counts());
      tell('d', 1, { owner: 'human', needs_you: true, needs_you_at: iso(now) });
      seen.push(counts());
      const off = { name: 'ApiError', code: 'claude_off' };
      answer = async () => { throw Object.assign(new Error('Desligada.'), off); };
      seen.push(await screen.give('d', 'claude'), failed);
      return seen;
    """
    assert run(CLAUDE + body) == [[2, True], [1, True], [2, True], False, ["Desligada."]]


def test_of_two_requests_the_later_one_holds_and_a_failure_is_asked_again_once(run: Run) -> None:
    body = """
      const real = globalThis.setTimeout;
      const timers = new Map();
      globalThis.setTimeout = (then) => { timers.set(timers.size + 1, then); return timers.size; };
      const clear = globalThis.clearTimeout;
      globalThis.clearTimeout = (timer) => { if (timers.has(timer)) timers.set(timer, null); };
      try {
        const asked = [];
        answer = () => new Promise((resolve, reject) => asked.push({ resolve, reject }));
        const says = (enabled, ids) => ({ enabled, needs_you: { count: 0, more: false, ids } });
        const told = () => [screen.enabled, screen.needing().n];
        const both = [screen.refresh(), screen.refresh()];
        asked[1].resolve(says(true, ['a', 'b']));
        asked[0].resolve(says(false, []));
        await Promise.all(both);
        const late = told();
        const failing = [screen.refresh(), screen.refresh()];
        const away = Object.assign(new Error(), { name: 'ApiError' });
        for (const each of asked.slice(2)) each.reject(away);
        await Promise.all(failing);
        const due = () => [...timers.values()].filter((each) => each);
        const waiting = due();
        const repeated = screen.refresh(); // a reset meanwhile
        asked[4].resolve(says(true, ['c']));
        await repeated;
        return [late, waiting.length, due().length, told()];
      } finally { globalThis.setTimeout = real; globalThis.clearTimeout = clear; }
    """
    assert run(CLAUDE + body) == [[True, 2], 1, 0, [True, 1]]


def test_when_all_that_was_listed_is_seen_to_the_server_is_asked_for_more_once(run: Run) -> None:
    body = """
      const label = () => filter.needsYouFilter(screen).count();
      const filter = await import('/static/chat/list/needs_you_filter.js');
      const listing = (ids, more) => ({ enabled: true, needs_you: { ids, more } });
      let asked = 0;
      let go;
      answer = async () => listing(['a', 'b'], true);
      await screen.refresh();
      const shown = [label()];
      answer = () => { asked += 1; return new Promise((resolve) => { go = resolve; }); };
      tell('a', 1, { owner: 'human', needs_you: false });
      shown.push(label(), asked);
      tell('b', 1, { owner: 'human', needs_you: false });
      tell('b', 2, { owner: 'human', needs_you: false });
      shown.push(label(), asked);
      go(listing(['c'], false));
      await new Promise((done) => setTimeout(done, 0));
      shown.push(label());
      answer = async () => listing([], true); // the store's own lists may be behind
      await screen.refresh();
      return [...shown, label()];
    """
    assert run(CLAUDE + body) == ["2+", "1+", 0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("conversation", "enabled", "expected"),
    [
        ({"owner": "claude"}, True, ["claude", True, False]),
        ({"owner": "human"}, True, ["team", False, True]),
        ({"owner": "human", "is_group": True}, True, ["team", False, False]),
        ({"owner": "human", "needs_you": True}, True, ["needed", True, True]),
        ({"owner": "human", "needs_you": True}, False, ["needed", True, False]),
        ({"owner": "claude"}, False, [None, False, False]),
        ({"owner": "human"}, False, [None, False, False]),
    ],
)
def test_who_can_take_and_give(
    run: Run, conversation: object, enabled: bool, expected: object
) -> None:
    body = """
      const { mark, canTake, canGive } = claude.ownershipOf(arg[0], { enabled: arg[1], now: 0 });
      return [mark, canTake, canGive];
    """
    assert run(body, [conversation, enabled]) == expected


def test_a_suggestion_never_takes_the_place_of_what_was_typed(run: Run) -> None:
    body = """
      const log = [];
      made.ask('a'); made.ask('a');
      log.push(waiting.length, seen());
      typed.a = 'meu'; made.edited('a', 'meu');     // typed while it was written
      await come(0, 'dele'); log.push(seen());
      made.use('a'); log.push(seen());
      made.edited('a', 'dele'); log.push(seen());    // the field tells of it: no change
      made.drop('a'); log.push(seen());
      typed.a = '';
      made.ask('a'); await come(1, 'outra'); log.push(seen());
      typed.a = 'outra, e mais'; made.edited('a', typed.a); log.push(seen());
      return log;
    """
    assert run(SUGGESTIONS + body) == [
        1, ["", "working"], ["meu", "offered"], ["dele", "drafted"], ["dele", "drafted"],
        ["meu", None], ["outra", "drafted"], ["outra, e mais", None],
    ]  # fmt: skip


def test_a_suggestion_that_was_cancelled_or_moved_or_failed(run: Run) -> None:
    body = """
      const log = [];
      made.ask('a'); made.drop('a');
      log.push(waiting[0].signal.aborted);
      made.ask('a');
      await come(0, 'tarde'); log.push(seen());       // of the one that was cancelled
      made.move('a', 'b'); await come(1, 'boa');
      log.push(seen(), typed.b, made.of('b').state); // two chats became one
      made.ask('a');
      waiting[2].reject(Object.assign(new Error('Ocupado.'), { name: 'ApiError' })); await settle();
      log.push(seen(), failed);
      return log;
    """
    assert run(SUGGESTIONS + body) == [
        True, ["", "working"], ["", None], "boa", "drafted", ["", None], ["Ocupado."],
    ]  # fmt: skip


def test_a_suggestion_that_comes_too_late_is_dropped(run: Run) -> None:
    """The chat is Claude's by then, or WhatsApp's 24 hours are over: nothing would mark it."""
    body = """
      made.ask('a');
      mine.delete('a');
      await come(0, 'tarde');
      const late = seen();
      mine.add('a');
      return [late, seen()];
    """
    assert run(SUGGESTIONS + body) == [["", None], ["", None]]


def test_a_suggestion_has_a_time_limit_and_can_be_cancelled_before(run: Run) -> None:
    body = """
      const { Api } = await import('/static/chat/data/api.js');
      const [realFetch, realTimeout] = [window.fetch, AbortSignal.timeout];
      const waits = [];
      const signals = [];
      AbortSignal.timeout = (ms) => {
        waits.push([ms, new AbortController()]);
        return waits.at(-1)[1].signal;
      };
      window.fetch = (path, { signal }) => new Promise((_, reject) => {
        signals.push(signal);
        signal.addEventListener('abort', () => reject(signal.reason));
      });
      try {
        const server = new Api({ csrfToken: '', onLogin: () => {} });
        const ask = (signal) => server.suggestion('a', signal).catch((error) => error.message);
        const timed = ask(new AbortController().signal);
        waits[0][1].abort();
        const person = new AbortController();
        const cancelled = ask(person.signal);
        person.abort();
        return [waits[0][0], await timed, await cancelled, signals.map((each) => each.aborted)];
      } finally { window.fetch = realFetch; AbortSignal.timeout = realTimeout; }
    """
    limit, *rest = run(body)
    longest = settings._BOUNDS["timeout_seconds"][1] + service._STORE_SECONDS + CALL_SECONDS
    assert limit > 1000 * longest
    assert rest == ["Sem resposta do servidor.", "Sem resposta do servidor.", [True, True]]


HEADER = """
  const page = new DOMParser().parseFromString(`<main>
    <header class="thread-header"><button class="back-button"></button><i class="header-avatar"></i>
    <h2 class="header-name"></h2><i class="header-owner"></i><i class="header-detail"></i>
    <button class="owner-button"><svg><path/></svg><span></span></button>
    <button class="thread-menu"></button></header></main>`, 'text/html');
  const button = page.querySelector('.owner-button');
  const given = [];
  const onGive = () => new Promise((resolve, reject) => given.push({ resolve, reject }));
  const made = new thread_header.ThreadHeader(page.querySelector('main'), {
    onBack: () => {}, onMenu: () => {}, onGive,
  });
  const open = (id) => made.render({ id, name: id, phone: '' }, { mark: 'claude', canTake: true });
  const settle = () => new Promise((done) => setTimeout(done, 0));
  const busy = () => button.getAttribute('aria-disabled');
"""


def test_the_button_waits_for_its_own_conversation_and_lives_on_after_a_failure(run: Run) -> None:
    body = """
      window.addEventListener('unhandledrejection', (event) => event.preventDefault());
      open('a');
      button.click(); button.click();
      const seen = [given.length, busy()];
      open('b');
      seen.push(busy());
      button.click();
      seen.push(given.length, busy());
      given[1].resolve(); await settle();
      seen.push(busy());
      open('a');
      seen.push(busy());
      given[0].reject(new TypeError('a mistake')); await settle();
      seen.push(busy());
      button.click();
      return [...seen, given.length];
    """
    assert run(HEADER + body) == [1, "true", None, 2, "true", None, "true", None, 3]


def test_the_list_goes_on_showing_what_was_written_last(run: Run) -> None:
    body = """
      const state = new page_state.PageState();
      const message = (id, position, more) => ({
        id, position, conversation_id: 'a', direction: 'in', type: 'text', text: id,
        author: { kind: 'customer' }, sent_at: '2030-01-01T12:00:00Z', ...more,
      });
      const last = { ...message('Oi', '1'), author_name: null };
      state.putConversation({ id: 'a', version: 1, last_message: last });
      const line = { type: 'system', author: { kind: 'attendant', name: 'Ana' } };
      state.putMessages('a', [message('Oi', '1'), message('Ana assumiu', '2', line)], 1, 0);
      const shown = [state.rows()[0].last.text];
      const notice = { type: 'system', author: { kind: 'customer', name: null } }; // by WhatsApp
      state.putMessages('a', [message('Trocou de número', '3', notice)], 1, 0);
      return [...shown, state.rows()[0].last.text];
    """
    assert run(body) == ["Oi", "Trocou de número"]
