"""Removing runs, or all of them but their records: only what is theirs, and none that may still be at work.

A directory that goes is renamed first: whatever is interrupted then, nothing half removed looks like a run. Of a run
whose record is kept that says first that the rest is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity
from experimentstash.adapters.schedulers import JobQueries
from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.text import listed
from experimentstash.code import copies
from experimentstash.record import added, archives, job_array, records, run_places, times
from experimentstash.record.run import Run
from experimentstash.runs import listing, reconcile, whereabouts
from experimentstash.stash.layout import Stash, known_id, new_token

# What a directory is called while it is removed: hidden, so that nothing in it is taken for a run.
ASIDE = ".removing-"
# What we, and Hydra's launchers, leave in a sweep's directory beside its runs.
_OF_SWEEPS = {
    records.SWEEP_FILE,
    records.JOBS_FILE,
    records.EARLIER_FILE,
    records.LOCK,
    records.ASIDE,
    job_array.FOLDER,
    ".submitit",
}
# Seconds that preparing a run may take: what is so much older than it was there before.
_PREPARING = 3600.0
_NAMED = 3
_LOCK = "runs.remove"  # as no tool is called, whose locks lie there, too


@dataclass(frozen=True)
class Removable:
    """A run that can be removed, and what goes with it."""

    run: Run
    size: int  # bytes that are free then
    wandb: tuple[Path, ...] = ()  # its W&B runs outside its directory
    unsynced: tuple[str, ...] = ()  # the names of those W&B runs, wherever they are, that have not been sent
    is_archived: bool = False
    archive: Path | None = None  # of the whole sweep, which goes with its last run


@dataclass(frozen=True)
class Refused:
    """A run that stays, and why."""

    run: Run
    why: str
    hint: str | None = None


def look(stash: Stash, chosen: Sequence[Run]) -> tuple[list[Removable], list[Refused]]:
    """Return which of these runs can be removed, and which can't.

    With all runs of a sweep go the earlier tries that were kept when it was continued.
    """
    queries, at_work = JobQueries(), dict[Path, bool]()
    found, refused = _in_archives(chosen)
    in_archives = {each.run.directory for each in found} | {each.run.directory for each in refused}
    for run in _with_earlier_tries([run for run in chosen if run.directory not in in_archives]):
        why = why_at_work(run, queries) or _why_not_its_sweep(run, at_work)
        if why is None:
            _, size, elsewhere = files.measure(run.path)
            why = Refused(run, f"{elsewhere} lies on another file system") if elsewhere else _why_not_all(stash, run)
        if why is not None:
            refused.append(why)
            continue
        wandb, more = _wandb_of(run)
        found.append(Removable(run, size + more, wandb, unsynced(run)))
    return found, refused


def unsynced(run: Run) -> tuple[str, ...]:
    """Return the names of a run's W&B runs, wherever they are, that have not been sent."""
    found = wandb_runs.find(run.path, _wandb_elsewhere(run, run.path))
    return tuple(each.name for each in found if not each.is_synced)


def _wandb_elsewhere(run: Run, directory: Path) -> list[str]:
    """Return the W&B runs that are the run's outside its directory, where that is now; a copy of a run has none."""
    return [] if _is_copy(run, directory) else wandb_places.claimed(run.wandb_elsewhere, run.id)


def _is_copy(run: Run, directory: Path) -> bool:
    """Tell whether a directory isn't the one in which a run was made: what it has elsewhere may be the original's."""
    with contextlib.suppress(OSError):  # it is in an archive
        return run.inode not in (None, os.stat(directory).st_ino)
    return False


def _wandb_of(run: Run) -> tuple[tuple[Path, ...], int]:
    """Return a run's W&B runs outside its directory, and how many bytes are free once they have gone."""
    found = tuple(map(Path, _wandb_elsewhere(run, run.path)))
    return found, sum(files.measure(folder)[1] for folder in found)


def remove(stash: Stash, removable: Removable, *, keep_record: bool = False) -> None:
    """Remove a run; StashError if it can't be removed by now. Interrupted, it can be called again."""
    with files.locked(stash.lock(_LOCK)):
        try:
            if archives.holding(removable.run.path) is None:
                _remove(stash, removable.run, keep_record)
            else:
                _remove_archived(stash, removable, keep_record)
        except OSError as error:
            what = f"{error.filename}: {error.strerror}"
            raise StashError(f"{removable.run.id} could not be removed: {what}.") from error


def _remove_archived(stash: Stash, removable: Removable, keep_record: bool) -> None:
    """Remove what an archived run has elsewhere and, of the last one of its sweep, the archive."""
    if keep_record or not removable.is_archived:
        archives.refuse(removable.run.path, f"The run {removable.run.id}")
    _remove_elsewhere(removable.run, removable.run.path)
    if removable.archive is not None:
        archives.forget()
        os.unlink(removable.archive)
        run_places.forget(stash, archives.directory_of(removable.archive))


