"""`python -m local.claude --port 8082`: serves until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from local.claude.server import ClaudeStandIn


def main() -> int:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m local.claude", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    options = parser.parse_args()
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    try:
        stand_in = ClaudeStandIn(options.port).start()
    except OSError as problem:
        print(f"cannot serve on port {options.port}: {problem}", file=sys.stderr)
        return 1
    print(f"ready {stand_in.url}", flush=True)
    # Not without an end: Windows delivers Ctrl-C only between two waits.
    while not ended.wait(0.5):
        pass
    stand_in.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
