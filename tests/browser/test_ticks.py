"""The browser's half of the check marks, in a real page without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

import message_status
from local.processes.parts import ROOT
from tests.browser.screen_modules import Run, modules_page
from tests.test_message_status import E1, RANKS, TABLE


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


def test_the_rule_is_the_servers(run: Run) -> None:
    body = "return arg.map((cell) => status.nextStatus(...cell));"
    cells = [[current, error, incoming, E1] for current, error, incoming, _, _ in TABLE]
    assert run(body, cells) == [[status, left] for *_, status, left in TABLE]


def test_labels_and_drawings_are_the_servers(run: Run) -> None:
    doubt = {"code": "unconfirmed"}
    cases = [*([name, None] for name in [*RANKS, "failed"]), ["sending", doubt], ["sent", doubt]]
    assert run(
        "return arg.map((c) => [status.shownStatus(c[0]), status.labelFor(...c)])", cases
    ) == [[message_status.shown(name), message_status.label(name, error)] for name, error in cases]
    assert run("return status.DRAWINGS") == message_status._DRAWINGS


CSS = ("chat/base.css", "chat/list/list.css", "chat/thread/thread.css", "message_status.css")


@pytest.fixture(params=["light", "dark"])
def ticks_page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page with the screen's styles and the element."""
    css = "".join((ROOT / "static" / name).read_text(encoding="utf-8") for name in CSS)
    context = chromium.new_context(color_scheme=request.param)
    page = context.new_page()
    page.set_content(f"<style>{css}</style><body></body>")
    script = (ROOT / "static/message_status.js").read_text(encoding="utf-8")
    page.add_script_tag(content=script, type="module")
    page.wait_for_function("() => Boolean(customElements.get('message-ticks'))")
    yield page
    context.close()


def test_the_element_draws_what_the_template_filter_draws(ticks_page: Page) -> None:
    drawn = """([html, name, doubt]) => {
      const ticks = document.createElement('message-ticks');
      ticks.toggleAttribute('data-unconfirmed', doubt);
      ticks.dataset.status = name;
      document.body.append(ticks);
      const page = new DOMParser().parseFromString(html, 'text/html');
      const parsed = page.querySelector('message-ticks');
      return [ticks, parsed].map((each) => [each.innerHTML, each.getAttribute('aria-label'),
        each.getAttribute('role'), each.dataset.status]);
    }"""
    for name in [*RANKS, "failed", "unconfirmed"]:
        doubt = name == "unconfirmed"
        status = "sending" if doubt else name
        error = {"code": "unconfirmed", "source": "response", "at": 0} if doubt else None
        entity = message_status.MessageStatusMixin(status=status, delivery={"error": error})
        shown = message_status.shown(status)
        mine, servers = ticks_page.evaluate(drawn, [message_status.ticks(entity), shown, doubt])
        assert mine == servers
        assert "<svg" in mine[0]


def test_no_tick_is_blue_in_any_state_or_theme(ticks_page: Page) -> None:
    """The computed colours of every part of every drawing, in every place that shows ticks."""
    states = ["sending", "sent", "delivered", "failed", "unconfirmed"]
    colours = ticks_page.evaluate(
        """(states) => {
          const found = [];
          for (const place of ['bubble-meta', 'row-preview', 'details-steps']) {
            for (const state of states) {
              const box = document.createElement('div');
              box.className = `message out ${place}`;
              const ticks = document.createElement('message-ticks');
              ticks.dataset.status = state === 'unconfirmed' ? 'sending' : state;
              if (state === 'unconfirmed') ticks.dataset.unconfirmed = '';
              box.append(ticks);
              document.body.append(box);
              for (const part of [ticks, ...ticks.querySelectorAll('*')]) {
                const style = getComputedStyle(part);
                for (const key of ['color', 'fill', 'stroke']) {
                  found.push([place, state, key, style[key]]);
                }
              }
            }
          }
          return found;
        }""",
        states,
    )
    assert len(colours) > 3 * len(states) * 6
    for place, state, key, colour in colours:
        if colour == "none":
            continue
        red, green, blue = json.loads(f"[{colour[colour.index('(') + 1 : -1]}]")[:3]
        assert blue <= max(red, green) + 12, (place, state, key, colour)
        if state != "failed":
            assert max(red, green, blue) - min(red, green, blue) < 30, "grey"


