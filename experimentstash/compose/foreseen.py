"""How many interpolations a value leads to, told from the configuration as it is written: at least so many.

Each value is looked at once, however often it is used: forty values that double each other take no longer than others.
"""

from __future__ import annotations

import re
from typing import Any

from experimentstash.base.patterns import regex

# A reference to another value, by its place: `${a.b[0].c}`, `${..c}`, `${oc.select:a.b}`.
_REFERENCE = regex(
    r"(?<!\\)\$\{(?:\s*(?:oc\.select:\s*)?(?P<dots>\.*)(?P<path>[\w\-]+(?:\.[\w\-]+|\[[\w\-]+\])*)(?=\s*[},]))?"
)
_WORD = regex(r"[\w\-]+")
# References that follow one another are followed so far.
_DEEPEST = 200

Place = tuple[str, ...]


class Foreseen:
    """What the values of one configuration, given as plain data with its interpolations as they stand, lead to."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._known: dict[tuple[Place, bool], int] = {}

    def of(self, place: Place, depth: int = 0, *, is_whole: bool = False) -> int:
        """Return how many interpolations the value at a place leads to; with ``is_whole`` all inside of it count."""
        if (place, is_whole) not in self._known:
            self._known[place, is_whole] = 0  # what leads to itself is an error, and not ours
            self._known[place, is_whole] = self._count(place, depth, is_whole)
        return self._known[place, is_whole]

    def _count(self, place: Place, depth: int, is_whole: bool) -> int:
        value = self._at(place)
        if depth > _DEEPEST:
            return 0
        if isinstance(value, str):
            found = list(_REFERENCE.finditer(value))
            is_node = len(found) == 1 and value.startswith("${") and value.endswith("}")  # it may stand for a list
            behind = [self._behind(each, place, depth, is_whole and is_node) for each in found]
            return 1 + sum(behind) if found else 0  # as OmegaConf does it: a text with all that is in it is one
        if not is_whole:
            return 0
        inside = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        return sum(self.of((*place, str(key)), depth + 1, is_whole=True) for key in inside)

    def _behind(self, reference: re.Match[str], place: Place, depth: int, is_whole: bool) -> int:
        if reference["path"] is None:  # of a resolver, or of what others make its name
            return 0
        dots = len(reference["dots"])
        start = place[: max(0, len(place) - dots)] if dots else ()
        return self.of((*start, *_WORD.findall(reference["path"])), depth + 1, is_whole=is_whole)

    def _at(self, place: Place) -> Any:
        value = self._data
        for word in place:
            if isinstance(value, dict):
                value = next((value[key] for key in (word, *_typed(word)) if key in value), None)
            elif isinstance(value, list) and word.isdecimal() and int(word) < len(value):
                value = value[int(word)]
            else:
                return None
        return value


def place_of(key: str) -> Place:
    """Return the place that a full key stands for: `a.b[0]`."""
    return tuple(_WORD.findall(key))


def _typed(word: str) -> tuple[Any, ...]:
    """Return what a key that is no text may be written as."""
    return (int(word),) if re.fullmatch(r"-?\d{1,18}", word) else ()
