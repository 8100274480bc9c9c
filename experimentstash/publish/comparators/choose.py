"""Which comparator compares what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experimentstash.publish.comparators import embedding, numbers, picture, text
from experimentstash.publish.comparators.comparator import Comparator, How, NotComparable

HASH = "hash"
# The next one is a file more, and a word here.
_COMPARATORS = {each.COMPARATOR.name: each.COMPARATOR for each in (numbers, embedding, picture, text)}


def named(name: str) -> Comparator | None:
    """Return a comparator by its name; None for `hash`: other bytes are another file then. NotComparable: none."""
    if name != HASH and name not in _COMPARATORS:
        raise NotComparable(f"nothing here compares by {name!r}")
    return _COMPARATORS.get(name)


def usual(path: str) -> str:
    """Return the name of what compares a file about which nothing is said."""
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    return next((name for name, each in _COMPARATORS.items() if suffix in each.suffixes), HASH)


def used(path: str, how: How) -> Sequence[str]:
    """Return which parts of what is said of a file make a difference."""
    comparator = _COMPARATORS.get(how.compare)
    return () if comparator is None else comparator.used(path)


def names(path: Path) -> set[str]:
    """Return what columns, keys or arrays in a file of numbers are called; NotComparable if it can't be read."""
    return numbers.names(path)