def _remove(stash: Stash, chosen: Run, keep_record: bool) -> None:
    with _held(stash, chosen) as run:
        if keep_record:
            run.removed = run.removed or times.now()
            records.write(run)
        else:
            aside = run.path.with_name(f"{ASIDE}{new_token()}")
            os.rename(run.path, aside)
        step("nothing looks whole")
    if keep_record:
        _empty(run)
        _remove_elsewhere(run, run.path)
    else:
        _finish(aside, run)
        _tidy(stash, run)
        for place in (run.path, Path(run.sweep or run.path)):
            run_places.forget(stash, place)


def leftovers(stash: Stash) -> Iterator[Path]:
    """Yield what is left of removals that were interrupted."""
    for root in run_places.roots(stash):
        for folder, below, _ in listing.folders(stash, root):
            yield from (folder / name for name in below if name.startswith(ASIDE))
            below[:] = [name for name in below if not name.startswith(ASIDE)]


def finish(stash: Stash, aside: Path) -> None:
    """Finish a removal that was interrupted."""
    with files.locked(stash.lock(_LOCK)):
        run = None
        with contextlib.suppress(StashError):  # of a sweep, or so far along that the record has gone
            run = records.read(aside)
        if files.kind_at(aside) == "a directory":
            _finish(aside, run)
            if run is not None:
                _tidy(stash, run)


def _finish(aside: Path, run: Run | None) -> None:
    if run is not None:
        _remove_elsewhere(run, aside)
    for name in os.listdir(aside):
        if name != records.FILE_NAME:  # which tells what else is to go
            files.remove(aside / name)
            step("removed")
    files.remove(aside)


def _remove_elsewhere(run: Run, directory: Path) -> None:
    for folder in _wandb_elsewhere(run, directory):
        if files.kind_at(folder) == "a directory":
            files.remove(Path(folder))
            step("a W&B run is removed")
    if run.apart is not None and not _is_copy(run, directory):
        copies.remove(run)


def _empty(run: Run) -> None:
    """Remove all files of a run but its record, and what that can't do without."""
    checkouts = (run.spec.stash, run.spec.code)
    kept = {records.FILE_NAME, added.FILE_NAME, *(code.patch for code in checkouts if code is not None)}
    for name in os.listdir(run.path):
        if name not in kept:
            files.remove(run.path / name)
            step("removed")


def _tidy(stash: Stash, run: Run) -> None:
    """Remove directories that were there for the run alone: of a sweep, unless something of the user's is in it."""
    place, sweep = run.path.parent, _sweep_of(run)
    with contextlib.suppress(OSError):
        if sweep is not None and run.path.is_relative_to(sweep):
            while place != sweep and place.is_relative_to(sweep):
                place.rmdir()
                place = place.parent
            with os.scandir(sweep) as entries:
                if any(entry.name not in _OF_SWEEPS for entry in entries):
                    return
            if next(_runs_in(sweep), None) is not None:
                return
            lock = files.lock_if_free(sweep / records.LOCK)
            if lock is None:
                return
            try:
                aside = sweep.with_name(f"{ASIDE}{new_token()}")
                os.rename(sweep, aside)
            finally:
                os.close(lock)
            _finish(aside, None)
            place = sweep.parent
        while any(root in place.parents for root in stash.run_roots):
            place.rmdir()
            place = place.parent


def _runs_in(sweep: Path) -> Iterator[Path]:
    return records.directories(sweep, superseded=True)


@contextlib.contextmanager
def _held(stash: Stash, run: Run) -> Iterator[Run]:
    """Yield a run as it is by now, while nobody takes it up again; StashError if somebody has."""
    with contextlib.ExitStack() as stack:
        sweep = _sweep_of(run)
        if sweep is not None:
            busy = StashError(f"{run.id} was not removed: a command is at work on its sweep.")
            stack.enter_context(files.locked_at_once(sweep / records.LOCK, busy))
        stack.enter_context(reconcile.undisturbed(stash))
        now = records.read(run.path)
        why = why_at_work(now, JobQueries())
        if why is not None or (now.id, now.created, now.attempt.number) != (run.id, run.created, run.attempt.number):
            raise StashError(f"{run.id} was not removed: {'it is another one by now' if why is None else why.why}.")
        yield now


# --- what stays ------------------------------------------------------------------------------------------------------


