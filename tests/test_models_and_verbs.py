"""The ground floor that the modules share: models that only grow, and verbs that tell everybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import mock

import pytest
from flask import Flask
from google.api_core.exceptions import Aborted, ServiceUnavailable
from google.cloud import ndb

import realtime_events as rt
from tests.event_host import parse
from tests.failing_commits import failing_commits
from tests.helpers import Store

pytestmark = pytest.mark.store


class Numbers(rt.LiveConversation):
    """Stands for a module that has numbers of its own."""

    counted = ndb.IntegerProperty(default=0, indexed=False)
    derived = ndb.IntegerProperty(indexed=False)

    def _grow(self, stored: Any) -> None:
        super()._grow(stored)
        self.counted = max(self.counted, stored.counted)

    def _derive(self) -> None:
        super()._derive()
        self.derived = self.counted * 10


class Conversa(Numbers):
    """A foreign host's: the key is a number that the store allocates."""

    cliente = ndb.StringProperty()


class Mensagem(rt.LiveMessage):
    """A foreign host's."""

    conversa = ndb.KeyProperty(kind="Conversa")
    corpo = ndb.TextProperty()
    placed: dict[str, Any]
    remembered: ClassVar[list[str]] = []

    def _is_repeat(self, wamid: str) -> bool:
        return super()._is_repeat(wamid) or wamid in self.remembered

    def _remember(self, wamid: str) -> None:
        super()._remember(wamid)
        assert self.key.id(), "it must be told whose it is"
        self.remembered.append(wamid)

    def _place(self, conversation: Any, *, outgoing: bool, **facts: Any) -> None:
        super()._place(conversation, outgoing=outgoing, **facts)
        conversation.counted += 1
        self.placed = {"outgoing": outgoing, **facts}


@pytest.fixture
def app(store: Store) -> Iterator[Flask]:
    app = Flask("host")
    app.secret_key = "s"
    rt.init_app(app, store.client, current_user_id=lambda: "ana")
    rt.use_models(app, conversation=Conversa, message=Mensagem, name="cliente", text="corpo")
    Mensagem.remembered.clear()
    with app.app_context():
        yield app


@pytest.fixture(params=["cached", "uncached"])
def context(request: pytest.FixtureRequest, app: Flask, store: Store) -> Iterator[None]:
    """An ndb context of either kind."""
    options = {} if request.param == "cached" else {"cache_policy": False}
    with store.client.context(**options):
        yield


@pytest.fixture(autouse=True)
def own_kinds() -> Iterator[None]:
    """ndb knows one class of a kind a process, and other tests have kinds of these names."""
    own = {model._get_kind(): model for model in (Conversa, Mensagem)}
    with mock.patch.dict(ndb.Model._kind_map, own):
        yield


def stored(key: ndb.Key) -> Any:
    """As the store has it."""
    return key.get(use_cache=False)


def events() -> list[dict[str, Any]]:
    """What was told, in order."""
    records = rt.RealtimeEvent.query().order(rt.RealtimeEvent._key).fetch()
    return parse("".join(block.decode() for each in records for block in each.blocks))


def types() -> list[str]:
    return [event["type"] for event in events()]


def new_conversation(**values: Any) -> Any:
    made = Conversa(cliente="Maria", **values)
    made.put()
    return made


def new_message(conversa: Any, corpo: str = "Olá", **key: Any) -> Any:
    return Mensagem(conversa=conversa.key, corpo=corpo, **key)


# --- a host's own put() -----------------------------------------------------------------------


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("many", [False, True])
def test_a_conversation_read_before_others_changed_it_lowers_nothing(
    in_transaction: bool, many: bool
) -> None:
    early = new_conversation()
    read_then = stored(early.key)
    for _ in range(3):
        rt.receive(new_message(early))
    rt.update(early.key, cliente="Maria Silva")

    def put() -> None:
        read_then.cliente = "Marina"
        if many:
            ndb.put_multi([read_then])
        else:
            read_then.put()

    if in_transaction:
        ndb.transaction(put)
    else:
        put()
    for known in (read_then, stored(early.key)):
        assert (known.version, known.arrivals, known.counted, known.derived) == (4, 3, 3, 30)
        assert known.cliente == "Marina", "what is the host's is written as the host has it"


