"""Starts everything that `python3 dev.py run` runs, watches it, and stops it.

The parts, each a process of its own: a Datastore, the WhatsApp simulator, the stand-in for Claude,
the chat, and what calls the routes of cron.yaml. What the environment already sets is kept: with
DATASTORE_EMULATOR_HOST no store is started, with WHATSAPP_API_URL no simulator, with
ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL no stand-in. All listen on 127.0.0.1 only. If one part
dies, the rest is stopped; on Ctrl-C or SIGTERM all end; if this process is killed, they end by
themselves (local/processes/tied_to_parent.py).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chat.push.settings import new_private_key
from local.processes.parts import (
    POSIX,
    ROOT,
    Part,
    PartDiedError,
    free_port,
    port_is_taken,
    without_proxies,
)

DEFAULT_PORT = 8080
DATA = Path(".data")
LOCK = "lock"
STORE_SECONDS = 120.0  # gcloud and a Java runtime on a busy machine
SAMPLE_SECONDS = 120.0
# Grace at stop: the chat's streams end themselves within a second.
STOP_SECONDS = 5.0

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if POSIX else [])]
#: Any will do: nobody checks it.
STAND_IN_KEY = "local-stand-in"
LOGINS = ("ana / ana", "bruno / bruno")


def default_settings(secret_key: str, push_key: str) -> dict[str, str]:
    """Settings for one machine, for whatever the environment leaves open.

    The secrets only have to agree between chat, simulator and cron: new ones at every start.
    """
    return {
        "SECRET_KEY": secret_key,
        "GOOGLE_CLOUD_PROJECT": "demo",
        "WHATSAPP_TOKEN": secrets.token_urlsafe(24),
        "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
        "WHATSAPP_BUSINESS_ACCOUNT_ID": "102290129340398",
        "WHATSAPP_APP_SECRET": secrets.token_urlsafe(24),
        "WHATSAPP_VERIFY_TOKEN": secrets.token_urlsafe(24),
        "CRON_SECRET": secrets.token_urlsafe(24),
        "PUSH_VAPID_PRIVATE_KEY": push_key,
        "PUSH_SUBJECT": "mailto:atendimento@example.com",
    }


def complete_environment(environ: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """`environ` with `defaults` for what is missing or empty; what is set stays."""
    result = without_proxies(environ)
    for key, value in defaults.items():
        if not result.get(key):
            result[key] = value
    return result


def kept_key(path: Path, make: Callable[[], str]) -> str:
    """A key of earlier runs, so that a restart logs nobody out and ends no subscription; made when
    it is missing.
    """
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        key = make()
        path.touch(mode=0o600)
        path.write_text(key, encoding="ascii")
        return key


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the folder `data` for this run alone; BlockingIOError when another run has it."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK).open("w") as lock:
        if POSIX:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def forget(data: Path) -> None:
    """Remove what earlier runs left in `data` (but not the lock that we hold)."""
    for entry in data.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def taken_port_message(port: int, purpose: str, option: str) -> str | None:
    """What to tell the person when `port` is taken; None when it is free."""
    if not port_is_taken(port):
        return None
    return (
        f"Port {port} (for the {purpose}) is taken by another program, perhaps another "
        f"`dev.py run`.\nStop that program, or choose another port: "
        f"python3 dev.py run {option} {free_port()}"
    )


def gunicorn_runs_here() -> bool:
    """gunicorn needs fork and fcntl: Linux, macOS and other Unixes."""
    return POSIX


class Supervisor:
    """The parts of one `dev.py run`, in the order in which they start."""

    def __init__(self, options: argparse.Namespace, environ: Mapping[str, str]) -> None:
        self._options = options
        self._environ = dict(environ)
        self._parts: list[Part] = []
        self._ended: queue.SimpleQueue[Part] = queue.SimpleQueue()
        self._printing = threading.Lock()

    def run(self) -> int:
        """Start all parts, wait for the end of one or for a signal; return the exit code."""
        for number in SIGNALS:
            signal.signal(number, self._note_signal)
        try:
            self._start()
            return self._watch()
        except PartDiedError as error:
            self._say(f"Could not start: {error}")
            return 1
        except _StoppedError as signalled:
            self._say(f"\n{signalled}: stopping.")
            return 0
        finally:
            self._stop()

    # Starting

    def _start(self) -> None:
        options = self._options
        chat_url = f"http://127.0.0.1:{options.port}"
        simulator_url = None
        self._start_store()
        if not self._environ.get("WHATSAPP_API_URL"):
            simulator_url = f"http://127.0.0.1:{options.simulator_port}"
            self._environ["WHATSAPP_API_URL"] = simulator_url
        self._run_sample_data()
        if simulator_url is not None:
            self._part(
                "simulator",
                "local.simulator",
                "--port",
                str(options.simulator_port),
                "--webhook-url",
                f"{chat_url}/webhook",
            ).wait_for_line("ready ")
            self._run_sample_data("--introduce-to", simulator_url)
        claude_url = self._start_claude()
        self._start_chat()
        self._part("cron", "local.processes.cron", "--url", chat_url).wait_for_line("ready ")
        self._say("")
        self._say(f"Chat:       {chat_url}    logins: {', '.join(LOGINS)}")
        if simulator_url is not None:
            self._say(f"Simulator:  {simulator_url}    a customer's phone")
        if claude_url is not None:
            self._say(
                f"Claude:     {claude_url}    a stand-in; its switches: {claude_url}/switches"
            )
        else:
            self._say("Claude:     as the environment says")
        self._say("Ctrl-C stops everything.")

    def _start_store(self) -> None:
        if self._environ.get("DATASTORE_EMULATOR_HOST"):
            self._say(f"Store:      {self._environ['DATASTORE_EMULATOR_HOST']} (already set)")
            return
        if self._options.store == "google":
            project = self._environ["GOOGLE_CLOUD_PROJECT"]
            args = ["--host-port", f"127.0.0.1:{free_port()}", "--project", project]
            store = self._part("store", "local.datastore.google_emulator", *args)
        else:
            data = str(self._options.data / "datastore")
            args = ["--host-port", "127.0.0.1:0", "--data", data]
            store = self._part("store", "local.datastore", *args)
        self._environ["DATASTORE_EMULATOR_HOST"] = store.wait_for_line("ready ", STORE_SECONDS)

    def _start_claude(self) -> str | None:
        """The stand-in for Claude, and its address; None where the environment names another."""
        environ = self._environ
        if environ.get("ANTHROPIC_API_KEY"):
            return None
        environ["ANTHROPIC_API_KEY"] = STAND_IN_KEY
        if environ.get("ANTHROPIC_BASE_URL"):
            return None
        port = self._options.port + 2
        if port > 65535 or port == self._options.simulator_port or port_is_taken(port):
            port = 0
        stand_in = self._part("claude", "local.claude", "--port", str(port))
        environ["ANTHROPIC_BASE_URL"] = stand_in.wait_for_line("ready ")
        return environ["ANTHROPIC_BASE_URL"]

    def _run_sample_data(self, *args: str) -> None:
        """Sample conversations and the two logins; local.sample_data leaves a used store alone."""
        sample = Part(
            "sample data", "local.sample_data", args, environ=self._environ, echo=self._echo
        )
        sample.start()
        try:
            deadline = time.monotonic() + SAMPLE_SECONDS
            pause = threading.Event()
            while sample.returncode is None:
                if time.monotonic() > deadline:
                    raise PartDiedError("sample data took too long")
                pause.wait(0.05)
            if sample.returncode != 0:
                raise PartDiedError(f"sample data ended with code {sample.returncode}")
        finally:
            sample.kill()

    def _start_chat(self) -> None:
        options = self._options
        port = free_port() if options.buffering else options.port
        url = f"http://127.0.0.1:{port}"
        self._environ["PORT"] = str(port)
        if gunicorn_runs_here():
            args = ["main:app", "-c", str(ROOT / "gunicorn.conf.py"), "--bind", f"127.0.0.1:{port}"]
            args += ["--no-control-socket", "--log-level", "info" if options.verbose else "warning"]
            chat = self._part("chat", "gunicorn", *args)
        else:
            chat = self._part("chat", "local.processes.serve", "--port", str(port))
        chat.wait_for_http(f"{url}/healthz")
        if options.buffering:
            proxy = self._part(
                "proxy",
                "local.processes.buffering_proxy",
                "--port",
                str(options.port),
                "--upstream",
                url,
            )
            proxy.wait_for_line("ready ")
            self._say(f"Front end:  buffers whole responses, as App Engine's does (chat at {url})")

    def _part(self, name: str, module: str, *args: str) -> Part:
        part = Part(name, module, args, environ=self._environ, echo=self._echo)
        self._parts.append(part)
        part.start()
        threading.Thread(
            target=self._note_end, args=(part,), name=f"watch-{name}", daemon=True
        ).start()
        return part

    # Watching

    def _watch(self) -> int:
        """Wait until a part ends; a signal leaves by its exception."""
        while True:
            try:
                # Windows delivers Ctrl-C only between two waits.
                ended = self._ended.get(timeout=0.5)
            except queue.Empty:
                continue
            self._say(f"The {ended.name} ended with code {ended.returncode}. Stopping the rest.")
            return 1

    def _note_signal(self, number: int, _frame: Any) -> None:
        raise _StoppedError(signal.Signals(number).name)

    def _note_end(self, part: Part) -> None:
        part.wait()
        self._ended.put(part)

    # Stopping

    def _stop(self) -> None:
        # A second Ctrl-C must not leave half of them running: from here on it changes nothing.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for part in reversed(self._parts):
            part.stop(STOP_SECONDS)

    # Printing

    def _echo(self, name: str, stream: str, line: str) -> None:
        """Pass a part's line on: errors always, the rest with --verbose."""
        if stream == "stderr" or self._options.verbose:
            self._say(f"[{name}] {line}")

    def _say(self, line: str) -> None:
        with self._printing:
            print(line, flush=True)


