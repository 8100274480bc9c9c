"""Numbers in lines of text: in the output of a run, or in a file."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from bisect import bisect_left
from collections.abc import Iterator
from typing import TextIO

from experimentstash.adapters.numbers.place import Missing, Place
from experimentstash.adapters.numbers.take import TAKE, taken
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.terminal import states

# Characters of a text that are read at once; a line may be as long.
_PIECE = 1 << 20
# Matches in one line that are kept back until it is known whether the line is written over.
_MOST_KEPT = 10_000
# Seconds of computing after which a regular expression is given up that tries each of too many ways to match, and bytes
# of a text for which it is given one more.
_PATIENCE, _SLOWEST = 20.0, 1 << 20


@dataclass(frozen=True)
class Pattern:
    """A regular expression whose group, or the whole of it, is a number in the run's output, or in a text file.

    It meets no colours, and of a line that was written over, as progress bars are, what matches of its last states.
    """

    pattern: str
    file: str | None = None
    take: str = "last"

    def __str__(self) -> str:
        return f"{TAKE[self.take]} match of {self.pattern!r} in {self.file or 'the output'}"

    def numbers(self, place: Place) -> dict[str, float]:
        path = place.file(self.file or place.log)
        # A carriage return alone ends no line: what follows it was written over what stood there.
        with path.open(encoding="utf-8", errors="replace", newline="\n") as stream:
            begin = stream.seek(0 if self.file else place.offset)
            seconds = _PATIENCE + (os.fstat(stream.fileno()).st_size - begin) / _SLOWEST
            with _bounded(seconds):
                return {self.pattern: taken(self._matches(stream), self.take)}

    def _matches(self, stream: TextIO) -> Iterator[str]:
        expression = re.compile(self.pattern, re.MULTILINE)
        group = expression.groups
        kept: list[str] = []  # of the present state of a line, which may still be written over
        for piece, begins, ends in _pieces(stream):
            text, over = states(piece)
            if begins:
                yield from kept
                kept.clear()
            end = 0
            for match in expression.finditer(text):
                # Where an endless line was cut, half a number may match.
                is_cut = (match.start() == 0 and not begins) or (match.end() == len(text) and not ends)
                if match[group] is None or is_cut:
                    continue
                breaks = text.count("\n", end, match.start())
                if breaks > bisect_left(over, match.start()) - bisect_left(over, end) or len(kept) >= _MOST_KEPT:
                    yield from kept
                if breaks or len(kept) >= _MOST_KEPT:
                    kept.clear()
                kept.append(match[group])
                end = match.end()
        yield from kept


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise Missing once so much has been computed: a run can't end as long as its numbers are looked for."""

    def give_up(*_: object) -> None:
        raise Missing(f"it takes more than {seconds:.0f} s to match; have the pattern match a text in one way only")

    try:
        before = signal.signal(signal.SIGVTALRM, give_up)
    except ValueError:  # in a thread, where no run ends
        yield
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _pieces(stream: TextIO) -> Iterator[tuple[str, bool, bool]]:
    """Yield a text in pieces of whole lines, and whether each begins and ends where a line does, as it should."""
    begins = True
    while start := stream.read(_PIECE):
        rest = stream.readline(_PIECE)
        ends = len(rest) < _PIECE or rest.endswith("\n")
        yield start + rest, begins, ends
        begins = ends
