"""Making one file of a sweep's directory, and the directory again (see `record/archives` for what reads such a file).

What is made stands under a hidden name until it has been read back and is the same. Then it gets its name, and what it
takes the place of goes. Whatever is interrupted, one of both is there, whole; `leftovers` are what is to be tidied up.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.text import listed
from experimentstash.record import added, archives, records, run_places
from experimentstash.record.run import Run
from experimentstash.runs import listing, naming, packing, reconcile, removing
from experimentstash.runs.naming import Sweep
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.runs.packing import Entry
from experimentstash.stash.layout import Stash, new_token

# What is half made, beside the sweep: an archive, or a directory.
_STAGED, _RESTORED = ".archiving-", ".restoring-"
_LOCK = "runs.archive"  # as no tool is called
_NAMED = 5
_TIDY = "experimentstash gc"


@dataclass(frozen=True)
class Archivable:
    """A sweep that can be archived."""

    sweep: Sweep
    runs: list[Run]
    entries: list[Entry]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(each.size for each in self.entries if each.kind == "file")


def look(stash: Stash, sweep: Sweep) -> Archivable:
    """Return what would be archived; StashError, with the reason, if that can't be."""
    archives.refuse(sweep.directory, f"The sweep {sweep.name}")
    unread: list[Path] = []
    runs = naming.runs_of(stash, sweep, unread)
    if unread:
        raise StashError(f"The sweep {sweep.name} can't be archived: the record in {unread[0]} can't be read.")
    with _held(sweep):
        return _looked_at(stash, sweep, runs)


def archive(stash: Stash, found: Archivable) -> Path:
    """Make an archive of a sweep in place of its directory, and return where it is."""
    directory = found.sweep.directory
    target = archives.path_for(directory)
    staged = directory.with_name(f"{_STAGED}{new_token()}")
    with _alone(stash), _told(found.sweep, "archived"), _held(found.sweep):
        now = _looked_at(stash, found.sweep, found.runs)
        try:
            sums = packing.write(directory, now.entries, staged)
            step("the archive is written")
            packing.verify(staged, now.entries, sums)
            # Nobody tags its runs, takes them up again or closes their records from here on.
            with files.locked(stash.lock(added.LOCK)), reconcile.undisturbed(stash):
                if _looked_at(stash, found.sweep, found.runs).entries != now.entries:
                    raise StashError(f"The sweep {found.sweep.name} has changed while it was read.", "try again")
                if os.path.lexists(target):
                    raise StashError(f"{target} is there already.", "move it away first")
                os.rename(staged, target)
                step("the archive is there")
                aside = directory.with_name(f"{removing.ASIDE}{new_token()}")
                os.rename(directory, aside)
                _settle(directory.parent)
                step("the directory is aside")
        finally:
            files.remove(staged)
    try:
        files.remove(aside)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}"
        raise StashError(f"{found.sweep.name} is archived; not all of it could be removed: {what}.", _TIDY) from error
    return target


def restore(stash: Stash, sweep: Sweep) -> tuple[int, int]:
    """Make the directory of an archived sweep again, and return how many files it has, and how many bytes."""
    directory, packed = sweep.directory, archives.of_sweep(sweep.directory)
    if packed is None:
        raise StashError(f"The sweep {sweep.name} is not archived.", f"experimentstash archive {sweep.name}")
    with _told(sweep, "restored"):
        sizes = [info.file_size for info in archives.members(packed).values() if archives.kind_of(info) == "a file"]
    if finish(stash, packed):  # it was about to be made, or restored, when that was interrupted
        return len(sizes), sum(sizes)
    staged = directory.with_name(f"{_RESTORED}{new_token()}")
    with _alone(stash), _told(sweep, "restored"):
        before = files.stamp(os.lstat(packed))
        try:
            packing.unpack(packed, staged)
            os.sync()  # once: of thousands of files, one by one, that takes minutes
            step("the directory is made")
            with reconcile.undisturbed(stash):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)  # an empty one is nothing to keep
                if os.path.lexists(directory):
                    raise StashError(f"{directory} is in the way.", f"move it away, or {packed}, if that is to go")
                if files.stamp(os.lstat(packed)) != before:
                    raise StashError(f"{packed} has changed while it was read.", "try again")
                os.rename(staged, directory)
                _settle(directory.parent)
                step("the directory is there")
                archives.forget()
                os.unlink(packed)
        finally:
            files.remove(staged)
    return len(sizes), sum(sizes)


