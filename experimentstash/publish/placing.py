"""frozen/NAME appears as a whole, or not at all: it is made beside, and put into its place at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.interrupts import signals_as_exceptions, undisturbed
from experimentstash.publish import frozen
from experimentstash.stash.layout import Stash

# What goes into git, and comes out of it, byte by byte, whatever else is said of such names.
ATTRIBUTES = b"* -text -ident -filter -working-tree-encoding\n"
_DRAFT = ".part"
_LOCK = "runs.freeze"  # as no tool is called


@contextlib.contextmanager
def new(stash: Stash, name: str, other_name: str) -> Iterator[Path]:
    """Yield where frozen/NAME is to be made; it gets there at the end, and nothing is if that goes wrong.

    StashError, that says how to get ``other_name``, if something is there already.
    """
    place = frozen.folder_of(stash, name)
    if os.path.lexists(place):
        raise StashError(
            f"{stash.relative(place)} is there already, and what is frozen stays as it is.",
            f"{other_name}, or remove it first: rm -r {stash.relative(place)}",
        )
    draft = place.with_name(f".{name}{_DRAFT}")
    busy = StashError("Another command freezes runs just now.", "wait until it has ended")
    with files.locked_at_once(stash.lock(_LOCK), busy), signals_as_exceptions(), _removed_unless_done(draft):
        for left in place.parent.glob(f".*{_DRAFT}"):  # by ones that were killed
            files.remove(left)
        yield draft
        step("before frozen runs are in place")
        os.rename(draft, place)


def begin(folder: Path) -> None:
    """Make the directory in which the files will be."""
    files.make_directory(folder)
    files.write(folder / frozen.ATTRIBUTES, ATTRIBUTES)


@contextlib.contextmanager
def _removed_unless_done(draft: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with undisturbed(), contextlib.suppress(OSError):
            files.remove(draft)
            draft.parent.rmdir()
        raise
