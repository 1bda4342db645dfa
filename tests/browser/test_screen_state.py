"""What the screen knows: events in any order, and sending with lost answers. In a real page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


# --- events -----------------------------------------------------------------------------------

SNAPSHOT = """
  const snapshot = (state) => ({
    rows: state.rows().map((row) => [row.conversation.id, row.conversation.name, row.last?.text,
                                     row.conversation.version]),
    threads: ['a', 'b'].map((id) => state.thread(id).messages.map(
      (m) => [m.id, m.text, m.status ?? null, m.error?.message ?? null])),
  });
"""

APPLY = (
    SNAPSHOT
    + """
  const state = new page_state.PageState();
  state.thread('a'); state.thread('b');
  for (const event of arg) state.apply(event);
  return snapshot(state);
"""
)


def message(id: str, conversation: str, text: str, position: int, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "conversation_id": conversation,
        "direction": "in",
        "author": {"kind": "customer", "name": "Maria"},
        "type": "text",
        "text": text,
        "sent_at": "2030-01-01T12:00:00.000Z",
        "position": f"{position:013d}-00000001",
        "status": None,
        **more,
    }


def conversation(
    id: str, version: int, last: dict[str, Any] | None, name: str = "Maria"
) -> dict[str, Any]:
    summary = None
    if last:
        summary = {key: last[key] for key in ("id", "text", "direction", "sent_at", "position")}
    return {"id": id, "name": name, "phone": None, "last_message": summary, "version": version}


def event(type: str, conversation_id: str, version: int | None, **data: Any) -> dict[str, Any]:
    return {
        "id": f"{type}-{conversation_id}-{version}-{data.get('message_id', '')}",
        "type": type,
        "conversation_id": conversation_id,
        "version": version,
        "data": data,
    }


def created(version: int, said: dict[str, Any], **more: Any) -> dict[str, Any]:
    id = said["conversation_id"]
    return (
        event(
            "message.created",
            id,
            version,
            message=said,
            conversation=conversation(id, version, said),
        )
        | more
    )


def story() -> list[dict[str, Any]]:
    """Two chats: messages, an edit, a send that is refused, a new name."""
    out = {"direction": "out", "client_id": "o1", "status": "sending"}
    hello, edited = message("m1", "a", "oi", 1), message("m1", "a", "oi, tudo bem?", 1)
    answer = message("o1", "a", "olá", 2, **out)
    error = {"code": 131026, "message": "Número sem WhatsApp."}
    later = message("m3", "a", "alô?", 3)
    other = message("n1", "b", "bom dia", 4)
    return [
        created(1, hello),
        created(2, answer),
        event("message.updated", "a", 3, message=edited, conversation=conversation("a", 3, answer)),
        event(
            "message.status_changed",
            "a",
            None,
            message_id="o1",
            client_id="o1",
            status="failed",
            statuses={},
            error=error,
        ),
        created(4, later),
        event(
            "conversation.updated", "a", 5, conversation=conversation("a", 5, later, name="Maria B")
        ),
        created(1, other),
    ]


def test_events_shuffled_and_repeated_end_in_the_same_screen(run: Run) -> None:
    expected = run(APPLY, story())
    assert expected["rows"] == [["b", "Maria", "bom dia", 1], ["a", "Maria B", "alô?", 5]]
    assert expected["threads"][0] == [
        ["m1", "oi, tudo bem?", None, None],
        ["o1", "olá", "failed", "Número sem WhatsApp."],
        ["m3", "alô?", None, None],
    ]
    shuffler = random.Random(7)
    for _ in range(60):
        events = story() + shuffler.sample(story(), k=4)
        shuffler.shuffle(events)
        assert run(APPLY, events) == expected, [each["id"] for each in events]


def test_messages_of_one_transaction_end_at_the_last_of_them(run: Run) -> None:
    events = [created(7, message(f"m{n}", "a", f"texto {n}", n)) for n in range(1, 6)]
    for order in (events, events[::-1], events + events[:2]):
        after = run(APPLY, order)
        assert after["rows"] == [["a", "Maria", "texto 5", 7]]
        assert [each[0] for each in after["threads"][0]] == ["m1", "m2", "m3", "m4", "m5"]


def test_a_repeated_event_is_not_even_reported_as_a_change(run: Run) -> None:
    body = """
      let changes = 0;
      const state = new page_state.PageState({ onChange: () => { changes += 1; } });
      state.thread('a'); state.thread('b');
      for (const event of arg) state.apply(event);
      const first = changes;
      const kept = state.thread('a').messages;
      for (const event of structuredClone(arg)) state.apply(event);
      return [first > 0, changes - first, kept === state.thread('a').messages];
    """
    assert run(body, story()) == [True, 0, True]


def test_a_merged_conversation_leaves_the_list_and_its_messages_move(run: Run) -> None:
    winner = conversation("b", 2, message("n1", "b", "bom dia", 4))
    merge = event("conversation.updated", "a", 9, conversation=winner, merged_into="b")
    body = APPLY.replace("return snapshot(state)", "return [snapshot(state), state.selectedId]")
    body = body.replace("for (const", "state.select('a'); for (const", 1)
    events = [*story(), merge]
    expected = run(body, events)
    assert [row[0] for row in expected[0]["rows"]] == ["b"]
    assert expected[1] == "b"
    shuffler = random.Random(11)
    for _ in range(30):
        shuffler.shuffle(events)
        after = run(body, events)
        assert [row[0] for row in after[0]["rows"]] == ["b"]
        assert after[1] == "b"
        assert [each[0] for each in after[0]["threads"][1]] == ["m1", "o1", "m3", "n1"]


def test_a_fetched_page_does_not_undo_an_edit_that_came_while_it_was_read(run: Run) -> None:
    body = """
      const state = new page_state.PageState();
      state.thread('a');
      const before = state.versionOf('a');
      state.apply(arg.edit);
      state.putMessages('a', [arg.old], before);
      return state.thread('a').messages.map((m) => m.text);
    """
    old, new = message("m1", "a", "velho", 1), message("m1", "a", "novo", 1)
    edit = event("message.updated", "a", 3, message=new, conversation=conversation("a", 3, new))
    assert run(body, {"old": old, "edit": edit}) == ["novo"]


def test_a_change_further_up_than_what_is_loaded_waits_for_its_page(run: Run) -> None:
    body = """
      const state = new page_state.PageState();
      const thread = state.thread('a');
      state.putMessages('a', [arg.newest], 1);
      Object.assign(thread, { loaded: true, next: arg.newest.position });
      state.apply(arg.edit);
      const before = thread.messages.map((m) => m.text);
      thread.next = null;
      state.putMessages('a', [arg.old], 1);
      return [before, thread.messages.map((m) => m.text)];
    """
    newest = message("m9", "a", "a última", 9)
    old, new = message("m1", "a", "velho", 1), message("m1", "a", "novo", 1)
    edit = event("message.updated", "a", 3, message=new, conversation=conversation("a", 3, newest))
    shown = run(body, {"newest": newest, "old": old, "edit": edit})
    assert shown == [["a última"], ["novo", "a última"]]


def test_rows_below_what_was_fetched_wait_for_their_page(run: Run) -> None:
    body = """
      const state = new page_state.PageState();
      for (const each of arg) state.putConversation(each);
      state.listFloor = arg[1].last_message.position;
      const shown = state.rows().map((row) => row.conversation.id);
      state.listFloor = null;
      return [shown, state.rows().map((row) => row.conversation.id)];
    """
    chats = [conversation(f"c{n}", 1, message(f"m{n}", f"c{n}", "oi", 9 - n)) for n in range(3)]
    assert run(body, chats) == [["c0", "c1"], ["c0", "c1", "c2"]]


# --- marking as unread ------------------------------------------------------------------------

MENU = """
  const state = new page_state.PageState();
  state.putConversation(arg.conversation);
  const asked = [];
  let count = 0, undo = null;
  const menu = new conversation_menu.ConversationMenu({
    state,
    loader: {
      openThread: async () => state.putMessages('a', [{ ...arg.late.data.message, arrival: 2 }], 2),
    },
    unread: {
      badge: () => ({ count, marked: false }),
      markUnread: async (id) => { asked.push(['unread', id]); },
      markRead: async (id, upTo) => { asked.push(['read', id, upTo]); },
    },
    toast: { show: (text, action) => { undo = action; } },
  });
