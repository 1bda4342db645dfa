"""``python -m local.simulator``: serves until it is told to stop."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping

from local.simulator.delivery import RetryPolicy
from local.simulator.simulator import Simulator

_NEEDED = (
    "WHATSAPP_TOKEN",
    "WHATSAPP_PHONE_NUMBER_ID",
    "WHATSAPP_BUSINESS_ACCOUNT_ID",
    "WHATSAPP_APP_SECRET",
)
PARENT_CHECK_SECONDS = 0.3


def main(arguments: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run the simulator; gives the exit code."""
    options = _options(arguments)
    missing = [name for name in _NEEDED if not environ.get(name)]
    if missing:
        print("missing in the environment: " + ", ".join(missing), file=sys.stderr)
        return 2
    parent = os.getppid()
    simulator = Simulator(
        webhook_url=options.webhook_url,
        token=environ["WHATSAPP_TOKEN"],
        phone_number_id=environ["WHATSAPP_PHONE_NUMBER_ID"],
        business_account_id=environ["WHATSAPP_BUSINESS_ACCOUNT_ID"],
        app_secret=environ["WHATSAPP_APP_SECRET"],
        host=options.host,
        port=options.port,
        workers=options.workers,
        retry=RetryPolicy(first=options.retry_first, cap=options.retry_cap),
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    try:
        address = simulator.start()
    except OSError as problem:
        print(f"cannot serve on {options.host}:{options.port}: {problem}", file=sys.stderr)
        return 1
    print(f"ready {address}", flush=True)
    while not ended.wait(PARENT_CHECK_SECONDS):
        if options.exit_with_parent and os.getppid() != parent:
            break
    simulator.stop()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--webhook-url", required=True, help="the chat's webhook")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--workers", type=int, default=8, help="webhook POSTs at once")
    parser.add_argument(
        "--retry-first", type=float, default=RetryPolicy.first, help="seconds to the first retry"
    )
    parser.add_argument(
        "--retry-cap", type=float, default=RetryPolicy.cap, help="most seconds between retries"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when the parent process is gone"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
