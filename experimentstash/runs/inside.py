"""Files of runs and sweeps, by what they are called below its directory."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.text import listed
from experimentstash.record import archives
from experimentstash.record.run import Run
from experimentstash.runs.naming import Sweep

# Names that an error lists at most.
_LISTED = 20


def path_of(found: Run | Sweep, file: str | None = None) -> Path:
    """Return the directory of a run or a sweep, or a file in it; StashError for none, or for a link that leads out."""
    directory = found.path if isinstance(found, Run) else found.directory
    if file is None:
        return directory
    name = found.id if isinstance(found, Run) else found.name
    if not file or os.path.isabs(file) or ".." in Path(file).parts:
        raise StashError(f"{file!r} is not in the directory of {name}.", f"experimentstash path {name}")
    archives.refuse(directory, name)
    path = directory / file
    if not Path(target := os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise StashError(f"{file} of {name} is a link that leads out of its directory, to {target}.")
    if os.path.lexists(path):
        return path
    if isinstance(found, Run) and found.removed is not None:
        raise StashError(f"The files of {name} were removed, {file} with them.", f"experimentstash show {name}")
    folder = next(each for each in path.parents if each.is_dir())
    there = sorted(os.listdir(folder)) if folder.is_relative_to(directory) else []
    raise StashError(
        f"{name} has no {file}.{did_you_mean(path.name, there)}\n"
        f"In {os.path.relpath(folder, directory.parent)}: {listed(there, _LISTED) or 'nothing'}"
    )