"""


def test_undoing_a_mark_does_not_read_what_came_meanwhile(run: Run) -> None:
    body = """
      await menu.markUnread('a');
      state.apply(arg.late);
      await undo.run();
      return asked;
    """
    given = {
        "conversation": conversation("a", 1, message("m1", "a", "oi", 1)),
        "late": created(2, message("m2", "a", "alô?", 2)),
    }
    assert run(MENU + body, given) == [["unread", "a"], ["read", "a", "m1"]]


def test_marking_what_still_has_unread_messages_offers_no_undo(run: Run) -> None:
    """To undo it would be to read them."""
    given = {"conversation": conversation("a", 1, message("m1", "a", "oi", 1)), "late": {}}
    body = "count = 2; await menu.markUnread('a'); return [asked, undo];"
    assert run(MENU + body, given) == [[["unread", "a"]], None]


# --- sending ----------------------------------------------------------------------------------

SENDER = """
  const state = new page_state.PageState();
  state.putConversation(arg.conversation);
  const memory = new drafts.MemoryStorage();
  const posts = [];
  const api = { send: (id, message) => new Promise((resolve, reject) => {
    posts.push({ id, message, resolve, reject });
  }) };
  let clock = Date.now();
  const make = (target, more = {}) => new sending.Sender({ state: target, api, storage: memory,
    userId: 'ana', userName: 'Ana', now: () => clock, locks: null, ...more });
  const sender = make(state);
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  const stored = (m, text = m.text) => ({ id: m.client_id, client_id: m.client_id, direction: 'out',
    type: 'text', text, sent_at: m.sent_at, position: '9000000000000-00000009', status: 'sending',
    author: { kind: 'attendant', name: 'Ana' } });
  const lost = () => Object.assign(new Error('lost'), { name: 'ApiError', unavailable: true });
  const no = () => Object.assign(new Error('Texto longo demais.'),
    { name: 'ApiError', unavailable: false, status: 422, code: 'invalid' });
  const shown = (from = state) => from.thread('a').messages.map(
    (m) => [m.text, m.delivery ?? m.status]);
