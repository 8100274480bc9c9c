"""The submodules of a tool: fetched, each looked at before it is checked out, and found again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git.checkouts import head
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitconfig import sections_in, settings_in
from experimentstash.adapters.git.gitindex import GITLINK, entries_in
from experimentstash.adapters.git.nested import LeftOut, leaving_out
from experimentstash.adapters.git.untrusted import hostile, inspect
from experimentstash.base.errors import StashError
from experimentstash.base.names import LinkMap, remote_problem
from experimentstash.base.process import CommandError


def left_out(tree: Path) -> LeftOut:
    """Return which submodules of a checkout have been left out before."""
    places = [("", tree), *((f"{path}/", tree / path) for path, _ in nested_repositories(tree))]
    return LeftOut(prefix + path for prefix, place in places for path in _passed_over(place))


def _passed_over(tree: Path) -> list[str]:
    """Return the paths of the submodules that a checkout's own settings tell git not to fetch."""
    listed = git(tree, "config", "--local", "-z", "--get-regexp", r"^submodule\..*\.update$", check=False)
    names = [name for name, settings in sections_in(listed).items() if settings.get("update") == "none"]
    declared = sections_in(git(tree, "config", "-z", "-f", ".gitmodules", "--list", check=False)) if names else {}
    return [declared.get(name, {}).get("path", name) for name in names]


def check_out_nested(
    tree: Path, links: LinkMap, without: LeftOut, *, prefix: str = "", show_progress: bool = False
) -> None:
    """Fetch and check out the submodules of a checkout, and theirs, each refused if it leads out of the tool.

    Those ``without`` which it is to be aren't, and git is told so. StashError names one that can't be fetched.
    """
    tracked = [*_links(tree)]
    if not tracked or not (tree / ".gitmodules").is_file() or head(tree)[0] is None:
        return
    git(tree, "submodule", "--quiet", "init")
    declared = sections_in(git(tree, "config", "-z", "-f", ".gitmodules", "--list"))
    names = {settings.get("path", name): name for name, settings in declared.items()}
    skipped = [path for path in tracked if prefix + path in without]
    for path in skipped:
        git(tree, "config", f"submodule.{names.get(path, path)}.update", "none")
        without.found.append(prefix + path)
    ignored = {f"submodule.{names.get(path, path)}.url" for path in skipped}
    for key, value in settings_in(git(tree, "config", "--local", "-z", "--list")):
        if re.fullmatch(r"submodule\..*\.url", key, re.DOTALL) and key not in ignored:  # relative ones are resolved now
            problem = remote_problem(value or "")
            if problem:
                raise hostile(f"its submodule {key[10:-4]!a} has the URL {value!a}: {problem}")
    options = ["--progress"] if show_progress else ["--quiet"]
    wanted = [path for path in tracked if path not in skipped and path in names]
    try:
        if wanted:
            # `update --quiet` says nothing, `update --progress` shows the clones'.
            git(tree, "submodule", "update", "--checkout", *options, "--", *wanted, show_progress=show_progress)
    except CommandError as error:
        undone = [each for each in wanted if not (tree / each / ".git").exists()]
        path = prefix + next((each for each in wanted if f"{each}'" in error.stderr), (undone or wanted)[0])
        said = "\n".join(f"    {line}" for line in error.stderr.strip().splitlines()[-6:])
        raise StashError(
            f"The submodule {path} of the repository can't be fetched:\n{said}",
            f"look at the network and your access to it, or leave it out: {leaving_out(path)}",
        ) from error
    for path in tracked:
        nested = tree / path
        if (nested / ".git").exists():
            commit, _ = head(nested)
            assert commit is not None
            inspect(nested, commit, f"{prefix}{path}/", links, without)
            check_out_nested(nested, links, without, prefix=f"{prefix}{path}/", show_progress=show_progress)


def nested_repositories(tree: Path) -> list[tuple[str, Path]]:
    """Return (path below ``tree``, repository) of the submodules that are checked out in it, at all depths."""
    found: list[tuple[str, Path]] = []

    def look(directory: Path, prefix: str) -> None:
        for path in _links(directory):
            if (directory / path / ".git").exists():
                place = git(directory / path, "rev-parse", "--absolute-git-dir").text
                found.append((prefix + path, Path(place)))
                look(directory / path, f"{prefix}{path}/")

    look(tree, "")
    return found


def _links(tree: Path) -> Iterator[str]:
    return (path for path, mode, _ in entries_in(git(tree, "ls-files", "--stage", "-z")) if mode == GITLINK)
