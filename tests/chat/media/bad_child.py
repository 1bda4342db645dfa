"""In the place of the process that looks into files: does what the file's name says."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

for line in sys.stdin:
    path = Path(json.loads(line)["path"])
    if path.name == "hangs":
        threading.Event().wait()
    if path.name == "dies" or not path.with_name("died").exists():
        path.with_name("died").touch()
        os._exit(1)
    told = {"unusable": ",".join(sorted(os.environ))}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
