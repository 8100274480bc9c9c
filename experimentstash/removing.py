"""``tool remove`` and ``tool restore``: out of the stash without a trace, and back to the byte."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experimentstash import backups, git_state, occupied, records, registrations, submodules, unpacking, worktrees
from experimentstash import runs as all_runs
from experimentstash.backups import Backup
from experimentstash.errors import StashError, did_you_mean
from experimentstash.names import check_tool_name, transport_problem
from experimentstash.submodules import Entry, Superproject, Work
from experimentstash.transaction import Report, Transaction, begin, exclusive, make_private
from experimentstash.workspace import Stash


@dataclass(frozen=True)
class Removal:
    """What removing a tool would touch."""

    name: str
    experiments: tuple[str, ...]  # organizers that choose it
    runs: int  # that have been made with it; they stay
    work: tuple[str, ...]  # what exists only here


@dataclass(frozen=True)
class Removed:
    """What `tool remove` has done."""

    removal: Removal
    backup: Path
    skipped: tuple[str, ...]  # what can be made anew and is in no backup
    to_commit: tuple[str, ...]


@dataclass(frozen=True)
class Restored:
    """What `tool restore` has done."""

    name: str
    commit: str | None
    branch: str | None
    experiments: tuple[str, ...]
    to_commit: tuple[str, ...]


def remove(
    stash: Stash,
    name: str,
    *,
    force: bool = False,
    agree: Callable[[Removal], bool] | None = None,
    report: Report,
) -> Removed | None:
    """Remove a tool, its backup made first; None if ``agree``, which is asked before anything happens, says no.

    Raises StashError if work exists only here or a run goes on, unless ``force``.
    """
    check_tool_name(name)
    with exclusive(stash, report) as project:
        submodules.refuse_unstaged_gitmodules(project)
        tree, path = _place(stash, project, name)
        declared = submodules.sections(project)
        module_name = next((each for each, settings in declared.items() if settings.get("path") == path), path)
        module = project.module(module_name)
        entries = submodules.index_entries(project, [path])
        _refuse_foreign(stash, name, path, entries)
        repository = module if module.is_dir() else None
        has_checkout = repository is not None and (tree / ".git").exists()
        work = _work(tree) if has_checkout else []
        experiments = registrations.dependents(stash, name)
        made, active = _runs(stash, name)
        removal = Removal(name, tuple(experiments), made, tuple(line for each in work for line in each.describe()))
        if not force:
            _refuse(removal, active, len(worktrees.submitters(stash, name)))
        if agree is not None and not agree(removal):
            return None
        # First, so that the backup of the repository knows nothing of them.
        worktrees.remove_all(stash, name, report)
        with begin(stash, project, "remove", name, report) as transaction:
            files = [stash.registration(name), *(stash.organizer(each) for each in experiments)]
            names = [path_.relative_to(stash.root).as_posix() for path_ in files]
            in_project = [path_.relative_to(project.root).as_posix() for path_ in files]
            listed = submodules.index_entries(project, [path, *in_project])
            before = project.gitmodules.read_bytes() if project.gitmodules.is_file() else None
            gone = [module_name] if module_name in declared else []
            after = submodules.gitmodules_text(project, transaction.folder, without=gone)
            draft = transaction.folder / "backup"
            draft.mkdir()
            saved = backups.save(
                draft,
                project,
                tool=name,
                path=path,
                tree=tree if has_checkout else None,
                repository=repository,
                module=module_name,
                stash_files=list(zip(names, files, strict=True)),
                section=submodules.config_section(project, module_name),
                index=listed,
                gitmodules=(before, after),
                settings=declared.get(module_name, {}),
            )
            target = stash.backups / backups.folder_name(name)
            make_private(target.parent)
            if not has_checkout and tree.is_dir() and any(tree.iterdir()):
                transaction.move(tree, draft / "tree")  # no checkout of a repository: kept as it is
            transaction.move(draft, target)
            _take_out(transaction, project, tree, repository, module_name, after, before, files, listed)
            transaction.discard(stash.environments / name)
            transaction.commit()
    return Removed(removal, target, tuple(saved.skipped), (*(each.path for each in listed), ".gitmodules"))


def _take_out(
    transaction: Transaction,
    project: Superproject,
    tree: Path,
    repository: Path | None,
    module_name: str,
    after: bytes | None,
    before: bytes | None,
    files: list[Path],
    listed: list[Entry],
) -> None:
    if os.path.lexists(tree):
        transaction.drop(tree)
    if repository is not None:
        transaction.drop(repository)
    if after != before:
        transaction.replace(project.gitmodules, after)
    transaction.section(module_name, [])
    for path in files:
        transaction.drop(path)
    gitmodules = [Entry(".gitmodules")] if after is None else [submodules.store(project, ".gitmodules", after)]
    transaction.index([*(Entry(each.path) for each in listed), *(gitmodules if after != before else [])])


def _place(stash: Stash, project: Superproject, name: str) -> tuple[Path, str]:
    """Return a tool's directory and its path in the stash's repository; StashError if it isn't below tools/."""
    tool = registrations.read(stash, name)
    where = stash.registration(name).relative_to(stash.root)
    tree = Path(os.path.normpath(stash.root / tool.path))
    inside = tree.is_relative_to(stash.root / "tools") and tree != stash.root / "tools"
    if not inside or not tree.parent.resolve().is_relative_to(stash.root.resolve()):
        raise StashError(f"{where}: path: {tool.path!r} is not below tools/.", f"mend `path:` in {where}")
    for other in stash.tools():
        if other != name and os.path.normpath(stash.root / _path_of(stash, other)) == str(tree):
            raise StashError(
                f"The tool {other!r} uses the same directory, {tool.path}.",
                f"to take out this registration alone: rm {where}",
            )
    return tree, tree.relative_to(project.root).as_posix()


