"""Numbers in JSON: each by the keys that lead to it. All else must be the same."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experimentstash.base.text import listed
from experimentstash.publish.comparators.comparator import Found, How, Largest, NotComparable
from experimentstash.publish.comparators.tables import text_of

_NAMED = 3


def compare(earlier: Path, later: Path, how: How) -> Found:
    """Compare two JSON files."""
    if how.key:
        raise NotComparable("JSON has no rows that a key could tell apart")
    before, after = (
        {name: value for name, value in _named(path).items() if not _ignored(name, how)} for path in (earlier, later)
    )
    if lacking := [name for name in before if name not in after]:
        return Found(f"without {listed(lacking, _NAMED)}")
    if new := [name for name in after if name not in before]:
        return Found(f"with {listed(new, _NAMED)}, which wasn't there before")
    largest = Largest(how)
    for name, one in before.items():
        two = after[name]
        are_numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (one, two))
        if are_numbers:
            largest.take(one, two, name, functools.partial("at {}".format, name))
        elif type(one) is not type(two) or one != two:
            return Found(f"{name} is {two!r}, and {one!r} before")
    return largest.found


def _ignored(name: str, how: How) -> bool:
    """Tell whether a leaf, or something that it is inside of, doesn't count."""
    parts = name.split(".")
    return any(how.ignores(".".join(parts[:length])) for length in range(1, len(parts) + 1))


def _named(path: Path) -> dict[str, Any]:
    """Return the leaves of a file by their names, of which none stands for two."""
    found: dict[str, Any] = {}
    for name, value in _leaves(_read(path), ""):
        if name in found:
            raise NotComparable(f"{path.name} has two values that are called {name}")
        found[name] = value
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(text_of(path), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise NotComparable(f"{path.name} is no JSON: {error}") from error


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each value that has nothing inside, by the keys and numbers that lead to it."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{number}" if name else str(number))
    else:
        yield name or "the whole", value
