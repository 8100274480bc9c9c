"""What is said to the person at the terminal. Results go to stdout; everything about them goes to stderr, here."""

from __future__ import annotations

import contextlib
import sys
import time

_PREFIX = "stash: "

# Seconds after which something takes long, and until more is said of it.
_LONG = 2.0
_INTERVAL = 10.0

USAGE = """\
Run one:      python -m experimentstash +exp=NAME [params.KEY=VALUE …]
Run many:     python -m experimentstash -m +exp=NAME,NAME [params.KEY=A,B …]
In short:     experimentstash run NAME, or experimentstash run 'figure1/*'
Look and act: experimentstash runs | show | logs | cancel | resume | sync   (--help tells more)
What's in it: python -m experimentstash --help, or +exp=NAME --cfg job"""


def say(*messages: str) -> None:
    """Write messages to stderr, all at once; a terminal that has gone is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print("".join(f"{_PREFIX}{message}\n" for message in messages), end="", file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Write an error to stderr."""
    with contextlib.suppress(OSError, ValueError):
        print(f"error: {message}", file=sys.stderr, flush=True)


class Meter:
    """Says from time to time, to whoever waits at a terminal, how many jobs of a sweep something is done with."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._of = "" if total is None else f" of {total:,}"
        self._count = 0
        self._due = time.monotonic() + _LONG

    def step(self) -> None:
        """Count one more job."""
        self._count += 1
        now = time.monotonic()
        if now >= self._due and is_terminal():
            self._due = now + _INTERVAL
            say(f"{self._count:,}{self._of} jobs are {self._what} …")


def is_terminal() -> bool:
    """Tell whether there is a terminal to write on."""
    with contextlib.suppress(ValueError, AttributeError):
        return sys.stderr.isatty()
    return False
