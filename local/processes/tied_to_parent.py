"""Run a Python module in this process, and end with the process that started it.

`python -m local.processes.tied_to_parent MODULE [ARGS...]` runs MODULE as `python -m MODULE` would.
The parent holds the other end of our standard input: when the parent is gone, however it went
(SIGKILL included), the pipe closes, and we stop. One mechanism for Linux, macOS and Windows, and
for programs that know nothing of it, such as gunicorn (whose workers end with their master).
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

GRACE_SECONDS = 5.0  # between asking nicely and not asking any more


def _end_with_parent() -> None:
    # os.read and not sys.stdin: a daemon thread that holds sys.stdin's lock at interpreter exit
    # is a fatal error.
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Run the module named on the command line, tied to the parent process."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m local.processes.tied_to_parent MODULE [ARGS...]")
    threading.Thread(target=_end_with_parent, name="tied-to-parent", daemon=True).start()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
