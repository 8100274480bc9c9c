"""What appeared or changed in a tool's checkout while its runs were at work: seen by one look at it when a run ends.

There is no look before a run: whatever was written since it began has a later change time, which nobody can set. A look
serves all runs that have ended by then. Standard library only, and light.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.code.presence import Presence
from experimentstash.record.records import FILE_NAME
from experimentstash.record.run import Run
from experimentstash.stash import paths

# A checkout that holds more files, or takes longer to look through (seconds), is not looked at any more.
MOST_FILES = 20_000
LONGEST_LOOK = 2.0
# Names that a record lists, and that a message does.
MOST_NAMES = 1000
_SHOWN = 5
# Runs that have ended while others were at work, and whose times are kept.
_MOST_STAYS = 500
# Nanoseconds by which the clock of another file system may be behind ours.
_SLACK = 100_000_000
# What no run has as its result: compiled code, caches, environments, what editors and file systems leave for a while.
_NO_FOLDERS = {".git", "__pycache__", "node_modules", ".tox", ".eggs", ".idea", ".vscode", ".ipynb_checkpoints"}
_NO_FOLDERS |= {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".venv"}
_NO_ENDINGS = (".pyc", ".pyo", ".swp", ".swo", ".swx", "~")
_NO_BEGINNINGS = (".#", ".nfs", ".~lock.")
_NO_FILES = {".DS_Store", "4913", ".coverage"}
_OF_WANDB = ("run-", "offline-run-", "latest-run")

_Mark = tuple[int, int, int]  # of a file: its change time, its size, its inode


def is_result(name: str) -> bool:
    """Tell whether a file may be something that a run has made, by its name."""
    return not (name.endswith(_NO_ENDINGS) or name.startswith(_NO_BEGINNINGS) or name in _NO_FILES)


def may_hold_results(folder: str, name: str, inside: Collection[str]) -> bool:
    """Tell whether a directory may hold something that a run has made; ``inside`` are the names in it.

    W&B's are looked after elsewhere, and so are directories of runs.
    """
    if name in _NO_FOLDERS or name.endswith(".egg-info") or "pyvenv.cfg" in inside:
        return False
    if name in ("wandb", ".wandb") and any(each.startswith(_OF_WANDB) for each in inside):
        return False
    return not (FILE_NAME in inside and _is_record(os.path.join(folder, FILE_NAME)))


def _is_record(path: str) -> bool:
    try:
        return b'"directory"' in files.read_regular(path)[:1024]
    except OSError:
        return False


def checkout(run: Run) -> Path | None:
    """Return where a run's tool may write though it isn't asked to: its repository, or its directory in the stash's."""
    if run.spec.code is None or not os.path.isdir(run.spec.code.path):
        return None
    directory = Path(run.spec.code.path)
    root = next((path for path in (directory, *directory.parents) if (path / ".git").exists()), None)
    is_own = root is not None and not (run.spec.stash is not None and Path(run.spec.stash.path).is_relative_to(root))
    return root if is_own else directory


@dataclass
class Written:
    """What was seen after a run; names are relative to its tool's directory."""

    names: list[str]
    others: list[str]  # runs that were at work in the same checkout, and may have written some of it as well
    stirred: list[str] = field(default_factory=list)  # directories in which something has come or gone
    thinned: list[str] = field(default_factory=list)  # those of them in which nothing is new
    is_head_moved: bool = False  # git has noted a commit, or another checkout


@dataclass
class _Stay:
    """A run at work in a checkout."""

    run: str
    since: int  # in nanoseconds, as the checkout's file system counts
    looks: int  # how many there had been when it began
    until: int | None = None


@dataclass
class _Checkout:
    stays: list[_Stay] = field(default_factory=list)
    seen: dict[str, tuple[_Mark, int]] = field(default_factory=dict)  # with the look that has seen it first
    looks: int = 0
    looked: float = -1.0  # when the last look began
    why_not: str | None = None
    beside: Path | None = None  # where the stash has its tools, each in a directory of its own
    folders: dict[str, tuple[int, bool]] = field(default_factory=dict)  # when they changed, whether something is new
    presence: Presence | None = None


