"""A real pseudo-terminal of a certain size, with a program in it, and what a person would see there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyte

from tests.testing.stash import GIT_IDENTITY, PATIENCE


class Terminal:
    """A program in a terminal. ``lines`` is what has been drawn, scrolled-off lines included."""

    def __init__(
        self, argv: Sequence[str], *, cwd: Path, columns: int = 80, rows: int = 1000, **environment: str
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._descriptor, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**inherited, **GIT_IDENTITY, "TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C is for it then
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._descriptor)

    def type(self, text: str) -> None:
        """Have somebody type something: \x03 is Ctrl-C."""
        os.write(self._descriptor, text.encode())

    def until(self, condition: Callable[[Terminal], Any]) -> Any:
        """Read on until a condition holds, and return what it returned; fail if it doesn't within a long time."""
        deadline = time.monotonic() + PATIENCE
        while not (value := condition(self)):
            assert time.monotonic() < deadline, self.text
            assert self._read(1.0), f"it has ended:\n{self.text}"
        return value

    def end(self) -> int:
        """Read on until the program has ended, and return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(1.0):
            assert time.monotonic() < deadline, self.text
        return self.process.wait(PATIENCE)

    def _read(self, seconds: float) -> bool:
        """Take in what has come; False if nobody will write any more."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return True
        try:
            chunk = os.read(self._descriptor, 65536)
        except OSError:  # everybody has closed it
            return False
        self.raw += chunk
        self._stream.feed(chunk)
        return bool(chunk)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, a line for each row, up to the last that isn't empty."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def colours(self, word: str) -> set[str]:
        """Return the colours in which a word stands on the screen."""
        found = set()
        for row in self._screen.buffer.values():
            # What comes after a wide character in a row is an empty cell.
            drawn = [cell for _, cell in sorted(row.items()) if cell.data]
            at = "".join(cell.data[0] for cell in drawn).find(word)
            if at >= 0:
                found |= {cell.fg for cell in drawn[at : at + len(word)]}
        return found


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "experimentstash", *arguments]
