"""Child processes of the local tools and of the tests: start, wait until ready, stop for good.

A `Part` is a Python module run as a child in a process group of its own, so that Ctrl-C in the
terminal reaches only its owner, which can then stop the parts in order; `tied_to_parent` makes it
end with its owner. What it prints is kept (the last lines) and can be passed on.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
POSIX = os.name == "posix"
READY_SECONDS = 60.0  # a cold Python with gRPC takes 1-2 s, Google's emulator some 10
KEPT_LINES = 2000

Echo = Callable[[str, str, str], None]  # (part name, "stdout" | "stderr", line)


class PartDiedError(RuntimeError):
    """A part ended, or did not become ready in time; the message carries its last lines."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int) -> bool:
    """True when a server on 127.0.0.1:`port` could not start now."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        if POSIX:  # connections of an earlier run in TIME_WAIT are no obstacle to a server
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def without_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy of `environ` in which no HTTP or gRPC proxy stands between the local parts."""
    result = dict(environ)
    for key in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in result.get(key, "").split(",") if host]
        result[key] = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))
    return result


def group_members(group: int) -> list[int]:
    """Ids of the living processes (no zombies) of a process group; POSIX only."""
    if not Path("/proc/self/stat").exists():  # macOS: the group can be asked for, not listed
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [group]
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended while we looked
        if int(fields[2]) == group and fields[0] not in "ZX":
            members.append(int(entry.name))
    return members


class Part:
    """One Python module as a child process.

    Args: `name` for messages; `module` and `args` as for `python -m`; `environ` the whole
    environment of the child; `echo` is called with each line that it prints.
    """

    popen: Callable[..., Any] = subprocess.Popen

    def __init__(
        self,
        name: str,
        module: str,
        args: Sequence[str] = (),
        *,
        environ: Mapping[str, str] | None = None,
        echo: Echo | None = None,
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "local.processes.tied_to_parent", module, *args]
        self._environ = without_proxies(os.environ if environ is None else environ)
        # A child that buffers its lines would tell us "ready" too late.
        self._environ["PYTHONUNBUFFERED"] = "1"
        self._echo = echo
        self._lines: collections.deque[tuple[str, str]] = collections.deque(maxlen=KEPT_LINES)
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._readers: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._running_process().pid

    @property
    def returncode(self) -> int | None:
        """Exit code, or None while it runs."""
        return self._running_process().poll()

    @property
    def log(self) -> str:
        """The last lines that it printed, on either stream."""
        with self._changed:
            return "\n".join(line for _, line in self._lines)

    def start(self) -> Part:
        """Start the process; returns itself. Whether it is ready is another question."""
        process = self.popen(
            self._command,
            cwd=ROOT,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=POSIX,
            creationflags=0 if POSIX else subprocess.CREATE_NEW_PROCESS_GROUP,  # type: ignore[attr-defined,unused-ignore]
        )
        self._process = process
        self._readers = []
        with self._changed:
            self._lines.clear()  # an earlier life's "ready" is not this one's
        for stream in ("stdout", "stderr"):
            reader = threading.Thread(
                target=self._read, args=(process, stream), name=f"{self.name}-{stream}", daemon=True
            )
            reader.start()
            self._readers.append(reader)
        return self

    def wait_for_line(self, prefix: str, timeout: float = READY_SECONDS) -> str:
        """Wait for a line on standard output that starts with `prefix`; return the rest of it.

        Raises PartDiedError when the process ends first, or `timeout` seconds pass.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                for stream, line in self._lines:
                    if stream == "stdout" and line.startswith(prefix):
                        return line[len(prefix) :].strip()
                self._changed.wait(0.1)
            self._check_alive(deadline)

    def wait_for_http(self, url: str, timeout: float = READY_SECONDS) -> None:
        """Wait until `url` answers 200; raises PartDiedError like `wait_for_line`."""
        deadline = time.monotonic() + timeout
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            with (
                contextlib.suppress(OSError, urllib.error.URLError, http.client.HTTPException),
                opener.open(url, timeout=5) as answer,
            ):
                if answer.status == 200:
                    return
            with self._changed:
                self._changed.wait(0.05)
            self._check_alive(deadline)

    def wait(self) -> int:
        """Wait for the end of the process; its exit code."""
        return self._running_process().wait()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM) and return at once."""
        self._running_process().terminate()

    def stop(self, grace: float = 5.0) -> None:
        """Ask it to end (SIGTERM), after `grace` seconds kill the whole group. Safe to repeat."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """Kill it and everything in its group at once (SIGKILL). Safe to repeat."""
        process = self._process
        if process is None:
            return
        if POSIX:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        for reader in self._readers:
            reader.join(5)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def left_behind(self, patience: float = 5.0) -> list[int]:
        """Ids of processes of its group that still live `patience` seconds after the end.

        A killed process is gone only when the kernel comes round to it: not at once on a busy
        machine.
        """
        if self._process is None or not POSIX:
            return []
        deadline = time.monotonic() + patience
        pause = threading.Event()
        while (left := group_members(self._process.pid)) and time.monotonic() < deadline:
            pause.wait(0.02)
        return left

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    def _check_alive(self, deadline: float) -> None:
        code = self.returncode
        if code is not None:
            for reader in self._readers:
                reader.join(1)
            raise PartDiedError(f"{self.name} ended with code {code}\n{self._last_lines()}")
        if time.monotonic() > deadline:
            raise PartDiedError(f"{self.name} did not become ready\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return "\n".join(self.log.splitlines()[-20:])

    def _read(self, process: subprocess.Popen[bytes], stream: str) -> None:
        pipe = process.stdout if stream == "stdout" else process.stderr
        if pipe is None:
            return
        for raw in pipe:
            line = raw.decode(errors="replace").rstrip("\r\n")
            with self._changed:
                self._lines.append((stream, line))
                self._changed.notify_all()
            if self._echo is not None:
                self._echo(self.name, stream, line)
