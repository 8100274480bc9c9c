"""What is said to the person at the terminal. Results go to stdout; everything about them goes to stderr, here."""

from __future__ import annotations

import contextlib
import sys

_PREFIX = "stash: "

USAGE = """\
Run one:      python -m experimentstash +exp=NAME [params.KEY=VALUE …]
Run many:     python -m experimentstash -m +exp=NAME,NAME [params.KEY=A,B …]
In short:     experimentstash run NAME, or experimentstash run 'figure1/*'
Look and act: experimentstash runs | show | logs | cancel | resume | sync   (--help tells more)
What's in it: python -m experimentstash --help, or +exp=NAME --cfg job"""


def say(message: str) -> None:
    """Write one message to stderr; a terminal that has gone is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(f"{_PREFIX}{message}", file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Write an error to stderr."""
    with contextlib.suppress(OSError, ValueError):
        print(f"error: {message}", file=sys.stderr, flush=True)
