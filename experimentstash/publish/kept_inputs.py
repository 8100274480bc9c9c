"""Copies of inputs that came with an archive, and how they get to where runs read them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.publish import frozen
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import FrozenRun, Input
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

_HASH = 16


def name_of(given: Input) -> str:
    """Return what the copy of an input is called in frozen/NAME: the same for all files in which there is the same."""
    return f"{frozen.INPUTS}/{given.content.sha256[:_HASH]}/{given.path.rpartition('/')[2]}"


def target_of(stash: Stash, given: Input) -> Path | None:
    """Return where the copy of an input belongs; None if that isn't for us to write.

    It is outside then, hidden, or among what the stash itself reads: others may have said so.
    """
    parts = given.path.split("/")
    if not frozen.is_inside(given.path) or parts[0] == paths.CONF or any(each.startswith((".", "⟨")) for each in parts):
        return None
    return stash.root / given.path


def can_be_brought(stash: Stash, place: Path, given: Input) -> bool:
    """Tell whether nothing is where an input belongs, and a copy of it is at hand."""
    target, copy = target_of(stash, given), place / name_of(given)
    if target is None or os.path.lexists(target):
        return False
    with contextlib.suppress(OSError):
        return content_of(files.inside(place, copy)) == given.content
    return False


def where_else(stash: Stash, place: Path, given: Input) -> str:
    """Return the end of a sentence about an input that isn't as it was: where a copy of it is, if there is one."""
    copy = place / name_of(given)
    return f"; {stash.relative(copy)} is a copy of it" if os.path.isfile(copy) else ""


def bring(stash: Stash, kept: FrozenRun, place: Path, announce: Callable[[str], None]) -> None:
    """Copy the inputs of a kept run to where it reads them, if nothing is there."""
    for given in kept.inputs:
        if not can_be_brought(stash, place, given):
            continue
        target = files.inside(stash.root, stash.root / given.path)
        announce(f"Bringing the input {given.path}, which came with what is frozen …")
        files.make_directory(target.parent)
        try:
            with (
                files.replacing(target) as stream,
                open(place / name_of(given), "rb", opener=files.open_regular) as source,
            ):
                while part := source.read(1 << 20):
                    stream.write(part)
        except OSError as error:
            raise StashError(f"{stash.relative(target)} can't be written: {error.strerror}.") from error
