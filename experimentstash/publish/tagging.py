"""One commit with what is frozen, and an annotated tag: nothing else of the user's tree or index is touched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import ignored
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.publish.contents import below
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

_BY_NAMES = ("--pathspec-from-file=-", "--pathspec-file-nul")
_ADDED = ("add", "--force", *_BY_NAMES)
_TAKEN_OUT = ("rm", "--cached", "--quiet", "--ignore-unmatch", *_BY_NAMES)
_LITERALLY = {"GIT_LITERAL_PATHSPECS": "1"}
_IDENTITY = regex(r"GIT_(?:AUTHOR|COMMITTER)_(?:NAME|EMAIL)")


def tag_of(name: str) -> str:
    return f"{paths.FROZEN}/{name}"


def refuse(stash: Stash, name: str) -> None:
    """Raise StashError if nothing could be committed and tagged."""
    root = toplevel(stash.root)
    if root is None or objects.object_at(root, "HEAD^{commit}") is None:
        raise StashError(f"{stash.root} has no commit that another one could follow: --tag makes one.", "git commit")
    if objects.object_at(root, f"refs/tags/{tag_of(name)}") is not None:
        raise StashError(f"There is a tag {tag_of(name)} already.", f"git tag -d {tag_of(name)}, or another name")
    git(root, "var", "GIT_COMMITTER_IDENT", variables=_who(), hint="git config user.name …; git config user.email …")


def commit(stash: Stash, place: Path, name: str, message: str) -> str:
    """Commit a directory and tag that; return the commit. If that fails, neither is there."""
    root = toplevel(stash.root)
    assert root is not None
    head = git(root, "rev-parse", "HEAD").text
    names = "".join(f"{each}\0" for each in _names(root, place))
    text = message or f"Freeze {name}"
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        ours = {"GIT_INDEX_FILE": str(Path(scratch, "index")), **_LITERALLY}
        git(root, "read-tree", head, variables=ours)
        git(root, *_ADDED, stdin=names, variables=ours)
        tree = git(root, "write-tree", variables=ours).text
    _refuse_rewritten(root, tree, place)
    made = git(root, "commit-tree", tree, "-p", head, "-m", text, variables=_who()).text
    try:
        git(root, *_ADDED, stdin=names, variables=_LITERALLY)
        git(root, "tag", "--annotate", tag_of(name), made, "-m", text, variables=_who())
        git(root, "update-ref", "-m", f"freeze {name}", "HEAD", made, head)
    except BaseException:
        git(root, "tag", "--delete", tag_of(name), check=False)
        git(root, *_TAKEN_OUT, stdin=names, variables=_LITERALLY, check=False)
        raise
    return made


def _refuse_rewritten(root: Path, tree: str, place: Path) -> None:
    """Raise StashError if git keeps other bytes of a file than it has: attributes may say so."""
    inside = place.resolve().relative_to(root.resolve()).as_posix()
    listed = git(root, "ls-tree", "-r", "-z", "--full-tree", tree, "--", inside, variables=_LITERALLY)
    there = {path: name for path, _, _, name in objects.tree_in(listed)}
    names = [each for each in there if "\n" not in each]
    asked = "".join(f"{root / each}\n" for each in names)
    now = git(root, "hash-object", "--no-filters", "--stdin-paths", stdin=asked).text.split()
    other = next((each for each, name in zip(names, now, strict=True) if there[each] != name), None)
    if other is not None or len(there) != len(_names(root, place)):
        raise StashError(f"git would keep {other or inside} otherwise than it is.", "look at git's attributes for it")


def _who() -> dict[str, str]:
    """Return what the environment says of who commits: all else that it says of git isn't meant for us."""
    return {name: value for name, value in os.environ.items() if _IDENTITY.fullmatch(name)}


def commit_or_undo(stash: Stash, place: Path, name: str, message: str) -> str:
    """Do what ``commit`` does; if that fails, what is frozen goes as well."""
    try:
        return commit(stash, place, name, message)
    except BaseException:
        files.remove(place)
        raise


def unseen(stash: Stash, place: Path) -> int:
    """Return how many files of a directory git ignores."""
    root = toplevel(stash.root)
    return 0 if root is None else len(ignored(root, tuple(_names(root, place))))


def _names(root: Path, place: Path) -> list[str]:
    inside = place.resolve().relative_to(root.resolve())
    return [f"{inside.as_posix()}/{each}" for each in below(place)]
