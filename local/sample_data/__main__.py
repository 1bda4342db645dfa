"""`python -m local.sample_data`: see conversations.py."""

import sys

from local.sample_data.conversations import main

if __name__ == "__main__":
    sys.exit(main())
