"""run.json: the only truth about a run, replaced atomically at each change of state.

A record of a newer format is read, and never written.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from experimentstash import __version__
from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.files import make_directory, open_regular, read_regular, write_atomically
from experimentstash.base.output import say
from experimentstash.record import archives
from experimentstash.record.decoding import build
from experimentstash.record.encoding import text_of
from experimentstash.record.run import FORMAT, Run, State

FILE_NAME = archives.RECORD
# Beside the record of a run that isn't over: room for its last record, should the disk be full by then. It is the file
# of the first one, kept under this name and somewhat larger than it had to be.
_ROOM_NAME = f".{FILE_NAME}.room"
# Bytes that a record may grow by, and the size of the blocks in which room is taken.
_GROWTH = 4096
_BLOCK = 4096
# Beside the fields of a run: where this process has written its record last, and what tells that file from others.
_LAST = "_last_written"
# In a sweep's directory: where Hydra keeps what it was asked to do.
SWEEP_FILE = "multirun.yaml"
# Beside it: which jobs that came to.
JOBS_FILE = ".jobs.json"
# … and which of them weren't run again, because the same had completed before.
EARLIER_FILE = ".earlier.jsonl"
# And what is held while a command is at work on the sweep.
LOCK = ".lock"
# In a sweep's directory: earlier tries of runs that were begun anew.
ASIDE = archives.ASIDE

# Returns which of a folder's directories, by their names, are runs that nobody need look at.
Passing = Callable[[Path, Sequence[str]], Collection[str]]


def claim(run: Run, *, replace: bool = False) -> None:
    """Write the first record of a run; StashError if its directory already holds one, unless that is to be replaced."""
    make_directory(run.path)
    run.inode = os.stat(run.directory).st_ino
    path = os.path.join(run.directory, FILE_NAME)
    try:
        if run.attempt.state.is_final:
            written = write_atomically(path, text_of(run), replace=replace)
        elif replace:
            write_atomically(_room(run), _roomy(text_of(run)))
            written = write_atomically(path, text_of(run))
        else:
            written = write_atomically(path, _roomy(text_of(run)), replace=False, spare=_room(run))
        vars(run)[_LAST] = path, written
    except FileExistsError as error:
        raise already_taken(run.path) from error


def already_taken(directory: Path, go_on: str | None = None) -> StashError:
    """Return the error for a directory that holds another run; ``go_on`` is the command that goes on with it."""
    return StashError(
        f"{directory} already holds a run, which would be overwritten.",
        "leave out hydra.run.dir or hydra.sweep.dir, or name another directory"
        + (f"; to go on with what is there: {go_on}" if go_on else ""),
    )


def of_another_version(run: Run) -> str:
    """Say, to go on after "it" or a file's name, who has written a record that we can only read."""
    who = f"version {run.version}" if run.version not in (None, __version__) else "another version"
    return (
        f"was written by {who} of ExperimentStash, and is left as it is: act on it with that one (here: {__version__})"
    )


class UnrecordedError(OSError):
    """The end of a run could not be recorded where it belongs; ``kept`` is the file that keeps it, if any does."""

    kept: str | None = None


def write(run: Run, *, reserve: bool = False) -> files.Stamp | None:
    """Replace the run's record in its directory; ``reserve``: and make sure that there is room for the last one.

    Returns what tells this record from later ones; None if that can't be told.

    The last one finds room on a full disk too, or another place. UnrecordedError if that place isn't the run's own,
    OSError if an earlier record can't be written.
    """
    if run.format > FORMAT:
        raise StashError(f"{run.path / FILE_NAME} {of_another_version(run)}.")
    path = os.path.join(run.directory, FILE_NAME)
    if not run.attempt.state.is_final:
        text = text_of(run)
        _refuse_anothers(run, path)
        written = write_atomically(path, text)
        vars(run)[_LAST] = path, written
        if reserve and _room_size(run) < len(text) + _GROWTH // 2:
            write_atomically(_room(run), _roomy(text))
        return written
    ended: files.Stamp | None = None
    try:
        _refuse_anothers(run, path)
        ended = write_atomically(path, text_of(run))
    except OSError as error:
        _write_last(run, path, error)
    with contextlib.suppress(OSError):
        os.unlink(_room(run))
    return ended


class _TakenError(OSError):
    """Another run's record stands where a run's own belongs."""


