"""Where a number stands in what a tool leaves: under a key, in a column, in lines of text.

All of it is read in bounded memory.
"""

from __future__ import annotations

import csv
import json
import math
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from experimentstash.adapters.numbers.place import Missing, Place, instead
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.dotted import is_number, leaves
from experimentstash.base.terminal import plain, states

TAKE = {"last": "the last", "min": "the least", "max": "the greatest", "mean": "the mean of"}
# Characters of a text that are read at once; a line may be as long.
_PIECE = 1 << 20
_LARGEST_JSON = 64 << 20
# Matches in one line that are kept back until it is known whether the line is written over.
_MOST_KEPT = 10_000


@dataclass(frozen=True)
class Key:
    """A key of a JSON file; a dotted one looks into nested mappings."""

    key: str
    file: str = "metrics.json"

    def __str__(self) -> str:
        return f"{self.key} in {self.file}"

    def number(self, place: Place) -> float:
        path = place.file(self.file)
        if path.stat().st_size > _LARGEST_JSON:
            raise Missing(f"{self.file} has more than {_LARGEST_JSON >> 20} MB")
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise Missing(f"{self.file} is no JSON: {error}") from None
        try:
            value = _at(content, self.key)
        except KeyError:
            valid = [key for key, leaf in leaves(content) if is_number(leaf)]
            raise Missing(f"{self.file} has no {self.key!r}.{instead(self.key, valid, 'numbers')}") from None
        if not is_number(value):
            raise Missing(f"it is no number: {json.dumps(value)[:40]}")
        return float(value)


@dataclass(frozen=True)
class Column:
    """A column of a CSV file with a header. Empty cells are passed over: loggers leave them where they had no value."""

    column: str
    file: str = "metrics.csv"
    take: str = "last"

    def __str__(self) -> str:
        return f"{TAKE[self.take]} {self.column} in {self.file}"

    def number(self, place: Place) -> float:
        with place.file(self.file).open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            rows = csv.reader(_lines(stream))
            try:
                header = [plain(name).strip() for name in next(rows, [])]
                if self.column not in header:
                    others = instead(self.column, header, "columns")
                    raise Missing(f"{self.file} has no column {self.column!r}.{others}")
                index = header.index(self.column)
                cells = (plain(row[index]).strip() for row in rows if len(row) > index)
                # A tool that goes on in the same file may write the header again.
                return _taken((cell for cell in cells if cell not in ("", self.column)), self.take)
            except csv.Error as error:
                raise Missing(f"{self.file} is no CSV (line {rows.line_num}): {error}") from None


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

    def number(self, place: Place) -> float:
        path = place.file(self.file or place.log)
        # A carriage return alone ends no line: what follows it was written over what stood there.
        with path.open(encoding="utf-8", errors="replace", newline="\n") as stream:
            stream.seek(0 if self.file else place.offset)
            return _taken(self._matches(stream), self.take)

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


Source = Key | Column | Pattern
SOURCES: Mapping[str, type[Source]] = {"key": Key, "column": Column, "pattern": Pattern}


def _at(content: Any, key: str) -> Any:
    """Return the value at a dotted key; a name may have dots in it itself. KeyError if there is none."""
    if not isinstance(content, dict):
        raise KeyError(key)
    if key in content:
        return content[key]
    for dot in re.finditer(r"\.", key):
        try:
            return _at(content.get(key[: dot.start()]), key[dot.end() :])
        except KeyError:
            continue
    raise KeyError(key)


def _taken(texts: Iterable[str], take: str) -> float:
    """Return the last, least or greatest of the numbers, or their mean; NaN is neither least nor greatest."""
    found: float | None
    if take == "last":
        last = deque(texts, 1)  # what stands before it need not be a number
        found = _number(last[0]) if last else None
    elif take == "mean":
        count, total = 0, 0.0
        for number in map(_number, texts):
            count, total = count + 1, total + number
        found = total / count if count else None
    else:
        numbers = (number for number in map(_number, texts) if not math.isnan(number))
        found = min(numbers, default=None) if take == "min" else max(numbers, default=None)
    if found is None:
        raise Missing("there is none")
    return found


def _number(text: str) -> float:
    try:
        return float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        raise Missing(f"it is no number: {text[:40]!r}{_doubt(text)}") from None


def _doubt(text: str) -> str:
    """Say why a text with digits is no number, where that is known."""
    if re.fullmatch(r"[-+]?\d[\d.]*(?:[eE][-+]?\d+)?[,;:%)\]}|]+", text):
        return "; have the pattern's group end with the number: ([-+.\\deE]+)"
    if re.fullmatch(r"[-+]?\d[\d.,]*", text):
        return ": its comma may stand for thousands, or for the decimal point"
    return ""


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(_PIECE):
        if len(line) == _PIECE:
            raise csv.Error("an endless line")
        yield line


def _pieces(stream: TextIO) -> Iterator[tuple[str, bool, bool]]:
    """Yield a text in pieces of whole lines, and whether each begins and ends where a line does, as it should."""
    begins = True
    while start := stream.read(_PIECE):
        rest = stream.readline(_PIECE)
        ends = len(rest) < _PIECE or rest.endswith("\n")
        yield start + rest, begins, ends
        begins = ends
