"""What is looked for once only."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Found = TypeVar("_Found")


class Once:
    """Has what was found when something was first looked for, by its key."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, look: Callable[[], _Found]) -> _Found:
        """Return what a look has found, or finds now."""
        if key not in self._found:
            self._found[key] = look()
        found: _Found = self._found[key]
        return found