def _path_of(stash: Stash, name: str) -> str:
    try:
        return registrations.read(stash, name).path
    except StashError:
        return f"tools/{name}"


def _refuse_foreign(stash: Stash, name: str, path: str, entries: list[Entry]) -> None:
    if any(each.mode != submodules.GITLINK for each in entries):
        raise StashError(
            f"{path} is no submodule: its files belong to the stash's own repository, where git keeps them.",
            f"git rm -r {path} {stash.registration(name).relative_to(stash.root)}",
        )


def _work(tree: Path) -> list[Work]:
    places = ["", *(path for path, _ in submodules.nested_repositories(tree))]
    found = [submodules.work_in(tree / path, path) for path in places]
    return [each for each in found if not each.nothing]


def _runs(stash: Stash, name: str) -> tuple[int, list[str]]:
    """Return how many runs a tool has made, and which of them go on."""
    made, active = 0, []
    for directory in all_runs.directories(stash):
        try:
            run = records.read(directory)
            if run.tool == name:
                made += 1
                if not run.state.is_final and not all_runs.look(stash, directory).state.is_final:
                    active.append(run.id)
        except StashError:
            continue
    return made, active


def _refuse(removal: Removal, active: list[str], submitting: int) -> None:
    if active:
        shown = ", ".join(active[:5]) + (" …" if len(active) > 5 else "")
        runs = f"{len(active)} runs need it ({shown})" if len(active) > 1 else f"{shown} needs it"
        raise StashError(
            f"The tool {removal.name!r} is at work: {runs}.",
            f"wait, or: experimentstash cancel {' '.join(active[:5])} (or --force)",
        )
    if submitting:
        raise StashError(f"Runs of the tool {removal.name!r} are just being submitted.", "wait (or --force)")
    if removal.work:
        lines = "\n".join(f"  {line}" for line in removal.work)
        raise StashError(
            f"The tool {removal.name!r} has work that exists only here:\n{lines}",
            f"commit and push it, or: experimentstash tool remove {removal.name} --force (it goes into the backup)",
        )


