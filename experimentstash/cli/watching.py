"""A screen that is drawn anew until Ctrl-C, as `watch` does it; afterwards the terminal is as it was before."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

from experimentstash.base.errors import StashError
from experimentstash.base.interrupts import signals_as_exceptions
from experimentstash.base.output import Paper, can_redraw, heard, paper_of
from experimentstash.base.text import filled, shorten

# Another screen without a cursor, and back again; see xterm's control sequences.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_END_OF_LINE, _TO_END = "\x1b[H", "\x1b[K", "\x1b[J"
_FEWEST_ROWS = 3
_LONGEST = 86400.0  # seconds

# Given what it is drawn on, and how many rows there are.
Draw = Callable[[Paper, int], str]


def watch(draw: Draw, seconds: float) -> int:
    """Draw a screen again and again, so many seconds apart, and when its size changes. Return the exit code at Ctrl-C.

    What is said meanwhile stands at the bottom. StashError where there is no terminal.
    """
    if not can_redraw(sys.stdout):
        raise StashError("--watch needs a terminal.", "leave it out; for a program there are --json, --jsonl and --csv")
    with signals_as_exceptions(), contextlib.suppress(KeyboardInterrupt), _screen():
        while True:
            paper = paper_of(sys.stdout)
            rows = max(_FEWEST_ROWS, os.get_terminal_size(sys.stdout.fileno()).lines)
            with heard() as messages:
                lines = draw(paper, rows).split("\n")
            below = [line for message in messages for line in filled(message, paper.width).split("\n")][: rows // 2]
            lines = [*lines[: rows - len(below)], *below]
            _write(_HOME + "\n".join(line + _TO_END_OF_LINE for line in lines) + _TO_END)
            signal.sigtimedwait([signal.SIGWINCH], seconds)
    return 0


def seconds(word: str) -> float:
    """Return what `--watch` is given."""
    with contextlib.suppress(ValueError):
        if 0.1 <= (number := float(word)) <= _LONGEST:
            return number
    raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds; name runs before it, or write --watch=2")


def fit(text: str, paper: Paper) -> str:
    """Return a line that is no wider than the screen."""
    return text if paper.width is None else shorten(text, paper.width, ellipsis=paper.ellipsis)


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    """Have the terminal show another screen, and its own one whenever we don't write on it, stopped by Ctrl-Z too."""

    def stop(number: int, frame: object) -> None:
        _write(_LEAVE)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTSTP])
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, stop)  # by now we go on
        _write(_ENTER)
        signal.raise_signal(signal.SIGWINCH)  # and what was drawn is gone

    before = signal.signal(signal.SIGTSTP, stop)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])  # waited for, below
    try:
        _write(_ENTER)
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # the terminal may have gone
            _write(_LEAVE)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTSTP, before)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