def leftovers(stash: Stash) -> Iterator[Path]:
    """Yield what interrupted commands have left: half made, or an archive of a sweep whose directory is there whole."""
    if files.is_locked(stash.lock(_LOCK)):  # what is being made just now isn't left
        return
    for root in run_places.roots(stash):
        if root not in stash.run_roots and _may_be_double(archives.path_for(root)):
            yield archives.path_for(root)
        for folder, below, names in listing.folders(stash, root):
            yield from (folder / name for name in (*below, *names) if name.startswith((_STAGED, _RESTORED)))
            yield from (path for name in names if _may_be_double(path := folder / name))
            below[:] = [name for name in below if not name.startswith(".")]


def finish(stash: Stash, left: Path) -> bool:
    """Remove what was left; False if it is needed by now."""
    with _alone(stash):
        if not left.name.startswith((_STAGED, _RESTORED)) and not _is_double(left):
            return False
        archives.forget()
        files.remove(left)
    return True


def _may_be_double(path: Path) -> bool:
    """Tell whether it is an archive beside a directory with the same names: making or restoring it was interrupted."""
    if not path.name.endswith(archives.SUFFIX) or files.kind_at(path) != "a file":
        return False
    try:
        directory = archives.directory_of(path)
        found = archives.members(path)
        return bool(found) and all(os.path.lexists(directory / name) for name in found)
    except OSError:
        return False


def _is_double(path: Path) -> bool:
    """Tell whether the directory beside an archive has all that is in the archive: then that can go."""
    if not _may_be_double(path):
        return False
    directory = archives.directory_of(path)
    try:
        return all(packing.is_same(path, info, directory / name) for name, info in archives.members(path).items())
    except (StashError, OSError):
        return False


# --- what can be archived --------------------------------------------------------------------------------------------


def _looked_at(stash: Stash, sweep: Sweep, runs: Sequence[Run]) -> Archivable:
    """Return a sweep as it is now; StashError if it can't be archived."""
    directory, real = sweep.directory, sweep.directory.resolve()
    queries = JobQueries()  # anew: a job may have gone back into its queue

    def refusal(why: str, hint: str | None = None) -> StashError:
        return StashError(f"The sweep {sweep.name} can't be archived: {why}.", hint)

    if (kind := files.kind_at(directory)) != "a directory":
        raise refusal(f"{directory} is {kind}", f"name the directory itself: {real}")
    if stash.root.resolve().is_relative_to(real):
        raise refusal("the stash itself lies in its directory")
    outside = [run.id for run in runs if not run.path.resolve().is_relative_to(real)]
    if outside:
        raise refusal(f"{listed(outside, _NAMED)} lie outside its directory {directory}")
    inside = []
    for path in records.directories(directory, superseded=True):
        run = records.read(path)
        if not listing.is_of_sweep(run, real):
            raise refusal(f"{run.id}, in its directory, is not of this sweep")
        inside.append(run)
    if not inside:
        raise refusal("it has no runs of its own")
    for run in inside:
        if (why := removing.why_at_work(run, queries)) is not None:
            raise refusal(f"{run.id}: {why.why}", why.hint)
        if run.attempt.job_end is not None and not run.attempt.job_end.is_known:
            raise refusal(f"SLURM has not yet said why it ended {run.id}", "try again later")
        if run.removed is not None:
            continue
        if is_unread(run):
            raise refusal(f"the numbers of {run.id} are not in its record yet", f"{REFRESH} {sweep.name}")
        if unsynced := removing.unsynced(run):
            raise refusal(
                f"W&B runs of {run.id} were not sent yet ({listed(unsynced, _NAMED)})",
                f"experimentstash sync {sweep.name}",
            )
    return Archivable(sweep, inside, packing.entries_of(directory, refusal))


def _held(sweep: Sweep) -> AbstractContextManager[None]:
    """Keep commands from going on with a sweep; StashError if one is at work on it."""
    why = f"The sweep {sweep.name} can't be archived: a command is at work on it."
    return files.locked_at_once(sweep.directory / records.LOCK, StashError(why, "try again later"))


def _alone(stash: Stash) -> AbstractContextManager[None]:
    busy = StashError("Another command makes or restores an archive.", "try again when it has ended")
    return files.locked_at_once(stash.lock(_LOCK), busy)


@contextlib.contextmanager
def _told(sweep: Sweep, done: str) -> Iterator[None]:
    """Have an error of the file system say what was not done."""
    try:
        yield
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        what = f"{error.filename or sweep.directory}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise StashError(f"The sweep {sweep.name} was not {done}: {what}.") from error


def _settle(directory: Path) -> None:
    """Have what was renamed in a directory stay so after a power failure, where the file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
