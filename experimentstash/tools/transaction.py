"""All or nothing: every change to the stash is written down, with what undoes it, before it is made.

A transaction has a folder inside the git directory (same file system, invisible to `git status`) with its journal and
what it stages. Its one commit point is the mark `committed` in the journal: what is interrupted before is undone, by
whoever comes next if need be; after it, only rubbish is left to remove.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experimentstash.adapters import procfs
from experimentstash.adapters.git import checkouts, gitconfig, gitindex, objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitindex import Entry
from experimentstash.adapters.git.locks import clear_stale_lock
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.superproject import Superproject, superproject
from experimentstash.adapters.git.work import work_in
from experimentstash.adapters.procfs import Identity
from experimentstash.base import files, permissions
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.files import locked, make_private
from experimentstash.code.results import REMAKEABLE
from experimentstash.stash.layout import Stash, new_token
from experimentstash.tools import journal

# All that a transaction starts has it in its environment, so that what outlives us can be found.
MARKER = "EXPERIMENTSTASH_TRANSACTION"

# Seconds that the processes of a transaction whose owner is gone get to end, and between two looks at them.
_PATIENCE = 10.0
_INTERVAL = 0.05
# Seconds after which a transaction of another machine, which can't be asked, is taken for dead: we hold its lock.
_FOREIGN_SILENCE = 600.0

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
        self._note(op="move", source=str(source), target=str(target), print=_fingerprint(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        _rename(source, target)
        step("moved")

    def replace(self, path: Path, content: bytes | None) -> None:
        """Make ``content`` the file's content; None removes it."""
        before = _content(path)
        self._note(op="file", path=str(path), before=journal.as_text(before), after=journal.as_text(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, content, self.folder)
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
        for lock in (self.project.git_directory / "index.lock", self.project.git_directory / "config.lock"):
            clear_stale_lock(lock, float(self.data["started"]), report)
        while self.data["steps"]:
            self._undo(self.data["steps"][-1], report, backups)
            step("undone")
            self.data["steps"].pop()
            self._write()
        if files.kind_at(backups) == "a directory" and os.listdir(backups) == [".gitignore"]:
            files.remove(backups)
        self._clear()

    def _undo(self, done: dict[str, Any], report: Report, backups: Path) -> None:
        kind = done["op"]
        if kind == "move":
            source, target = Path(done["source"]), Path(done["target"])
            if os.path.lexists(target):
                if os.path.lexists(source):  # copied to another file system, and not yet removed here
                    files.remove(source)
                source.parent.mkdir(parents=True, exist_ok=True)
                is_changed = self.verb in ("add", "restore") and _fingerprint(target) != done["print"]
                if is_changed and source.is_relative_to(self.folder):
                    report(f"{target} had been changed since; it is now in {self._aside(target, backups)}")
                else:
                    _rename(target, source)
                remove_empty(target.parent, self.project)
            files.remove(_partial(target))
        elif kind == "file":
            path = Path(done["path"])
            if files.kind_at(path) not in (None, "a file"):
                report(f"{path} had been replaced since; what stood there is now in {self._aside(path, backups)}")
            before, after = journal.as_bytes(done["before"]), journal.as_bytes(done["after"])
            now = _content(path)
            if now == after and now != before:
                path.parent.mkdir(parents=True, exist_ok=True)
                _put(path, before, self.folder)
            elif now != before:
                make_private(backups)
                copy = backups / f"{path.name.lstrip('.')}-changed-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
                if now is not None:
                    copy.write_bytes(now)
                    report(f"{path} had been changed since; a copy is in {copy}")
                path.parent.mkdir(parents=True, exist_ok=True)
                _put(path, before, self.folder)
            _draft(path, self.folder).unlink(missing_ok=True)
            if before is None:
                remove_empty(path.parent, self.project)
        elif kind == "section":
            pairs = [(key, value) for key, value in done["before"]]
            present = gitconfig.config_section(self.project, done["name"])
            if present != pairs:
                gitconfig.set_config_section(self.project, done["name"], pairs, before=present)
        elif kind == "index":
            gitindex.set_index(self.project, [Entry(*each) for each in done["before"]])
        elif kind == "create":
            files.remove(Path(done["path"]))
            remove_empty(Path(done["path"]).parent, self.project)
        elif kind == "checkout":
            self._undo_checkout(done, report, backups)

    def _aside(self, path: Path, backups: Path) -> Path:
        """Move away what somebody has put into our place; return where it is now."""
        place = backups / f"{self.tool}-changed-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
        make_private(backups)
        place.mkdir()
        _rename(path, place / path.name)
        return place

    def _undo_checkout(self, done: dict[str, Any], report: Report, backups: Path) -> None:
        tree = Path(done["tree"])
        place = checkouts.repository_of(tree)
        if place is None or place.resolve() == self.project.git_directory.resolve():
            report(f"{tree} is no longer a checkout of its own: it is left as it is")
            return
        for name in ("index.lock", "HEAD.lock"):
            clear_stale_lock(place / name, float(self.data["started"]), report)
        old, new = (objects.files_of(tree, str(commit)) for commit in (done["commit"], done["new"]))
        known = {*old.values(), *new.values()}
        work = work_in(tree)
        saved = backups / f"{self.tool}-changed-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
        for path in (*work.changed, *(path for path in work.untracked if path in {*old, *new})):
            file = tree / path
            if not file.is_file() or file.is_symlink():
                continue
            if git(tree, "hash-object", "--", path).text not in known:
                make_private(backups)
                (saved / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, saved / path)
            elif path in work.untracked and path not in old:
                file.unlink()  # the interrupted checkout has just put it there
        if saved.exists():
            report(f"files in {tree} had been changed since; copies are in {saved}")
        checkouts.check_out(tree, str(done["commit"]), done["branch"], force=True)
        if (tree / ".gitmodules").is_file():
            git(tree, "submodule", "--quiet", "update", "--checkout", "--force", "--recursive", check=False)

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
        _sync_directory(self.folder)

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
def exclusive(stash: Stash, report: Report) -> Iterator[Superproject]:
    """Hold the lock of all tool commands, what an earlier one left unfinished put in order first."""
    project = superproject(stash.root)
    make_private(stash.private)
    lock = stash.lock("tools")
    with locked(lock, on_wait=lambda: report("waiting for another `experimentstash tool` to end …")):
        recover(stash, project, report)
        yield project


@contextlib.contextmanager
def begin(stash: Stash, project: Superproject, verb: str, tool: str, report: Report) -> Iterator[Transaction]:
    """Begin a transaction (under the lock); whatever interrupts it undoes it. It is kept only if it commits itself."""
    token, backups = new_token(), stash.backups
    folder = _home(project) / token
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
        with _signals_as_exceptions():
            try:
                step("begin")
                folder.mkdir(0o777 & ~permissions.in_stash(stash.root), parents=True)
                transaction._write()
                yield transaction
                if not data["committed"]:
                    with _undisturbed():
                        transaction.roll_back(report, backups)
            except BaseException:
                with _undisturbed():
                    if not data["committed"]:
                        _end_processes(folder)  # what git has started ends a little later than git
                        transaction.roll_back(report, backups)
                    else:
                        transaction.finish()
                raise
    finally:
        os.environ.pop(MARKER, None)


def put_in_order(stash: Stash, report: Report) -> None:
    """Undo, or bring to its end, what a killed tool command left, if there is anything."""
    if toplevel(stash.root) is not None and pending(stash):
        with exclusive(stash, report):
            pass


def recover(stash: Stash, project: Superproject, report: Report) -> None:
    """Undo, or bring to its end, what a killed command left (under the lock)."""
    home = _home(project)
    if files.kind_at(home) not in ("a directory", None):
        raise StashError(f"{home} is {files.kind_at(home)}, where a directory must be.", f"remove it: {home}")
    for folder in sorted(home.glob("*")):
        if files.kind_at(folder) != "a directory" or not os.path.lexists(folder / journal.FILE_NAME):
            files.remove(folder)  # killed before it did anything, or after it had cleaned up; or no journal of ours
            continue
        data = journal.read(project, folder)
        transaction = Transaction(project, folder, data)
        _refuse_living(data)
        _end_processes(folder)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(data["started"]))
        what = f"an interrupted `tool {transaction.verb} {transaction.tool}` of {when}"
        if data["committed"]:
            report(f"finishing {what}")
            transaction.finish()
        else:
            report(f"undoing {what}")
            transaction.roll_back(report, stash.backups)
    with contextlib.suppress(OSError):
        _home(project).rmdir()


