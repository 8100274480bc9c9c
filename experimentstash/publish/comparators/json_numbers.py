"""Numbers in JSON: each by the keys that lead to it. All else must be the same."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from experimentstash.base.dotted import is_number
from experimentstash.base.text import listed
from experimentstash.publish.comparators.comparator import Found, How, Largest, NotComparable, refuse_nothing
from experimentstash.publish.comparators.tables import text_of

_NAMED = 3
# Digits of a whole number that is one; what is beyond floats is compared as it is written.
_MOST_DIGITS = 300

# The keys of mappings, and the numbers in lists, that lead to a value.
_Way = tuple[str | int, ...]


def compare(earlier: Path, later: Path, how: How) -> Found:
    """Compare two JSON files."""
    if how.key:
        raise NotComparable("JSON has no rows that a key could tell apart")
    before, after = (_counting(_named(path), how) for path in (earlier, later))
    if lacking := [way for way in before if way not in after]:
        if other := next((_name(way) for way in lacking if _name(way) in map(_name, after)), None):
            return Found(f"{other} is in something else: a list and a mapping, or a key with a dot and two keys")
        return Found(f"without {listed([*map(_name, lacking)], _NAMED)}")
    if new := [way for way in after if way not in before]:
        return Found(f"with {listed([*map(_name, new)], _NAMED)}, which wasn't there before")
    largest = Largest(how)
    for way, one in before.items():
        name, two = _name(way), after[way]
        if is_number(one) and is_number(two):
            largest.take(one, two, name, functools.partial("at {}".format, name))
        elif type(one) is not type(two) or one != two:
            return Found(f"{name} is {two!r}, and {one!r} before")
    return largest.found


def _counting(values: dict[_Way, Any], how: How) -> dict[_Way, Any]:
    found = {way: value for way, value in values.items() if not _ignored(_name(way), how)}
    refuse_nothing(values, found)
    return found


def names(path: Path) -> set[str]:
    """Return what the values in a file, and what they are inside of, are called."""
    ways = [*_named(path)]
    return {_name(way[:length]) for way in ways for length in range(1, len(way) + 1)}


def _ignored(name: str, how: How) -> bool:
    """Tell whether a leaf, or something that it is inside of, doesn't count."""
    parts = name.split(".")
    return any(how.ignores(".".join(parts[:length])) for length in range(1, len(parts) + 1))


def _name(way: _Way) -> str:
    """Return what a value is called in messages and in ``outputs``."""
    return ".".join(map(str, way)) or "the whole"


def columns_of(path: Path) -> dict[str, list[Any]]:
    """Return the values in a file that have nothing inside; those of a list have one name, a pattern."""
    found: dict[str, list[Any]] = {}
    for way, value in _named(path).items():
        found.setdefault(_name(tuple("*" if isinstance(each, int) else each for each in way)), []).append(value)
    return found


def _named(path: Path) -> dict[_Way, Any]:
    """Return the leaves of a file by what leads to them; no name stands for two."""
    found = dict(_leaves(_read(path), ()))
    names: set[str] = set()
    for name in map(_name, found):
        if name in names:
            raise NotComparable(f"{path.name} has two values that are called {name}")
        names.add(name)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(text_of(path), object_pairs_hook=_once, parse_float=_float, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise NotComparable(f"{path.name} is no JSON: {error}") from error


def _float(text: str) -> float | Decimal:
    value = float(text)
    return Decimal(text) if math.isinf(value) else value


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MOST_DIGITS else Decimal(text)


def _leaves(value: Any, way: _Way) -> Iterator[tuple[_Way, Any]]:
    """Yield each value that has nothing inside, by the keys and numbers that lead to it."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*way, key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*way, number))
    else:
        yield way, value