"""


@pytest.fixture
def chat() -> dict[str, Any]:
    return {"conversation": conversation("a", 1, message("m1", "a", "oi", 1))}


def test_the_servers_message_takes_the_place_of_the_bubble(run: Run, chat: dict[str, Any]) -> None:
    body = """
      sender.send('a', 'olá');
      const before = shown();
      posts[0].resolve(stored(posts[0].message)); await settle();
      return [before, shown(), memory.length];
    """
    assert run(SENDER + body, chat) == [[["olá", "pending"]], [["olá", "sending"]], 0]


def test_an_event_that_overtakes_the_answer_leaves_one_bubble(
    run: Run, chat: dict[str, Any]
) -> None:
    body = """
      sender.send('a', 'olá');
      const message = stored(posts[0].message);
      state.apply({ type: 'message.created', conversation_id: 'a', version: 2, data: { message } });
      const early = shown();
      posts[0].reject(lost()); await settle();
      const afterLoss = shown();
      return [early, afterLoss];
    """
    assert run(SENDER + body, chat) == [[["olá", "sending"]], [["olá", "sending"]]]


def test_a_lost_request_waits_and_goes_again_with_the_same_id_and_order(
    run: Run, chat: dict[str, Any]
) -> None:
    body = """
      sender.send('a', 'um');
      posts[0].reject(lost()); await settle();
      const waiting = [shown(), posts.length];
      sender.send('a', 'dois'); await settle(); // which asks for the first one again, at once
      posts[1].resolve(stored(posts[1].message)); await settle();
      posts[2].resolve({ ...stored(posts[2].message), position: '9000000000000-00000010' });
      await settle();
      const same = posts[0].message.client_id === posts[1].message.client_id;
      return [waiting, same, posts.map((post) => post.message.text), shown()];
    """
    waiting, same, texts, after = run(SENDER + body, chat)
    assert waiting == [[["um", "waiting"]], 1]
    assert same
    assert texts == ["um", "um", "dois"]
    assert after == [["um", "sending"], ["dois", "sending"]]


def test_a_refusal_keeps_the_text_and_the_reason_and_lets_the_next_go(
    run: Run, chat: dict[str, Any]
) -> None:
    body = """
      sender.send('a', 'longo'); sender.send('a', 'curto');
      posts[0].reject(no()); await settle();
      const refused = state.thread('a').messages[0];
      return [shown(), refused.error.message, posts.length];
    """
    expected = [[["longo", "refused"], ["curto", "pending"]], "Texto longo demais.", 2]
    assert run(SENDER + body, chat) == expected


def test_what_was_not_confirmed_survives_a_reload(run: Run, chat: dict[str, Any]) -> None:
    body = """
      sender.send('a', 'olá');
      const reloaded = new page_state.PageState();
      const next = make(reloaded);
      const before = [shown(reloaded), posts.length];
      next.resume();
      posts[1].resolve(stored(posts[1].message)); await settle();
      const same = posts[0].message.client_id === posts[1].message.client_id;
      return [before, same, shown(reloaded), memory.length];
    """
    assert run(SENDER + body, chat) == [[[["olá", "pending"]], 1], True, [["olá", "sending"]], 0]


def test_the_connection_is_back_and_only_what_is_lately_written_goes_by_itself(
    run: Run, chat: dict[str, Any]
) -> None:
    body = """
      sender.send('a', 'um');
      posts[0].reject(lost()); await settle();
      clock += sending.BY_ITSELF_MS - 1;
      sender.send('a', 'dois'); await settle();
      posts[1].reject(lost()); await settle();
      clock += 1;
      sender.resume(); await settle();
      const late = [shown(), posts.length];
      sender.send('a', 'três'); // does not wait for the attendant's word on the others
      posts[2].resolve(stored(posts[2].message)); await settle();
      sender.retry('a');
      posts[3].resolve({ ...stored(posts[3].message), position: '9000000000000-00000010' });
      await settle();
      posts[4].resolve({ ...stored(posts[4].message), position: '9000000000000-00000011' });
      await settle();
      return [late, posts.map((post) => post.message.text), shown()];
    """
    late, posts, after = run(SENDER + body, chat)
    assert late == [[["um", "unsent"], ["dois", "unsent"]], 2]
    assert posts == ["um", "um", "três", "um", "dois"]
    assert after == [["três", "sending"], ["um", "sending"], ["dois", "sending"]]


def test_attempts_grow_rare_and_not_in_step(run: Run) -> None:
    body = """
      const waits = (random) => arg.map((failures) => sending.waitAfter(failures, () => random));
      return [waits(0), waits(1)];
    """
    least, most = run(body, [1, 2, 3, 4, 5, 6, 60])
    assert most == [1000, 2000, 4000, 8000, 16000, 30000, 30000]
    assert least == [0.75 * wait for wait in most]


def test_the_order_is_the_typings_whatever_the_clock_says(run: Run, chat: dict[str, Any]) -> None:
    body = """
      sender.send('a', 'um'); clock -= 3_600_000;
      sender.send('a', 'dois'); clock -= 3_600_000;
      sender.send('a', 'três');
      const typed = shown();
      const reloaded = new page_state.PageState();
      make(reloaded).resume();
      for (let n = 1; n < 4; n += 1) {
        posts[n].resolve({ ...stored(posts[n].message), position: `9000000000000-0000001${n}` });
        await settle();
      }
      return [typed, posts.slice(1).map((post) => post.message.text)];
    """
    typed, posts = run(SENDER + body, chat)
    assert [text for text, _ in typed] == ["um", "dois", "três"]
    assert posts == ["um", "dois", "três"]


def test_a_hung_request_is_not_waited_for_when_the_connection_is_back(
    run: Run, chat: dict[str, Any]
) -> None:
    body = """
      sender.send('a', 'um');
      sender.resume(); await settle();
      const fresh = posts.length;
      const real = performance.now;
      performance.now = () => real.call(performance) + 6_000;
      sender.resume(); await settle();
      performance.now = real;
      posts[0].reject(lost()); await settle();
      return [fresh, posts.length, shown()];
    """
    assert run(SENDER + body, chat) == [1, 2, [["um", "pending"]]]


def test_a_full_storage_is_told_and_sends_all_the_same(run: Run, chat: dict[str, Any]) -> None:
    body = """
      memory.setItem = () => { throw new Error('full'); };
      sender.send('a', 'um');
      const typed = new drafts.Drafts(memory, 'ana');
      typed.set('a', 'quase');
      const risk = [sender.isAtRisk, typed.isAtRisk];
      posts[0].resolve(stored(posts[0].message)); await settle();
      typed.set('a', '');
      return [risk, [sender.isAtRisk, typed.isAtRisk], shown()];
    """
    expected = [[True, True], [False, False], [["um", "sending"]]]
    assert run(SENDER + body, chat) == expected


def test_one_attendants_keys_are_not_anothers(run: Run, chat: dict[str, Any]) -> None:
    body = """
      const other = new page_state.PageState();
      make(state, { userId: 'ana/b' }).send('a', 'de outra');
      make(state, { userId: 'ana.b' }).send('a', 'de mais outra');
      make(other).forget();
      return [shown(other), memory.length];
    """
    assert run(SENDER + body, chat) == [[], 2]


def test_an_own_message_tops_the_list_until_somebody_writes_later(
    run: Run, chat: dict[str, Any]
) -> None:
    body = """
      state.putConversation(arg.other);
      const order = () => state.rows().map((row) => [row.conversation.id, row.last.text]);
      const before = order();
      sender.send('a', 'olá');
      const sent = order();
      state.putConversation(arg.later);
      return [before, sent, order()];
    """
    chat["other"] = conversation("b", 1, message("n1", "b", "bom dia", 5))
    chat["later"] = conversation("b", 2, message("n2", "b", "alô", 6))
    assert run(SENDER + body, chat) == [
        [["b", "bom dia"], ["a", "oi"]],
        [["a", "olá"], ["b", "bom dia"]],
        [["b", "alô"], ["a", "olá"]],
    ]


def test_ids_are_uuids_even_where_random_uuid_is_missing(run: Run) -> None:
    body = """
      const plain = { getRandomValues: (bytes) => crypto.getRandomValues(bytes) };
      const ids = Array.from({ length: 50 }, () => sending.randomId(plain));
      const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
      return [ids.every((id) => uuid.test(id)), new Set(ids).size];
    """
    assert run(body) == [True, 50]