@pytest.mark.usefixtures("context")
def test_in_one_transaction_what_was_read_in_it_is_put_as_it_is() -> None:
    key = new_conversation().key

    def change() -> None:
        read = key.get(retries=0)
        read.counted = 5
        read.put()
        read.counted = 7
        read.put()

    ndb.transaction(change)
    assert stored(key).counted == 7


@pytest.mark.usefixtures("context")
def test_what_is_further_on_than_what_is_stored_stays_so() -> None:
    key = new_conversation(version=3, arrivals=3, counted=3).key
    early = stored(key)
    early.version = early.arrivals = early.counted = 5
    early.put()
    known = stored(key)
    assert (known.version, known.arrivals, known.counted) == (5, 5, 5)


@pytest.mark.usefixtures("context")
def test_a_message_keeps_its_number_whatever_is_put_over_it() -> None:
    conversa = new_conversation()
    message = new_message(conversa, id="m1")
    rt.receive(message)
    Mensagem(conversa=conversa.key, corpo="Outro", id="m1").put()
    assert stored(message.key).arrival == 1


@pytest.mark.usefixtures("context")
def test_many_are_put_at_once_and_each_is_joined() -> None:
    made = [Conversa(cliente=str(n)) for n in range(60)]
    ndb.put_multi(made)
    early = ndb.get_multi([each.key for each in made], use_cache=False)
    for each in made[::7]:
        rt.receive(new_message(each))
    new = [Conversa(cliente="novo"), Conversa(cliente="novo", id="fixo")]
    keys = ndb.put_multi([*early, *new])
    assert keys == [each.key for each in [*made, *new]]
    versions = [stored(key).version for key in keys]
    assert versions == [int(n % 7 == 0) for n in range(60)] + [0, 0]


