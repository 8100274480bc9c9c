"""Runs as their records were kept, with the places of here."""

from __future__ import annotations

from pathlib import Path

from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.publish.frozen import RECORD, FrozenRun
from experimentstash.publish.places import unmarked_tree
from experimentstash.record import decoding
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash


def run_of(stash: Stash, kept: FrozenRun, place: Path, directory: Path) -> Run:
    """Return a run that is kept in ``place`` as if its directory were another; StashError if it makes no sense."""
    try:
        data = typed.loads(files.read_regular(place / kept.folder / RECORD))
        return replace(decoding.build(unmarked_tree(data, stash, directory)), directory=str(directory))
    except (OSError, ValueError) as error:
        raise StashError(f"The record of {kept.id} makes no sense: {error}.") from error
