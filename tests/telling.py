"""A program that tells what it was started with, for the tests of how processes are started.

Environment: END, how to end: "" (not at all, until a signal comes), "error", or an exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys

if __name__ == "__main__":
    told = {
        "arguments": sys.argv[1:],
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "leads_its_group": os.getpgrp() == os.getpid(),
        "signals": [signal.getsignal(each) == signal.SIG_DFL for each in (15, signal.SIGCHLD)],
        "open_files": sorted(os.listdir("/proc/self/fd")),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stderr.write("and this\n")
    match os.environ["END"]:
        case "":
            signal.pause()
        case "error":
            raise ValueError("as asked")
        case code:
            sys.exit(int(code))
