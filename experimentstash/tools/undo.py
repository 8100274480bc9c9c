"""The steps of a transaction are undone, each so that doing it again is the same as once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitindex import Entry
from experimentstash.adapters.git.locks import clear_stale_lock
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.adapters.git.work import work_in
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import make_private
from experimentstash.stash.layout import new_token
from experimentstash.tools import journal
from experimentstash.tools.placing import content_of, draft_of, fingerprint, partial_of, put, remove_empty, rename


@dataclass(frozen=True)
class Undoing:
    """A transaction, as far as undoing it needs it."""

    project: Superproject
    folder: Path
    verb: str
    tool: str
    started: float
    backups: Path  # where goes what somebody has changed in the meantime
    report: Callable[[str], None]

    def undo(self, done: dict[str, Any]) -> None:
        """Undo a step that was done, or was about to be."""
        kind = done["op"]
        if kind == "move":
            source, target = Path(done["source"]), Path(done["target"])
            if os.path.lexists(target):
                if os.path.lexists(source):  # copied to another file system, and not yet removed here
                    files.remove(source)
                source.parent.mkdir(parents=True, exist_ok=True)
                is_changed = self.verb in ("add", "restore") and fingerprint(target) != done["print"]
                if is_changed and source.is_relative_to(self.folder):
                    self.report(f"{target} had been changed since; it is now in {self._aside(target)}")
                else:
                    rename(target, source)
                remove_empty(target.parent, self.project)
            files.remove(partial_of(target))
        elif kind == "file":
            path = Path(done["path"])
            if files.kind_at(path) not in (None, "a file"):
                self.report(f"{path} had been replaced since; what stood there is now in {self._aside(path)}")
            before, after = journal.as_bytes(done["before"]), journal.as_bytes(done["after"])
            now = content_of(path)
            if now == after and now != before:
                path.parent.mkdir(parents=True, exist_ok=True)
                put(path, before, self.folder)
            elif now != before:
                make_private(self.backups)
                copy = self.backups / f"{path.name.lstrip('.')}-changed-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
                if now is not None:
                    copy.write_bytes(now)
                    self.report(f"{path} had been changed since; a copy is in {copy}")
                path.parent.mkdir(parents=True, exist_ok=True)
                put(path, before, self.folder)
            draft_of(path, self.folder).unlink(missing_ok=True)
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
            self._undo_checkout(done)

    def _aside(self, path: Path) -> Path:
        """Move away what somebody has put into our place; return where it is now."""
        place = self.backups / f"{self.tool}-changed-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
        make_private(self.backups)
        place.mkdir()
        rename(path, place / path.name)
        return place

    def _undo_checkout(self, done: dict[str, Any]) -> None:
        tree = Path(done["tree"])
        place = checkouts.repository_of(tree)
        if place is None or place.resolve() == self.project.git_directory.resolve():
            self.report(f"{tree} is no longer a checkout of its own: it is left as it is")
            return
        for name in ("index.lock", "HEAD.lock"):
            clear_stale_lock(place / name, self.started, self.report)
        old, new = (objects.files_of(tree, str(commit)) for commit in (done["commit"], done["new"]))
        known = {*old.values(), *new.values()}
        work = work_in(tree)
        saved = self.backups / f"{self.tool}-changed-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
        for path in (*work.changed, *(path for path in work.untracked if path in {*old, *new})):
            file = tree / path
            if not file.is_file() or file.is_symlink():
                continue
            if git(tree, "hash-object", "--", path).text not in known:
                make_private(self.backups)
                (saved / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, saved / path)
            elif path in work.untracked and path not in old:
                file.unlink()  # the interrupted checkout has just put it there
        if saved.exists():
            self.report(f"files in {tree} had been changed since; copies are in {saved}")
        checkouts.check_out(tree, str(done["commit"]), done["branch"], force=True)
        if (tree / ".gitmodules").is_file():
            git(tree, "submodule", "--quiet", "update", "--checkout", "--force", "--recursive", check=False)
