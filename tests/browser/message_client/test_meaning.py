"""What a status means to whoever shows it: pure functions."""

from __future__ import annotations

from tests.browser.message_client.conftest import Run

NAMES = ["sending", "sent", "delivered", "read", "played", "failed"]


def test_read_and_played_are_shown_as_delivered(run: Run) -> None:
    body = """return arg.map(([name, error]) =>
      [marks.shownStatus(name), marks.labelFor(name, error)]);"""
    doubt = {"code": "unconfirmed"}
    cases = [*([name, None] for name in NAMES), ["sending", doubt], ["sent", doubt], ["?", None]]
    assert run(body, cases) == [
        ["sending", "Pendente"], ["sent", "Enviada"], ["delivered", "Entregue"],
        ["delivered", "Entregue"], ["delivered", "Entregue"], ["failed", "Não enviada"],
        ["sending", "Talvez enviada"], ["sent", "Enviada"], ["?", "Pendente"],
    ]  # fmt: skip


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
        for (const change of [...order, ...order]) message = marks.withStatus(message, change);
        return JSON.stringify([message.status, message.error ?? null]);
      }));
      return [...ends(3), ...ends(5)];
    """
    assert run(body) == ['["sending",null]', '["delivered",null]']


def test_of_two_states_the_furthest_is_one_and_an_unchanged_message_is_the_same_object(
    run: Run,
) -> None:
    body = """
      const message = { id: 'x', status: 'delivered', statuses: { sent: 1 }, error: null };
      return [
        arg.toSorted((a, b) => marks.isFurther(a, b) ? 1 : -1),
        marks.isFurther('sent', 'sent'), marks.isFurther('?', 'sending'),
        marks.withStatus(message, { status: 'sent' }) === message,
        marks.withStatus(message, { status: 'delivered', statuses: { sent: 1 } }) === message,
        marks.withStatus(message, { status: 'delivered', statuses: { sent: 0 } }).statuses.sent,
      ];
    """
    order = ["sending", "sent", "failed", "delivered", "read", "played"]
    assert run(body, NAMES) == [order, False, False, True, True, 0]


def test_a_problem_is_said_with_what_can_be_done(run: Run) -> None:
    body = """
      const told = (message) => {
        const problem = marks.problemOf(message);
        return problem && [problem.text, problem.failed, problem.action];
      };
      return arg.map(told);
    """
    doubt = {"code": "unconfirmed", "message": "Sem resposta."}
    failed = {"status": "failed", "error": {"code": "1", "message": "Falhou."}}
    retried = {"retried_as": "n", "retried_at": "2026-06-20T14:26:43Z"}
    cases = [
        {"status": "sent", "error": None}, {"status": "sending"}, {"status": None}, {},
        {"status": "delivered", "error": {"code": "1", "message": "x"}}, failed,
        {"status": "failed"}, {"status": "sending", "error": doubt},
        {"status": "sending", "error": {"code": "unreachable", "message": "Espera."}},
        failed | retried, failed | {"retried_as": "n"},
        {"status": "sending", "error": doubt} | retried,
    ]  # fmt: skip
    assert run(body, cases) == [
        None, None, None, None, None,
        ["Não enviada: Falhou.", True, "resend"], ["Não enviada.", True, "resend"],
        ["Talvez enviada. Sem resposta.", False, "resend"], ["Espera.", False, None],
        ["Não enviada: Falhou. Reenviada às 11:26.", True, None],
        ["Não enviada: Falhou. Reenviada.", True, None],
        ["Talvez enviada. Sem resposta. Reenviada às 11:26.", False, None],
    ]  # fmt: skip


def test_the_story_has_its_steps_in_order_and_the_rare_ones_only_when_they_came(run: Run) -> None:
    body = """
      return arg.map(([state, statuses]) => marks.stepsOf({
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
    moments = "return arg.map((iso) => marks.momentText(iso, new Date('2026-06-20T18:00:00Z')));"
    shown = run(moments, ["2026-06-20T14:26:43Z", "2026-06-19T02:05:09Z", None])
    assert shown == ["hoje às 11:26:43", "18/06/2026 às 23:05:09", "—"]