def restore(stash: Stash, wanted: str, *, show_progress: bool = False, report: Report) -> Restored:
    """Bring back what a backup holds to where it was: commits, stashes, changes, registration, organizers, to the byte.

    Raises StashError if something else stands there now, if the remote has lost commits that only it had, or if the
    backup isn't what `tool remove` makes.
    """
    folder = find_backup(stash, wanted)
    backup = unpacking.load(folder)
    name = backup.tool
    with exclusive(stash, report) as project:
        submodules.refuse_unstaged_gitmodules(project)
        tree = project.root / backup.path
        module = project.module(backup.module)
        settings = _settings(project, folder, backup)
        occupied.refuse(stash, project, backup)
        with begin(stash, project, "restore", name, report) as transaction:
            staged = transaction.folder
            for path in backup.stash_files:
                copy = staged / "stash" / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                unpacking.copy(folder / "stash" / path, copy)
            if backup.repositories:
                report(f"rebuilding {name} from {backup.url or 'its backup'} …")
                bare, made, nested = unpacking.rebuild(
                    folder, backup, staged, show_progress=show_progress, report=report
                )
                if backup.has_checkout:
                    submodules.settle(bare, made, module, tree, nested)
                transaction.move(bare, module)
                if backup.has_checkout:
                    transaction.move(made, tree)
            if (folder / "tree").is_dir():
                unpacking.put_files(folder / "tree", staged / "plain", report)
                transaction.move(staged / "plain", tree)
            elif backup.registered and not tree.exists():
                transaction.create(tree)
                tree.mkdir(parents=True)
            entries = [Entry(str(path), mode, value) for path, mode, value in backup.index]
            if settings:
                content = _gitmodules(project, backup, staged, settings)
                transaction.replace(project.gitmodules, content)
                entries.append(submodules.store(project, ".gitmodules", content))
            _restore_section(transaction, backup, folder, report)
            for path in backup.stash_files:
                transaction.move(staged / "stash" / path, stash.root / path)
            transaction.index(_existing(project, entries))
            transaction.commit()
    experiments = [path.removeprefix("conf/exp/").removesuffix(".yaml") for path in backup.stash_files]
    return Restored(
        name=name,
        commit=backup.commit,
        branch=backup.branch,
        experiments=tuple(each for each in experiments if not each.startswith("conf/")),
        to_commit=tuple(each.path for each in entries),
    )


def _settings(project: Superproject, folder: Path, backup: Backup) -> dict[str, str]:
    """Return the tool's section of .gitmodules as it was, none if it had none. StashError if it makes no sense."""
    if backup.gitmodules_before is None:
        return {}
    settings = submodules.sections(project, _encoded(backup.gitmodules_before)).get(backup.module, {})
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
    without = submodules.gitmodules_text(project, staged, without=[backup.module], text=before)
    if without == current:
        return before
    return submodules.gitmodules_text(project, staged, new={backup.module: settings}) or b""


def _restore_section(transaction: Transaction, backup: Backup, folder: Path, report: Report) -> None:
    start = f"submodule.{backup.module}."
    kept, left_out = git_state.allowed((start + key, value) for key, value in backup.section)
    transaction.section(backup.module, [(key[len(start) :], value) for key, value in kept])
    if line := git_state.tell(left_out, folder / backups.MANIFEST):
        report(line)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _existing(project: Superproject, entries: list[Entry]) -> list[Entry]:
    """Return the entries with objects that are there: git may have thrown away what was staged and never committed."""
    found = []
    for entry in entries:
        is_file = entry.mode is not None and entry.mode != submodules.GITLINK and entry.object is not None
        if is_file and submodules.git(project.root, "cat-file", "-e", str(entry.object), check=False).code:
            path = project.root / entry.path
            if path.is_symlink():
                content = os.fsencode(os.readlink(path))
            elif path.is_file():
                content = path.read_bytes()
            else:
                continue
            entry = Entry(entry.path, entry.mode, submodules.store(project, entry.path, content).object)
        found.append(entry)
    return found


def find_backup(stash: Stash, wanted: str) -> Path:
    """Return the backup that a path, the name of a backup, or the name of a tool (its latest) stands for."""
    home = stash.backups
    for candidate in (Path(wanted).absolute(), home / wanted):
        if os.path.lexists(candidate / backups.MANIFEST):
            return candidate
    known = sorted(path.parent.name for path in home.glob(f"*/{backups.MANIFEST}"))
    of_tool = [each for each in known if fnmatch.fnmatchcase(each, f"{wanted}-[0-9]*") and "/" not in wanted]
    if of_tool:
        return home / max(of_tool, key=lambda each: (home / each / backups.MANIFEST).lstat().st_mtime_ns)
    raise StashError(
        f"There is no backup {wanted!r}.{did_you_mean(wanted, known)}\nBackups: {', '.join(known) or 'none'}"
    )
