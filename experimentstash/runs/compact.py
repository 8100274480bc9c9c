"""Mappings of which there are very many with the same names: the names are kept once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Compact(Mapping[str, Any]):
    """A mapping that can't be changed."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: Mapping[str, int], values: tuple[Any, ...]) -> None:
        self._places, self._values = places, values

    def __getitem__(self, name: str) -> Any:
        return self._values[self._places[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._values)


class Compactor:
    """Makes mappings compact, those with the same names in the same order together; texts in them are kept once.

    But for the one by the name ``unlike``, which is another one in each.
    """

    def __init__(self, unlike: str | None = None) -> None:
        self._unlike = unlike
        self._places: dict[tuple[str, ...], dict[str, int]] = {}
        self._texts: dict[str, str] = {}

    def compact(self, content: Mapping[str, Any]) -> Compact:
        """Return the same mapping."""
        names = tuple(content)
        places = self._places.get(names)
        if places is None:
            places = self._places[names] = {name: place for place, name in enumerate(names)}
        values = (
            self.text(each) if type(each) is str and name != self._unlike else each for name, each in content.items()
        )
        return Compact(places, tuple(values))

    def text(self, text: str) -> str:
        """Return the same text."""
        return self._texts.setdefault(text, text)
