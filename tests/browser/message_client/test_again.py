"""A new attempt, for a page with a script of its own."""

from __future__ import annotations

import pytest

from tests.browser.message_client.conftest import Run

RETRY = """
  const asked = [], questions = [], shown = [];
  let answers = [];
  const ticks = marks.startMessageStatus({
    request: async (method, path, body) => {
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
      const old = { id: 'o/1', status: 'failed', error: { code: '131056' } };
      const first = await ticks.retry(old).catch((error) => error.code);
      await ticks.retry(old);
      return [first, asked, questions, shown];
    """
    ask = ["/api/messages/o%2F1/retry", "new0", False]
    assert run(RETRY + body, True) == ["unavailable", [ask, ask], [], ["new0"]]


@pytest.mark.parametrize("word", [True, False])
def test_in_doubt_the_attendant_is_asked_first(run: Run, word: bool) -> None:
    body = """
      let started = 0;
      const onStart = () => { started += 1; };
      answers = [{ id: 'new' }, refusal('may_duplicate'), { id: 'new2' }];
      const doubtful = { id: 'a', status: 'sending', error: { code: 'unconfirmed' } };
      await ticks.retry(doubtful, { onStart });
      const known = asked.map(([, , confirmed]) => confirmed);
      // This page had not heard yet that nobody knows.
      if (!arg) answers.shift();
      await ticks.retry({ id: 'b', status: 'failed', error: null }, { onStart });
      return [known, questions, shown, started];
    """
    mine = "O cliente pode receber esta mensagem duas vezes."
    known, questions, shown, started = run(RETRY + body, word)
    assert known == ([True] if word else [])
    assert questions == [mine, "may_duplicate?"]
    assert shown == (["new", "new2"] if word else [])
    assert started == (2 if word else 1)
