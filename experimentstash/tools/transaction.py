"""All or nothing: every change to the stash is written down, with what undoes it, before it is made.

A transaction has a folder inside the git directory (same file system, invisible to `git status`) with its journal and
what it stages. Its one commit point is the mark `committed` in the journal: what is interrupted before is undone, by
whoever comes next if need be; after it, only rubbish is left to remove."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experimentstash.adapters import procfs
from experimentstash.adapters.git import checkouts, gitconfig, gitindex
from experimentstash.adapters.git.gitindex import Entry
from experimentstash.adapters.git.locks import clear_stale_lock
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files, permissions
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.interrupts import signals_as_exceptions, undisturbed
from experimentstash.stash.layout import Stash, new_token
from experimentstash.tools import journal
from experimentstash.tools.placing import content_of, fingerprint, put, remove_empty, rename, sync_directory
from experimentstash.tools.undo import Undoing

# All that a transaction starts has it in its environment, so that what outlives us can be found.
MARKER = "EXPERIMENTSTASH_TRANSACTION"
# Seconds that the processes of a transaction whose owner is gone get to end, and between two looks at them.
_PATIENCE = 10.0
_INTERVAL = 0.05
Report = Callable[[str], None]


class Transaction:
    """A change of the stash that is made as a whole or not at all. Made by `begin`, or read again by `recover`."""

    def __init__(self, project: Superproject, folder: Path, data: dict[str, Any]) -> None:
        self.project = project
        self.folder = folder
        self.data = data
        self._places = journal.Places(project, folder)

    @property
    def verb(self) -> str:
        return str(self.data["verb"])

    @property
    def tool(self) -> str:
        return str(self.data["tool"])

    # --- what can be done ---

    def move(self, source: Path, target: Path) -> None:
        """Move a file or a tree to a path where there is nothing."""
        if os.path.lexists(target):
            raise StashError(f"{target} is in the way.", "look what it is, and move it away")
        self._note(op="move", source=str(source), target=str(target), print=fingerprint(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        rename(source, target)
        step("moved")

    def replace(self, path: Path, content: bytes | None) -> None:
        """Make ``content`` the file's content; None removes it."""
        before = content_of(path)
        self._note(op="file", path=str(path), before=journal.as_text(before), after=journal.as_text(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, content, self.folder)
        step("replaced")

    def section(self, name: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Make the section of a submodule in the repository's configuration exactly this; without any pair it goes."""
        before = gitconfig.config_section(self.project, name)
        if before != list(pairs):
            self._note(op="section", name=name, before=before)
            gitconfig.set_config_section(self.project, name, pairs, before=before)

    def index(self, entries: Iterable[Entry]) -> None:
        """Put entries into the index (without a mode: take them out), all at once."""
        wanted = list(entries)
        before = {each.path: each for each in gitindex.index_entries(self.project, [each.path for each in wanted])}
        entries_before = [before.get(each.path, Entry(each.path)) for each in wanted]
        if wanted != entries_before:
            self._note(op="index", before=[[each.path, each.mode, each.object] for each in entries_before])
            gitindex.set_index(self.project, wanted)

    def create(self, path: Path) -> None:
        """Announce that ``path`` will appear, by whatever means: undoing removes it."""
        if not os.path.lexists(path):
            self._note(op="create", path=str(path))

    def check_out(self, tree: Path, commit: str, branch: str | None) -> None:
        """Check out another commit in a clean checkout, on ``branch`` (which is moved there) or detached."""
        before, before_branch = checkouts.head(tree)
        self._note(op="checkout", tree=str(tree), commit=before, branch=before_branch, new=commit)
        checkouts.check_out(tree, commit, branch, force=False)

    def discard(self, path: Path) -> None:
        """Have ``path`` removed once all is done, and the directories above it that are then empty."""
        self.data["discard"].append(str(path))
        self._write()

    def drop(self, path: Path) -> None:
        """Have a file or a tree go at once, and be gone for good once all is done."""
        self.data["prune"].append(str(path.parent))
        self.move(path, self.folder / "dropped" / str(len(self.data["steps"])) / path.name)

    # --- how it ends ---

    def commit(self) -> None:
        """Make it final, and remove what isn't needed any more."""
        step("before commit")
        self.data["committed"] = True
        self._write()
        self.finish()

    def finish(self) -> None:
        for path in self.data["discard"]:
            files.remove(Path(path))
            remove_empty(Path(path).parent, self.project)
            step("discarded")
        for path in self.data["prune"]:
            remove_empty(Path(path), self.project)
        self._clear()

    def roll_back(self, report: Report, backups: Path) -> None:
        """Undo all that was done, the latest first. Doing it twice, or again after a kill, is the same as once.

        What somebody has changed in the meantime in what is undone goes to ``backups``.
        """
        started = float(self.data["started"])
        for lock in (self.project.git_directory / "index.lock", self.project.git_directory / "config.lock"):
            clear_stale_lock(lock, started, report)
        undoing = Undoing(self.project, self.folder, self.verb, self.tool, started, backups, report)
        while self.data["steps"]:
            undoing.undo(self.data["steps"][-1])
            step("undone")
            self.data["steps"].pop()
            self._write()
        if files.kind_at(backups) == "a directory" and os.listdir(backups) == [".gitignore"]:
            files.remove(backups)
        self._clear()

    # --- the journal ---

    def _note(self, **what: Any) -> None:
        journal.check(what, self._places)
        step(f"before {what['op']}")
        self.data["steps"].append(what)
        self._write()
        step(f"noted {what['op']}")

    def _write(self) -> None:
        path = self.folder / journal.FILE_NAME
        draft = path.with_suffix(".new")
        with open(draft, "w", encoding="utf-8", errors="surrogateescape", opener=files.open_regular) as stream:
            json.dump(self.data, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)
        sync_directory(self.folder)

    def _clear(self) -> None:
        """Remove the folder; the journal goes last."""
        with contextlib.suppress(FileNotFoundError):
            for path in list(self.folder.iterdir()):
                if path.name != journal.FILE_NAME:
                    files.remove(path)
            step("cleared")
            (self.folder / journal.FILE_NAME).unlink(missing_ok=True)
            self.folder.rmdir()
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


@contextlib.contextmanager
def begin(stash: Stash, project: Superproject, verb: str, tool: str, report: Report) -> Iterator[Transaction]:
    """Begin a transaction (under the lock); whatever interrupts it undoes it. It is kept only if it commits itself."""
    token, backups = new_token(), stash.backups
    folder = home_of(project) / token
    ourselves = procfs.identity(os.getpid())
    data = {
        "format": journal.FORMAT,
        "verb": verb,
        "tool": tool,
        "pid": os.getpid(),
        "start_time": ourselves.start_time if ourselves else 0,
        "host": procfs.hostname(),
        "boot_id": procfs.boot_id(),
        "started": time.time(),
        "committed": False,
        "discard": [],
        "prune": [],
        "steps": [],
    }
    transaction = Transaction(project, folder, data)
    os.environ[MARKER] = str(folder)
    try:
        with signals_as_exceptions():
            try:
                step("begin")
                folder.mkdir(0o777 & ~permissions.in_stash(stash.root), parents=True)
                transaction._write()
                yield transaction
                if not data["committed"]:
                    with undisturbed():
                        transaction.roll_back(report, backups)
            except BaseException:
                with undisturbed():
                    if not data["committed"]:
                        end_processes(folder)  # what git has started ends a little later than git
                        transaction.roll_back(report, backups)
                    else:
                        transaction.finish()
                raise
    finally:
        os.environ.pop(MARKER, None)


def home_of(project: Superproject) -> Path:
    """Return where the transactions of a stash's repository have their folders."""
    return project.git_directory / "experimentstash"


def end_processes(folder: Path) -> None:
    """End the processes that a killed command left behind: they must not write while we tidy up."""
    marker = f"{MARKER}={folder}"
    deadline = time.monotonic() + _PATIENCE
    members = procfs.members(marker)
    for member in members:
        procfs.send(member, signal.SIGTERM)
    while members:
        if time.monotonic() > deadline:
            for member in members:
                procfs.send(member, signal.SIGKILL)
        if time.monotonic() > 2 * _PATIENCE + deadline:
            raise StashError(f"Processes of an interrupted tool command don't end: {sorted(m.pid for m in members)}.")
        time.sleep(_INTERVAL)
        members = procfs.members(marker)
