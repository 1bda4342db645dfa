"""docs/instalacao.md shows the plain host as it is, and names what the modules bring."""

from __future__ import annotations

import re

import message_status
import realtime_events
import unread_state
from local.processes.parts import ROOT
from tests import live_host
from tests.helpers import Store
from tests.hosts.support import HOSTS, MODULES, shown_diff

INSTALLATION = ROOT / "docs" / "instalacao.md"
TEXT = INSTALLATION.read_text(encoding="utf-8")
PLAIN = HOSTS / "plain"
SETTINGS = {
    "REALTIME_EVENTS_": realtime_events,
    "UNREAD_STATE_": unread_state,
    "MESSAGE_STATUS_": message_status,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def named_in_row(title: str) -> set[str]:
    """What the row of this title in the table "what the modules bring" names, without its first
    two columns."""
    row = re.search(rf"^\| {title} \|[^|]*\|(.*)\|$", TEXT, re.M)
    assert row, title
    return set(re.findall(r"`([^`]+)`", row[1]))


def test_it_shows_the_whole_change_of_the_plain_host() -> None:
    shown = blocks("diff")
    paths = ["main.py", "static/chat.js", "templates/chat.html", "app.yaml"]
    assert shown == [shown_diff("plain", path) for path in paths]
    assert blocks("yaml") == [(PLAIN / "after" / "cron.yaml").read_text(encoding="utf-8")]
    for path in PLAIN.glob("after/**/*.*"):
        name = str(path.relative_to(PLAIN / "after"))
        before = PLAIN / "before" / name
        if path.suffix != ".pyc" and name not in (*paths, "cron.yaml"):
            assert path.read_bytes() == before.read_bytes(), f"{name} changes and is not shown"


def test_it_names_every_file_to_copy() -> None:
    copied = TEXT.split("## 2.")[0]
    for module in MODULES:
        for path in (*ROOT.glob(f"{module}.py"), *ROOT.glob(f"static/{module}.*")):
            assert f"`{path.relative_to(ROOT)}`" in copied
        assert f"`templates/{module}/`" in copied
        assert [path.name for path in (ROOT / "templates" / module).iterdir()] == ["head.html"]


def test_it_names_every_field_route_and_kind(store: Store) -> None:
    def fields(*mixins: type) -> set[str]:
        names = {name for mixin in mixins for name in mixin._properties}
        return {name for name in names if not name.startswith("_")}

    assert named_in_row("Conversa") == fields(unread_state.UnreadConversationMixin)
    mixins = unread_state.UnreadMessageMixin, message_status.MessageStatusMixin
    assert named_in_row("Mensagem") == fields(*mixins)
    assert named_in_row("Datastore") == {"RealtimeEvent", "WamidLink"}
    rules = live_host.create_app(client=store.client).url_map.iter_rules()
    names = ("realtime_events.", "unread_state.", "message_status.")
    routes = {
        re.sub(r"<\w+>", "ID", each.rule) for each in rules if each.endpoint.startswith(names)
    }
    assert named_in_row("Rotas") == routes


def test_it_names_what_the_page_is_told(store: Store) -> None:
    app = live_host.create_app(client=store.client)
    with app.test_request_context(), store.context():
        conversation = live_host.Conversa(id=1, cliente="Maria")
        message = live_host.Mensagem(id=2, conversa=conversation.key, corpo="Oi")
        told = named_in_row("JSON da conversa"), named_in_row("JSON da mensagem")
        optional = {"error", "attempt_of", "retried_as", "retried_at"}
        assert told[0] == set(conversation.live_json())
        assert told[1] - optional == set(message.live_json())
    source = "".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("realtime_events.py", "unread_state.py", "message_status.py",
                     "static/realtime_events.js", "static/unread_state.js")
    )  # fmt: skip
    for title in ("Eventos das telas", "Eventos em `document`"):
        assert named_in_row(title)
        for name in named_in_row(title):
            assert f'"{name}"' in source, name


def test_it_gives_the_settings_defaults_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", TEXT, re.MULTILINE))
    known = {
        prefix + name: default
        for prefix, module in SETTINGS.items()
        for name, (default, *_) in module.DEFAULTS.items()
    }
    assert rows
    for name, shown in rows.items():
        default = known[name]
        text = f"`{default}`" if isinstance(default, str) else f"{default:g}".replace(".", ",")
        assert shown == text, name