def pending(stash: Stash) -> list[str]:
    """Return what tool commands that didn't end have left, for people; the next tool command puts it in order."""
    found = []
    project = superproject(stash.root)
    for path in sorted(_home(project).glob(f"*/{journal.FILE_NAME}")):
        with contextlib.suppress(StashError):
            data = journal.read(project, path.parent)
            alive = Identity(data["pid"], data["start_time"])
            if data["host"] != procfs.hostname() or not _is_alive(data, alive):
                found.append(f"tool {data['verb']} {data['tool']}")
    return found


def _home(project: Superproject) -> Path:
    return project.git_directory / "experimentstash"


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


def _end_processes(folder: Path) -> None:
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


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as Ctrl-C does, with everything undone."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    saved = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in saved.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep a second Ctrl-C from interrupting what the first one has us undo."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A handler of ours that does nothing: an ignored signal would be ignored by git's own processes as well.
    saved = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


# --- files -----------------------------------------------------------------------------------------------------------


def remove_empty(directory: Path, project: Superproject) -> None:
    """Remove a directory, and those above it, if nothing is in them; those that every stash or git has stay."""
    lasting = {project.root / project.prefix / name for name in ("tools", "conf", "conf/exp", "conf/tool")}
    lasting |= {project.root / project.prefix, project.root, project.git_directory, project.git_directory.parent}
    lasting |= {project.root / project.prefix / ".experimentstash"}
    while directory not in lasting and (
        directory.is_relative_to(project.root) or directory.is_relative_to(project.git_directory)
    ):
        try:
            directory.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        directory = directory.parent


