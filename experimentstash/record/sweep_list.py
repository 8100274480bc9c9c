"""The list of a sweep's jobs, kept when it begins: what it is to do doesn't change while it is resumed.

Hydra makes the list anew from the overrides each time. A shuffle, or a glob over other files, is another one then.
Beside it is noted, line by line as it is found, which earlier runs count as jobs that were not run again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import open_regular, write_atomically
from experimentstash.record import archives
from experimentstash.record.records import EARLIER_FILE, JOBS_FILE
from experimentstash.record.run import Run
from experimentstash.stash.layout import as_kept

# The overrides of each job, in the batches in which a sweeper hands them to its launcher.
Batches = list[list[list[str]]]


@dataclass(frozen=True)
class Earlier:
    """A run that counts as a job which was not run again."""

    id: str
    directory: str  # relative to the stash, if it is in there


def note_earlier(stash: Path, sweep: Path, number: int, run: Run) -> None:
    """Note that a job is not run again, because that run has completed before."""
    line = json.dumps({"job": number, "run": run.id, "directory": as_kept(stash, run.path)})
    sweep.mkdir(parents=True, exist_ok=True)
    descriptor = open_regular(sweep / EARLIER_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def earlier(sweep: Path) -> dict[int, Earlier]:
    """Return which runs count as jobs of a sweep, by the jobs' numbers; what can't be read is left out."""
    found: dict[int, Earlier] = {}
    try:
        lines = archives.read(sweep / EARLIER_FILE).split(b"\n")[:-1]  # the last one may be half written
    except OSError:
        return found
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            data = typed.loads(line)
            number = typed.whole(data["job"], "job")
            found[number] = Earlier(typed.name(data["run"], "run"), typed.path(data["directory"], "directory"))
    return found


def keep(sweep: Path, batches: Sequence[Sequence[Sequence[str]]]) -> None:
    """Write the list into a sweep's directory."""
    sweep.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps([list(job) for job in batch]) for batch in batches]
    write_atomically(sweep / JOBS_FILE, "[\n" + ",\n".join(lines) + "\n]\n")


def read(sweep: Path) -> Batches:
    """Return the list of a sweep; StashError if there is none."""
    path = sweep / JOBS_FILE
    try:
        found = json.loads(archives.read(path))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not _is_list(found, 3):
        raise _unreadable(path, "it is no list of jobs")
    batches: Batches = found
    return batches


def unbegun(sweep: Path, known: int) -> int:
    """Return how many jobs a sweep has beside the ``known`` ones: none if its sweeper makes them as it goes."""
    try:
        return max(0, sum(map(len, read(sweep))) - known)
    except StashError:
        return 0


def shared(sweep: Path) -> frozenset[str]:
    """Return the overrides that all jobs of a sweep have; none if there is one job, or if it can't be told."""
    try:
        jobs = [frozenset(job) for batch in read(sweep) for job in batch]
    except StashError:
        return frozenset()
    return frozenset.intersection(*jobs) if len(jobs) > 1 else frozenset()


def _is_list(value: object, depth: int) -> bool:
    """Tell whether it is texts in lists that are so deep."""
    if depth == 0:
        return isinstance(value, str)
    return isinstance(value, list) and all(_is_list(each, depth - 1) for each in value)


def _unreadable(path: Path, why: str) -> StashError:
    return StashError(
        f"{path}, which says which jobs the sweep has, can't be read: {why}",
        "begin the sweep anew, or bring the file back",
    )
