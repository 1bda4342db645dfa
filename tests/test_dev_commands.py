"""The commands of the README, as real processes; nothing but Python on their PATH."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

import dev
from local.processes import supervisor
from local.processes.parts import ROOT
from tests.helpers import Store, free_port, wait_until

READY = "Ctrl-C stops everything."
START_SECONDS = 90.0

on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def descendants(pid: int) -> dict[int, str]:
    """Process ids under `pid`, with their command lines."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found: dict[int, str] = {}
    wave = {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave}
        for child in wave:
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().decode().replace("\0", " ")
    return found


def alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX"


def assert_all_gone(processes: dict[int, str]) -> None:
    """A busy machine may take a moment to bury them, and a part five seconds to be asked."""

    def gone() -> bool:
        left = [command for pid, command in processes.items() if alive(pid)]
        assert not left, left
        return True

    wait_until(gone, timeout=15)


class DevRun:
    """One `python3 dev.py run` with data and ports of its own."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.port, self.simulator_port = free_port(), free_port()
        self.chat = f"http://127.0.0.1:{self.port}"
        self.simulator = f"http://127.0.0.1:{self.simulator_port}"
        empty = folder / "empty-path"
        empty.mkdir(exist_ok=True)
        keep = ("HOME", "TMPDIR", "SYSTEMROOT")
        base = {key: os.environ[key] for key in keep if key in os.environ}
        self._output = (folder / f"output-{self.port}").open("w+")
        self.process = subprocess.Popen(
            [sys._base_executable, str(ROOT / "dev.py"), "run"]  # type: ignore[attr-defined]
            + ["--port", str(self.port), "--simulator-port", str(self.simulator_port)]
            + ["--data", str(folder / "data"), *options],
            # From elsewhere: the command must not depend on the folder that it is called in.
            cwd=folder,
            env={**base, "PATH": str(empty), "DEV_VENV": sys.prefix, **environ},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def wait_ready(self) -> DevRun:
        def ready() -> bool:
            assert self.process.poll() is None, self.output
            return READY in self.output

        wait_until(ready, START_SECONDS)
        return self

    def end(self, number: int = signal.SIGINT) -> int:
        """Signal it, as the terminal does, and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self._output.close()


@pytest.fixture
def dev_run(tmp_path: Path) -> Iterator[Callable[..., DevRun]]:
    runs: list[DevRun] = []

    def start(*options: str, **environ: str) -> DevRun:
        runs.append(DevRun(tmp_path, *options, **environ))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


def sign_in(chat: str) -> requests.Session:
    """A session logged in as ana, whose password is her name on this machine."""
    session = requests.Session()
    session.trust_env = False
    form = session.get(f"{chat}/login", timeout=30).text
    tag = next(tag for tag in re.findall(r"<[^>]+>", form) if "csrf" in tag)
    value = re.search(r'(?:content|value)="([^"]+)"', tag)
    assert value is not None, tag
    answer = session.post(
        f"{chat}/login",
        data={"username": "ana", "password": "ana", "csrf_token": value[1]},
        timeout=30,
    )
    assert answer.status_code == 200
    assert not answer.url.endswith("/login"), answer.text
    return session


def conversations(session: requests.Session, chat: str) -> list[dict[str, Any]]:
    answer = session.get(f"{chat}/api/conversations", timeout=30)
    answer.raise_for_status()
    return answer.json()["conversations"]  # type: ignore[no-any-return]


@on_linux
@pytest.mark.timeout(300)
def test_run_serves_sample_chats_and_ctrl_c_leaves_no_process(
    dev_run: Callable[..., DevRun],
) -> None:
    run = dev_run().wait_ready()
    assert run.chat in run.output
    assert run.simulator in run.output
    assert "ana / ana" in run.output
    with sign_in(run.chat) as session:
        assert len(conversations(session, run.chat)) >= 3
        assert session.get(run.simulator, timeout=30).status_code == 200
    processes = descendants(run.process.pid)
    parts = ("local.datastore", "local.simulator", "local.claude", "gunicorn", "processes.cron")
    for module in parts:
        assert any(module in command for command in processes.values()), module
    assert run.end(signal.SIGINT) == 0
    assert_all_gone(processes)


