"""Web Push: who may be told, of what, when, and by whom; against a push service that decrypts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

import realtime_events
from chat.conversation import ownership
from chat.conversation.models import Conversation
from chat.people import owner_changes
from chat.platform import datastore
from chat.platform.settings import SettingsError
from chat.push.notices import EXTENSION, PushNotice, PushNotices
from chat.push.settings import PushSettings, new_private_key, public_key_of
from chat.push.subscriptions import MAX_EACH, PushSubscription
from chat.team import attendants
from local.processes.parts import ROOT
from local.push.server import Browser as Phone
from local.push.server import PushService
from main import create_app
from tests.chat.support import (
    Browser,
    call,
    contact,
    deliver,
    login,
    stored,
    text_message,
    token_of,
)
from tests.helpers import SETTINGS, Store, wait_until

KEY = new_private_key()
SUBSCRIBE = "/api/push/subscriptions"
REASON = "o cliente pediu uma pessoa"
TASK = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
FCM = "https://fcm.googleapis.com/fcm/send/abc"


@pytest.fixture
def service(push_service: PushService) -> PushService:
    return push_service


@pytest.fixture
def make_app(
    store: Store, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Flask]:
    """The application with keys, which knows the stand-in; keywords are settings."""
    monkeypatch.setenv("WHATSAPP_API_URL", "http://127.0.0.1:9")

    def make(**settings: Any) -> Flask:
        push = {"PUSH_VAPID_PRIVATE_KEY": KEY, "PUSH_SUBJECT": "mailto:ana@example.com"}
        push |= {"PUSH_ORIGINS": service.origin, "PUSH_DELAY_SECONDS": "0"}
        return create_app({**SETTINGS, **push, "TESTING": True, **settings})

    return make


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """One that tells when a test has it tell."""
    app = make_app()
    monkeypatch.setattr(Conversation, "on_needed", None)
    return app


def notices_of(app: Flask) -> PushNotices:
    notices: PushNotices = app.extensions[EXTENSION]
    return notices


def subscribe(person: Browser, service: PushService) -> Phone:
    """Switches it on in the menu of a new browser of theirs."""
    phone = service.subscribe(public_key_of(KEY))
    assert person.post(SUBSCRIBE, phone.subscription()).status_code == 201
    return phone


def chat_of_marina(person: Browser, text: str = "Um segredo") -> str:
    now = realtime_events.now_ms() // 1000
    deliver(person.client, call(text_message("w1", text, at=now), contacts=[contact("Marina")]))
    (chat,) = person.conversations()
    return str(chat["id"])


def hand_over(conversation_id: str, ago_ms: int = 0) -> None:
    """The chat needs a person since so long ago."""

    def act(conversation: Conversation, now: int) -> list[None]:
        ownership.hand_over(conversation, REASON, now - ago_ms)
        return []

    with datastore.context():
        owner_changes.change_owner(conversation_id, act)


def tell(app: Flask, conversation_id: str) -> int:
    with app.app_context(), datastore.context():
        return notices_of(app).tell(conversation_id)


# --- settings -------------------------------------------------------------------------------------


def test_the_command_makes_keys_that_the_settings_take(app: Flask) -> None:
    output = app.test_cli_runner().invoke(args=["push", "keys"]).output
    found = dict(re.findall(r"^(PUSH_\w+): (\S+)$", output, re.M))
    settings = PushSettings.from_env(found)
    assert settings.enabled
    assert len(settings.public_key) == 87
    assert found["PUSH_VAPID_PRIVATE_KEY"] not in repr(settings)
    again = app.test_cli_runner().invoke(args=["push", "keys"]).output
    assert found["PUSH_VAPID_PRIVATE_KEY"] not in again


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUSH_VAPID_PRIVATE_KEY", "secreto"),
        ("PUSH_VAPID_PRIVATE_KEY", "A" * 43),  # zero
        ("PUSH_VAPID_PRIVATE_KEY", "..."),
        ("PUSH_SUBJECT", ""),
        ("PUSH_SUBJECT", "ana@example.com"),
        ("PUSH_MESSAGE_TEXT", "sim"),
        ("PUSH_DELAY_SECONDS", "-1"),
        ("PUSH_ORIGINS", "push.example.com"),
        ("PUSH_ORIGINS", "https://push.example.com/"),
    ],
)
def test_a_setting_that_cannot_work_is_named(name: str, value: str) -> None:
    good = {"PUSH_VAPID_PRIVATE_KEY": KEY, "PUSH_SUBJECT": "mailto:ana@example.com"}
    with pytest.raises(SettingsError, match=name) as caught:
        PushSettings.from_env({**good, name: value})
    assert "secreto" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        FCM,
        "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "https://db5p.notify.windows.com/w/?token=abc",
        "https://web.push.apple.com/abc",
        "https://fcm.googleapis.com:443/fcm/send/abc",
        "https://push.example.com:8443/abc",
    ],
)
def test_known_push_services_are_known(endpoint: str) -> None:
    assert PushSettings(origins=("https://push.example.com:8443",)).knows(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://fcm.googleapis.com/fcm/send/abc",
        "https://fcm.googleapis.com:8080/abc",
        "https://fcm.googleapis.com.evil.example/abc",
        "https://evil.example/fcm.googleapis.com",
        "https://fcm.googleapis.com@evil.example/abc",
        "https://evil.example\\@fcm.googleapis.com/abc",
        "https://evil.example#@fcm.googleapis.com/",
        "https://ana:x@fcm.googleapis.com/abc",
        "https://notify.windows.com.evil.example/",
        "https://evilnotify.windows.com/abc",
        "https://127.0.0.1/abc",
        "https://metadata.google.internal/computeMetadata/v1/",
        "http://169.254.169.254/",
        "https://push.example.com/abc",
        "https://fcm.googleapis.com:port/",
        "https://fcm.googleapis.com/\nHost: evil.example",
        "ftp://fcm.googleapis.com/",
        "https://[::1]/",
    ],
)
def test_no_other_address_is_ever_called(endpoint: str, app: Flask, service: PushService) -> None:
    assert not PushSettings(origins=("https://push.example.com:8443",)).knows(endpoint)
    ana = login(app)
    keys = service.subscribe("").subscription()["keys"]
    answer = ana.post(SUBSCRIBE, {"endpoint": endpoint, "keys": keys})
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "endpoint")
    assert stored(PushSubscription) == []


def test_the_page_about_it_tells_every_setting_and_its_default() -> None:
    text = (ROOT / "docs" / "notificacoes.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(PUSH_\w+)` \| ([^|]*?) ?\|", text, re.MULTILINE))
    defaults = {"DELAY_SECONDS": "8", "MESSAGE_TEXT": "false"}
    assert (PushSettings().delay_seconds, PushSettings().message_text) == (8, False)
    names = [name.upper() for name in vars(PushSettings())]
    assert told == {f"PUSH_{name}": defaults.get(name, "") for name in names}


# --- subscriptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["p256dh", "auth"])
@pytest.mark.parametrize("value", [None, 1, "", "á", "AAAA", "A" * 87, "A" * 300])
def test_keys_that_nothing_can_be_encrypted_for_are_refused(
    app: Flask, service: PushService, part: str, value: Any
) -> None:
    body = service.subscribe("").subscription()
    body["keys"][part] = value
    answer = login(app).post(SUBSCRIBE, body)
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, part)


def test_only_a_login_with_its_token_subscribes(app: Flask, service: PushService) -> None:
    body = service.subscribe("").subscription()
    assert app.test_client().post(SUBSCRIBE, json=body).status_code == 401
    assert login(app).client.post(SUBSCRIBE, json=body).status_code == 400
    assert stored(PushSubscription) == []


def test_without_keys_the_menu_does_not_offer_it(make_app: Callable[..., Flask]) -> None:
    off, on = make_app(PUSH_VAPID_PRIVATE_KEY=""), make_app()
    assert 'data-setting="push"' not in login(off).get("/").text
    body = {"endpoint": FCM, "keys": {}}
    assert login(off).post(SUBSCRIBE, body).get_json()["error"]["code"] == "push_off"
    assert f'data-key="{public_key_of(KEY)}"' in login(on).get("/").text


def test_an_attendant_has_so_many_browsers_and_the_newest_stay(
    app: Flask, service: PushService
) -> None:
    ana = login(app)
    phones = [subscribe(ana, service) for _ in range(MAX_EACH + 2)]
    kept = {each.endpoint for each in stored(PushSubscription)}
    assert len(kept) == MAX_EACH
    assert phones[-1].endpoint in kept


def test_switching_off_forgets_ones_own_browser_alone(app: Flask, service: PushService) -> None:
    ana, bruno = login(app), login(app, "bruno")
    phone = subscribe(ana, service)
    body = {"endpoint": phone.endpoint}
    assert bruno.post(f"{SUBSCRIBE}/remove", body).status_code == 200
    assert len(stored(PushSubscription)) == 1
    assert ana.post(f"{SUBSCRIBE}/remove", body).status_code == 200
    assert stored(PushSubscription) == []
    assert ana.post(f"{SUBSCRIBE}/remove", {}).status_code == 422


# --- telling --------------------------------------------------------------------------------------


def test_who_has_no_page_is_told_once_and_encrypted(app: Flask, service: PushService) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    phone = subscribe(ana, service)
    assert tell(app, chat) == 0  # it needs nobody
    hand_over(chat)
    assert tell(app, chat) == 1
    assert tell(app, chat) == 0
    (push,) = service.received
    assert push.browser == phone
    assert push.payload == {
        "conversation_id": chat,
        "title": "A conversa com Marina precisa de você",
        "body": REASON,
    }
    assert b"Marina" not in push.body
    assert push.claims["sub"] == "mailto:ana@example.com"
    assert push.headers["urgency"] == "high"
    assert re.fullmatch(r"[\w-]{32}", push.headers["topic"])
    assert service.refused == []


def test_the_next_time_that_it_needs_a_person_is_told_again(
    app: Flask, service: PushService
) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    subscribe(ana, service)
    hand_over(chat, ago_ms=5_000)
    assert tell(app, chat) == 1
    assert ana.post(f"/api/conversations/{chat}/owner", {"owner": "human"}).status_code == 200
    assert tell(app, chat) == 0
    hand_over(chat)
    assert tell(app, chat) == 1


@pytest.mark.parametrize(("setting", "body"), [("false", REASON), ("true", f"{REASON}\n“Oi”")])
def test_what_the_customer_wrote_is_told_only_where_a_setting_says_so(
    make_app: Callable[..., Flask],
    service: PushService,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    body: str,
) -> None:
    app = make_app(PUSH_MESSAGE_TEXT=setting)
    monkeypatch.setattr(Conversation, "on_needed", None)
    ana = login(app)
    chat = chat_of_marina(ana, "Oi")
    subscribe(ana, service)
    hand_over(chat)
    assert tell(app, chat) == 1
    assert service.received[0].payload["body"] == body


def test_who_has_a_page_that_knows_it_hears_nothing(app: Flask, service: PushService) -> None:
    ana, bruno, carla = login(app), login(app, "bruno"), login(app, "carla")
    chat = chat_of_marina(ana)
    subscribe(ana, service)
    phone = subscribe(bruno, service)
    assert bruno.post("/api/push/here", {}).status_code == 200  # and then closed it
    hand_over(chat)
    for page in (ana, carla):
        assert page.post("/api/push/here", {}).status_code == 200
    assert tell(app, chat) == 1
    assert [each.browser for each in service.received] == [phone]


def test_nothing_is_told_before_its_time_or_when_it_is_old(
    make_app: Callable[..., Flask], service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(PUSH_DELAY_SECONDS="60")
    monkeypatch.setattr(Conversation, "on_needed", None)
    ana = login(app)
    chat = chat_of_marina(ana)
    subscribe(ana, service)
    hand_over(chat)
    assert tell(app, chat) == 0
    hand_over(chat, ago_ms=3600_000)
    assert tell(app, chat) == 0
    hand_over(chat, ago_ms=60_000)
    assert tell(app, chat) == 1


# --- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "left"), [("/logout", 1), ("/logout/everywhere", 0)])
def test_a_logout_ends_what_its_logins_subscribed(
    app: Flask, service: PushService, path: str, left: int
) -> None:
    one, bruno = login(app), login(app, "bruno")
    client = app.test_client()
    form = {"username": "ana", "password": "ana", "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 302
    for person in (one, Browser(client, token_of(client, "/")), bruno):
        subscribe(person, service)
    one.client.post(path, data={"csrf_token": one.token})
    kept = [each.username for each in stored(PushSubscription)]
    assert sorted(kept) == ["ana"] * left + ["bruno"]


def test_a_login_that_ended_elsewhere_is_told_nothing(app: Flask, service: PushService) -> None:
    ana, bruno = login(app), login(app, "bruno")
    chat = chat_of_marina(ana)
    subscribe(ana, service)
    phone = subscribe(bruno, service)
    with pytest.MonkeyPatch.context() as elsewhere, datastore.context():
        elsewhere.setattr(attendants, "forget", lambda _username: None)
        attendants.close_all_logins("ana")
    hand_over(chat)
    assert tell(app, chat) == 1
    assert [each.browser for each in service.received] == [phone]
    assert [each.username for each in stored(PushSubscription)] == ["bruno"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_forgotten(app: Flask, service: PushService, status: int) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    gone, there = subscribe(ana, service), subscribe(ana, service)
    gone.answers.append((status, {}))
    hand_over(chat)
    assert tell(app, chat) == 1
    assert [each.endpoint for each in stored(PushSubscription)] == [there.endpoint]


def test_a_service_in_trouble_is_asked_again_as_it_wishes(app: Flask, service: PushService) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    phone = subscribe(ana, service)
    phone.answers += [(503, {}), (429, {"Retry-After": "7"})]
    pauses: list[float] = []
    notices_of(app).pause = pauses.append
    hand_over(chat)
    assert tell(app, chat) == 1
    assert pauses == [2.0, 7.0]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 403, 413])
def test_a_refusal_is_final_and_a_redirect_is_not_followed(
    app: Flask, service: PushService, status: int
) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    phone = subscribe(ana, service)
    elsewhere = service.subscribe(public_key_of(KEY))
    phone.answers.append((status, {"Location": elsewhere.endpoint}))
    hand_over(chat)
    assert tell(app, chat) == 0
    assert service.received == []
    assert service.refused == []
    assert len(stored(PushSubscription)) == 1


def test_a_service_that_the_settings_name_no_more_is_not_called(
    make_app: Callable[..., Flask], app: Flask, service: PushService
) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    subscribe(ana, service)
    without = make_app(PUSH_ORIGINS="")
    Conversation.on_needed = None
    hand_over(chat)
    assert tell(without, chat) == 0
    assert service.received == []
    assert stored(PushSubscription) == []


# --- after the commit -----------------------------------------------------------------------------


def test_a_webhook_call_that_hands_a_chat_over_has_it_told_by_a_thread(
    make_app: Callable[..., Flask], service: PushService
) -> None:
    ana = login(make_app(ANTHROPIC_API_KEY="test-key"))
    subscribe(ana, service)
    late = call(text_message("w1", "Olá?"), contacts=[contact("Marina")])
    assert deliver(ana.client, late).status_code == 200
    wait_until(lambda: service.received)
    assert service.received[0].payload["body"] == "a mensagem chegou atrasada"
    deliver(ana.client, call(text_message("w2", "Oi?"), contacts=[contact("Marina")]))
    wait_until(lambda: len(ana.texts()) > 2)
    assert len(service.received) == 1


def test_what_is_not_committed_is_not_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    heard: list[tuple[str, int]] = []
    monkeypatch.setattr(Conversation, "on_needed", lambda *told: heard.append(told))

    def act(conversation: Conversation, now: int) -> list[None]:
        ownership.hand_over(conversation, REASON, now)
        conversation.put()
        raise KeyError("the transaction fails")

    with datastore.context(), pytest.raises(KeyError):
        owner_changes.change_owner(chat, act)
    assert heard == []
    hand_over(chat)
    (conversation,) = stored(Conversation)
    assert set(heard) == {(chat, conversation.needs_you_at)}


def test_what_a_lost_process_left_is_told_by_the_sweep(app: Flask, service: PushService) -> None:
    ana = login(app)
    chat = chat_of_marina(ana)
    client = app.test_client()

    def sweep() -> int:
        done: int = client.get("/tasks/push", headers=TASK).get_json()["done"]
        return done

    hand_over(chat, ago_ms=60_000)
    assert client.get("/tasks/push").status_code == 403
    assert sweep() == 0  # nobody wants to be told
    subscribe(ana, service)
    assert sweep() == 1
    assert sweep() == 0
    assert len(service.received) == 1
    with datastore.context():
        (claim,) = PushNotice.query().fetch()
        claim.expires_at = 1
        claim.put()
    assert ana.post(f"/api/conversations/{chat}/owner", {"owner": "human"}).status_code == 200
    assert sweep() == 0
    assert stored(PushNotice) == []
