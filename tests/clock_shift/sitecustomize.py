"""On PYTHONPATH, this gives a server another time: CLOCK_SHIFT_SECONDS is added to its stamps.

A server that runs "two hours ago" stamps its events, cursors and messages then. They go by
`time.time_ns`. Only that is shifted: gRPC makes points of `time.time` out of its timeouts.
"""

import os
import time

_seconds = int(os.environ.get("CLOCK_SHIFT_SECONDS", "0"))
_time_ns = time.time_ns

time.time_ns = lambda: _time_ns() + _seconds * 1_000_000_000
