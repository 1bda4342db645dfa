"""`python -m local.bench`: see report.py."""

import sys

from local.bench.report import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
