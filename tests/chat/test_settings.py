"""The settings are checked at start."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

import message_status
import unread_state
from chat.platform.settings import Settings, SettingsError, told_in_one_line
from local.processes.parts import ROOT
from tests import forking

PRODUCTION = {
    "GAE_ENV": "standard",
    "SECRET_KEY": "hushhush-0123456789",
    "WHATSAPP_TOKEN": "t",
    "WHATSAPP_PHONE_NUMBER_ID": "1",
    "WHATSAPP_APP_SECRET": "s",
    "WHATSAPP_VERIFY_TOKEN": "v",
}


@pytest.mark.parametrize("missing", sorted(set(PRODUCTION) - {"GAE_ENV"}))
def test_production_does_not_start_without_its_secrets(missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        Settings.from_env({**PRODUCTION, missing: ""})


def test_production_waits_for_the_graph_api_within_the_request() -> None:
    assert Settings.from_env(PRODUCTION).send_wait_seconds > 0
    assert Settings.from_env({"SECRET_KEY": "k"}).send_wait_seconds == 0


@pytest.mark.parametrize("value", ["soon", "-1", "601", "nan"])
def test_a_bad_number_stops_the_start_by_key_and_value(value: str) -> None:
    with pytest.raises(SettingsError, match=rf"WHATSAPP_READ_SECONDS: '{value}'"):
        Settings.from_env({"WHATSAPP_READ_SECONDS": value})


@pytest.mark.parametrize("value", ["graph.facebook.com", "ftp://x/", "http://"])
def test_a_bad_address_stops_the_start_by_key_and_value(value: str) -> None:
    with pytest.raises(SettingsError, match=f"WHATSAPP_API_URL: '{value}'"):
        Settings.from_env({"WHATSAPP_API_URL": value})


@pytest.mark.parametrize(
    ("url", "graph_url"),
    [
        ("https://graph.facebook.com/", "https://graph.facebook.com/v26.0"),
        ("http://127.0.0.1:8081/v21.0", "http://127.0.0.1:8081/v21.0"),
    ],
)
def test_the_graph_url_has_a_version(url: str, graph_url: str) -> None:
    assert Settings.from_env({"WHATSAPP_API_URL": url}).graph_url == graph_url


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings.from_env({**PRODUCTION, "WHATSAPP_TOKEN": "EAAG"}))
    assert "hush" not in shown
    assert "EAAG" not in shown


def test_without_a_key_every_process_has_its_own() -> None:
    assert Settings.from_env({}).secret_key != Settings.from_env({}).secret_key


@pytest.mark.parametrize(
    "key", ["k", "short", "fifteen-letters", "a" * 64, "abababababababab", "123451234512345123"]
)
def test_production_does_not_start_with_a_key_that_is_easily_guessed(key: str) -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY: too easy to guess") as raised:
        Settings.from_env({**PRODUCTION, "SECRET_KEY": key})
    assert len(key) < 8 or key not in str(raised.value), "the log is no place for it"


@pytest.mark.parametrize("key", sorted(set(PRODUCTION) - {"GAE_ENV"}))
@pytest.mark.parametrize("value", ["...", "…", "<token>", "change-me-before-you-deploy"])
def test_production_does_not_start_with_a_placeholder(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{key}: is a placeholder"):
        Settings.from_env({**PRODUCTION, key: value})


def test_elsewhere_any_key_will_do() -> None:
    assert Settings.from_env({"SECRET_KEY": "k"}).secret_key == "k"


#: What is set, and how the line begins that says what is wrong with it.
WRONG = {
    "a short key": ({**PRODUCTION, "SECRET_KEY": "k"}, "SECRET_KEY: too easy to guess"),
    "no token": ({**PRODUCTION, "WHATSAPP_TOKEN": ""}, "WHATSAPP_TOKEN: must be set"),
    "a number": ({"WHATSAPP_READ_SECONDS": "soon"}, "WHATSAPP_READ_SECONDS: 'soon' is not"),
    "an address": ({"WHATSAPP_API_URL": "ftp://x"}, "WHATSAPP_API_URL: 'ftp://x' is not"),
    "module 1": ({"REALTIME_EVENTS_POLL_SECONDS": "x"}, "REALTIME_EVENTS_POLL_SECONDS='x'"),
}
for _prefix, _module in {"UNREAD_STATE": unread_state, "MESSAGE_STATUS": message_status}.items():
    _name = f"{_prefix}_{next(iter(_module.DEFAULTS))}"
    WRONG[_name] = ({_name: "nonsense"}, f"{_name}='nonsense'")

each_wrong = pytest.mark.parametrize(("environ", "line"), WRONG.values(), ids=list(WRONG))


def starting(environ: dict[str, str], *command: str) -> tuple[int, str]:
    """The end of a start with these settings and no others, and its words; it ends by itself."""
    process = forking.popen(
        [*forking.PREFIX, *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process.stdin, process.stdout, process.stderr:
        words = process.stderr.read().decode()
        return process.wait(100), words


@each_wrong
def test_a_setting_that_cannot_work_ends_a_command_in_one_line(
    environ: dict[str, str], line: str
) -> None:
    code, words = starting(environ, "flask", "--app", "main", "attendants", "list")
    assert code != 0
    (last,) = [each for each in words.splitlines() if not each.startswith("WARNING")]
    assert last.startswith(f"Cannot start: {line}")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        WRONG["a short key"],
        WRONG["module 1"],
        ({"THREADS": "many"}, "THREADS='many': use a whole number from 1"),
        ({"THREADS": "0"}, "THREADS='0': use a whole number from 1"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY='0': use a whole number from 1"),
        ({"THREADS": "8", "REALTIME_EVENTS_CAPACITY": "8"}, "REALTIME_EVENTS_CAPACITY=8: fewer"),
        ({"REALTIME_EVENTS_CAPACITY": "some"}, "REALTIME_EVENTS_CAPACITY='some'"),
    ],
)
def test_gunicorn_gives_up_on_it_and_shows_no_traceback(environ: dict[str, str], line: str) -> None:
    command = ["gunicorn", "-c", "gunicorn.conf.py", "--no-control-socket", "main:app"]
    code, words = starting({"HOST": "127.0.0.1", "PORT": "0", **environ}, *command)
    assert code != 0
    assert words.count(f"Cannot start: {line}") == 1, words
    assert "Traceback" not in words


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    for text in ("invalid literal for int()", "x: too small", "Exception: something"):
        with pytest.raises(ValueError, match=re.escape(text)), told_in_one_line():
            raise ValueError(text)


def test_a_line_break_behind_a_secret_is_no_part_of_it() -> None:
    settings = Settings.from_env({"WHATSAPP_TOKEN": "abc\n", "WHATSAPP_APP_SECRET": " def "})
    assert (settings.whatsapp_token, settings.whatsapp_app_secret) == ("abc", "def")