def _with_earlier_tries(chosen: Sequence[Run]) -> list[Run]:
    """Return runs and, where all runs of a sweep are among them, the earlier tries that are kept in its directory."""
    named = {run.path.resolve() for run in chosen}
    whole = list(chosen)
    for sweep in dict.fromkeys(sweep for run in chosen if (sweep := _sweep_of(run)) is not None):
        inside = list(_runs_in(sweep))
        kept = [path for path in inside if records.ASIDE in path.relative_to(sweep).parts]
        if kept and all(path.resolve() in named for path in inside if path not in kept):
            whole += [run for run in records.readable(kept) if run.path.resolve() not in named]
    return whole


def _in_archives(chosen: Sequence[Run]) -> tuple[list[Removable], list[Refused]]:
    """Return the archived ones among runs, of sweeps that are among them as a whole; and those that have to stay."""
    several: dict[Path, list[Run]] = {}
    refused = []
    for run in chosen:
        archive = archives.holding(run.path)
        if archive is not None:
            several.setdefault(archive, []).append(run)
        elif run.sweep is not None and (archive := archives.of_sweep(Path(run.sweep))) is not None:
            why = f"its sweep has an archive, too, {archive}: making or restoring that was interrupted"
            refused.append(Refused(run, why, archives.restoring(archive)))
    found = []
    for archive, runs in several.items():
        lacking = set(archives.directories(archive)) - {run.path for run in runs}
        if lacking or os.path.lexists(archives.directory_of(archive)):
            why = f"it is archived, in {archive}"
            refused += [Refused(run, why, archives.restoring(archive)) for run in runs]
            continue
        sizes = archives.sizes(archive)
        kept = list(records.readable(set(archives.directories(archive, superseded=True)) - {run.path for run in runs}))
        for each in (*kept, *runs):
            wandb, more = _wandb_of(each)
            size = sizes.get(each.path, 0) + more
            found.append(Removable(each, size, wandb, (), True, archive if each is runs[-1] else None))
    return found, refused


def _sweep_of(run: Run) -> Path | None:
    """Return the directory of a run's sweep, if that is there."""
    return Path(run.sweep) if run.sweep is not None and os.path.isdir(run.sweep) else None


def why_at_work(run: Run, queries: JobQueries) -> Refused | None:
    """Return why a run may be at work, or be taken up again."""
    if (why := whereabouts.unknowable(run)) is not None:
        return Refused(run, why)
    if not run.attempt.state.is_final:
        return Refused(run, f"it is {run.attempt.state.value}", f"experimentstash cancel {run.id}")
    if reconcile.may_go_back(run, queries):
        return Refused(run, "its job may go back into the queue", f"experimentstash cancel {run.id}")
    supervisor = run.attempt.supervisor
    if (
        supervisor is not None
        and whereabouts.is_local(run)
        and procfs.is_alive(Identity(supervisor.pid, supervisor.start_time))
        and whereabouts.is_supervised_by(run, supervisor.pid)
    ):
        return Refused(
            run, f"process {supervisor.pid}, which executed it, is still at work", "try again when it has ended"
        )
    return None


def _why_not_its_sweep(run: Run, known: dict[Path, bool]) -> Refused | None:
    sweep = _sweep_of(run)
    if sweep is None:
        return None
    if sweep not in known:
        known[sweep] = files.is_locked(sweep / records.LOCK)
    return Refused(run, "a command is at work on its sweep", "try again when it has ended") if known[sweep] else None


def _why_not_all(stash: Stash, run: Run) -> Refused | None:
    """Return what in a run's directory isn't the run's, so that it can't go as a whole."""
    path, root = run.path, stash.root.resolve()
    if (kind := files.kind_at(path)) != "a directory":
        return Refused(run, f"{path} is {kind}", f"name the directory itself: {os.path.realpath(path)}")
    if root.is_relative_to(path.resolve()):
        return Refused(run, "the stash itself lies in its directory")
    if known_id(path) is not None:
        return None
    # Its directory was somebody's choice, who may have had other things in it.
    others = [each for each in records.directories(path, superseded=True, within=True) if each != path]
    if others:
        return Refused(run, f"there are other runs in its directory: {listed([*map(str, others)], _NAMED)}")
    older = [os.path.relpath(each, path) for each in itertools.islice(_older(path, run.created), _NAMED + 1)]
    if older:
        return Refused(
            run,
            f"in its directory {path} lies what was there before it: {listed(older, _NAMED)}",
            "move that away first",
        )
    return None


def _older(path: Path, created: str | None) -> Iterable[Path]:
    """Return what in a directory hasn't changed, by its name or its content, since long before a run was made there."""
    if created is None:
        return
    since = times.moment(created) - _PREPARING
    for folder, folders, names in os.walk(path):
        for name in [*folders, *names]:
            each = Path(folder, name)
            with contextlib.suppress(FileNotFoundError):
                if each.lstat().st_ctime < since:
                    yield each
