"""What stands now where a removed tool was, and so is in the way of bringing it back."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.adapters.git import gitconfig, gitindex
from experimentstash.adapters.git.gitindex import GITLINK
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.tools import registrations
from experimentstash.tools.backup.manifest import Backup


def refuse(stash: Stash, project: Superproject, backup: Backup) -> None:
    """Raise StashError if anything stands where a backup would be restored to, or in the way to there."""
    tree, module = project.root / backup.path, project.module(backup.module)
    if not tree.is_relative_to(stash.root / paths.TOOLS) or tree == stash.root / paths.TOOLS:
        raise StashError(f"The backup belongs to another stash: its tool lies in {backup.path}.")
    conf = [stash.root / path for path in backup.stash_files]
    in_project = [path.relative_to(project.root).as_posix() for path in conf]
    if backup.is_registration_alone:
        if not backup.is_installed:
            _refuse_without_checkout(stash, project, backup)
        found = [*_standing(project.root, conf), *_entries(project, backup, in_project)]
    else:
        found = [*_standing(project.root, [tree, *conf]), *_in_modules(project, module)]
        found += [*_sections(project, backup), *_entries(project, backup, in_project)]
        tenants = (name for name in stash.tools() if _shares(stash, name, tree))
        found += [f"the tool {name!r}, which lies in {backup.path}" for name in tenants]
    if found:
        listed = "\n".join(f"  {each}" for each in dict.fromkeys(found))
        raise StashError(
            f"{backup.tool!r} can't be restored to where it was; this is in the way:\n{listed}",
            "look what it is; move it away or remove it (another tool: experimentstash tool remove NAME), then restore",
        )


def _refuse_without_checkout(stash: Stash, project: Superproject, backup: Backup) -> None:
    """Raise StashError unless the checkout is still there that stayed when the tool was removed."""
    tree = project.root / backup.path
    try:
        is_there = os.path.lexists(files.inside(project.root, tree / ".git"))
    except OSError:
        is_there = False
    if not is_there:
        raise StashError(
            f"The checkout {stash.relative(tree)}, in which {backup.tool!r} lies, is no longer there.",
            "first restore the tool that it went with (the last one in it), or check out the submodule",
        )


def _standing(root: Path, places: list[Path]) -> list[str]:
    found = []
    for place in places:
        try:
            files.inside(root, place)
        except files.Unfit as error:
            found.append(f"{os.path.relpath(error.filename, root)} ({str(error.strerror).removeprefix('it is ')})")
            continue
        if (kind := files.kind_at(place)) is not None:
            is_empty = kind == "a directory" and not os.listdir(place)
            found.append(f"{os.path.relpath(place, root)} ({'an empty directory' if is_empty else kind})")
    return found


def _in_modules(project: Superproject, module: Path) -> list[str]:
    """Return the repositories of submodules that have the place of this one, or lie around it."""
    home = project.git_directory / "modules"
    around = [path for path in module.parents if path.is_relative_to(home) and os.path.lexists(path / "HEAD")]
    return [f"{each} (the repository of a submodule)" for each in around] + [
        f"{project.git_directory.name}/{each}" for each in _standing(project.git_directory, [module])
    ]


def _sections(project: Superproject, backup: Backup) -> list[str]:
    found = []
    for name, settings in gitconfig.sections(project).items():
        path = settings.get("path", "")
        if name == backup.module:
            found.append(f"the section [submodule {name!r}] in .gitmodules ({path})")
        elif f"{path}/".startswith(f"{backup.path}/") or (path and f"{backup.path}/".startswith(f"{path}/")):
            found.append(f"the submodule {name!r} in .gitmodules, which lies in {path}")
    section = gitconfig.config_section(project, backup.module)
    if section and section != [(key, value) for key, value in backup.section]:
        found.append(
            f"the section submodule.{backup.module} in {project.git_directory.name}/config"
            f" (git config --remove-section submodule.{backup.module})"
        )
    return found


def _entries(project: Superproject, backup: Backup, conf: list[str]) -> list[str]:
    """Return the entries of the index that differ from those that are to be there, and those around the tool."""
    known = {path: (mode, name) for path, mode, name in backup.index}
    own = [] if backup.is_registration_alone else [backup.path]
    strangers = [path for path in known if path not in own and path not in conf]
    is_link = {path: mode == GITLINK for path, (mode, _) in known.items()}
    if strangers or any(is_link[path] != (path == backup.path) for path in known):
        raise StashError(f"The backup is refused: its entries of the index don't belong to it ({[*known]}).")
    parents = {parent.as_posix() for path in (*own, *conf) for parent in Path(path).parents} - {"."}
    around = [each for each in gitindex.index_entries(project, sorted(parents)) if each.path in parents]
    entries = [*around, *gitindex.index_entries(project, [*own, *conf])]
    return [f"{each.path} in the index" for each in entries if known.get(each.path) != (each.mode, each.object)]


def _shares(stash: Stash, name: str, tree: Path) -> bool:
    try:
        given = registrations.read(stash, name).path
    except StashError:
        return False
    if not given:
        return False
    path = Path(os.path.normpath(stash.root / given))
    return path.is_relative_to(tree) or tree.is_relative_to(path)
