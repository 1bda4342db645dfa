"""Google's Datastore emulator in Firestore-in-Datastore mode, for tests and comparisons.

It needs gcloud with the `cloud-datastore-emulator` component and a Java runtime; nothing of it is
needed to run the chat, whose own store is server.py.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

READY_SECONDS = 90.0  # gcloud and a Java runtime on a busy machine
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1


def missing() -> str | None:
    """Return why the emulator cannot run here, or None if it can."""
    if os.name == "nt":
        return "Google's emulator is not run on Windows"
    for program in ("gcloud", "java"):
        if not shutil.which(program):
            return f"{program} is not on PATH"
    return None


class GoogleEmulator:
    """A running emulator. `host_port` goes into DATASTORE_EMULATOR_HOST.

    Args:
        host_port: "HOST:PORT" to listen on.
        project: the project that it is started for; it serves any.

    Raises:
        RuntimeError: it cannot run here, or ended, or did not answer in time.
    """

    def __init__(self, host_port: str, project: str) -> None:
        if reason := missing():
            raise RuntimeError(reason)
        self.host_port = host_port
        self._directory = tempfile.TemporaryDirectory(prefix="google-emulator-")
        self._log = Path(self._directory.name) / "log"
        with self._log.open("wb") as log:
            # A session of its own: gcloud starts a shell that starts Java, and neither passes a
            # signal on, so all of them have to be stopped as one group.
            self.process = subprocess.Popen(
                [
                    *("gcloud", "beta", "emulators", "datastore", "start"),
                    "--use-firestore-in-datastore-mode",
                    "--no-store-on-disk",
                    f"--data-dir={self._directory.name}/data",
                    f"--host-port={host_port}",
                    f"--project={project}",
                    "--quiet",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        pause = threading.Event()
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                output = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"Google's emulator did not start:\n{output}")
            pause.wait(_POLL_SECONDS)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host_port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop it with all its processes; again if need be, without asking."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self._directory.cleanup()


def start(host_port: str, project: str) -> GoogleEmulator:
    """Start the emulator and return it when it answers; see GoogleEmulator."""
    return GoogleEmulator(host_port, project)


def main() -> None:
    """Command line, `--host-port HOST:PORT --project NAME`: until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.datastore.google_emulator")
    parser.add_argument("--host-port", required=True)
    parser.add_argument("--project", default="demo")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if reason := missing():
        sys.exit(f"Google's emulator cannot run here: {reason}")
    emulator = start(options.host_port, options.project)
    try:
        print(f"ready {emulator.host_port}", flush=True)
        sys.exit(emulator.process.wait())
    finally:
        emulator.stop()


if __name__ == "__main__":
    main()
