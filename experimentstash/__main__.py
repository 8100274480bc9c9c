"""``python -m experimentstash``, and the program ``experimentstash``."""

import contextlib
import sys

from experimentstash import keeper, output
from experimentstash.cli import executes, main


def start() -> int:
    """Run the command line, with a keeper if runs may be executed, and return the exit code."""
    output.begin_in_unicode()
    with keeper.kept() if executes(sys.argv[1:]) else contextlib.nullcontext():
        return main()


if __name__ == "__main__":
    sys.exit(start())
