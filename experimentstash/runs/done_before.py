"""Runs that need not be done again: which have completed, by their signatures, and which count for jobs of a sweep."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.record import archives, records, run_places, sweep_list
from experimentstash.record.run import Run, State
from experimentstash.runs import listing
from experimentstash.stash.layout import Stash

# Enough to tell which records are worth reading, of those that no index knows: of 10,000 that takes a second or so.
_SIGNATURE = regex(rb'"signature": "(sha256:[0-9a-f]{64})"')


def by_signature(stash: Stash) -> Mapping[str, list[Path]]:
    """Return the directories of the runs that have completed, by their signatures."""
    from experimentstash.runs.index import Completed  # here, because few launches ask

    found: dict[str, list[Path]] = defaultdict(list)
    known = Completed(stash)
    for directory in run_places.directories(stash, passing=known.passing):
        try:
            content = archives.read(directory / records.FILE_NAME)
        except OSError:  # who shows runs says so
            continue
        signature = _SIGNATURE.search(content)
        if signature is not None and listing.may_have_completed(content):
            found[signature[1].decode()].append(directory)
    for each, directory in known.found:
        found[each].append(directory)
    return found


def completed(directory: Path) -> Run | None:
    """Return the run in a directory if it has completed; None if not, if nobody can tell, or if its files are gone."""
    try:
        run = records.read(directory)
    except StashError:
        return None
    return run if run.attempt.state is State.COMPLETED and run.removed is None else None


def of_sweep(stash: Stash, sweep: Path, known: Mapping[int, Run] | None = None) -> dict[int, Run]:
    """Return the earlier runs that count as jobs of a sweep, by the jobs' numbers, as far as they are there.

    Those that are ``known`` aren't read again.
    """
    return {**dict(_found(stash, sweep, known or {})), **(known or {})}


def and_own(stash: Stash, sweep: Path, own: Sequence[Run]) -> tuple[list[Run], frozenset[str]]:
    """Return the runs of a sweep and the earlier ones that count as jobs of it, in their order; and the ids of those.

    Where a job has a run of its own, that one counts.
    """
    numbers = {run.spec.job for run in own}
    earlier = {number: run for number, run in of_sweep(stash, sweep).items() if number not in numbers}
    return in_order(own, earlier), frozenset(run.id for run in earlier.values())


def gone(stash: Stash, sweep: Path, own: Iterable[int | None] = ()) -> dict[int, str]:
    """Return the ids of earlier runs that counted as jobs of a sweep and don't any more: removed, or begun anew.

    By the jobs' numbers; jobs that have runs of their ``own`` lack nothing.
    """
    there, numbers = of_sweep(stash, sweep), set(own)
    noted = sweep_list.earlier(sweep).items()
    return {number: each.id for number, each in sorted(noted) if number not in there and number not in numbers}


def in_order(own: Sequence[Run], earlier: Mapping[int, Run]) -> list[Run]:
    """Return the runs of a sweep and those that count as further jobs of it, by the jobs' numbers."""
    numbered = [*((run.spec.job, run) for run in own), *earlier.items()]
    return [run for _, run in sorted(numbered, key=lambda each: -1 if each[0] is None else each[0])]


def _found(stash: Stash, sweep: Path, known: Mapping[int, Run]) -> Iterator[tuple[int, Run]]:
    for number, each in sorted(sweep_list.earlier(sweep).items()):
        if number in known:
            continue
        run = completed(Path(os.path.normpath(stash.root / each.directory)))
        if run is not None and run.id == each.id:
            yield number, run
