"""Values that differ, as texts that differ: `16` and `'16'`, as YAML writes them, but only where it takes that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from experimentstash.runs.differing import NOTHING, identity, said

# What is shown in the place of a value that a run hasn't; the page's scripts know it.
ABSENT = "–"


class Apart:
    """How the values of a column are written."""

    def __init__(self, values: Iterable[Any]) -> None:
        known: dict[str, set[Any]] = {ABSENT: {identity(NOTHING)}}
        for value in values:
            known.setdefault(_plain(value), set()).add(identity(value))
        self._alike = {text for text, several in known.items() if len(several) > 1}

    def __call__(self, value: Any) -> Any:
        """Return a value as it is, but for a text that looks like another value, and for what a run hasn't."""
        if isinstance(value, str):
            # What is in quotes itself would look like such a text.
            is_alike = value in self._alike or (bool(self._alike) and value.startswith("'"))
            return "'" + value.replace("'", "''") + "'" if is_alike else value
        return ABSENT if value is NOTHING else value


def _plain(value: Any) -> str:
    return ABSENT if value is NOTHING else said(value)