def test_states_told_in_any_order_end_with_the_furthest(run: Run) -> None:
    body = """
      const told = [
        { status: 'sending', statuses: { sending: 1 }, at: '1' },
        { status: 'sending', statuses: { sending: 1 }, error: { code: 'unconfirmed' }, at: '2' },
        { status: 'sending', statuses: { sending: 1 }, error: null, at: '3' },
        { status: 'sent', statuses: { sending: 1, sent: 2 }, at: '4' },
        { status: 'delivered', statuses: { sending: 1, sent: 2, delivered: 3 }, at: '5' },
      ];
      const orders = (items) => items.length < 2 ? [items]
        : items.flatMap((item, i) => orders(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
      const ends = (upto) => new Set(orders(told.slice(0, upto)).map((order) => {
        let message = { id: 'x', status: 'sending' };
        for (const change of [...order, ...order]) message = status.withStatus(message, change);
        return JSON.stringify([message.status, message.error ?? null]);
      }));
      return [...ends(3), ...ends(5)];
    """
    assert run(body) == ['["sending",null]', '["delivered",null]']


ROW = """
  const state = new page_state.PageState();
  const last = (more) => ({ id: 'o1', text: 'oi', direction: 'out', position: '5', ...more });
  const conversation = (version, more) => ({ id: 'a', version, last_message: last(more) });
  const tell = (name, id = 'a') => state.apply({
    type: 'message.status_changed', conversation_id: id, at: name,
    data: { message_id: 'o1', client_id: 'o1', status: name, statuses: {}, error: null },
  });
  const shown = () => state.rows()[0].last.status;
"""


def test_a_rows_status_moves_without_its_conversation(run: Run) -> None:
    body = (
        ROW
        + """
      state.putConversation(conversation(1, { status: 'sending' }));
      const seen = [shown()];
      for (const name of ['delivered', 'sent', 'read']) { tell(name); seen.push(shown()); }
      // News of the conversation that do not know the status, or an older one, change nothing.
      state.putConversation(conversation(2, { status: null })); seen.push(shown());
      state.putConversation(conversation(3, { status: 'sent' })); seen.push(shown());
      tell('played', 'merged away'); seen.push(shown());
      return [seen, state.conversation('a').version];
    """
    )
    expected = ["sending", "delivered", "delivered", "read", "read", "read", "played"]
    assert run(body) == [expected, 3]


def test_a_status_that_overtakes_its_row_is_not_lost(run: Run) -> None:
    late = "tell('sent'); state.putConversation(conversation(1, { status: 'sending' }));"
    assert run(f"{ROW} {late} return shown();") == "sent"


@pytest.mark.parametrize("winner_first", [True, False])
def test_a_row_keeps_its_tick_through_a_merge(run: Run, winner_first: bool) -> None:
    body = """
      const merged = { type: 'conversation.updated', conversation_id: 'a', version: 3,
        data: { conversation: conversation(3, { status: null }), merged_into: 'w' } };
      const winner = { type: 'conversation.updated', conversation_id: 'w', version: 3,
        data: { conversation: { ...conversation(3, { status: null }), id: 'w' } } };
      state.putConversation({ id: 'w', version: 1, last_message: null });
      state.putConversation(conversation(1, { status: 'delivered' }));
      for (const event of arg ? [winner, merged] : [merged, winner]) state.apply(event);
      const seen = [state.rows().length, shown()];
      state.putConversation({ ...conversation(4, { status: 'sent' }), id: 'w' });
      seen.push(shown()); tell('read'); seen.push(shown());
      return seen;
    """
    assert run(ROW + body, winner_first) == [1, "delivered", "delivered", "read"]


DOUBT = """
  const message = { id: 'o1', client_id: 'o1', direction: 'out', position: '5', status: 'sending' };
  const doubtful = { code: 'unconfirmed', message: '?' };
  const state = new page_state.PageState();
  const tell = (at, error) => state.apply({
    type: 'message.status_changed', conversation_id: 'a', at,
    data: { message_id: 'o1', client_id: 'o1', status: 'sending', statuses: {}, error } });
  const shown = () => state.thread('a').find('o1').error?.code ?? null;
  const pages = [];
  const reader = new loader.Loader({ state, noteVersion() {}, onChange() {},
    api: { messages: () => new Promise((resolve) => pages.push(resolve)) } });
  const read = async (messages, meanwhile = () => {}) => {
    state.thread('a').stale = true;
    const done = reader.openThread('a');
    meanwhile();
    pages.shift()({ messages, next: null });
    await done;
  };
"""


def test_a_page_that_was_under_way_does_not_undo_a_doubt(run: Run) -> None:
    body = """
      const seen = [];
      await read([message]); seen.push(shown());
      await read([message], () => tell('2', doubtful)); seen.push(shown());
      tell('1', null); seen.push(shown());         // late news, older than the doubt
      await read([message]); seen.push(shown());   // asked for later than the doubt: it knows more
      await read([{ ...message, status: 'sent' }], () => tell('3', doubtful));
      return [...seen, state.thread('a').find('o1').status, shown()];
    """
    code = "unconfirmed"
    assert run(DOUBT + body) == [None, code, code, None, "sent", None]


