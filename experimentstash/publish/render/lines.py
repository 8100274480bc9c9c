"""The lines of two texts that differ, as far as a page shows them: those around the first one."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from experimentstash.base.files import open_regular
from experimentstash.base.redaction import redact
from experimentstash.base.text import clean

# Bytes of a file that are read, and lines of these that are compared with each other.
_LARGEST, _COMPARED = 4 << 20, 200
# What is shown: lines in all, of one place, and characters of a line.
_MOST, _OF_ONE_PLACE, _LONGEST = 24, 6, 200


class Line(NamedTuple):
    """A line as it is shown; ``kind`` is `old`, `new`, `same`, or `place`, which says where the next ones are."""

    kind: str
    text: str


def differing(then: Path, now: Path) -> list[Line]:
    """Return the lines around the first one that differs; nothing if there is none, or they are no texts."""
    earlier, later = _lines(then), _lines(now)
    if earlier is None or later is None:
        return []
    pairs = enumerate(zip_longest(earlier, later))
    first = next((number for number, (one, two) in pairs if one != two), None)
    if first is None:
        return []
    start = max(0, first - 1)
    found = list(_told(*_windows(earlier[start:], later[start:]), start))
    return [*found[:_MOST], Line("place", "…")] if len(found) > _MOST else found


def _windows(earlier: list[str], later: list[str]) -> tuple[list[str], list[str]]:
    """Return the beginnings of two texts, up to where they are the same again."""
    one, two = earlier[:_COMPARED], later[:_COMPARED]
    if len(one) < len(earlier) or len(two) < len(later):
        *same, _ = difflib.SequenceMatcher(None, one, two, autojunk=False).get_matching_blocks()
        if same and same[-1].a > 0:  # else it is only the line before
            one, two = one[: same[-1].a + same[-1].size], two[: same[-1].b + same[-1].size]
    return one, two


def _told(earlier: list[str], later: list[str], start: int) -> Iterator[Line]:
    """Yield what differs, with the line before and the one behind it."""
    for group in difflib.SequenceMatcher(None, earlier, later, autojunk=False).get_grouped_opcodes(1):
        yield Line("place", f"line {start + group[0][3] + 1:,}")
        for what, begin, end, other_begin, other_end in group:
            if what == "equal":
                yield from _some("same", earlier[begin:end])
            else:
                yield from _some("old", earlier[begin:end])
                yield from _some("new", later[other_begin:other_end])


def _some(kind: str, lines: list[str]) -> Iterator[Line]:
    for each in lines[:_OF_ONE_PLACE]:
        yield Line(kind, clean(each.expandtabs(4)[:_LONGEST]) + ("…" if len(each) > _LONGEST else ""))
    if len(lines) > _OF_ONE_PLACE:
        yield Line("place", f"… {len(lines) - _OF_ONE_PLACE:,} more")


def _lines(path: Path) -> list[str] | None:
    """Return the beginning of a text, without secrets; None if it is none."""
    try:
        with open(path, "rb", opener=open_regular) as stream:
            content = stream.read(_LARGEST)
            is_whole = not stream.read(1)
        text = content.decode("utf-8", "strict" if is_whole else "replace")
    except (OSError, ValueError):
        return None
    return None if "\0" in text else redact(text, os.environ).splitlines()
