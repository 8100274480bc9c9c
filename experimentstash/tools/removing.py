"""``tool remove``: out of the stash without a trace, and into a backup."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, submodules, superproject, worktree
from experimentstash.adapters.git.gitindex import GITLINK, Entry
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.adapters.git.work import Work, work_in
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import make_private
from experimentstash.base.names import check_tool_name
from experimentstash.code import frozen_names, worktree_users
from experimentstash.record import records
from experimentstash.runs import listing, reconcile
from experimentstash.stash.layout import Stash
from experimentstash.tools import frozen_needs, places, registrations
from experimentstash.tools.backup import manifest, saving
from experimentstash.tools.frozen_needs import Needs
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
    frozen: tuple[str, ...] = ()  # what becomes of that which frozen names need of it


@dataclass(frozen=True)
class Removed:
    """What `tool remove` has done."""

    removal: Removal
    backup: Path
    skipped: tuple[str, ...]  # what can be made anew and is in no backup
    to_commit: tuple[str, ...]
    to_add: tuple[str, ...]  # what is new in what is frozen


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
        needs = frozen_needs.Needs((), ()) if stays else frozen_needs.of_removed(stash, tree)
        removal = Removal(name, tuple(experiments), made, lines, stash.relative(tree), place.others, needs.lines)
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
            saved = saving.save(
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
            bundles = _keep_frozen(transaction, needs)
            target = stash.backups / manifest.folder_name(name)
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
    unseen = [each.relative_to(project.root).as_posix() for each in bundles]
    return Removed(removal, target, tuple(saved.skipped), tuple(to_commit), tuple(unseen))


def _keep_frozen(transaction: Transaction, needs: Needs) -> list[Path]:
    """Write the bundles of commits that frozen names need and nobody else has; return where they are."""
    for number, (root, commit, target) in enumerate(needs.to_bundle):
        draft = transaction.folder / f"frozen-{number}.bundle"
        frozen_names.make_bundle(root, commit, draft)
        transaction.move(draft, target)
    return [target for _, _, target in needs.to_bundle]


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
    for directory in listing.directories(stash):
        try:
            run = records.read(directory)
            if run.spec.tool == name:
                made += 1
                if (
                    not run.attempt.state.is_final
                    and not reconcile.load_reconciled(stash, directory).attempt.state.is_final
                ):
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
