"""What earlier accidents left of a tool: recognised, said, and cleared away; what exists nowhere else is kept."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, worktree
from experimentstash.adapters.git.gitindex import GITLINK
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base.errors import StashError
from experimentstash.base.files import make_private
from experimentstash.base.process import CommandError
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.tools import places
from experimentstash.tools.backup import manifest, saving
from experimentstash.tools.transaction import Report, Transaction


def clear(transaction: Transaction, stash: Stash, project: Superproject, tool: str, report: Report) -> list[str]:
    """Clear the way for a tool whose registration is not there; return the names of its sections in .gitmodules.

    Every step is the transaction's, so that what was found is back if it fails.
    """
    path = project.path(tool)
    tree = stash.root / paths.TOOLS / tool
    if tenants := places.inhabitants(stash, tree):
        raise StashError(
            f"{stash.relative(tree)} is no leftover: {', '.join(tenants)} lies in it.",
            "take another name, or first remove what lies there",
        )
    declared = gitconfig.sections(project)
    names = [name for name, settings in declared.items() if name == path or settings.get("path") == path]
    _refuse_others(project, path, names, declared)
    modules = dict.fromkeys([path, *names])
    entries = gitindex.index_entries(project, [path])
    if any(each.mode != GITLINK or each.path != path for each in entries):
        raise StashError(
            f"{path} holds files that belong to the stash's own repository.", f"take another name, or git rm -r {path}"
        )
    if entries:
        report(f"found {path} in the index, from an earlier attempt: replaced")
    for name in modules:
        if gitconfig.config_section(project, name):
            report(f"found the section submodule.{name} in {project.git_directory.name}/config: replaced")
            transaction.section(name, [])
        if name in names:
            report(f"found the section submodule.{name} in .gitmodules: replaced")
        place = project.module(name)
        if os.path.lexists(place):
            _clear_repository(transaction, stash, project, tool, name, place, tree, report)
    _clear_directory(transaction, stash, tool, tree, report)
    return names


def _refuse_others(project: Superproject, path: str, names: list[str], declared: dict[str, dict[str, str]]) -> None:
    for name in names:
        elsewhere = declared[name].get("path", path)
        if elsewhere != path and gitindex.index_entries(project, [elsewhere]):
            raise StashError(
                f"The submodule {name!r} lives in {elsewhere}: its repository has the place that {path} would need.",
                "take another name",
            )


def _clear_repository(
    transaction: Transaction,
    stash: Stash,
    project: Superproject,
    tool: str,
    name: str,
    place: Path,
    tree: Path,
    report: Report,
) -> None:
    """Clear away a leftover repository; its commits, stashes and changes that exist nowhere else go to backups/."""
    shown = os.path.relpath(place, project.root)
    if others := worktree.further_worktrees(place):
        raise StashError(
            f"{shown} is the repository of {', '.join(map(str, others))} too, which can't be used without it.",
            "take another name, or first: git worktree remove … there",
        )
    target = stash.backups / manifest.folder_name(tool, "-leftover")
    make_private(target.parent)
    draft = transaction.folder / f"leftover-{len(transaction.data['steps'])}"
    draft.mkdir()
    try:
        checkout = tree if _belongs_to(tree, place) else None
        saved = saving.save(
            draft,
            project,
            tool=tool,
            path=project.path(tool),
            tree=checkout,
            repository=place,
            module=name,
            stash_files=[],
            section=gitconfig.config_section(project, name),
            index=gitindex.index_entries(project, [project.path(tool)]),
            gitmodules=(project.gitmodules.read_bytes() if project.gitmodules.is_file() else None, None),
            settings=gitconfig.sections(project).get(name, {}),
        )
    except (CommandError, OSError, ValueError):
        # It is damaged: nobody can tell what is in it, so all of it is kept.
        report(f"found the damaged repository {shown}: it is now in {stash.relative(target)}")
        transaction.move(place, target / "git")
        return
    has_work = any(each.has_bundle for each in saved.repositories) or bool(saved.absent) or (draft / "files").exists()
    if has_work:
        transaction.move(draft, target)
        report(
            f"found the repository {shown} of an earlier {tool}:"
            f" what may exist nowhere else is in {stash.relative(target)}"
        )
    else:
        report(f"found the repository {shown} of an earlier {tool}, with nothing that its remote lacks: replaced")
    transaction.drop(place)
    if checkout is not None:
        transaction.drop(tree)


def _belongs_to(tree: Path, place: Path) -> bool:
    """Tell whether ``tree`` is a checkout of the repository in ``place``."""
    if not (tree / ".git").is_file() or tree.is_symlink():
        return False
    repository = checkouts.repository_of(tree)
    return repository is not None and repository.resolve() == place.resolve()


def _clear_directory(transaction: Transaction, stash: Stash, tool: str, tree: Path, report: Report) -> None:
    if not os.path.lexists(tree):
        return
    shown = stash.relative(tree)
    is_directory = tree.is_dir() and not tree.is_symlink()
    content = sorted(os.listdir(tree)) if is_directory else []
    if is_directory and (not content or (content == [".git"] and (tree / ".git").is_file())):
        report(f"found the empty directory {shown}: replaced")
        transaction.drop(tree)
        return
    target = stash.backups / manifest.folder_name(tool, "-leftover")
    make_private(target.parent)
    transaction.move(tree, target / "tree")
    report(f"found files in {shown}: they are now in {stash.relative(target / 'tree')}")
