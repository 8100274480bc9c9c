"""A picture at the bottom of a terminal that is drawn again and again, while other lines pass by above it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

from experimentstash.base.output import Paper, paper_of
from experimentstash.base.text import cells

# The rows of a terminal that doesn't say how many it has.
_USUAL_HEIGHT = 24


class Picture:
    """The lines that stand at the bottom; ``stream`` is the terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn: list[int] = []  # the columns that each line takes
        self._paper = paper_of(stream)

    @property
    def paper(self) -> Paper:
        """What is drawn on, as wide as it is now."""
        self._paper = paper_of(self._stream)
        return self._paper

    def draw(self, lines: Sequence[str], above: Sequence[str] = ()) -> None:
        """Draw these lines in the place of those drawn before; what is ``above`` them stays. They must fit the paper.

        Where there isn't room for all, the last ones are drawn; while a shell has the terminal, none.
        """
        shown = list(lines)[-self._room() :] if self._has_terminal() else []
        text = "".join(f"{line}\n" for line in (*above, *shown))
        self._stream.write(self._erasure() + text)
        self._stream.flush()
        self._drawn = [cells(line) for line in shown]

    def _erasure(self) -> str:
        if not self._drawn:
            return ""
        width = self._paper.width or sys.maxsize
        rows = sum(max(1, -(-columns // width)) for columns in self._drawn)  # the terminal may have become narrower
        return f"\r\x1b[{rows}A\x1b[J"

    def _room(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return max(1, (os.get_terminal_size(self._stream.fileno()).lines or _USUAL_HEIGHT) - 1)
        return _USUAL_HEIGHT - 1

    def _has_terminal(self) -> bool:
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):  # it isn't the one that controls us
            return True


class Aside(io.TextIOBase):
    """Stands in for stderr while there is a picture: whole lines go to ``take``, so that they pass by above it.

    It is no terminal: programs that draw on one themselves, uv say, are not to draw on the same.
    """

    def __init__(self, stream: TextIO, take: Callable[[str], None]) -> None:
        self._stream = stream
        self._take: Callable[[str], None] | None = take
        self._begun = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        with self._lock:
            if self._take is None:  # somebody has kept it for longer than it is needed
                return self._stream.write(text)
            whole, newline, rest = (self._begun + text).rpartition("\n")
            self._begun = rest
            if newline:
                self._take(whole)
        return len(text)

    def flush(self) -> None:
        if self._take is None and not self._stream.closed:  # Python flushes what it throws away, at its very end, too
            self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def end(self) -> None:
        """Hand over what is left, and whatever else comes to the stream itself."""
        with self._lock:
            take, self._take = self._take, None
            if take is not None and self._begun:
                take(self._begun)