def _refuse_anothers(run: Run, path: str) -> None:
    """Raise OSError if a run's directory has become another run's: the one that it had was removed or moved away."""
    try:
        if vars(run).get(_LAST) == (path, files.stamp(os.lstat(path))):
            return
        found = read_regular(path)
    except FileNotFoundError:
        archives.refuse(run.path, run.id)
        return
    except OSError:  # what is wrong with it will be seen
        return
    if found.startswith(f'{{\n  "id": {json.dumps(run.id)},'.encode()):  # as we write it
        return
    with contextlib.suppress(ValueError, TypeError, KeyError):
        if typed.loads(found)["id"] != run.id:
            raise _TakenError(errno.ESTALE, "its directory has become another run's", path)


def _room(run: Run) -> str:
    return os.path.join(run.directory, _ROOM_NAME)


def _room_size(run: Run) -> int:
    try:
        return os.lstat(_room(run)).st_size
    except FileNotFoundError:
        return 0


def _roomy(text: str) -> str:
    """Return the text of a record with blanks behind it, for what is still to come."""
    size = -(-(len(text) + _GROWTH) // _BLOCK) * _BLOCK
    return f"{text[:-1].ljust(size - 1)}\n"


def _write_last(run: Run, path: str, why: OSError) -> None:
    """Write the last record of a run where nothing can be written any more."""
    said = f"{why.strerror} when its end was recorded: what it wrote last may be incomplete"
    (run.attempt.warnings if run.attempt.state is State.COMPLETED else run.attempt.notes).append(said)
    room = _room(run)
    try:
        if isinstance(why, _TakenError):  # and so has the room
            raise why
        _overwrite(room, run)
        os.replace(room, path)
    except OSError:
        from experimentstash.record import kept_ends  # here, because it is hardly ever needed

        error = UnrecordedError(why.errno, why.strerror, path)
        error.kept = kept_ends.keep(_kept_name(run), text_of(run))
        raise error from why


def _overwrite(room: str, run: Run) -> None:
    """Write a record into a file without asking the file system for more than the file has."""
    descriptor = open_regular(room, os.O_WRONLY)
    try:
        content = text_of(run).encode()
        if len(content) > os.fstat(descriptor).st_size:
            run.attempt.notes = [note[: _BLOCK // 8] for note in run.attempt.notes[-2:]]
            run.attempt.notes.append(
                "other notes, its numbers, and what was collected, are left out: the disk was full"
            )
            run.attempt.collected, run.attempt.metrics = [], None
            content = text_of(run).encode()
        if len(content) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), room)
        os.write(descriptor, content)  # of a few blocks, never a part
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def _kept_name(run: Run) -> str:
    return f"{os.path.basename(run.id)}-{run.attempt.number}.json"


def read_ended(directory: Path) -> Run:
    """Return the run recorded in ``directory`` as ``read`` does, with its end if only another place knows of that."""
    return _ended(read(directory))


def _ended(run: Run) -> Run:
    return run if run.attempt.state.is_final else _kept_end(run) or run


def _kept_end(run: Run) -> Run | None:
    from experimentstash.record import kept_ends

    found = kept_ends.find(_kept_name(run))
    if found is None:
        return None
    try:
        kept = build(typed.loads(found))
    except ValueError:
        return None
    kept.directory, kept.inode = run.directory, run.inode
    return kept if (kept.id, kept.created, kept.attempt.number) == (run.id, run.created, run.attempt.number) else None


def record_kept_end(run: Run) -> None:
    """Record here the end of a run that another place has kept; OSError if that is still impossible."""
    from experimentstash.record import kept_ends

    write_atomically(os.path.join(run.directory, FILE_NAME), text_of(run))
    kept_ends.forget(_kept_name(run))


def read(directory: Path) -> Run:
    """Return the run recorded in ``directory``, which may have been moved since.

    Raises StashError if there is no record or it can't be understood.
    """
    path = directory / FILE_NAME
    try:
        run = build(typed.loads(archives.read(path)))
        earlier, run.directory = run.directory, str(directory.absolute())
        if earlier != run.directory:
            _follow(run, earlier)
    except FileNotFoundError as error:
        raise StashError(f"{directory} holds no run (no {FILE_NAME}).", "experimentstash runs") from error
    except ValueError as error:
        raise StashError(f"{path} is not a run's record: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise StashError(f"{error.filename or path} can't be read: {error.strerror}") from error
    return run


def _follow(run: Run, earlier: str) -> None:
    """Have a run that was moved, from the directory ``earlier``, name its sweep where that is now, if it went along."""
    if run.sweep is None:
        return
    inside = os.path.relpath(earlier, run.sweep)
    if inside.startswith("..") or not f"{run.directory}/".endswith(f"/{inside}/"):
        return
    before, run.sweep = run.sweep, run.directory[: -len(inside) - 1]
    if run.attempt.queued is not None and run.attempt.queued.array.startswith(f"{before}/"):
        array = run.sweep + run.attempt.queued.array[len(before) :]
        run.attempt.queued = replace(run.attempt.queued, array=array)


class Written:
    """The runs that this process has written, which need not be read again while their records stay as they are."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Run, files.Stamp]] = {}

    def add(self, run: Run, written: files.Stamp | None) -> None:
        """Take note of what ``write`` has returned for a run, which is not changed any more."""
        if written is not None:
            self._known[run.directory] = run, written

    def find(self, directory: Path) -> Run | None:
        """Return the run in a directory if its record still is what was written."""
        known = self._known.get(str(directory))
        if known is None:
            return None
        run, written = known
        try:
            return run if files.stamp(os.lstat(os.path.join(directory, FILE_NAME))) == written else None
        except OSError:
            return None


def readable(paths: Iterable[Path], known: Written | None = None) -> Iterator[Run]:
    """Yield the runs recorded in directories, with their ends; of a record that can't be read one line is said.

    What is ``known`` is only read where it is no longer so.
    """
    for path in paths:
        try:
            run = None if known is None else known.find(path)
            yield _ended(run) if run is not None else read_ended(path)
        except StashError as error:
            say(error.message)


def read_all(sweep: Path) -> list[Run]:
    """Return the runs of a sweep in the order of their numbers; of those that can't be read one line is said."""
    return list(readable(in_order(sweep)))


def in_order(sweep: Path) -> list[Path]:
    """Return the directories of a sweep's runs in the order of their numbers."""
    return sorted(directories(sweep), key=lambda path: (len(path.name), path.name))


def directories(
    root: Path,
    *,
    superseded: bool = False,
    within: bool = False,
    passing: Passing | None = None,
) -> Iterator[Path]:
    """Yield the directories of the runs below ``root``, however deep they lie, in no order.

    Those that were begun anew when their sweep was continued count only if ``superseded``. ``within`` a root that is a
    run's directory itself there may be others. What ``passing`` tells of a folder's directories isn't looked at.
    Where an archive stands for a sweep's directory, those that it had count; it itself, if they can't be told.
    """
    waiting = [root]
    if (archive := archives.of_sweep(root)) is not None:
        yield from _archived(archive, superseded, passing)
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError:
            continue
        record = next((entry for entry in listed if entry.name == FILE_NAME), None)
        if record is not None:
            yield folder
            # What isn't a record, though it is called so, hides no runs.
            if record.is_file(follow_symlinks=False) and not (within and folder == root):
                continue
        names, packed = [], []
        for entry in listed:
            name = entry.name
            if name[0] == "." and not (superseded and name == ASIDE):
                continue
            if entry.is_dir(follow_symlinks=False):
                names.append(name)
            elif name.endswith(archives.SUFFIX):
                packed.append(folder / name)
        waiting += _below(folder, names, passing)
        for path in packed:
            if (archive := archives.of_sweep(archives.directory_of(path))) is not None:
                yield from _archived(archive, superseded, passing)


def _below(folder: Path, names: Sequence[str], passing: Passing | None) -> list[Path]:
    """Return the directories of a folder that are looked at."""
    passed = () if passing is None else passing(folder, names)
    return [folder / name for name in names if name not in passed] if len(passed) < len(names) else []


def _archived(archive: Path, superseded: bool, passing: Passing | None) -> Iterator[Path]:
    try:
        found = list(archives.directories(archive, superseded=superseded))
    except OSError:  # whoever reads it is told why
        yield archives.directory_of(archive)
        return
    for folder, inside in itertools.groupby(found, key=lambda path: path.parent):
        yield from _below(folder, [each.name for each in inside], passing)