def test_a_repeated_event_does_not_undo_a_doubt(run: Run) -> None:
    body = """
      const created = (at) => state.apply({ type: 'message.created', conversation_id: 'a',
        version: 2, at, data: { message } });
      await read([message]);
      created('1'); tell('2', doubtful); created('1');
      const seen = [shown()];
      created('3');
      return [...seen, shown()];
    """
    assert run(DOUBT + body) == ["unconfirmed", None]


def test_a_status_finds_its_message_in_the_conversation_that_took_it_over(run: Run) -> None:
    body = """
      const state = new page_state.PageState();
      const message = { id: 'o1', client_id: 'o1', direction: 'out', position: '5' };
      state.putMessages('winner', [{ ...message, status: 'sending' }], 1);
      state.apply({ type: 'message.status_changed', conversation_id: 'loser', at: '1',
        data: { message_id: 'o1', client_id: 'o1', status: 'sent', statuses: {}, error: null } });
      return state.thread('winner').find('o1').status;
    """
    assert run(body) == "sent"


def test_what_waits_is_asked_for_only_when_a_send_has_waited_long(run: Run) -> None:
    body = """
      let now = 1_000_000, asked = 0, answer = [], changes = 0;
      const timers = [];
      const real = globalThis.setTimeout;
      globalThis.setTimeout = (run, ms) => timers.push({ run, at: now + ms });
      const settle = () => new Promise((done) => real(done, 0));
      const advance = async (ms) => {
        now += ms;
        for (const timer of timers.splice(0)) timer.at <= now ? timer.run() : timers.push(timer);
        await settle();
      };
      const waiting = new status.Awaiting({
        fetch: async () => { asked += 1; return { messages: answer, seconds: 60 }; },
        onChange: () => { changes += 1; },
        now: () => now,
      });
      const sent = (id, status = 'sending') => waiting.onEvent({ type: 'message.created',
        data: { message: { id, direction: 'out', status } } });
      const told = (id, status) => waiting.onEvent({ type: 'message.status_changed',
        data: { message_id: id, status } });
      const log = [];
      const note = () => log.push([asked, waiting.messages.map((m) => m.id).join(), changes]);
      await waiting.start(); note();
      await advance(62_000); note();               // what was too young at the start
      for (let n = 0; n < 20; n += 1) { sent(`q${n}`); await advance(500); told(`q${n}`, 'sent'); }
      await advance(300_000); note();              // all goes well: nothing is asked
      sent('slow'); answer = [{ id: 'slow' }];
      await advance(59_000); note();
      await advance(3_000); note();                // now it is listed
      told('slow', 'delivered'); note();           // a late callback repairs it
      globalThis.setTimeout = real;
      return log;
    """
    assert run(body) == [
        [1, "", 0], [2, "", 0], [2, "", 0], [2, "", 0], [3, "slow", 1], [3, "", 2],
    ]  # fmt: skip


AWAITING = """
  const { setTimeout: real, clearTimeout: realClear } = globalThis;
  const restore = () => Object.assign(globalThis, { setTimeout: real, clearTimeout: realClear });
  const timers = [];
  globalThis.setTimeout = (run, ms) => timers.push([ms, run]);
  globalThis.clearTimeout = (id) => { if (id) timers[id - 1] = null; };
  const pending = () => timers.filter(Boolean).map(([ms]) => ms);
  const settle = () => new Promise((done) => real(done, 0));
  const fire = async () => {
    for (const [, run] of timers.splice(0).filter(Boolean)) run();
    await settle();
  };
  const answers = [];
  let changes = 0;
  const waiting = new status.Awaiting({
    fetch: () => new Promise((resolve, reject) => answers.push({ resolve, reject })),
    onChange: () => { changes += 1; },
    now: () => 1_000_000,
  });
  const page = (ids, next = null) => (
    { messages: ids.map((id) => ({ id, status: 'sending' })), next, seconds: 60 });
  const tell = (id, name, at, error = null) => waiting.onEvent({ type: 'message.status_changed', at,
    data: { message_id: id, status: name, statuses: {}, error } });
  const shown = () => waiting.messages.map((m) => m.id + (m.error ? '?' : '')).join();
  const doubt = { code: 'unconfirmed', message: '?' };
  try { BODY } finally { restore(); }
"""


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
    assert run(AWAITING.replace("BODY", body)) == ["b?,c", "c"]


