"""The foreign host applications as processes, and their pages as a person sees them.

`NAME/before` is a chat that knows nothing of the three modules; `NAME/after` is the same chat once
it has adopted them. Neither holds a copy of the modules: `start_host` lays them beside a copy of
`after`, where its owner would have copied them.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from google.cloud import ndb
from playwright.sync_api import Locator, Page
from werkzeug.security import generate_password_hash

from local.processes.parts import ROOT, Part, without_proxies
from tests.helpers import Store

HOSTS = Path(__file__).resolve().parent
MODULES = ("realtime_events", "unread_state", "message_status")
MARIA, NAME = "5511987654321", "Maria Aparecida"
#: Login → password, in every host.
USERS = {"ana": "senha-da-ana", "bruno": "senha-do-bruno"}


class Host:
    """A host's own application, in `folder`, as its app.yaml starts it; listens on `port`.

    `environ` is the whole environment, and goes before the `env_variables` of the app.yaml;
    `entrypoint` goes before that one's.
    """

    def __init__(
        self, name: str, folder: Path, environ: Mapping[str, str], port: int, entrypoint: str = ""
    ) -> None:
        self.name = name
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        deployed = yaml.safe_load((folder / "app.yaml").read_text(encoding="utf-8"))
        variables = {key: str(value) for key, value in deployed.get("env_variables", {}).items()}
        self._environ = {**variables, **environ, "PORT": str(port)}
        program, *args = shlex.split(entrypoint or deployed["entrypoint"])
        assert program == "gunicorn", program
        args = [arg.replace(":$PORT", f"127.0.0.1:{port}") for arg in args]
        # Not the gunicorn.conf.py of chat/, which is in this process's folder.
        args += ["--chdir", str(folder), "--no-control-socket", "-c", os.devnull]
        self._part = Part(name, "gunicorn", args, environ=self._environ)

    @property
    def log(self) -> str:
        """What the server printed."""
        return self._part.log

    @property
    def running(self) -> bool:
        """False once it ended."""
        return self._part.returncode is None

    def start(self) -> Host:
        """Start it and wait for its first page; returns itself."""
        self._part.start()
        self._part.wait_for_http(self.url)
        return self

    def stop(self) -> None:
        """End it, as an instance ends; another version can start on its port. Safe to repeat."""
        self._part.stop()
        assert self._part.left_behind() == []

    def run(self, module: str, *args: str) -> str:
        """Run `python -m MODULE` in the host's folder, as its owner would; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *args],
            cwd=self.folder,
            env=without_proxies(self._environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def with_modules(folder: Path, target: Path) -> Path:
    """Copy the host in `folder` to `target` with the three modules' files beside its own."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    for module in MODULES:
        for pattern in (f"{module}.py", f"static/{module}.*", f"templates/{module}/**/*.*"):
            for source in ROOT.glob(pattern):
                copy = target / source.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
    return target


def environ_of(name: str) -> dict[str, str]:
    """What this host wants in its environment besides the usual settings."""
    if name == "plain":
        return {"USUARIOS": ",".join(f"{user}:{password}" for user, password in USERS.items())}
    return {}


def add_users(host: Host, store: Store) -> None:
    """Make the accounts of USERS, where the host keeps them in its store. Safe to repeat.

    As its own command does (test_before.py has that), without starting it, and with hashes that
    cost nothing to check: every test of this host begins with this.
    """

    class Atendente(ndb.Expando):
        """The host's kind."""

    if host.name == "rendered":
        with store.context():
            for user, password in USERS.items():
                quick = generate_password_hash(password, "pbkdf2:sha256:1")
                Atendente(id=user, nome=user.capitalize(), senha_hash=quick).put()


_PLACE = re.compile(r"(def|class|function) |el\(.*function \(")


def shown_diff(name: str, path: str) -> str:
    """What changes in a file of the host `name` when it adopts the modules, as docs/instalacao.md
    shows it: with a line around, and the function or class in place of line numbers.
    """
    before, after = (
        (HOSTS / name / state / path).read_text(encoding="utf-8").splitlines()
        for state in ("before", "after")
    )
    shown: list[str] = []
    for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(1):
        hunk: list[str] = []
        for kind, old, old_end, new, new_end in group:
            if kind == "equal":
                hunk += [f" {line}" for line in after[new:new_end]]
            else:
                hunk += [f"-{line}" for line in before[old:old_end]]
                hunk += [f"+{line}" for line in after[new:new_end]]
        above = before[: group[0][1]]
        place = next((line for line in reversed(above) if _PLACE.match(line)), "")
        says_itself = any(_PLACE.match(line[1:]) for line in hunk)
        shown += ["@@" if says_itself or not place else f"@@ {place}", *hunk]
    return "\n".join(line.rstrip() for line in shown).rstrip() + "\n"


@dataclass(frozen=True)
class Look:
    """Where a host's page has what a person looks for, as CSS selectors; `name` within a row."""

    row: str
    bubble: str
    name: str
    thread: str
    composer: str
    send: str
    error: str


LOOKS = {
    "plain": Look(
        row="#conversas li",
        name=".nome",
        thread="#mensagens",
        bubble=".balao .texto",
        composer="#texto",
        send="#form button[type=submit]",
        error="#erro",
    ),
    "rendered": Look(
        row=".contatos a",
        name="strong",
        thread=".recados",
        bubble=".recados li p",
        composer=".resposta textarea",
        send=".resposta button",
        error=".aviso",
    ),
}


class Desk:
    """A person at a browser who uses a host's page."""

    def __init__(self, page: Page, host: Host, url: str = "") -> None:
        self.page = page
        self.host = host
        self.url = url or host.url
        self.look = LOOKS[host.name]

    @property
    def rows(self) -> Locator:
        """The conversations in the list."""
        return self.page.locator(self.look.row)

    @property
    def bubbles(self) -> Locator:
        """The texts of the messages in the open conversation."""
        return self.page.locator(self.look.bubble)

    @property
    def ticks(self) -> Locator:
        """The check marks that are shown in the open conversation."""
        return self.page.locator(f"{self.look.thread} [data-status]")

    @property
    def marks(self) -> list[tuple[str, str]]:
        """Status and colour of each check mark. In one step: a page that draws its thread anew
        has elements that are not in it any more, and those have no colour.
        """
        read = """(shown) => [...document.querySelectorAll(shown)].map((mark) => [
          mark.dataset.status, getComputedStyle(mark).color])"""
        return self.page.evaluate(read, f"{self.look.thread} [data-status]")  # type: ignore[no-any-return]

    @property
    def badges(self) -> dict[str, str]:
        """What is shown as unread in the list: the number by the conversation's name."""
        read = """(rows, name) => rows.map((row) => [
          row.querySelector(name).textContent.trim(),
          row.querySelector("[data-unread-count]")?.textContent])"""
        shown = self.rows.evaluate_all(read, self.look.name)
        return {name: number for name, number in shown if number is not None}

    @property
    def error(self) -> Locator:
        """Where the page says that something went wrong."""
        return self.page.locator(self.look.error)

    @property
    def password(self) -> Locator:
        """The login form's field: there as long as nobody is logged in."""
        return self.page.locator("input[type=password]")

    def log_in(self, user: str, password: str) -> None:
        """Fill in the login form and send it."""
        self.page.goto(self.url)
        self.page.locator("form input:not([type=password])").fill(user)
        self.password.fill(password)
        self.page.locator("form button").click()

    def reload(self) -> None:
        """Load the first page again."""
        self.page.goto(self.url)

    def open(self, customer: str) -> None:
        """Choose the conversation of the customer with this name."""
        self.rows.filter(has_text=customer).click()
        self.page.locator(self.look.composer).wait_for()

    def send(self, text: str) -> None:
        """Write `text` into the open conversation and send it."""
        self.page.locator(self.look.composer).fill(text)
        self.page.locator(self.look.send).click()
