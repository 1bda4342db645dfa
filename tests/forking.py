"""Starts the tests' Python processes by forking one that has imported what all of them need.

Servers, simulators and stores are processes of their own, some hundred in a run, and imports are
most of what starting one costs. `popen` takes the place of `subprocess.Popen` in `Part`; what it
starts is the same program in a session of its own, with environment, folder and pipes of its own.

`python -m tests.forking FD` is the process that is forked. It has no threads, and lives as long as
the other end of the socket FD does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from typing import Any

from local.processes import tied_to_parent
from local.processes.parts import ROOT, Part

#: Heavy, used by most of the processes, and none of ours: those are imported afresh.
IMPORTS = [
    "PIL.Image", "flask", "flask_login", "flask_wtf", "google.cloud.ndb", "google.cloud.storage",
    "gunicorn.app.wsgiapp", "gunicorn.workers.gthread", "phonenumbers", "requests", "sqlite3",
    "werkzeug.serving",
]  # fmt: skip
REQUEST_BYTES = 1 << 20
PREFIX = [sys.executable, "-m", tied_to_parent.__name__]


class Forked:
    """What `Part` needs of a `subprocess.Popen`, for a process that is not our own child."""

    def __init__(self, command: list[str], cwd: str, env: dict[str, str]) -> None:
        self.args = command
        self.returncode: int | None = None
        ours, theirs = [], []
        for reads in (True, False, False):
            read_end, write_end = os.pipe()
            theirs.append(read_end if reads else write_end)
            ours.append(write_end if reads else read_end)
        self.stdin = os.fdopen(ours[0], "wb", buffering=0)
        self.stdout, self.stderr = os.fdopen(ours[1], "rb"), os.fdopen(ours[2], "rb")
        self._status, status = socket.socketpair()
        request = json.dumps({"argv": command[len(PREFIX) :], "cwd": cwd, "env": env}).encode()
        try:
            socket.send_fds(_forker(), [request], [*theirs, status.fileno()])
        finally:
            status.close()
            for fd in theirs:
                os.close(fd)
        self._answers = self._status.makefile("rb")
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """The exit code, negative for a signal's number; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises TimeoutExpired after so many seconds."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing for one that has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


def popen(command: list[str], *, cwd: Any, env: dict[str, str], **options: Any) -> Any:
    """Takes the place of `subprocess.Popen` where `Part` calls it."""
    python = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    wanted = {name: value for name, value in env.items() if name.startswith("PYTHON")}
    # An interpreter reads these when it starts.
    if command[: len(PREFIX)] != PREFIX or wanted != {**python, "PYTHONUNBUFFERED": "1"}:
        return subprocess.Popen(command, cwd=cwd, env=env, **options)
    return Forked(command, os.fspath(cwd), env)


_socket: socket.socket | None = None
_process: subprocess.Popen[bytes] | None = None


def _forker() -> socket.socket:
    global _socket, _process
    if _socket is None:
        _socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (_socket, other):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST_BYTES)
        _process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(other.fileno())],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            pass_fds=[other.fileno()],
            start_new_session=True,
        )
        other.close()
    return _socket


def begin() -> None:
    """From now on what this process of pytest starts is forked, where there is a fork."""
    if sys.platform == "linux":
        Part.popen = staticmethod(popen)


def end() -> None:
    """Lets the forking process end, if there is one."""
    if _socket is not None and _process is not None:
        _socket.close()
        _process.wait()


def main() -> None:
    """Fork on request until the other end is closed; tell each one's end."""
    for name in IMPORTS:
        importlib.import_module(name)
    gc.freeze()  # a collection in a new process would copy all of this
    requests = socket.socket(fileno=int(sys.argv[1]))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    running: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    while True:
        ready = {key.fd for key, _events in selector.select()}
        if woken in ready:
            os.read(woken, 1024)
            _tell_ends(running)
        if requests.fileno() not in ready:
            continue
        text, fds, _flags, _address = socket.recv_fds(requests, REQUEST_BYTES, 4)
        if not text:
            return
        status = socket.socket(fileno=fds.pop())
        pid = os.fork()
        if pid == 0:
            break
        status.sendall(b"%d\n" % pid)
        running[pid] = status
        for fd in fds:
            os.close(fd)
    # The new process, which goes on as if it had been started by itself.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    selector.close()
    for each in (requests, status, *running.values()):
        each.close()
    os.close(woken)
    os.close(wake)
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    request = json.loads(text)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [tied_to_parent.__file__, *request["argv"]]
    tied_to_parent.main()


def _tell_ends(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as told, contextlib.suppress(OSError):
            told.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
