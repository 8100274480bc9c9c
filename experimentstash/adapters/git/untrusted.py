"""A commit of a foreign repository is looked at before it is checked out."""

from __future__ import annotations

from pathlib import Path

from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitconfig import sections_from
from experimentstash.adapters.git.gitindex import GITLINK
from experimentstash.adapters.git.nested import LeftOut, leaving_out
from experimentstash.adapters.git.objects import blobs, tree_in
from experimentstash.base.errors import StashError
from experimentstash.base.names import LinkMap, inner_path_problem, remote_problem


def inspect(directory: Path, commit: str, prefix: str, links: LinkMap, without: LeftOut) -> None:
    """Refuse a commit whose paths, links or submodules lead out of the tool, before it is checked out.

    ``prefix`` is where this repository lies inside the tool, ``links`` collects the links of all of them. Where a
    submodule that is left out comes from doesn't matter.
    """
    symbolic: list[tuple[str, str]] = []
    gitlinks: set[str] = set()
    for path, mode, _, name in tree_in(git(directory, "ls-tree", "-r", "-z", "--full-tree", commit)):
        problem = inner_path_problem(path)
        if problem:
            raise hostile(f"it holds the path {prefix + path!a}: {problem}")
        if mode == "120000":
            symbolic.append((path, name))
            if path == ".gitmodules":
                raise hostile("its .gitmodules is a symbolic link")
        elif mode == GITLINK:
            gitlinks.add(path)
    for (path, _), content in zip(symbolic, blobs(directory, [name for _, name in symbolic]), strict=True):
        links.add(prefix + path, content)
    out = links.leading_out()
    if out:
        path, target = out[0]
        raise hostile(f"its symbolic link {path!a} leads out of it, to {target!a}")
    text = git(directory, "cat-file", "blob", f"{commit}:.gitmodules", check=False)
    if text.code == 0:
        for name, settings in sections_from(directory, text.out).items():
            place = settings.get("path", "")
            _check_nested(name, settings, place in gitlinks and prefix + place not in without)


def _check_nested(name: str, settings: dict[str, str], is_fetched: bool) -> None:
    label = f"its submodule {name!a}"
    for what, value in (("name", name), ("path", settings.get("path", name))):
        problem = inner_path_problem(value)
        if problem or value.startswith("-"):
            raise hostile(f"{label} has the {what} {value!a}: {problem or 'it would be read as an option'}")
    if settings.get("update", "").startswith("!"):
        raise hostile(f"{label} wants to run a command (update = {settings['update']!a})")
    if is_fetched:
        url = settings.get("url", "")
        problem = None if url.startswith(("./", "../")) else remote_problem(url)
        if problem:
            raise hostile(f"{label} has the URL {url!a}: {problem}", f"leave it out: {leaving_out(settings['path'])}")


def hostile(reason: str, hint: str = "if it is yours, fix it there; nothing was added") -> StashError:
    """Return the error for a repository that is refused."""
    return StashError(f"This repository is refused: {reason}.", hint)
