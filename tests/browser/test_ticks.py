"""Check marks in the screen's state: rows and threads through events, pages and merges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


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