class Looks:
    """The looks of one process at checkouts."""

    def __init__(self) -> None:
        self._checkouts: dict[Path, _Checkout] = {}
        self._roots: dict[str, Path | None] = {}  # by the directories of tools

    def begins(self, run: Run) -> None:
        """Note that a run begins; its record has been written just now."""
        root = self._root(run)
        if root is None:
            return
        if root not in self._checkouts:
            private = None if run.spec.stash is None else Path(run.spec.stash.path) / paths.PRIVATE
            known = private is not None and (private.parent / paths.CONF).is_dir()
            above = root.parent
            is_inside = private is not None and private.parent in above.parents
            self._checkouts[root] = _Checkout(
                presence=Presence(private, root) if private is not None and known else None,
                beside=above if is_inside else None,
            )
        place = self._checkouts[root]
        if not place.stays:
            place.seen.clear()
        if place.presence is not None:
            place.presence.begins(run.id)
        place.stays.append(_Stay(run.id, _clock(root, run.path / FILE_NAME), place.looks))

    def _root(self, run: Run) -> Path | None:
        directory = "" if run.spec.code is None else run.spec.code.path
        if directory not in self._roots:
            self._roots[directory] = checkout(run)
        return self._roots[directory]

    def leaves(self, run: Run) -> None:
        """Note that a run is no longer at work, and that nobody asks what it has written."""
        for place in self._checkouts.values():
            stays = [stay for stay in place.stays if stay.run != run.id or stay.until is not None]
            if len(stays) < len(place.stays) and place.presence is not None:
                place.presence.ends()
            place.stays = stays

    def ends(self, run: Run, ended: float) -> Written | str | None:
        """Return what was written while a run was at work, whose tool has ended (by the monotonic clock).

        Or why that isn't known; None if it has no checkout.
        """
        root = self._root(run)
        place = None if root is None else self._checkouts.get(root)
        stay = None if place is None else next((each for each in place.stays if each.run == run.id), None)
        if root is None or place is None or stay is None or run.spec.code is None:
            return None
        stay.until = time.time_ns()
        if place.why_not is None and place.looked <= ended:
            self._look(root, place, min(each.since for each in place.stays))
        written = self._of(root, place, stay, Path(run.spec.code.path))
        if place.presence is not None:
            if written.names:  # else nobody asks who it was
                written.others = sorted({*written.others, *place.presence.others(stay.since)})
            place.presence.ends()
        at_work = [each for each in place.stays if each.until is None]
        if at_work:
            began = min(each.since for each in at_work)
            over = [each for each in place.stays if each.until is not None and each.until >= began]
            place.stays = [*over[-_MOST_STAYS:], *at_work]
        else:
            place.stays.clear()
        return place.why_not or written

    def _of(self, root: Path, place: _Checkout, stay: _Stay, directory: Path) -> Written:
        names: list[str] = []
        others: set[str] = set()
        for path, (mark, look) in place.seen.items():
            if mark[0] >= stay.since and look > stay.looks:
                names.append(os.path.relpath(path, directory))
                others |= {
                    each.run
                    for each in place.stays
                    if each is not stay and each.since <= mark[0] and (each.until is None or each.until >= mark[0])
                }
        later = {
            os.path.relpath(path, directory): is_new
            for path, (changed, is_new) in place.folders.items()
            if changed >= stay.since
        }
        thinned = [name for name, is_new in later.items() if not is_new]
        is_head_moved = _changed_at(_git_log(root)) >= stay.since
        return Written(sorted(names), sorted(others), sorted(later), sorted(thinned), is_head_moved)

    def _look(self, root: Path, place: _Checkout, since: int) -> None:
        place.looks += 1
        place.looked = time.monotonic()
        found: dict[str, _Mark] = {}
        folders: dict[str, tuple[int, bool]] = {}
        count = 0
        waiting = [str(root)]
        while waiting:
            folder = waiting.pop()
            names: list[str] = []
            marks: list[tuple[str, _Mark]] = []
            below: list[str] = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        name = entry.name
                        names.append(name)
                        if entry.is_dir(follow_symlinks=False):
                            if name not in _NO_FOLDERS:
                                below.append(entry.path)
                        elif is_result(name):
                            try:
                                stat = entry.stat(follow_symlinks=False)
                            except OSError:  # gone since
                                continue
                            if stat.st_ctime_ns >= since:
                                marks.append((entry.path, (stat.st_ctime_ns, stat.st_size, stat.st_ino)))
            except OSError:
                continue
            if folder != str(root) and not may_hold_results(folder, os.path.basename(folder), names):
                continue
            count += len(names)
            if count > MOST_FILES or time.monotonic() - place.looked > LONGEST_LOOK:
                place.why_not = f"more than {count - 1:,} files are in {root}"
                return
            found.update(marks)
            waiting += below
            changed = _changed_at(folder)
            if changed >= since:
                folders[folder] = changed, any(_is_new(os.path.join(folder, name), since) for name in names)
        if place.beside is not None:
            found.update(_files_in(place.beside, since))
        place.folders = folders
        before = place.seen
        place.seen = {
            path: before[path] if path in before and before[path][0] == mark else (mark, place.looks)
            for path, mark in found.items()
        }