class _StoppedError(Exception):
    """A signal asks us to stop; its name."""


def parse_options(arguments: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    """The command line of `dev.py run`; the port also from the environment's PORT."""
    parser = argparse.ArgumentParser(
        prog="dev.py run", description="The chat with everything that it needs, on this machine."
    )
    parser.add_argument("--port", type=int, help="of the chat (default: $PORT, else 8080)")
    parser.add_argument("--simulator-port", type=int, help="default: the chat's port plus one")
    parser.add_argument("--fresh", action="store_true", help="forget the data of earlier runs")
    parser.add_argument("--data", type=Path, default=DATA, help="folder (default: %(default)s)")
    parser.add_argument(
        "--store",
        choices=["embedded", "google"],
        default="embedded",
        help="our own Datastore, or Google's emulator (needs gcloud and a JRE; forgets its data)",
    )
    parser.add_argument(
        "--buffering",
        action="store_true",
        help="put a proxy in front that buffers whole responses, as App Engine standard does",
    )
    parser.add_argument("--verbose", action="store_true", help="show all that the parts print")
    options = parser.parse_args(arguments)
    if options.port is None:
        try:
            options.port = int(environ.get("PORT") or DEFAULT_PORT)
        except ValueError:
            parser.error(f"PORT={environ['PORT']!r} in the environment is not a number")
    if options.port == 0:
        options.port = free_port()
    if options.simulator_port is None:
        options.simulator_port = options.port + 1
    elif options.simulator_port == 0:
        options.simulator_port = free_port()
    for port in (options.port, options.simulator_port):
        if not 0 < port < 65536:
            parser.error(f"{port} is not a port number")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it all; returns the exit code."""
    os.chdir(ROOT)
    options = parse_options(sys.argv[1:] if arguments is None else arguments, os.environ)
    ports: list[tuple[int, str, str]] = [(options.port, "chat", "--port")]
    if not os.environ.get("WHATSAPP_API_URL"):
        ports.append((options.simulator_port, "simulator", "--simulator-port"))
    messages = [message for port in ports if (message := taken_port_message(*port))]
    if messages:
        print("\n".join(messages), file=sys.stderr)
        return 1
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(options.data))
        except BlockingIOError:
            print(
                f"Another `dev.py run` uses the data in {options.data}. Stop it, or give this one "
                f"its own: python3 dev.py run --data {options.data}-2",
                file=sys.stderr,
            )
            return 1
        if options.fresh:
            forget(options.data)
        secret_key = kept_key(options.data / "secret_key", lambda: secrets.token_urlsafe(32))
        push_key = kept_key(options.data / "push_key", new_private_key)
        defaults = default_settings(secret_key, push_key)
        if not os.environ.get("MEDIA_BUCKET"):
            defaults["MEDIA_FOLDER"] = str((options.data / "media").absolute())
        return Supervisor(options, complete_environment(os.environ, defaults)).run()


if __name__ == "__main__":
    sys.exit(main())
