"""``tool remove`` and ``tool restore``: out of the stash without a trace, and back to the byte."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, objects, submodules, superproject, worktree
from experimentstash.adapters.git.gitindex import GITLINK, Entry
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.adapters.git.work import Work, work_in
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.files import make_private
from experimentstash.base.names import check_tool_name, transport_problem
from experimentstash.code import worktree_users
from experimentstash.record import records
from experimentstash.runs import runs as all_runs
from experimentstash.stash.layout import Stash
from experimentstash.tools import backups, git_state, occupied, places, registrations, unpacking
from experimentstash.tools.backups import Backup
from experimentstash.tools.places import Place
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.transaction import Report, Transaction, begin


@dataclass(frozen=True)
class Removal:
    """What removing a tool would touch."""

    name: str
    experiments: tuple[str, ...]  # organizers that choose it
    runs: int  # that have been made with it; they stay
    work: tuple[str, ...]  # what exists only here
    checkout: str  # where it lies
    others: tuple[str, ...]  # tools that lie in the same checkout: it stays for them


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
        gitindex.refuse_unstaged_gitmodules(project)
        place = places.find(stash, project, name)
        tree, path, module = place.checkout, place.path(project), project.module(place.module)
        declared = gitconfig.sections(project)
        if not place.is_installed:
            _refuse_foreign(stash, project, place)
        repository = module if module.is_dir() else None
        has_checkout = repository is not None and (tree / ".git").exists()
        stays = bool(place.others) or place.is_installed
        if not stays:
            _refuse_worktrees(stash, tree, repository)
        work = _work(tree) if (tree / ".git").exists() and not stays else []
        experiments = registrations.dependents(stash, name)
        made, active = _runs(stash, name)
        lines = tuple(line for each in work for line in each.describe())
        removal = Removal(name, tuple(experiments), made, lines, stash.relative(tree), place.others)
        if not force:
            _refuse(removal, active, len(worktree_users.submitters(stash, name)))
        if agree is not None and not agree(removal):
            return None
        with begin(stash, project, "remove", name, report) as transaction:
            conf = [stash.registration(name), *(stash.organizer(each) for each in experiments)]
            names = [path_.relative_to(stash.root).as_posix() for path_ in conf]
            in_project = [path_.relative_to(project.root).as_posix() for path_ in conf]
            listed = gitindex.index_entries(project, [*([] if stays else [path]), *in_project])
            before = project.gitmodules.read_bytes() if project.gitmodules.is_file() else None
            gone = [place.module] if place.module in declared and not stays else []
            after = before
            if not stays:
                after = gitconfig.gitmodules_text(project, transaction.folder, without=gone)
            draft = transaction.folder / "backup"
            draft.mkdir()
            saved = backups.save(
                draft,
                project,
                tool=name,
                path=path,
                tree=tree if has_checkout and not stays else None,
                repository=None if stays else repository,
                module=place.module,
                stash_files=list(zip(names, conf, strict=True)),
                section=[] if stays else gitconfig.config_section(project, place.module),
                index=listed,
                gitmodules=(before, after),
                settings={} if stays else declared.get(place.module, {}),
                is_registration_alone=stays,
                is_installed=place.is_installed,
            )
            target = stash.backups / backups.folder_name(name)
            make_private(target.parent)
            if not stays and not has_checkout and tree.is_dir() and any(tree.iterdir()):
                transaction.move(tree, draft / "tree")  # no checkout of a repository: kept as it is
            transaction.move(draft, target)
            if not stays:
                _take_out_submodule(transaction, project, tree, repository, place.module)
            _take_out(transaction, project, before, after, conf, listed)
            transaction.discard(stash.environments / name)
            transaction.commit()
        # Only now: if the tool had stayed, its runs that wait or can be resumed would still need it.
        try:
            worktree_users.remove_all(stash, name, report)
        except (StashError, OSError) as error:
            report(f"the frozen code of {name} could not all be removed: {error}")
    to_commit = [*(each.path for each in listed), *([] if stays else [".gitmodules"])]
    return Removed(removal, target, tuple(saved.skipped), tuple(to_commit))


def _take_out_submodule(
    transaction: Transaction, project: Superproject, tree: Path, repository: Path | None, module: str
) -> None:
    if os.path.lexists(tree):
        transaction.drop(tree)
    if repository is not None:
        transaction.drop(repository)
    if not superproject.is_used_elsewhere(project, module):
        transaction.section(module, [])


def _take_out(
    transaction: Transaction,
    project: Superproject,
    before: bytes | None,
    after: bytes | None,
    conf: list[Path],
    listed: list[Entry],
) -> None:
    if after != before:
        transaction.replace(project.gitmodules, after)
    for path in conf:
        transaction.drop(path)
    gitmodules = [Entry(".gitmodules")] if after is None else [gitindex.store(project, ".gitmodules", after)]
    transaction.index([*(Entry(each.path) for each in listed), *(gitmodules if after != before else [])])


def _refuse_foreign(stash: Stash, project: Superproject, place: Place) -> None:
    path = place.path(project)
    entries = gitindex.index_entries(project, [path])
    if any(each.mode != GITLINK or each.path != path for each in entries):
        raise StashError(
            f"{path} is no submodule: its files belong to the stash's own repository, where git keeps them.",
            f"git rm -r {path} {stash.registration(place.tool).relative_to(stash.root)}",
        )
    if (other := checkouts.led_elsewhere(place.checkout, project.module(place.module))) is not None:
        raise StashError(
            f"{path} is a checkout of the repository {other}, which isn't the tool's own: git worktree list shows it.",
            f"git -C {place.checkout} worktree remove {place.checkout}",
        )
    own = stash.registration(place.tool)
    for name in stash.tools():
        link = stash.registration(name)
        if name != place.tool and link.is_symlink() and link.resolve() == own.resolve():
            raise StashError(f"The registration of {name!r} is a link to that of {place.tool!r}.", f"rm {link}")
    is_repository = place.is_submodule or (place.checkout / ".git").exists()
    if place.others and not is_repository:
        where = stash.registration(place.tool).relative_to(stash.root)
        raise StashError(
            f"{', '.join(map(repr, place.others))} lies in the same directory, {stash.relative(place.directory)}.",
            f"to take out this registration alone: rm {where}",
        )


def _refuse_worktrees(stash: Stash, tree: Path, repository: Path | None) -> None:
    """Raise StashError if somebody works in a further worktree of the repository: it would be cut off from that."""
    places = [repository or tree / ".git"]
    if (tree / ".git").exists():
        places += [inner for _, inner in submodules.nested_repositories(tree)]
    for each in (found for inner in places for found in worktree.further_worktrees(inner)):
        if not each.resolve().is_relative_to((stash.private / "code").resolve()):  # frozen code goes with the tool
            raise StashError(
                f"{each} is a worktree of the repository of {stash.relative(tree)}, and can't be used without it.",
                f"if nothing there is needed: git -C {shlex.quote(str(tree))} worktree remove {shlex.quote(str(each))}",
            )


def _work(tree: Path) -> list[Work]:
    places = ["", *(path for path, _ in submodules.nested_repositories(tree))]
    found = [work_in(tree / path, path) for path in places]
    return [each for each in found if not each.nothing]


def _runs(stash: Stash, name: str) -> tuple[int, list[str]]:
    """Return how many runs a tool has made, and which of them go on."""
    made, active = 0, []
    for directory in all_runs.directories(stash):
        try:
            run = records.read(directory)
            if run.spec.tool == name:
                made += 1
                if not run.attempt.state.is_final and not all_runs.look(stash, directory).attempt.state.is_final:
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
                unpacking.copy(folder / "stash" / path, copy)
            if backup.repositories:
                report(f"rebuilding {name} from {backup.url or 'its backup'} …")
                bare, made, nested = unpacking.rebuild(
                    folder, backup, staged, show_progress=show_progress, report=report
                )
                if backup.has_checkout:
                    checkouts.settle(bare, made, module, tree, nested)
                transaction.move(bare, module)
                if backup.has_checkout:
                    transaction.move(made, tree)
            if files.kind_at(folder / "tree") == "a symbolic link":  # so was the tool's directory
                unpacking.copy(folder / "tree", staged / "plain")
                transaction.move(staged / "plain", tree)
            elif (folder / "tree").is_dir():
                unpacking.put_files(folder / "tree", staged / "plain", report)
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
    if line := git_state.tell(left_out, folder / backups.MANIFEST):
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
        if os.path.lexists(candidate / backups.MANIFEST):
            return candidate
    known = sorted(path.parent.name for path in home.glob(f"*/{backups.MANIFEST}"))
    # A tool's whole name: `mine-2-…` is a backup of another one than `mine`.
    of_tool = [each for each in known if re.fullmatch(rf"{re.escape(wanted)}-\d{{8}}-\d{{6}}-[^-]+", each)]
    if of_tool:
        return home / max(of_tool, key=lambda each: (home / each / backups.MANIFEST).lstat().st_mtime_ns)
    raise StashError(
        f"There is no backup {wanted!r}.{did_you_mean(wanted, known)}\nBackups: {', '.join(known) or 'none'}"
    )
