"""Marks for the places that differ between machines, people and runs, in what is kept of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experimentstash.base.path_names import named
from experimentstash.stash.layout import Stash

_RUN, _STASH, _HOME = "⟨run⟩", "⟨stash⟩", "⟨home⟩"


def marks(stash: Stash, run: Path | str) -> dict[str, str]:
    """Return the places of a run that get marks, the longest first, each with its mark."""
    found: dict[str, str] = {}
    home = os.path.expanduser("~")
    for place, mark in ((str(run), _RUN), (str(stash.root), _STASH), (home, _HOME)):
        for each in (place, os.path.realpath(place)):
            if os.path.isabs(each) and each != "/":
                found.setdefault(each, mark)
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def marked(text: str, places: Mapping[str, str]) -> str:
    """Return a text with marks for places; a longer name that only begins so stays."""
    return named(text, places)


def marked_tree(value: Any, places: Mapping[str, str]) -> Any:
    """Return plain data with marks for places in all its texts, keys included."""
    return _through(value, lambda text: marked(text, places))


def unmarked_tree(value: Any, stash: Stash, run: Path) -> Any:
    """Return plain data with the places of here."""
    return _through(value, lambda text: unmarked(text, stash, run))


def _through(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _through(each, change) for key, each in value.items()}
    return [_through(each, change) for each in value] if isinstance(value, list) else value


def unmarked(text: str, stash: Stash, run: Path) -> str:
    """Return a text with the places of here."""
    for mark, place in ((_RUN, str(run)), (_STASH, str(stash.root)), (_HOME, os.path.expanduser("~"))):
        text = text.replace(mark, place)
    return text
