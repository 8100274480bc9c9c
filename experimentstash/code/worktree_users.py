"""Who needs the frozen code of a tool; what nobody needs goes."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.code.worktree_place import USERS, exclusive, folder_of, listed, remove, worktrees_in
from experimentstash.record import attempts, decoding, records
from experimentstash.record.run import Run, Supervisor
from experimentstash.stash.layout import Stash, as_kept, new_token

# Seconds for which a process of another machine, which can't be looked at, is believed to be submitting.
_FOREIGN_PATIENCE = 24 * 3600.0


def submitters(stash: Stash, name: str) -> list[Supervisor]:
    """Return the processes that are submitting runs of a tool's frozen code, or executing them."""
    users = [user for place in worktrees_in(folder_of(stash, name)) for user in users_of(stash, place)]
    return [user.submitter for user in users if user.is_submitting]


def remove_all(stash: Stash, name: str, announce: Callable[[str], None]) -> None:
    """Remove all the frozen code of a tool, and what its repositories know of it."""
    with exclusive(stash, name, announce) as lock:
        for place in worktrees_in(folder_of(stash, name)):
            remove(place, lock)
        files.remove(folder_of(stash, name))


def is_gone(run: Run) -> bool:
    """Tell whether the frozen code of a run has been removed since."""
    return run.spec.code is not None and run.spec.code.snapshot is not None and not Path(run.spec.code.path).is_dir()


def keep_for(stash: Stash, run: Run) -> None:
    """Have the frozen code of a run stay for a further attempt at it; StashError if it has been removed since."""
    if run.spec.code is None or run.spec.code.snapshot is None:
        return
    with exclusive(stash, run.spec.tool, lambda _: None):
        if is_gone(run):
            raise StashError(
                f"The code of the run {run.id} as it was submitted ({run.spec.code.path}) has been removed.",
                f"run it anew; its code is commit {(run.spec.code.commit or '')[:12]}"
                + (f" with {run.path / run.spec.code.patch}" if run.spec.code.patch else ""),
            )
        for place in worktrees_in(folder_of(stash, run.spec.tool)):
            if place.name in Path(run.spec.code.path).parts:
                note_user(stash, place, run.path)


# --- who needs it ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _User:
    """Who needs frozen code: the runs of one submission, and until they are all submitted its process."""

    note: Path
    runs: Path
    submitter: Supervisor

    @property
    def is_submitting(self) -> bool:
        if self.submitter.host != procfs.hostname():
            return time.time() - self.note.stat().st_mtime < _FOREIGN_PATIENCE
        process = Identity(self.submitter.pid, self.submitter.start_time)
        return self.submitter.boot_id == procfs.boot_id() and procfs.is_alive(process)

    def needs(self, place: Path) -> bool:
        return self.is_submitting or any(_will_use(directory, place) for directory in records.directories(self.runs))


def note_user(stash: Stash, place: Path, runs: Path) -> None:
    note = {"runs": as_kept(stash.root, runs), "submitter": vars(supervisor_here())}
    if files.kind_at(place / USERS) != "a directory":  # a link, or garbage
        files.remove(place / USERS)
        (place / USERS).mkdir()
    files.write_atomically(place / USERS / f"{new_token()}.json", json.dumps(note, indent=2) + "\n")


def users_of(stash: Stash, place: Path) -> list[_User]:
    found = []
    for path in listed(place / USERS) if files.kind_at(place / USERS) == "a directory" else ():
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            note = typed.loads(files.read_regular(path))
            runs, submitter = typed.path(note["runs"], "runs"), decoding.supervisor(note["submitter"])
            found.append(_User(path, stash.root / runs, submitter))
    return found


def _will_use(directory: Path, place: Path) -> bool:
    """Tell whether a run will still use the code in ``place``; if its record can't be read, it may."""
    try:
        return will_use(records.read(directory), place)
    except StashError:
        return True


def will_use(run: Run, place: Path) -> bool:
    """Tell whether a run will still use the code in ``place``."""
    return run.spec.code is not None and is_in(run.spec.code.path, place) and not attempts.is_over(run)


def is_in(path: str, place: Path) -> bool:
    """Tell whether a path of a record is in frozen code: by its name, since a stash may have moved."""
    return place.name in path.split(os.sep)


# --- removing --------------------------------------------------------------------------------------------------------


def clean(stash: Stash, new: Path, lock: int) -> None:
    """Remove the other frozen code of a tool that nobody needs any more."""
    for place in worktrees_in(new.parent):
        users = users_of(stash, place)
        needing = [user for user in users if user.needs(place)]
        for user in users:
            if user not in needing:
                user.note.unlink()
        if not needing and place != new:
            remove(place, lock)


def unneeded(stash: Stash) -> list[tuple[str, Path]]:
    """Return the frozen code that nobody needs any more, each with its tool's name."""
    tools = [folder.name for folder in listed(stash.code) if files.kind_at(folder) == "a directory"]
    return [
        (name, place)
        for name in tools
        for place in worktrees_in(folder_of(stash, name))
        if not any(user.needs(place) for user in users_of(stash, place))
    ]


def remove_unneeded(stash: Stash, name: str, place: Path, announce: Callable[[str], None]) -> bool:
    """Remove frozen code, and what its repositories know of it; False if somebody needs it by now."""
    with exclusive(stash, name, announce) as lock:
        if any(user.needs(place) for user in users_of(stash, place)):
            return False
        remove(place, lock)
    return True