def _rename(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = _partial(target)
        files.remove(partial)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, partial, symlinks=True)
        else:
            shutil.copy2(source, partial, follow_symlinks=False)
        os.rename(partial, target)
        files.remove(source)
    _sync_directory(target.parent)


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.experimentstash-partial")


def _content(path: Path) -> bytes | None:
    """Return what is in a file that is to be replaced; None if there is none. StashError if it is no file."""
    try:
        return files.read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StashError(f"{path} can't be read: {error.strerror}.", "look what it is") from error


def _put(path: Path, content: bytes | None, folder: Path) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    draft = _draft(path, folder)
    with open(draft, "wb", opener=files.open_regular) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.chmod(mode)
    os.replace(draft, path)


def _draft(path: Path, folder: Path) -> Path:
    return path.with_name(f".{path.name}.{folder.name}")


def _fingerprint(path: Path) -> str:
    """Return what changes when somebody works in a tree: its files' sizes and times, and a repository's references."""
    digest = hashlib.sha256()
    is_repository = (path / "objects").is_dir() and (path / "HEAD").is_file()
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in REMAKEABLE and not name.endswith(".egg-info"))
        if is_repository and Path(folder) == path:
            folders[:] = [name for name in folders if name in ("refs", "logs")]
            names = [name for name in names if name in ("HEAD", "packed-refs")]
        for name in sorted({*names, *(each for each in folders if os.path.islink(os.path.join(folder, each)))}):
            file = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                found = os.lstat(file)
                text = f"{os.path.relpath(file, path)}\0{found.st_mode}\0{found.st_size}\0{found.st_mtime_ns}\n"
                digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
