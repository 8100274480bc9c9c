"""A job array of a scheduler's, as we keep it: which runs its tasks execute, and the scheduler's id of it.

The tasks are listed in a file in the sweep's directory; beside it, with other suffixes, stand its batch script, its id,
and since when there has been no sign of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular, write_atomically
from experimentstash.record.run import SLURM, Run

# A large sweep has a long list.
_MOST_BYTES = 256 << 20
# In a sweep's directory: what has to do with its jobs.
FOLDER = ".slurm"
_TASKS = typed.checker("list[list[str]]", typed.BASIC)
# Of the file that keeps SLURM's id of an array, beside the file that lists its tasks.
_JOB_SUFFIX = ".job"
# In that folder, the orders of jobs that build a tool before its runs: build-TOOL-KEY.json.
_ORDERS = "build-*.json"
# Of the file that keeps since when SLURM has had no sign of it.
_UNSEEN_SUFFIX = ".unseen"


@dataclass(frozen=True)
class Job:
    """A job of a scheduler's: its id (of a task of an array ARRAY_TASK), and the cluster that has it, if known."""

    id: str
    cluster: str | None = None
    scheduler: str = SLURM


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
        return run.attempt.queued is not None and any(
            each.resolve() == here for each in read(array, run.attempt.queued.task)
        )
    except StashError:
        return False


def others(run: Run) -> list[Path]:
    """Return the directories of the runs that share the job of one that was given to SLURM; StashError as ``read``."""
    if run.attempt.queued is None:
        return []
    together = read(Path(run.attempt.queued.array), run.attempt.queued.task)
    here = run.path.resolve()  # it may have been submitted by another of its names
    return [directory for directory in together if directory.resolve() != here]


def submitted(array: Path) -> Job | None:
    """Return the job array whose tasks the file ``array`` lists; None until SLURM has accepted it."""
    try:
        known = read_regular(array.with_suffix(_JOB_SUFFIX)).decode()
    except (OSError, ValueError):
        return None
    job, _, cluster_name = known.strip().partition(" ")
    return Job(job, cluster_name or None) if job.isdecimal() else None


def note_submitted(array: Path, job: Job) -> None:
    """Keep what ``submitted`` returns."""
    write_atomically(array.with_suffix(_JOB_SUFFIX), f"{job.id} {job.cluster or ''}\n")


def forget_submitted(array: Path) -> None:
    """Keep no more what ``submitted`` returns."""
    with contextlib.suppress(FileNotFoundError):
        array.with_suffix(_JOB_SUFFIX).unlink()


def builds(sweep: Path) -> dict[Path, list[Path]]:
    """Return the orders of builds that were submitted for a sweep, with the directories of the runs that wait."""
    found = {}
    for order in sorted((sweep / FOLDER).glob(_ORDERS)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            listed = typed.loads(read_regular(order, _MOST_BYTES))["runs"]
            found[order] = [Path(typed.path(each, "runs")) for each in listed]
    return found


def unseen_for(array: Path) -> float:
    """Return for how many seconds whoever looked has found no sign of an accepted array, this time included.

    Always 0 for who isn't its owner: some clusters show their jobs to nobody else.
    """
    note = array.with_suffix(_UNSEEN_SUFFIX)
    try:
        if os.getuid() not in (0, array.with_suffix(_JOB_SUFFIX).stat().st_uid):
            return 0.0
        return max(0.0, time.time() - float(read_regular(note)))
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            write_atomically(note, f"{time.time()}\n")
        return 0.0


def note_seen(array: Path) -> None:
    """Forget that there was no sign of an array."""
    with contextlib.suppress(OSError):
        array.with_suffix(_UNSEEN_SUFFIX).unlink()


def script_of(array: Path) -> Path:
    """Return the batch script that an array was submitted with."""
    return array.with_suffix(".sh")
