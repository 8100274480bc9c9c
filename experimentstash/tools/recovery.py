"""What tool commands that were killed have left is put in order by the next one, under the lock of all of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from experimentstash.adapters import procfs
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.superproject import Superproject, superproject
from experimentstash.adapters.procfs import Identity
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.files import locked, make_private
from experimentstash.stash.layout import Stash
from experimentstash.tools import journal
from experimentstash.tools.transaction import Report, Transaction, end_processes, home_of

# Seconds after which a transaction of another machine, which can't be asked, is taken for dead: we hold its lock.
_FOREIGN_SILENCE = 600.0


@contextlib.contextmanager
def exclusive(stash: Stash, report: Report) -> Iterator[Superproject]:
    """Hold the lock of all tool commands, what an earlier one left unfinished put in order first."""
    project = superproject(stash.root)
    make_private(stash.private)
    lock = stash.lock("tools")
    with locked(lock, on_wait=lambda: report("waiting for another `experimentstash tool` to end …")):
        recover(stash, project, report)
        yield project


def put_in_order(stash: Stash, report: Report) -> None:
    """Undo, or bring to its end, what a killed tool command left, if there is anything."""
    if toplevel(stash.root) is not None and pending(stash):
        with exclusive(stash, report):
            pass


def recover(stash: Stash, project: Superproject, report: Report) -> None:
    """Undo, or bring to its end, what a killed command left (under the lock)."""
    home = home_of(project)
    if files.kind_at(home) not in ("a directory", None):
        raise StashError(f"{home} is {files.kind_at(home)}, where a directory must be.", f"remove it: {home}")
    for folder in sorted(home.glob("*")):
        if files.kind_at(folder) != "a directory" or not os.path.lexists(folder / journal.FILE_NAME):
            files.remove(folder)  # killed before it did anything, or after it had cleaned up; or no journal of ours
            continue
        data = journal.read(project, folder)
        transaction = Transaction(project, folder, data)
        _refuse_living(data)
        end_processes(folder)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(data["started"]))
        what = f"an interrupted `tool {transaction.verb} {transaction.tool}` of {when}"
        if data["committed"]:
            report(f"finishing {what}")
            transaction.finish()
        else:
            report(f"undoing {what}")
            transaction.roll_back(report, stash.backups)
    with contextlib.suppress(OSError):
        home_of(project).rmdir()


def pending(stash: Stash) -> list[str]:
    """Return what tool commands that didn't end have left, for people; the next tool command puts it in order."""
    found = []
    project = superproject(stash.root)
    for path in sorted(home_of(project).glob(f"*/{journal.FILE_NAME}")):
        with contextlib.suppress(StashError):
            data = journal.read(project, path.parent)
            alive = Identity(data["pid"], data["start_time"])
            if data["host"] != procfs.hostname() or not _is_alive(data, alive):
                found.append(f"tool {data['verb']} {data['tool']}")
    return found


def _is_alive(data: dict[str, Any], process: Identity) -> bool:
    return data["boot_id"] == procfs.boot_id() and process.pid != os.getpid() and procfs.is_alive(process)


def _refuse_living(data: dict[str, Any]) -> None:
    what = f"`experimentstash tool {data['verb']} {data['tool']}`"
    if data["host"] == procfs.hostname():
        if _is_alive(data, Identity(data["pid"], data["start_time"])):
            raise StashError(f"{what} (process {data['pid']}) is still at work.", "wait for it, or end it")
    elif time.time() - data["started"] < _FOREIGN_SILENCE:
        raise StashError(
            f"{what} was begun on {data['host']} and has not ended.",
            f"run the next `experimentstash tool` command on {data['host']}, or wait ten minutes",
        )
