"""How Python is told what the command line says on stderr: by warnings. Nothing is printed here."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base import output
from experimentstash.stash.layout import Stash, find_stash

Place = str | os.PathLike[str]


class StashWarning(UserWarning):
    """Something that a person should know of runs, such as a record that can't be read."""


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Have what is said meanwhile be a warning to whoever called the function that is called by the user."""
    with output.heard() as messages:
        yield
    for message in messages:
        tell(message, above=3)  # two of them are of contextlib


def tell(message: str, *, above: int = 1) -> None:
    """Warn whoever called the function that this is called from, or those above it."""
    warnings.warn(message, StashWarning, stacklevel=2 + above)


def stash_at(place: Place | None) -> Stash:
    """Return the stash that a path, or else the working directory, is in."""
    return find_stash(None if place is None else Path(place))