def test_a_listed_message_becomes_doubtful_and_certain_again(run: Run) -> None:
    body = """
      const read = waiting.refresh();
      answers[0].resolve(page(['a'])); await read;
      const seen = [[shown(), changes]];
      for (const [at, error] of [['2', doubt], ['2', doubt], ['1', null], ['3', null]]) {
        tell('a', 'sending', at, error);
        seen.push([shown(), changes]);
      }
      return seen;
    """
    assert run(AWAITING.replace("BODY", body)) == [
        ["a", 1],
        ["a?", 2],
        ["a?", 2],
        ["a?", 2],
        ["a", 3],
    ]


def test_when_the_list_gets_shorter_the_rest_is_asked_for_in_one_request(run: Run) -> None:
    body = """
      const read = waiting.refresh();
      answers[0].resolve(page(['a', 'b'], 'more')); await read;
      tell('a', 'sent', '1'); tell('b', 'sent', '2');
      const log = [[pending(), answers.length]];
      await fire();
      log.push([pending(), answers.length]);
      answers[1].reject(new Error('down')); await settle();
      log.push([pending(), answers.length]);       // no loop: the usual wait after a failure
      await fire();
      tell('c', 'sent', '3');
      answers[2].resolve(page(['c', 'd'], 'more')); await settle();
      log.push([pending(), shown()]);              // already shorter when it comes
      await fire();
      answers[3].resolve(page(['d', 'e'])); await settle();
      tell('d', 'sent', '4');
      log.push([pending(), shown()]);              // there is no more: nothing to ask
      return log;
    """
    assert run(AWAITING.replace("BODY", body)) == [
        [[2_000], 1], [[], 2], [[30_000], 2], [[2_000], "d"], [[], "e"],
    ]  # fmt: skip


RETRY = """
  const asked = [], questions = [], shown = [];
  let answers = [];
  const ticks = status.startMessageStatus({
    request: async (method, path, body) => {
      if (method === 'GET') return { messages: [], seconds: 60 };
      asked.push([path, body.client_id, body.confirm]);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    confirm: async (text) => { questions.push(text); return arg; },
    newId: () => `new${asked.length}`,
    onRetried: (message) => shown.push(message.id),
  });
  const refusal = (code) => Object.assign(new Error(code), { code, message: `${code}?` });
"""


def test_a_new_attempt_whose_answer_was_lost_is_asked_for_under_the_same_id(run: Run) -> None:
    body = """
      answers = [refusal('unavailable'), { id: 'new0' }];
      const old = { id: 'old', status: 'failed', error: { code: '131056' } };
      const first = await ticks.retry(old).catch((error) => error.code);
      await ticks.retry(old);
      return [first, asked, questions, shown];
    """
    ask = ["/api/messages/old/retry", "new0", False]
    assert run(RETRY + body, True) == ["unavailable", [ask, ask], [], ["new0"]]


@pytest.mark.parametrize("word", [True, False])
def test_in_doubt_the_attendant_is_asked_first(run: Run, word: bool) -> None:
    body = """
      answers = [{ id: 'new' }, refusal('may_duplicate'), { id: 'new2' }];
      await ticks.retry({ id: 'a', status: 'sending', error: { code: 'unconfirmed' } });
      const known = asked.map(([, , confirmed]) => confirmed);
      // This page had not heard yet that nobody knows.
      await ticks.retry({ id: 'b', status: 'failed', error: null });
      return [known, questions, shown];
    """
    mine = "O cliente pode receber esta mensagem duas vezes."
    known, questions, shown = run(RETRY + body, word)
    assert known == ([True] if word else [])
    assert questions == ([mine, "may_duplicate?"] if word else [mine])
    assert shown == (["new", "new2"] if word else ["new"])


def test_the_story_shows_its_steps_in_order_and_the_rare_ones_only_when_they_came(run: Run) -> None:
    body = """
      return arg.map(([state, statuses]) => status.stepsOf({
        message_id: 'm', status: state, statuses, attempts: [{ message_id: 'm', accepted_at: 'a' }],
      }).map(({ name, at }) => `${name}:${at ?? '-'}`).join(' '));
    """
    cases = [
        ["sending", {"sending": "1"}],
        ["read", {"sending": "1", "read": "4"}],
        ["failed", {"sending": "1", "sent": "2", "failed": "3"}],
    ]
    assert run(body, cases) == [
        "sending:1 accepted:a sent:- delivered:-",
        "sending:1 accepted:a sent:- delivered:- read:4",
        "sending:1 accepted:a sent:2 failed:3",
    ]
    moments = "return arg.map((iso) => status.momentText(iso, new Date('2026-06-20T18:00:00Z')));"
    shown = run(moments, ["2026-06-20T14:26:43Z", "2026-06-19T02:05:09Z", None])
    assert shown == ["hoje às 11:26:43", "18/06/2026 às 23:05:09", "—"]
