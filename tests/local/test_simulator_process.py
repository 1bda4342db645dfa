"""The simulator as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from local.processes.parts import Part, PartDiedError
from tests.helpers import SETTINGS, wait_until

ROOT = Path(__file__).parents[2]
ARGS = ["--port", "0", "--webhook-url", "http://127.0.0.1:9/webhook"]


def environ(**changes: str) -> dict[str, str]:
    return {**os.environ, **SETTINGS, **changes}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_serves_and_ends_soon_after_a_signal(
    stop: signal.Signals,
) -> None:
    part = Part("simulator", "local.simulator", ARGS, environ=environ()).start()
    try:
        url = part.wait_for_line("ready ")
        with requests.Session() as http:
            http.trust_env = False
            # A webhook that nobody acknowledges must not hold the process back.
            http.post(f"{url}/customers/5511987654321/messages", json={"text": "oi"}, timeout=10)
            assert http.get(url, timeout=10).status_code == 200
        begun = time.monotonic()
        os.kill(part.pid, stop)
        assert part.wait() == 0
        assert time.monotonic() - begun < 5  # 0.1 s on an idle machine
        assert "Traceback" not in part.log
    finally:
        part.stop()


@pytest.mark.parametrize("name", ["WHATSAPP_TOKEN", "WHATSAPP_APP_SECRET"])
def test_a_missing_setting_stops_it_with_its_name(name: str) -> None:
    part = Part("simulator", "local.simulator", ARGS, environ=environ(**{name: ""})).start()
    try:
        with pytest.raises(PartDiedError, match=f"missing in the environment: {name}"):
            part.wait_for_line("ready ")
    finally:
        part.stop()


def test_a_taken_port_is_told_plainly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        args = ["--port", str(port), *ARGS[2:]]
        part = Part("simulator", "local.simulator", args, environ=environ()).start()
        try:
            with pytest.raises(PartDiedError, match=f"cannot serve on 127.0.0.1:{port}"):
                part.wait_for_line("ready ")
            assert "Traceback" not in part.log
        finally:
            part.stop()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_it_ends_with_its_parent_when_asked() -> None:
    command = [sys.executable, "-m", "local.simulator", *ARGS, "--exit-with-parent"]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            "child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)\n"
            "print(child.pid, child.stdout.readline(), flush=True)\n"
            "sys.stdin.read()",
            *command,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environ(),
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    pid = int(parent.stdout.readline().split()[0])
    try:
        assert is_alive(pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_alive(pid), what="the end of the simulator")
    finally:
        parent.stdin.close()
        parent.stdout.close()
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_it_never_imports_the_chat() -> None:
    code = (
        "import sys, local.simulator.__main__\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('chat', 'main', 'realtime_events')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