@pytest.mark.usefixtures("context")
def test_concurrent_puts_and_messages_lower_nothing(store: Store, app: Flask) -> None:
    key = new_conversation().key

    def put() -> None:
        with app.app_context(), store.context():
            for _ in range(4):
                early = stored(key)
                early.cliente = "Marina"
                early.put()

    def receive() -> None:
        with app.app_context(), store.context():
            for _ in range(4):
                rt.receive(Mensagem(conversa=key, corpo="Olá"))

    threads = [threading.Thread(target=each) for each in (put, receive, receive)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = stored(key)
    assert (known.version, known.arrivals, known.counted) == (8, 8, 8)
    numbers = [each.arrival for each in Mensagem.query().fetch()]
    assert sorted(numbers) == list(range(1, 9))


@pytest.mark.usefixtures("context")
def test_put_hooks_and_options_of_ndb_still_work() -> None:
    seen: list[str] = []

    class Hooked(Numbers):
        def _pre_put_hook(self) -> None:
            seen.append(f"before {self.derived}")

        def _post_put_hook(self, future: Any) -> None:
            seen.append(f"after {future.result().id()}")

    Hooked(id="a", counted=2).put(use_cache=False, retries=1)
    assert seen == ["before 20", "after a"]
    assert Hooked(id="b").put_async().result() == ndb.Key(Hooked, "b")


@pytest.mark.usefixtures("context")
def test_entities_from_before_the_modules_work() -> None:
    class Before(ndb.Model):
        cliente = ndb.StringProperty()
        conversa = ndb.KeyProperty()
        corpo = ndb.TextProperty()

    def write(kind: str, **values: Any) -> ndb.Key:
        Before._kind_map.pop(kind, None)
        made = type(kind, (Before,), {})(**values)
        key = made.put()
        ndb.Model._kind_map[kind] = {"Conversa": Conversa, "Mensagem": Mensagem}[kind]
        return key

    conversa = write("Conversa", cliente="Antiga")
    old = stored(write("Mensagem", conversa=conversa, corpo="Velha"))
    assert isinstance(old, Mensagem)
    assert old.live_json() == {
        "id": rt.id_of(old), "conversation_id": rt.id_of(conversa), "arrival": None,
        "direction": None, "text": "Velha",
    }  # fmt: skip
    assert stored(conversa).live_json()["version"] == 0
    old.put()
    rt.update(old, corpo="Corrigida")
    message = Mensagem(conversa=conversa, corpo="Nova")
    assert rt.receive(message)
    assert (message.arrival, stored(conversa).version) == (1, 2)


@pytest.mark.usefixtures("context")
def test_numbers_that_are_stored_as_nothing_count_as_zero() -> None:
    conversa = new_conversation(version=None, arrivals=None)
    rt.receive(new_message(conversa))
    early = stored(conversa.key)
    early.version = early.arrivals = None
    early.put()
    assert (stored(conversa.key).version, stored(conversa.key).arrivals) == (1, 1)


# --- verbs ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("context")
def test_receive_stores_counts_numbers_and_tells_in_one_transaction() -> None:
    conversa = new_conversation()
    message = new_message(conversa)
    assert rt.receive(message, cliente="Maria Souza") is True
    [event] = events()
    known = stored(conversa.key)
    assert event["type"] == "message.created"
    assert (event["conversation_id"], event["version"]) == (rt.id_of(conversa), 1)
    assert event["data"] == {
        "message": {
            "id": rt.id_of(message), "conversation_id": rt.id_of(conversa), "arrival": 1,
            "direction": "in", "text": "Olá",
        },
        "conversation": {"id": rt.id_of(conversa), "name": "Maria Souza", "version": 1},
    }  # fmt: skip
    assert (known.cliente, known.version, known.arrivals) == ("Maria Souza", 1, 1)
    assert message.placed == {"outgoing": False, "counts": True}


@pytest.mark.usefixtures("context")
def test_facts_reach_the_modules_and_each_message_has_its_number() -> None:
    conversa = new_conversation()
    reaction, answer = new_message(conversa), new_message(conversa)
    rt.receive(reaction, counts=False)
    rt.add_message(answer, outgoing=True, by_person=True, read_up_to="7")
    assert (reaction.arrival, answer.arrival) == (1, 2)
    assert reaction.placed == {"outgoing": False, "counts": False}
    assert answer.placed == {"outgoing": True, "by_person": True, "read_up_to": "7"}


@pytest.mark.usefixtures("context")
def test_the_same_message_again_stores_and_tells_nothing() -> None:
    conversa = new_conversation()
    assert rt.receive(new_message(conversa, id="wamid.1"), wamid="wamid.1") is True
    assert rt.receive(new_message(conversa, "Outra", id="wamid.1"), wamid="wamid.1") is False
    assert rt.receive(new_message(conversa, "Outra"), wamid="wamid.1") is False
    assert rt.receive(new_message(conversa, "Outra", id="wamid.1")) is False
    assert len(events()) == 1
    assert stored(conversa.key).version == 1


@pytest.mark.usefixtures("context")
def test_a_message_of_no_conversation_stores_nothing_and_says_so() -> None:
    gone = ndb.Key(Conversa, 77)
    for message in (Mensagem(conversa=gone), Mensagem()):
        with pytest.raises(LookupError, match="Mensagem: its conversation"):
            rt.receive(message)
    assert Mensagem.query().fetch() == []


@pytest.mark.usefixtures("context")
def test_a_misspelled_property_stores_nothing_and_is_named() -> None:
    conversa = new_conversation()
    with pytest.raises(AttributeError, match="'Conversa' has no attribute 'client'"):
        rt.receive(new_message(conversa), client="Maria")
    with pytest.raises(AttributeError, match="'Conversa' has no attribute 'client'"):
        rt.update(conversa, client="Maria")
    assert stored(conversa.key).version == 0
    assert Mensagem.query().fetch() == []


@pytest.mark.usefixtures("context")
def test_a_message_that_replaces_another_tells_of_both() -> None:
    conversa = new_conversation()
    old, new = new_message(conversa, "Falhou"), new_message(conversa, "De novo")
    rt.receive(old)
    old.corpo = "Falhou, e foi tentada de novo"
    ndb.transaction(lambda: rt.add_message(new, outgoing=True, replaces=old))
    assert len(rt.RealtimeEvent.query().fetch(keys_only=True)) == 2, "one record a verb"
    assert types() == ["message.created", "message.created", "message.updated"]
    assert events()[-1]["data"]["message"]["text"] == "Falhou, e foi tentada de novo"
    assert [event["version"] for event in events()] == [1, 2, 2]


@pytest.mark.usefixtures("context")
def test_update_changes_what_is_stored_now_and_tells_everybody() -> None:
    conversa = new_conversation()
    early = stored(conversa.key)
    rt.receive(new_message(conversa))
    fresh = rt.update(early, cliente="Marina")
    assert (fresh.cliente, fresh.version, fresh.counted) == ("Marina", 2, 1)
    message = Mensagem.query().get()
    rt.update(message.key, corpo="Olá!")
    assert types() == ["message.created", "conversation.updated", "message.updated"]
    assert events()[1]["data"] == {
        "conversation": {"id": rt.id_of(conversa), "name": "Marina", "version": 2}
    }
    assert events()[2]["data"]["message"]["text"] == "Olá!"
    assert events()[2]["version"] == stored(conversa.key).version == 3


@pytest.mark.usefixtures("context")
def test_update_of_what_is_not_there_says_so() -> None:
    with pytest.raises(LookupError, match="Conversa., 77. does not exist"):
        rt.update(ndb.Key(Conversa, 77), cliente="Maria")


@pytest.mark.usefixtures("context")
def test_verbs_join_the_hosts_own_transaction_and_end_with_it() -> None:
    conversa = new_conversation()

    def refused() -> None:
        rt.receive(new_message(conversa))
        rt.update(conversa, cliente="Marina")
        raise ValueError

    for run in (ndb.transaction, rt.transaction):
        with pytest.raises(ValueError):
            run(refused)
    assert types() == []
    assert stored(conversa.key).version == 0

    def both() -> None:
        rt.receive(new_message(conversa))
        rt.update(conversa, cliente="Marina")

    ndb.transaction(both)
    rt.transaction(both)
    assert types() == ["message.created", "conversation.updated"] * 2
    known = stored(conversa.key)
    assert (known.version, known.arrivals, known.counted) == (4, 2, 2)


@pytest.mark.usefixtures("context")
def test_a_message_that_the_host_has_put_before_is_said_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    message = new_message(conversa := new_conversation())
    message.put()
    assert not rt.receive(message)
    assert "Mensagem: put() by the host: neither counted nor sent" in caplog.text
    caplog.clear()
    other = new_message(conversa)
    assert rt.receive(other)
    assert not rt.receive(other)
    assert caplog.text == ""


@pytest.mark.usefixtures("context")
def test_a_message_of_a_conversation_that_is_not_stored_yet_says_what_to_do() -> None:
    message = Mensagem(conversa=ndb.Key(Conversa, 77))
    with pytest.raises(LookupError, match="does not exist .put.. a new one first."):
        rt.receive(message)


@pytest.mark.usefixtures("context")
def test_verbs_in_a_plain_transaction_are_told_in_their_order_though_in_one_millisecond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversa, now = new_conversation(), rt.now_ms()
    monkeypatch.setattr(rt, "now_ms", lambda: now)

    def several() -> None:
        for number in range(6):
            rt.update(conversa, cliente=f"Marina {number}")

    ndb.transaction(several)
    assert [event["version"] for event in events()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("key", [{}, {"id": "m1"}])
def test_a_conflict_neither_counts_nor_numbers_nor_tells_twice(
    monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
) -> None:
    conversa = new_conversation()
    message = new_message(conversa, **key)
    tried = failing_commits(monkeypatch, Aborted("1"), ServiceUnavailable("2"), after=False)
    assert rt.receive(message, cliente="Marina") is True
    assert len(tried) == 3
    monkeypatch.undo()
    known = stored(conversa.key)
    assert (known.version, known.arrivals, known.counted) == (1, 1, 1)
    assert [each.arrival for each in Mensagem.query().fetch()] == [1]
    assert types() == ["message.created"]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("key", [{}, {"id": "m1"}])
def test_a_commit_that_was_made_and_reported_lost_stores_once_and_is_new(
    monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
) -> None:
    conversa = new_conversation()
    message = new_message(conversa, **key)
    failing_commits(monkeypatch, ServiceUnavailable("who knows"), after=True)
    assert rt.receive(message) is True, "else its sender would not send it"
    monkeypatch.undo()
    assert stored(conversa.key).version == 1
    assert len(Mensagem.query().fetch()) == 1
    assert types() == ["message.created"]


@pytest.mark.usefixtures("context")
def test_a_conflict_without_end_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    conversa = new_conversation()
    monkeypatch.setattr(rt, "_RETRIES", 2)
    tried = failing_commits(monkeypatch, *[Aborted("again")] * 5, after=False)
    with pytest.raises(Aborted):
        rt.receive(new_message(conversa))
    assert tried == [5, 4, 3]
    assert rt.receive(new_message(conversa)), "the last attempt may do it"


# --- ids --------------------------------------------------------------------------------------


class Filha(ndb.Model):
    """With a parent, as some hosts keep their messages."""


@pytest.mark.usefixtures("context")
def test_every_key_is_found_by_its_id() -> None:
    keys = [
        Conversa(id=5).put(),
        Conversa(id="texto").put(),
        Conversa(id="12345").put(),
        Conversa(id="007").put(),
        Conversa(id=2**63 - 1).put(),
        Conversa(id="x" * 1400).put(),
    ]
    for key in keys:
        assert rt.find(Conversa, rt.id_of(key)).key == key
        assert rt.find(Conversa, rt.id_of(key.get())).key == key
    assert rt.find(Conversa, 5).key == keys[0]
    child = Filha(parent=keys[1], id=9).put()
    assert rt.find(Filha, rt.id_of(child)).key == child
    found = rt.find(Conversa, ["5", 5, "texto", "nada", ""])
    assert {id_: each.key for id_, each in found.items()} == {"5": keys[0], "texto": keys[1]}


@pytest.mark.usefixtures("context")
def test_an_id_names_nothing_of_another_kind_project_or_namespace() -> None:
    conversa = Conversa(id="texto").put()
    child = Filha(parent=conversa, id=9).put()
    assert rt.find(Conversa, rt.id_of(child)) is None
    assert rt.find(Filha, conversa.urlsafe().decode()) is None
    assert rt.find(Conversa, conversa.urlsafe().decode()) is None, "that is not its id"
    there = ndb.Key(Conversa, "texto", Filha, 9, namespace="outro")
    Filha(key=there).put()
    assert rt.find(Filha, rt.id_of(there)) is None
    assert rt.find(Filha, rt.id_of(ndb.Key(Conversa, "texto", Filha, None))) is None


@pytest.mark.parametrize(
    "junk",
    [
        "", " ", "\x00", "__x__", "0", "-1", "1.5", "9" * 19, "9" * 30, "é" * 800, "\ud800",
        "A" * 40, None, True, "٣", "²",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("context")
def test_junk_finds_nothing(junk: Any) -> None:
    assert rt.find(Conversa, junk) is None
    assert rt.find(Conversa, [junk]) == {}


@pytest.mark.usefixtures("context")
def test_a_name_that_datastore_keeps_for_itself_is_not_asked_for() -> None:
    assert list(rt._keys(Conversa, "__x__")) == []


# --- what a host may give ---------------------------------------------------------------------


def told(error: pytest.ExceptionInfo[TypeError], *words: str) -> None:
    """The message names class, property and remedy."""
    for word in words:
        assert word in str(error.value)


def test_a_model_without_the_mixin_is_refused_with_the_remedy() -> None:
    class Ficha(ndb.Model):
        pass

    for model in (Ficha, None, "Ficha"):
        with pytest.raises(TypeError) as error:
            rt.check_model(model, rt.LiveConversation)
        told(error, "LiveConversation")
    told(error, "write class Ficha(realtime_events.LiveConversation)")


@pytest.mark.parametrize("value", [ndb.StringProperty(), 7, property(len), len])
def test_an_own_attribute_of_a_name_of_ours_is_refused(value: Any) -> None:
    shadowing = type("Ficha2", (rt.LiveConversation,), {"version": value})
    with pytest.raises(TypeError) as error:
        rt.check_model(shadowing, rt.LiveConversation)
    told(error, "Ficha2.version", "realtime_events", "another one", "my_version")


def test_an_own_attribute_of_a_base_class_is_refused_too() -> None:
    class Base(ndb.Model):
        arrivals = ndb.StringProperty()

    for bases in ((Base, rt.LiveConversation), (rt.LiveConversation, Base)):
        with pytest.raises(TypeError) as error:
            rt.check_model(type("Ficha3", bases, {}), rt.LiveConversation)
        told(error, "Ficha3.arrivals")


def test_an_own_property_that_is_stored_under_a_name_of_ours_is_refused() -> None:
    class Ficha4(rt.LiveConversation):
        versao = ndb.StringProperty("version")

    with pytest.raises(TypeError) as error:
        rt.check_model(Ficha4, rt.LiveConversation)
    told(error, "Ficha4.versao", "its own version", "in the store too")


def test_what_a_host_may_define_in_its_own_way_is_not_refused() -> None:
    class Ficha5(rt.LiveMessage):
        texto = ndb.TextProperty("body")

        @property
        def conversation_key(self) -> ndb.Key:
            return self.key.parent()

        def live_json(self) -> dict[str, Any]:
            return {}

    class Ficha6(rt.LiveConversation):
        titulo = ndb.StringProperty()

        def put(self, **options: Any) -> Any:
            return super().put(**options)

    rt.check_model(Ficha5, rt.LiveMessage)
    rt.check_model(Ficha6, rt.LiveConversation)


def link(app: Flask, **properties: Any) -> Any:
    """A message's conversation, of a model with these properties."""
    values = {name: value for name, (_, value) in properties.items()}
    model = type("Nota", (rt.LiveMessage,), {name: p for name, (p, _) in properties.items()})
    rt.use_models(app, conversation=Conversa, message=model)
    return model(**values).conversation_key


def test_the_conversation_of_a_message_is_found_by_its_properties(app: Flask, store: Store) -> None:
    with store.context():
        wanted = ndb.Key(Conversa, 5)
        other = (ndb.KeyProperty(kind="Loja"), ndb.Key("Loja", 1))
        assert link(app, qualquer=(ndb.KeyProperty(kind="Conversa"), wanted), loja=other) == wanted
        assert link(app, dona=(ndb.KeyProperty(), wanted), loja=other) == wanted
        for name in ("conversa", "conversa_id", "id_conversa", "conversation_id", "conversaId"):
            assert link(app, **{name: (ndb.IntegerProperty(), 5)}) == wanted
            assert link(app, **{name: (ndb.StringProperty(), "5")}) == ndb.Key(Conversa, "5")
        assert link(app, conversa=(ndb.KeyProperty(kind="Conversa"), None)) is None


@pytest.mark.parametrize(
    "properties",
    [
        {"texto": ndb.TextProperty()},
        {"de": ndb.KeyProperty(kind="Conversa"), "para": ndb.KeyProperty(kind="Conversa")},
        {"conversa": ndb.IntegerProperty(), "conversa_id": ndb.IntegerProperty()},
    ],
)
def test_a_message_whose_conversation_cannot_be_told_is_refused_with_the_remedy(
    app: Flask, properties: dict[str, Any]
) -> None:
    with pytest.raises(TypeError) as error:
        rt.use_models(app, message=type("Nota2", (rt.LiveMessage,), properties))
    told(error, "Nota2", "Conversa", "KeyProperty", "def conversation_key(self)")


def test_a_host_whose_messages_hang_under_their_conversation_says_so_itself(store: Store) -> None:
    class Nota3(rt.LiveMessage):
        @property
        def conversation_key(self) -> ndb.Key:
            return self.key.parent()

    app = Flask("host")
    rt.init_app(app, store.client, current_user_id=lambda: "ana")
    rt.use_models(app, conversation=Conversa, message=Nota3)
    with app.app_context(), store.context():
        conversa = new_conversation()
        note = Nota3(parent=conversa.key)
        assert rt.receive(note)
        assert rt.find(Nota3, rt.id_of(note)).live_json()["conversation_id"] == rt.id_of(conversa)


def test_a_property_that_is_named_and_is_not_there_is_refused(app: Flask) -> None:
    with pytest.raises(TypeError, match="Mensagem has no property texto, named as text="):
        rt.use_models(app, message=Mensagem, text="texto")


def test_no_hook_of_the_host_runs_before_there_is_a_request(store: Store) -> None:
    app = Flask("host")
    app.teardown_appcontext(lambda _error: pytest.fail("nothing was opened yet"))
    rt.init_app(app, store.client, current_user_id=lambda: "ana")
    rt.use_models(app, conversation=Conversa)


def test_the_upper_modules_come_after_this_one() -> None:
    with pytest.raises(RuntimeError, match=r"realtime_events\.init_app"):
        rt.use_models(Flask("host"), conversation=Conversa)


# --- marks and versions -----------------------------------------------------------------------


@pytest.mark.usefixtures("context")
def test_marks_carry_what_the_page_needs_and_escape_it(app: Flask) -> None:
    conversa = new_conversation()
    rt.update(conversa, cliente='"><b>')
    message = new_message(conversa, "'<&")
    rt.receive(message)
    template = app.jinja_env.from_string("<a {{ c|live }}></a><p {{ m|live }}></p>")
    html = template.render(c=stored(conversa.key), m=message)
    assert f'data-conversation-id="{rt.id_of(conversa)}" data-live="{{&#34;id&#34;' in html
    assert f'data-message-id="{rt.id_of(message)}" data-live="{{' in html
    assert "<b>" not in html
    data = rt.live_data(message)
    assert data["messageId"] == rt.id_of(message)
    assert '"arrival": 1' in data["live"]


@pytest.mark.usefixtures("context")
def test_versions_are_told_by_id_as_text(app: Flask, store: Store) -> None:
    conversa = new_conversation()
    Conversa(id="texto", version=None).put()
    rt.receive(new_message(conversa))
    ids = [rt.id_of(conversa), "texto", "nada", ""]
    with ndb.get_context().new().use():
        answer = app.test_client().get("/realtime/versions", query_string={"id": ids})
    assert answer.json == {"versions": {rt.id_of(conversa): 1, "texto": 0}}
    many = [f"nada-{n}" for n in range(1, 60)] + ["texto"]
    answer = app.test_client().get("/realtime/versions", query_string={"id": many})
    assert answer.json == {"versions": {}}, "more than are compared at once"
