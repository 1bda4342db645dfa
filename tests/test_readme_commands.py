"""Every command in both READMEs works when it is typed: what can run here runs, the rest exists."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dev
from chat.team import auth
from chat.team.attendants import Attendant
from local.processes import supervisor
from local.processes.parts import ROOT
from tests.helpers import Simulator, Store

PAGES = ("README.md", "README.pt-BR.md")
PROGRAMS = ("python3", "gcloud", "curl", ".venv/bin/flask")
#: What gcloud is asked to do; `--help` knows each, with its options.
GCLOUD = (
    "auth login",
    "auth application-default login",
    "config set",
    "app create",
    "app deploy",
    "firestore databases create",
    "iam service-accounts add-iam-policy-binding",
    "services enable",
    "storage buckets create",
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
#: In a sentence or a table: a program and at least one argument.
INLINE = re.compile(
    r"`((?:[A-Z_]+=\S+ )*(?:python3?|pip|gunicorn|flask|gcloud|curl|\.venv/\S+) [^`]+)`"
)
ASSIGNMENT = re.compile(r"[A-Z_]+=")

each_page = pytest.mark.parametrize("page", PAGES)


def commands(page: str) -> list[list[str]]:
    """All commands of a page, in their order, in words as a shell splits them."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [(match.start(), match[1]) for match in INLINE.finditer(FENCE.sub(blank, text))]
    for fence in FENCE.finditer(text):
        if fence[1]:  # a diagram, an example of JSON
            continue
        for line in fence[2].replace("\\\n", " ").splitlines():
            found.append((fence.start(), line))
    split = (shlex.split(line, comments=True) for _, line in sorted(found, key=lambda at: at[0]))
    return [words for words in split if words]


def blank(match: re.Match[str]) -> str:
    """As long as what it stands for, so that places stay."""
    return " " * len(match[0])


def program(words: list[str]) -> tuple[dict[str, str], str, list[str]]:
    """What is set for the command alone, the program, and its arguments."""
    count = next(place for place, word in enumerate(words) if not ASSIGNMENT.match(word))
    environ = dict(word.split("=", 1) for word in words[:count])
    return environ, words[count], words[count + 1 :]


def of(page: str, name: str) -> list[tuple[dict[str, str], list[str]]]:
    """The page's commands that call this program."""
    split = (program(words) for words in commands(page))
    return [(environ, arguments) for environ, called, arguments in split if called == name]


@each_page
def test_every_command_is_one_that_these_tests_know(page: str) -> None:
    called = [program(words)[1] for words in commands(page)]
    assert set(called) <= set(PROGRAMS)
    assert {"python3", "gcloud", ".venv/bin/flask"} <= set(called)


def test_both_pages_give_the_same_commands() -> None:
    def deploying(page: str) -> list[str]:
        lines = [" ".join(words) for words in commands(page)]
        return [
            re.sub("your-project|seu-projeto", "PROJECT", each) for each in lines if "=" in each
        ]

    assert deploying(PAGES[0])
    curls = [each for each in deploying(PAGES[0]) if each.startswith("curl")]
    assert [each for each in deploying(PAGES[0]) if each not in curls] == deploying(PAGES[1])


def test_a_command_is_found_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Say `X=1 flask --app main run` or `gcloud` alone.\n\n"
        "   ```\n   curl a \\\n     b   # why\n   ```\n\n"
        "```json\n{}\n```\n\n```\npython3 x.py\n```\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert commands("page.md") == [
        ["X=1", "flask", "--app", "main", "run"], ["curl", "a", "b"], ["python3", "x.py"],
    ]  # fmt: skip


@each_page
def test_dev_py_takes_what_the_page_gives_it(page: str) -> None:
    given = [args[1:] for _, args in of(page, "python3") if args[0] == "dev.py"]
    assert ["run"] in given
    assert ["test"] in given
    for name, *arguments in given:
        assert name in dev.COMMANDS
        if name == "run":
            supervisor.parse_options(arguments, {})
        for word in arguments:
            if "/" in word:
                assert (ROOT / word).exists(), word