def _changed_at(path: str) -> int:
    """Return when what is in a directory, or a file, was changed last; 0 if it can't be seen."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _is_new(path: str, since: int) -> bool:
    try:
        return os.lstat(path).st_ctime_ns >= since
    except OSError:
        return False


def _files_in(folder: Path, since: int) -> dict[str, _Mark]:
    """Return what has changed of the files of a directory, without those below it."""
    found: dict[str, _Mark] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False) and is_result(entry.name):
                stat = entry.stat(follow_symlinks=False)
                if stat.st_ctime_ns >= since:
                    found[entry.path] = (stat.st_ctime_ns, stat.st_size, stat.st_ino)
    return found


def _git_log(root: Path) -> str:
    """Return where git notes each commit and checkout of a repository's, if it is one."""
    place = root / ".git"
    if place.is_file():
        with contextlib.suppress(OSError, ValueError):
            text = files.read_regular(place)[:4096].decode()
            place = root / text.partition("gitdir:")[2].strip()
    return str(place / "logs" / "HEAD")


def _clock(root: Path, written: Path) -> int:
    """Return what time it is for the file system of ``root``; ``written`` is a file that was written just now."""
    with contextlib.suppress(OSError):
        stat = os.stat(written)
        if stat.st_dev == os.stat(root).st_dev:
            return stat.st_ctime_ns
    return time.time_ns() - _SLACK


def heads(names: Iterable[str]) -> dict[str, int]:
    """Return the files and directories to be named in a registration, with how many of ``names`` each stands for."""
    found: dict[str, int] = {}
    for name in names:
        parts = name.split("/")
        depth = next((at for at, part in enumerate(parts) if part != ".."), len(parts) - 1) + 1
        head = "/".join(parts[:depth])
        found[head] = found.get(head, 0) + 1
    return found


def in_words(names: Collection[str]) -> str:
    """Name what was written, briefly."""
    counts = heads(names)
    shown = [
        f"{head}/ ({count} file{'s' if count > 1 else ''})" if head not in names else head
        for head, count in list(counts.items())[:_SHOWN]
    ]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


# --- what is remembered of a tool: whether it writes into its checkout -----------------------------------------------


def known(note: Path) -> list[str]:
    """Return where a tool has been seen to write, relative to its directory."""
    try:
        content = typed.loads(files.read_regular(note))
        return [typed.path(name, "paths") for name in content["paths"] if not os.path.isabs(name)]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def is_within(path: str, places: Iterable[str]) -> bool:
    """Tell whether a path is at or below one of these places, which may be patterns: checkpoints, *.pt, runs/*/best."""
    for place in places:
        if f"{path}/".startswith(f"{place}/"):
            return True
        if is_pattern(place) and fnmatch.fnmatchcase("/".join(path.split("/")[: place.count("/") + 1]), place):
            return True
    return False


def is_pattern(place: str) -> bool:
    return any(mark in place for mark in "*?[")


def outputs(note: Path, collect: Iterable[str], shared: Iterable[str]) -> list[str]:
    """Return where a tool is known to write: its registration says so (``collect``), or it was seen to."""
    stays = [os.path.normpath(path) for path in shared]
    paths = [os.path.normpath(path) for path in (*collect, *known(note))]
    return [path for path in dict.fromkeys(paths) if not is_within(path, stays)]


def remember(note: Path, names: Iterable[str]) -> None:
    """Note where a tool has written: a hint for later runs, which may get lost."""
    before = known(note)
    after = sorted({*before, *heads(names)})[:MOST_NAMES]
    if after != before:
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomically(note, json.dumps({"paths": after}) + "\n")
