"""``python -m experimentstash``."""

import sys

from experimentstash.cli import main

if __name__ == "__main__":
    sys.exit(main())
