"""Which runs a task of a job array executes, and so which runs share a job: what the array's tasks file says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base import typed
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular, write_atomically
from experimentstash.record.records import Run

# A large sweep has a long list.
_MOST_BYTES = 256 << 20
# In a sweep's directory: what has to do with its jobs.
FOLDER = ".slurm"
_TASKS = typed.checker("list[list[str]]", typed.BASIC)


def write(array: Path, tasks: Sequence[Sequence[Run]]) -> None:
    """Write the tasks file of an array: for each task the directories of its runs, in their order."""
    write_atomically(array, json.dumps([[run.directory for run in task] for task in tasks], indent=0) + "\n")


def read(array: Path, task: int) -> list[Path]:
    """Return the directories of the runs that a task executes; StashError if the file doesn't say."""
    try:
        listed = typed.loads(read_regular(array, _MOST_BYTES))
        return [Path(typed.path(directory, str(task))) for directory in _TASKS(listed, "")[task]]
    except (OSError, ValueError, LookupError) as error:
        raise StashError(
            f"{array} doesn't say what the task {task} is to do: {error}", "submit its runs again"
        ) from error


def is_of(run: Run, array: Path) -> bool:
    """Tell whether a file with tasks may be one of a run's: that of its own sweep, or one that names it."""
    if array.parent.name != FOLDER or array.suffix != ".json":
        return False
    if run.path.is_relative_to(array.parent.parent):
        return True
    try:
        here = run.path.resolve()  # it may have been submitted by another of its names
        return run.queued is not None and any(each.resolve() == here for each in read(array, run.queued.task))
    except StashError:
        return False


def others(run: Run) -> list[Path]:
    """Return the directories of the runs that share the job of one that was given to SLURM; StashError as ``read``."""
    if run.queued is None:
        return []
    together = read(Path(run.queued.array), run.queued.task)
    here = run.path.resolve()  # it may have been submitted by another of its names
    return [directory for directory in together if directory.resolve() != here]
