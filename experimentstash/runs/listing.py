"""The runs of a stash. Their run.json files are all there is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.record import records, run_places, times
from experimentstash.record.run import Run
from experimentstash.runs.reconcile import load_reconciled, tell
from experimentstash.stash.layout import Stash

# As we write it; it may stand elsewhere in a record, too.
_COMPLETED = b'"state": "completed"'


def directories(stash: Stash) -> Iterator[Path]:
    """Yield the directories of all runs, in no order."""
    yield from run_places.directories(stash)


def folders(stash: Stash, root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield what `os.walk` does below a place for runs, but nothing inside of runs; other folders can be taken out."""
    for folder, below, names in os.walk(root):
        yield Path(folder), below, names
        if records.FILE_NAME in names and Path(folder) not in stash.run_roots:
            below.clear()


def may_have_completed(record: bytes) -> bool:
    """Tell whether a record is worth reading for who looks for completed runs: of thousands that is quick."""
    return _COMPLETED in record


def all_runs(stash: Stash, unread: list[Path] | None = None, *, closes: bool = True) -> list[Run]:
    """Return all runs, newest first, reconciled. Of a record that can't be read one line is said, and all else goes on.

    The directories with such records are added to ``unread``. Unless it ``closes`` records, runs are as they say, and
    no scheduler is asked.
    """
    found = []
    queries = JobQueries()
    for directory in directories(stash):
        try:
            found.append(load_reconciled(stash, directory, queries) if closes else records.read_ended(directory))
        except (StashError, OSError) as error:
            say(str(error).partition("\n")[0])
            if unread is not None:
                unread.append(directory)
    tell(queries)
    return newest_first(found)


def newest_first(found: Iterable[Run]) -> list[Run]:
    """Return runs in the order in which people look for them."""

    def age(run: Run) -> tuple[float, str]:
        return times.moment(run.created) if run.created else 0.0, run.directory

    return sorted(found, key=age, reverse=True)


def superseded(stash: Stash) -> list[Run]:
    """Return the earlier tries of runs that were begun anew when their sweeps were continued."""
    below = run_places.directories(stash, superseded=True)
    return list(records.readable(path for path in below if records.ASIDE in path.parts))


def is_of_sweep(run: Run, sweep: Path) -> bool:
    """Tell whether a run is one of the sweep in a directory, which has no links in its path."""
    return run.sweep is not None and Path(run.sweep).resolve() == sweep
