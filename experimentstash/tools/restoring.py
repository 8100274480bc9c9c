"""``tool restore``: what a backup holds comes back to where it was, to the byte."""

from __future__ import annotations

import os
import re
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, objects
from experimentstash.adapters.git.gitindex import GITLINK, Entry
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.names import transport_problem
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.tools import occupied
from experimentstash.tools.backup import git_state, loading, manifest, rebuilding
from experimentstash.tools.backup.manifest import Backup
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.transaction import Report, Transaction, begin


@dataclass(frozen=True)
class Restored:
    """What `tool restore` has done."""

    name: str
    commit: str | None
    branch: str | None
    experiments: tuple[str, ...]
    to_commit: tuple[str, ...]


def restore(stash: Stash, wanted: str, *, show_progress: bool = False, report: Report) -> Restored:
    """Bring back what a backup holds to where it was: commits, stashes, changes, registration, organizers, to the byte.

    Raises StashError if something else stands there now, if the remote has lost commits that only it had, or if the
    backup isn't what `tool remove` makes.
    """
    folder = find_backup(stash, wanted)
    backup = loading.load(folder)
    name = backup.tool
    with exclusive(stash, report) as project:
        gitindex.refuse_unstaged_gitmodules(project)
        tree = project.root / backup.path
        module = project.module(backup.module)
        settings = {} if backup.is_registration_alone else _settings(project, folder, backup)
        occupied.refuse(stash, project, backup)
        with begin(stash, project, "restore", name, report) as transaction:
            staged = transaction.folder
            for path in backup.stash_files:
                copy = staged / "stash" / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                rebuilding.copy(folder / "stash" / path, copy)
            if backup.repositories:
                report(f"rebuilding {name} from {backup.url or 'its backup'} …")
                bare, made, nested = rebuilding.rebuild(
                    folder, backup, staged, show_progress=show_progress, report=report
                )
                if backup.has_checkout:
                    checkouts.settle(bare, made, module, tree, nested)
                transaction.move(bare, module)
                if backup.has_checkout:
                    transaction.move(made, tree)
            if files.kind_at(folder / "tree") == "a symbolic link":  # so was the tool's directory
                rebuilding.copy(folder / "tree", staged / "plain")
                transaction.move(staged / "plain", tree)
            elif (folder / "tree").is_dir():
                rebuilding.put_files(folder / "tree", staged / "plain", report)
                transaction.move(staged / "plain", tree)
            elif backup.registered and not tree.exists():
                transaction.create(tree)
                tree.mkdir(parents=True)
            entries = [Entry(str(path), mode, value) for path, mode, value in backup.index]
            if settings:
                content = _gitmodules(project, backup, staged, settings)
                transaction.replace(project.gitmodules, content)
                entries.append(gitindex.store(project, ".gitmodules", content))
            if not backup.is_registration_alone:
                _restore_section(transaction, backup, folder, report)
            for path in backup.stash_files:
                transaction.move(staged / "stash" / path, stash.root / path)
            transaction.index(_existing(project, entries))
            transaction.commit()
    experiments = [path.removeprefix(f"{paths.ORGANIZERS}/").removesuffix(".yaml") for path in backup.stash_files]
    return Restored(
        name=name,
        commit=backup.commit,
        branch=backup.branch,
        experiments=tuple(each for each in experiments if not each.startswith(f"{paths.CONF}/")),
        to_commit=tuple(each.path for each in entries),
    )


def _settings(project: Superproject, folder: Path, backup: Backup) -> dict[str, str]:
    """Return the tool's section of .gitmodules as it was, none if it had none. StashError if it makes no sense."""
    if backup.gitmodules_before is None:
        return {}
    settings = gitconfig.sections(project, backup.gitmodules_before).get(backup.module, {})
    problem = None
    if settings.get("path", backup.path) != backup.path:
        problem = f"the path {settings['path']!a}, but the tool was in {backup.path!a}"
    elif settings.get("update", "").startswith("!"):
        problem = f"a command for its updates ({settings['update']!a})"
    elif (url := settings.get("url")) is not None and (reason := transport_problem(url)):
        problem = f"the URL {url!a}: {reason}"
    elif any("\n" in text for each in settings.items() for text in each):
        problem = "a line break in a setting"
    if problem:
        raise StashError(f"{folder} is refused: its submodule has {problem}.")
    return settings


def _gitmodules(project: Superproject, backup: Backup, staged: Path, settings: dict[str, str]) -> bytes:
    """Return .gitmodules with the tool's section in it again: as it was to the byte if nothing else has changed."""
    current = project.gitmodules.read_bytes() if project.gitmodules.is_file() else None
    before = _encoded(backup.gitmodules_before or "")
    without = gitconfig.gitmodules_text(project, staged, without=[backup.module], text=before)
    if without == current:
        return before
    return gitconfig.gitmodules_text(project, staged, new={backup.module: settings}) or b""


def _restore_section(transaction: Transaction, backup: Backup, folder: Path, report: Report) -> None:
    start = f"submodule.{backup.module}."
    kept, left_out = git_state.allowed((start + key, value) for key, value in backup.section)
    transaction.section(backup.module, [(key[len(start) :], value) for key, value in kept])
    if line := git_state.tell(left_out, folder / manifest.MANIFEST):
        report(line)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _existing(project: Superproject, entries: list[Entry]) -> list[Entry]:
    """Return the entries with objects that are there: git may have thrown away what was staged and never committed."""
    found = []
    kinds = objects.kinds(project.root, [str(each.object) for each in entries if _is_file(each)])
    for entry in entries:
        if _is_file(entry) and kinds[str(entry.object)] is None:
            path = project.root / entry.path
            if path.is_symlink():
                content = os.fsencode(os.readlink(path))
            elif path.is_file():
                content = path.read_bytes()
            else:
                continue
            entry = Entry(entry.path, entry.mode, gitindex.store(project, entry.path, content).object)
        found.append(entry)
    return found


def _is_file(entry: Entry) -> bool:
    return entry.mode is not None and entry.mode != GITLINK and entry.object is not None


def find_backup(stash: Stash, wanted: str) -> Path:
    """Return the backup that a path, the name of a backup, or the name of a tool (its latest) stands for."""
    home = stash.backups
    for candidate in (Path(wanted).absolute(), home / wanted):
        if os.path.lexists(candidate / manifest.MANIFEST):
            return candidate
    known = sorted(path.parent.name for path in home.glob(f"*/{manifest.MANIFEST}"))
    # A tool's whole name: `mine-2-…` is a backup of another one than `mine`.
    of_tool = [each for each in known if re.fullmatch(rf"{re.escape(wanted)}-\d{{8}}-\d{{6}}-[^-]+", each)]
    if of_tool:
        return home / max(of_tool, key=lambda each: (home / each / manifest.MANIFEST).lstat().st_mtime_ns)
    raise StashError(
        f"There is no backup {wanted!r}.{did_you_mean(wanted, known)}\nBackups: {', '.join(known) or 'none'}"
    )