@on_linux
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_in_a_run_claude_answers_the_customers_phone(dev_run: Callable[..., DevRun]) -> None:
    run = dev_run(AUTO_REPLY_DEBOUNCE_SECONDS="0").wait_ready()
    with sign_in(run.chat) as session:
        customer = f"{run.simulator}/customers/5511987650002"
        written = session.post(f"{customer}/messages", json={"text": "Bom dia!"}, timeout=30)
        written.raise_for_status()

        def answers() -> list[str]:
            heard = session.get(f"{customer}/messages", timeout=30).json()["messages"]
            return [each["text"] for each in heard if each["direction"] == "in"]

        wait_until(lambda: answers() == ["Olá! Como posso ajudar você hoje?"])


@on_linux
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_data_stay_from_run_to_run_until_fresh_forgets_them(
    dev_run: Callable[..., DevRun],
) -> None:
    def customers(*options: str) -> list[str]:
        run = dev_run(*options).wait_ready()
        with sign_in(run.chat) as session:
            if not options:
                session.post(
                    f"{run.simulator}/customers/5511987650001/messages",
                    json={"text": "Bom dia"},
                    timeout=30,
                ).raise_for_status()

            def phones() -> list[str]:
                rows = conversations(session, run.chat)
                return [re.sub(r"\D", "", row["phone"] or "") for row in rows]

            if not options:
                wait_until(lambda: "5511987650001" in phones())
            found = phones()
        assert run.end(signal.SIGTERM) == 0
        return found

    assert "5511987650001" in customers()
    assert "5511987650001" in customers("--verbose")
    assert "5511987650001" not in customers("--fresh")


@on_linux
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_killing_the_supervisor_ends_all_its_parts(dev_run: Callable[..., DevRun]) -> None:
    run = dev_run().wait_ready()
    processes = descendants(run.process.pid)
    assert len(processes) >= 5
    run.end(signal.SIGKILL)
    assert_all_gone(processes)


@on_linux
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_part_that_dies_is_named_and_stops_the_rest(dev_run: Callable[..., DevRun]) -> None:
    run = dev_run().wait_ready()
    processes = descendants(run.process.pid)
    victim = next(pid for pid, command in processes.items() if "local.simulator" in command)
    os.kill(victim, signal.SIGKILL)
    assert run.process.wait(30) == 1
    assert "The simulator ended" in run.output
    assert_all_gone(processes)


@on_linux
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_what_the_environment_sets_is_kept(dev_run: Callable[..., DevRun], store: Store) -> None:
    run = dev_run(
        **store.environ,
        WHATSAPP_API_URL="http://127.0.0.1:9",
        WHATSAPP_VERIFY_TOKEN="my-own",
        ANTHROPIC_API_KEY="a-real-one",
    ).wait_ready()
    commands = " ".join(descendants(run.process.pid).values())
    assert "local.datastore" not in commands
    assert "local.simulator" not in commands
    assert "local.claude" not in commands
    handshake = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": "my-own"}
    with sign_in(run.chat) as session:
        answer = session.get(f"{run.chat}/webhook", params=handshake, timeout=30)
    assert answer.text == "42"
    with store.context():
        from chat.conversation.models import Conversation

        assert Conversation.query().count() >= 3


