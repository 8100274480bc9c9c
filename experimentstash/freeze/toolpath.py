"""Where a tool's directory is, if that is certain; else which command or edit makes it so."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from experimentstash.adapters.git.gitconfig import paths_seen
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.python import installed
from experimentstash.base.errors import StashError
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig


def tool_directory(stash: Stash, name: str, tool: ToolConfig, *, is_needed: bool = True) -> Path:
    """Return the tool's directory; StashError if it isn't there, or isn't certainly in the stash and in a repository.

    Unless it ``is_needed``, what is checked out may lack it.
    """
    registration = paths.registration(name)
    if not tool.path:
        return _of_interpreter(registration, tool)
    directory = Path(os.path.normpath(stash.root / tool.path))
    if not directory.is_relative_to(stash.root) or directory == stash.root:
        raise StashError(f"{registration}: path: {tool.path!r} is not below the stash {stash.root}.")
    if ".." in Path(tool.path).parts:
        hint = f"path: {directory.relative_to(stash.root).as_posix()}, if that is what is meant"
        raise StashError(f"{registration}: path: {tool.path!r} goes up again, which links make uncertain.", hint)
    _refuse_links(stash, registration, tool.path, directory)
    _refuse_missing_submodule(stash, registration, directory)
    if not is_needed and (toplevel(directory) != toplevel(stash.root) or not os.path.lexists(directory)):
        return directory
    hint = "fix `path:` there, or put the tool where it says"
    if not directory.is_dir():
        raise StashError(f"{registration}: the tool's directory {tool.path} does not exist.", hint)
    if toplevel(directory) == toplevel(stash.root) and (stash.root / ".gitmodules").exists():
        hint = f"git submodule update --init {shlex.quote(tool.path)}"
    if not any(directory.iterdir()):
        raise StashError(f"{registration}: the tool's directory {tool.path} is empty.", hint)
    return directory


def _of_interpreter(registration: str, tool: ToolConfig) -> Path:
    """Return the directory of the environment that a tool without a directory of its own is a package of."""
    given = tool.environment.interpreter
    if not given:
        raise StashError(
            f"{registration}: it has neither a `path:` nor an `environment.interpreter`.",
            "path: tools/NAME there, or for an installed package `environment: {interpreter: /path/to/python}`",
        )
    python = Path(given).expanduser()
    if not python.is_absolute():
        raise StashError(
            f"{registration}: environment.interpreter: {given} is relative, and there is no `path:` to which.",
            f"interpreter: {os.path.abspath(given)}, if that is what is meant",
        )
    needs = [name for name in ("build", "commit", "collect", "shared") if getattr(tool, name)]
    if needs:
        raise StashError(f"{registration}: {needs[0]}: is for tools with a `path:`.", f"remove `{needs[0]}:`")
    return installed.prefix(python)


def _refuse_links(stash: Stash, registration: str, path: str, directory: Path) -> None:
    """Refuse a path that a symbolic link leads out of the stash, or into another repository than it seems."""
    try:
        real, root = directory.resolve(), stash.root.resolve()
    except (OSError, RuntimeError) as error:
        raise StashError(f"{registration}: path: {path} can't be followed: {error}.") from error
    if not real.is_relative_to(root):
        raise StashError(
            f"{registration}: path: {path} is a symbolic link that leads out of the stash.",
            "put the tool inside the stash",
        )
    if real != root / directory.relative_to(stash.root):
        seeming, true = toplevel(directory), toplevel(real)
        if seeming is not None and seeming.resolve() != true:
            raise StashError(
                f"{registration}: path: {path} leads into another repository, by a symbolic link.",
                f"path: {os.path.relpath(real, root)}",
            )


def _refuse_missing_submodule(stash: Stash, registration: str, directory: Path) -> None:
    """Refuse a directory in a submodule, or in one of that, which isn't checked out: git knows nothing of it there."""
    root = toplevel(stash.root)
    while root is not None:
        path = next((each for each in paths_seen(root) if directory.is_relative_to(root / each)), None)
        if path is None:
            return
        if not (root / path / ".git").exists() and path in gitlinks(root):
            inside = [] if directory == root / path else [f", in which {os.path.relpath(directory, stash.root)} lies,"]
            raise StashError(
                f"{registration}: the submodule {os.path.relpath(root / path, stash.root)}{''.join(inside)}"
                " is not checked out.",
                update_command(stash, root, path),
            )
        root = root / path if (root / path / ".git").exists() else None


def update_command(stash: Stash, root: Path, path: str) -> str:
    """Return the command that checks out a submodule of the repository at ``root``, for a shell in the stash."""
    if stash.root.is_relative_to(root):  # git finds the repository, but takes the path from where it is started
        return f"git submodule update --init --recursive {shlex.quote(os.path.relpath(root / path, stash.root))}"
    inside = shlex.quote(os.path.relpath(root, stash.root))
    return f"git -C {inside} submodule update --init --recursive {shlex.quote(path)}"
