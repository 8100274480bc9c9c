"""Objects made on the side: without touching the checkout, its index, its HEAD or any reference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.git.command import ask, quietly
from experimentstash.adapters.git.gitindex import copy_index, look_at, passed_over

# The same content shall be the same commit, whoever makes it and whenever.
_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ExperimentStash"), ("EMAIL", "experimentstash@localhost"), ("DATE", "@0 +0000"))
}


def write_tree(
    root: Path, index: Path, path: str, untracked: Sequence[str] = (), submodules: Mapping[str, str] | None = None
) -> str:
    """Return the tree of the checkout at ``root`` as it is, but for what is changed outside ``path`` ("": nothing is).

    ``index`` is a scratch file, made from the checkout's own index if it isn't there yet. ``untracked`` files are
    included, ``submodules`` (path → commit) are at these commits.
    """
    if not index.exists():
        copy_index(root, index)
        if unseen := passed_over(root):
            look_at(root, index, unseen)
    ours = {"GIT_INDEX_FILE": str(index)}
    limit = ("--", f":(top,literal){path}")
    if not path or quietly(root, "ls-files", *limit, variables=ours):  # newer gits refuse a path without tracked files
        quietly(root, "add", "--update", *limit, variables=ours)
    if untracked:
        quietly(root, "update-index", "--add", "--remove", "-z", "--stdin", stdin="\0".join(untracked), variables=ours)
    if submodules:
        entries = "".join(f"160000 {commit}\t{name}\0" for name, commit in submodules.items())
        quietly(root, "update-index", "-z", "--index-info", stdin=entries, variables=ours)
    return quietly(root, "write-tree", variables=ours)


def put_below(root: Path, tree: str, path: str) -> str:
    """Return the tree in which there is nothing but ``tree``, at ``path``."""
    for name in reversed(path.split("/")):
        tree = quietly(root, "mktree", "-z", stdin=f"040000 tree {tree}\t{name}\0")
    return tree


def commit_tree(root: Path, tree: str, parent: str | None) -> str:
    """Return the commit of a tree, by nobody and at no time, which no reference knows."""
    parents = ["-p", parent] if parent else []
    return quietly(root, "commit-tree", tree, *parents, "-m", "Code as it was submitted", variables=_NOBODY)


def patched(root: Path, index: Path, commit: str, patch: str) -> str:
    """Return a commit with a patch of git's put on it; GitError if that doesn't fit. ``index`` is a scratch file."""
    ours = {"GIT_INDEX_FILE": str(index)}
    quietly(root, "read-tree", commit, variables=ours)
    quietly(root, "apply", "--cached", "--whitespace=nowarn", "-", stdin=patch, variables=ours)
    return commit_tree(root, quietly(root, "write-tree", variables=ours), commit)


def export(root: Path, index: Path, commit: str, patch: str, path: str, target: Path) -> None:
    """Write the files that a commit with a patch on it has at ``path`` below ``target``, by their paths in there.

    What the patch says of others isn't looked at. GitError if it doesn't fit. ``index`` is a scratch file.
    """
    ours = {"GIT_INDEX_FILE": str(index)}
    quietly(root, "read-tree", commit, variables=ours)
    if patch:
        only = re.sub(r"([*?\[\\])", r"\\\1", path)
        given = f"--include={only}/*"
        quietly(root, "apply", "--cached", "--whitespace=nowarn", given, "-", stdin=patch, variables=ours)
    names = ask(["ls-files", "-z", "--", f":(top,literal){path}"], root, variables=ours).items
    words = ("checkout-index", "-z", "--stdin", f"--prefix={target}/")
    quietly(root, *words, stdin="".join(f"{name}\0" for name in names), variables=ours)
