"""Numbers under keys of JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.numbers.place import ALL, FILE_NAME, Missing, Place, instead, why_not
from experimentstash.base import json_numbers
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.base.dotted import is_number, leaves

if TYPE_CHECKING:
    from typing import Any

# Bytes of a file; of one of which all is meant, less, because nobody need have asked for it. Then, too, characters of
# all names in it.
_LARGEST, _LARGEST_OF_ALL = 64 << 20, 1 << 20
_LONGEST_NAMES = 1 << 20


@dataclass(frozen=True)
class Key:
    """A key of a JSON file; a dotted one looks into nested mappings."""

    key: str
    file: str = FILE_NAME

    def __str__(self) -> str:
        return f"{self.key} in {self.file}"

    def numbers(self, place: Place) -> dict[str, float]:
        """Return the number; or all that there are, if all are meant."""
        if self.key == ALL:
            return self.all(place)[0]
        content = self._content(place.file(self.file))
        values = list(_at(content, self.key))
        numbers = [value for value in values if is_number(value)]
        if not values:
            valid = [key for key, leaf in leaves(content) if is_number(leaf)]
            raise Missing(f"{self.file} has no {self.key!r}.{instead(self.key, valid, 'numbers')}")
        if not numbers:
            raise Missing(f"it is no number: {json.dumps(values[0])[:40]}")
        return {self.key: _the_one(numbers)}

    def all(self, place: Place) -> tuple[dict[str, float], dict[str, str]]:
        """Return all numbers that there are; and why others, by their names, are none."""
        return all_of(self._content(place.file(self.file)))

    def _content(self, path: Path) -> Any:
        limit = _LARGEST_OF_ALL if self.key == ALL else _LARGEST
        if path.stat().st_size > limit:
            raise Missing(f"{self.file} has more than {limit >> 20} MB")
        try:
            return json_numbers.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise Missing(f"{self.file} is no JSON: {error}") from None


def all_of(content: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Return the numbers among what nested mappings hold, by their dotted names; and why others are none."""
    values: dict[str, list[float]] = {}
    length = 0
    try:
        for name, value in leaves(content):
            length += len(name)
            if length > _LONGEST_NAMES:
                raise Missing(f"the names in it have more than {_LONGEST_NAMES >> 20} MB")
            if name and is_number(value):
                values.setdefault(name, []).append(value)
    except RecursionError:
        raise Missing("it is too deeply nested") from None
    found: dict[str, float] = {}
    problems: dict[str, str] = {}
    for name, several in values.items():
        try:
            found[name] = _the_one(several)
        except (Missing, OverflowError) as error:
            problems[name] = why_not(error)
    return found, problems


def _the_one(numbers: list[float]) -> float:
    """Return the number that is meant by a name under which these stand; Missing if it can't be told."""
    values = [json_numbers.as_float(number) for number in numbers]
    if len(set(map(repr, values))) > 1:  # NaN is the same as NaN
        raise Missing("names with dots and nested ones come to the same, with different numbers: which one is meant?")
    return values[0]


def _at(content: Any, key: str) -> Iterator[Any]:
    """Yield the values at a dotted key; a name may have dots in it itself, and the one that is the key wins."""
    if not isinstance(content, dict):
        return
    if key in content:
        yield content[key]
        return
    for dot in re.finditer(r"\.", key):
        yield from _at(content.get(key[: dot.start()]), key[dot.end() :])
