"""Numbers under keys of JSON files."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from experimentstash.adapters.numbers.place import ALL, FILE_NAME, Missing, Place, instead
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
        content = self._content(place.file(self.file))
        if self.key == ALL:
            return all_of(content)
        try:
            value = _at(content, self.key)
        except KeyError:
            valid = [key for key, leaf in leaves(content) if is_number(leaf)]
            raise Missing(f"{self.file} has no {self.key!r}.{instead(self.key, valid, 'numbers')}") from None
        if not is_number(value):
            raise Missing(f"it is no number: {json.dumps(value)[:40]}")
        return {self.key: float(value)}

    def _content(self, path: Path) -> Any:
        limit = _LARGEST_OF_ALL if self.key == ALL else _LARGEST
        if path.stat().st_size > limit:
            raise Missing(f"{self.file} has more than {limit >> 20} MB")
        try:
            return json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise Missing(f"{self.file} is no JSON: {error}") from None


def all_of(content: Any) -> dict[str, float]:
    """Return the numbers among what nested mappings hold, by their dotted names."""
    found: dict[str, float] = {}
    length = 0
    try:
        for name, value in leaves(content):
            length += len(name)
            if length > _LONGEST_NAMES:
                raise Missing(f"the names in it have more than {_LONGEST_NAMES >> 20} MB")
            if name and is_number(value):
                found[name] = _as_float(value)
    except RecursionError:
        raise Missing("it is too deeply nested") from None
    return found


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if number > 0 else -math.inf


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