@each_page
def test_the_options_of_run_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`--[^|]+) \|", text, re.MULTILINE)
    options = [option for cell in cells for option in re.findall(r"`(--[^`]+)`", cell)]
    assert len(options) >= 6
    for option in options:
        supervisor.parse_options(option.split(), {})


@pytest.mark.timeout(300)
def test_a_choice_of_tests_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [args[2:] for _, args in of("README.md", "python3") if args[1:2] == ["test"]]
    (arguments,) = [args for args in chosen if "-k" in args]
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert collected.returncode == 0, collected.stdout


@each_page
def test_a_secret_key_that_the_page_makes_is_good_enough(page: str) -> None:
    from chat.platform.settings import Settings
    from tests.helpers import SETTINGS

    ((_, arguments),) = [each for each in of(page, "python3") if each[1][0] == "-c"]
    made = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    key = made.stdout.strip()
    assert Settings.from_env({**SETTINGS, "GAE_ENV": "standard", "SECRET_KEY": key})


@each_page
def test_the_first_attendant_is_made_as_the_page_says(page: str, store: Store) -> None:
    ((environ, arguments),) = of(page, ".venv/bin/flask")
    # The page's folder is where dev.py makes its environment by default; here it may be elsewhere.
    assert dev.VENV_PYTHON.relative_to(dev.VENV).parent == Path("bin")
    assert set(environ) == {"GOOGLE_CLOUD_PROJECT"}
    flask = Path(sys.prefix) / "bin" / "flask"
    made = subprocess.run(
        [flask, *arguments],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **environ, **store.environ},
        input="quatro palavras e um número 7\n", capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    told = "Atendente maria salvo, com acesso de administrador.\n"
    assert (made.returncode, made.stdout) == (0, told), made.stderr
    with store.context():
        assert auth.datastore.get(Attendant, "maria") is not None


@each_page
def test_credentials_come_before_what_needs_them(page: str) -> None:
    lines = [" ".join(words) for words in commands(page)]

    def place(text: str) -> int:
        return next(number for number, line in enumerate(lines) if text in line)

    assert place("dev.py run") < place(".venv/bin/flask")
    assert place("gcloud auth login") < place("gcloud config set project")
    assert place("gcloud config set project") < place("gcloud app create")
    assert place("gcloud app create") < place("gcloud app deploy")
    assert place("gcloud auth application-default login") < place(".venv/bin/flask")


def verb(arguments: list[str]) -> str:
    found = [each for each in GCLOUD if " ".join(arguments).startswith(each)]
    assert found, arguments
    return max(found, key=len)


@each_page
def test_gcloud_is_asked_for_what_it_does(page: str) -> None:
    given = [arguments for _, arguments in of(page, "gcloud")]
    assert {verb(arguments) for arguments in given} == set(GCLOUD)
    for arguments in given:
        for word in arguments:
            if word.endswith(".yaml"):
                assert (ROOT / word).exists(), word


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="needs gcloud")
@pytest.mark.parametrize("asked", GCLOUD)
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_gcloud_knows_it(asked: str) -> None:
    options = {
        word.split("=")[0]
        for page in PAGES
        for _, arguments in of(page, "gcloud")
        if verb(arguments) == asked
        for word in arguments
        if word.startswith("--")
    }
    help_page = subprocess.run(
        ["gcloud", *asked.split(), "--help"],
        capture_output=True, text=True, timeout=250, stdin=subprocess.DEVNULL,
        env={**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "PAGER": "cat"},
    )  # fmt: skip
    assert help_page.returncode == 0, help_page.stderr
    plain = re.sub(r"\x1b\[\d*m", "", help_page.stdout)
    assert {option for option in options if option not in plain} == set()


def test_the_simulator_takes_what_the_page_sends_it(simulator: Simulator) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    parser.add_argument("url")
    given = of("README.md", "curl")
    assert given
    for _, arguments in given:
        asked = parser.parse_args(arguments)
        host, _, path = asked.url.partition("/")
        assert host == f"localhost:{supervisor.parse_options([], {}).simulator_port}"
        headers = dict(header.split(": ", 1) for header in asked.headers)
        send: Callable[..., object] = simulator.http.request
        answer = send(
            asked.method, f"{simulator.url}/{path}", data=asked.body, headers=headers, timeout=30
        )
        assert getattr(answer, "ok", False), answer