def test_a_taken_port_is_named_before_anything_starts(
    dev_run: Callable[..., DevRun], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = dev_run("--port", str(port))
        assert run.process.wait(60) == 1
        assert f"Port {port} (for the chat) is taken" in run.output
        assert "dev.py run --port" in run.output
        run = dev_run("--simulator-port", str(port))
        assert run.process.wait(60) == 1
        assert f"Port {port} (for the simulator) is taken" in run.output
        assert "dev.py run --simulator-port" in run.output
    assert not (tmp_path / "data").exists()


def test_two_runs_do_not_share_their_data(tmp_path: Path) -> None:
    with supervisor.locked(tmp_path), pytest.raises(BlockingIOError), supervisor.locked(tmp_path):
        pass
    with supervisor.locked(tmp_path):
        pass


def test_the_port_comes_from_the_option_then_from_the_environment() -> None:
    assert supervisor.parse_options([], {}).port == 8080
    assert supervisor.parse_options([], {}).simulator_port == 8081
    assert supervisor.parse_options([], {"PORT": "9000"}).port == 9000
    options = supervisor.parse_options(["--port", "9100"], {"PORT": "9000"})
    assert (options.port, options.simulator_port) == (9100, 9101)


def test_a_port_that_is_no_number_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        supervisor.parse_options([], {"PORT": "http"})
    assert "PORT='http'" in capsys.readouterr().err


def test_only_missing_settings_are_filled_in() -> None:
    kept = supervisor.complete_environment(
        {"SECRET_KEY": "mine", "WHATSAPP_TOKEN": ""}, supervisor.default_settings("made", "push")
    )
    assert kept["SECRET_KEY"] == "mine"
    assert len(kept["WHATSAPP_TOKEN"]) > 20
    assert kept["CRON_SECRET"] != kept["WHATSAPP_TOKEN"]


def test_the_secret_key_lasts_so_that_a_restart_logs_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret_key"
    key = supervisor.kept_key(path, lambda: secrets.token_urlsafe(32))
    assert len(key) > 20
    assert supervisor.kept_key(path, lambda: "another") == key
    assert path.stat().st_mode & 0o077 == 0


def test_an_old_python_can_read_dev_py_up_to_its_message() -> None:
    source = (ROOT / "dev.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    check = next(index for index, node in enumerate(tree.body) if isinstance(node, ast.If))
    imported = [node for node in tree.body[:check] if isinstance(node, ast.Import)]
    assert [name.name for node in imported for name in node.names] == ["sys"]


def test_dev_py_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse((ROOT / "dev.py").read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    assert names <= set(sys.stdlib_module_names)


@pytest.fixture
def made_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """dev.py with a folder of its own as its .venv; the commands that it runs are noted."""
    commands: list[list[str]] = []

    def run(command: list[Any], **_: object) -> SimpleNamespace:
        commands.append([str(word) for word in command])
        return SimpleNamespace(returncode=0, stdout="")

    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(dev.subprocess, "run", run)
    return commands


def test_requirements_are_installed_only_when_they_changed(
    made_venv: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.install("requirements-local.txt")
    assert len(made_venv) == 1
    assert made_venv[0][-1].endswith("requirements-local.txt")
    dev.install("requirements-local.txt")
    assert len(made_venv) == 1
    dev.install("requirements-dev.txt")
    assert len(made_venv) == 2
    monkeypatch.setattr(dev, "requirements_hash", lambda name: f"changed {name}")
    dev.install("requirements-local.txt")
    assert len(made_venv) == 3


@pytest.fixture
def fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """dev.py with a static/vendor/ of its own, and an npm that brings what is asked for; noted."""
    commands: list[list[str]] = []

    def attempt(command: list[str], _seconds: float, **_environ: str) -> bool:
        commands.append(command)
        if "ci" in command:
            folder = Path(command[command.index("--prefix") + 1])
            assert (folder / "package-lock.json").is_file()
            for source in dev.VENDOR_FILES.values():
                (folder / "node_modules" / source).parent.mkdir(parents=True, exist_ok=True)
                (folder / "node_modules" / source).write_text(f"{len(commands)}")
            program = folder / "node_modules/@esbuild/this-system/bin" / dev.ESBUILD
            program.parent.mkdir(parents=True)
            program.write_text(f"{len(commands)}")
        return True

    monkeypatch.setattr(dev, "VENDOR", tmp_path / "static" / "vendor")
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "attempt", attempt)
    return commands


def test_what_others_publish_is_fetched_once_for_a_lock_file(
    fetches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.fetch_vendor()
    assert len(fetches) == 2
    assert (dev.VENDOR / "emoji/pt.json").read_text() == "2"
    assert dev.esbuild().read_text() == "2"
    dev.fetch_vendor()
    assert len(fetches) == 2
    dev.esbuild().unlink()  # another environment
    dev.fetch_vendor()
    assert dev.esbuild().read_text() == "4"
    (dev.VENDOR / "old.js").touch()
    monkeypatch.setattr(dev, "vendor_hash", lambda: "changed")
    dev.fetch_vendor()
    assert (dev.VENDOR / "emoji/pt.json").read_text() == "6"
    assert not (dev.VENDOR / "old.js").exists()
    assert [each.name for each in dev.VENDOR.parent.iterdir()] == ["vendor"]


def test_without_a_connection_it_is_said_and_all_else_goes_on(
    fetches: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "attempt", lambda *_, **__: False)
    dev.fetch_vendor()
    assert not dev.VENDOR.exists()
    assert "no emoji" in capsys.readouterr().out


def test_what_is_fetched_is_exact_without_addresses_deployed_and_not_committed() -> None:
    lock = (dev.VENDOR_LIST / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
    packages = {k: v for k, v in json.loads(lock)["packages"].items() if k}
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    wanted = json.loads((dev.VENDOR_LIST / "package.json").read_text(encoding="utf-8"))
    exact = {f"node_modules/{name}": version for name, version in wanted["dependencies"].items()}
    systems = [name for name in packages if name.startswith("node_modules/@esbuild/")]
    exact |= dict.fromkeys(systems, wanted["dependencies"]["esbuild"])
    assert {name: each["version"] for name, each in packages.items()} == exact
    for source in dev.VENDOR_FILES.values():
        assert any(f"node_modules/{source}".startswith(f"{name}/") for name in packages)
    made = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"static/vendor/", "static/built/"} <= set(made)
    ignored = (ROOT / ".gcloudignore").read_text(encoding="utf-8").splitlines()
    assert "/vendor/" in ignored  # but not that of static/
    assert not [line for line in ignored if line.startswith(("static", "/static", "vendor"))]


def test_what_test_installs_run_does_not_install_again(made_venv: list[list[str]]) -> None:
    dev.install("requirements-dev.txt")
    dev.install("requirements-local.txt")
    assert len(made_venv) == 1


def test_run_installs_no_test_tools() -> None:
    for name in ("requirements-local.txt", *dev.REQUIREMENTS["requirements-local.txt"]):
        content = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"^(pytest|playwright|mypy|ruff)", content, re.MULTILINE)


def test_a_python_without_ensurepip_gets_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dev, "venv_works", lambda: False)
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        dev.make_venv()


def test_the_tests_run_in_several_processes_unless_the_choice_rules_it_out() -> None:
    for chosen in ([], ["tests/browser", "-k", "reload"], ["-x", "--long"], ["--all"]):
        flag, workers, *dist = dev.spread_options(chosen)
        assert (flag, *dist) == ("-n", "--dist", "worksteal")
        assert 2 <= int(workers) <= dev.MOST_WORKERS
    for own in (["-n2"], ["-n", "0"], ["--dist=load"], ["-p", "no:xdist"], ["--pdb"]):
        assert dev.spread_options(own) == []
    assert dev.spread_options(["tests/test_docs.py::test_the_plan"]) == []


def test_without_a_command_dev_py_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main([]) == 2
    assert "python3 dev.py run" in capsys.readouterr().out
    assert dev.main(["--help"]) == 0
