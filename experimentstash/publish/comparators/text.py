"""Texts, line by line; what a pattern fits may differ in a line."""

from __future__ import annotations

import re
from pathlib import Path

from experimentstash.publish.comparators.comparator import Comparator, Found, How, NotComparable
from experimentstash.publish.comparators.tables import text_of

_LONGEST = 60
_HIDDEN = "⟨…⟩"


def _compare(earlier: Path, later: Path, how: How) -> Found:
    return compare_texts(text_of(earlier), text_of(later), how)


def compare_texts(before: str, after: str, how: How) -> Found:
    """Compare two texts."""
    try:
        patterns = [re.compile(each) for each in how.ignore]
    except re.error as error:
        raise NotComparable(f"{error.pattern!r} is no pattern: {error}") from error
    is_used = False
    lines = [text.split("\n") for text in (before, after)]
    for number, (one, two) in enumerate(zip(*lines, strict=False), 1):
        if one == two:
            continue
        for pattern in patterns:
            one, two = (pattern.sub(_HIDDEN, line) for line in (one, two))
        if one != two:
            return Found(f"line {number} is {_short(two)}, and {_short(one)} before")
        is_used = True
    if len(lines[0]) != len(lines[1]):
        return Found(f"{len(lines[1]):,} lines, and {len(lines[0]):,} before")
    return Found(within=f"what may differ: {', '.join(how.ignore)}" if is_used else None)


def _short(line: str) -> str:
    return repr(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…")


_SUFFIXES = (".txt", ".md", ".tex", ".yaml", ".yml", ".html", ".xml", ".log", ".jsonl")
COMPARATOR = Comparator("text", _SUFFIXES, _compare, lambda path: ("ignore",))
