"""What is changed in a checkout, as a list and as a patch."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from experimentstash.adapters.git.command import Done, GitError, ask
from experimentstash.adapters.git.gitindex import copy_index, gitlinks, looking_everywhere, passed_over
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.dataclass_light import dataclass, replace

_NO_CHECKOUT = "not a git repository (or any"
# What a user's settings could change so that `git apply` no longer understands the patch.
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--unified=3", "--submodule=short")


@dataclass(frozen=True)
class Status:
    """What one `git status` tells of a checkout; paths are relative to ``root``."""

    root: Path
    commit: str | None  # None: no commit yet
    branch: str | None  # None: detached
    changed: tuple[str, ...]  # tracked files that differ from the commit
    untracked: tuple[str, ...]  # files that are neither tracked nor ignored
    littered: tuple[str, ...] = ()  # of the changed ones: submodules that are as committed, but for untracked files


def status_of(directory: Path) -> Status | None:
    """Return the state of the checkout that ``directory`` is in; None outside one. GitError where git can't tell."""
    root = toplevel(directory)
    if root is None:
        return None
    words = ["status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--no-renames"]
    # Whatever somebody's settings, or .gitmodules, have git pass over.
    words += ["--ignore-submodules=none"]
    try:
        with looking_everywhere(root) as variables:
            said = ask(words, root, variables=variables)
    except GitError as error:
        if _NO_CHECKOUT in error.stderr and not os.path.lexists(root / ".git" / "HEAD"):
            return None  # what is called .git there is nothing of the kind
        raise
    return _with_nested(parsed(root, said))


def _with_nested(found: Status) -> Status:
    """Return a status with the submodules in which git has been told to pass over what is changed."""
    if not (found.root / ".gitmodules").is_file():
        return found
    changed = [*found.changed]
    for path in gitlinks(found.root):
        place = found.root / path
        if path in changed or not (place / ".git").exists():
            continue
        if passed_over(place) or (place / ".gitmodules").is_file():
            inner = status_of(place)
            changed += [path] if inner is not None and inner.changed else []
    return replace(found, changed=tuple(changed))


def known_status(directory: Path) -> Status | None:
    """Return what ``status`` does, for whom it is as well if git can't tell."""
    try:
        return status_of(directory)
    except GitError:
        return None


def parsed(root: Path, said: Done) -> Status:
    """Return what `status --porcelain=v2 --branch -z` says of the checkout at ``root``."""
    commit: str | None = None
    branch: str | None = None
    changed: list[str] = []
    untracked: list[str] = []
    littered: list[str] = []
    # The number of space-separated fields before the path, by the kind of an entry (git-status(1), porcelain v2).
    fields_before_path = {"1": 8, "u": 10}
    for entry in said.items:
        kind, _, rest = entry.partition(" ")
        if entry.startswith("# branch.oid "):
            commit = None if rest.endswith("(initial)") else entry.rpartition(" ")[2]
        elif entry.startswith("# branch.head "):
            branch = None if rest.endswith("(detached)") else rest.partition(" ")[2]
        elif kind == "?":
            untracked.append(rest)
        elif kind in fields_before_path:
            fields = entry.split(" ", fields_before_path[kind])
            changed.append(fields[-1])
            if fields[1:3] == [".M", "S..U"]:
                littered.append(fields[-1])
    return Status(root, commit, branch, tuple(changed), tuple(untracked), tuple(littered))


def difference(
    directory: Path, commit: str, paths: tuple[str, ...], untracked: tuple[str, ...], without: tuple[str, ...] = ()
) -> str:
    """Return the patch (binary-safe) from ``commit`` to the files in ``directory``, named untracked files included.

    ``paths`` limits it ((): everything), and ``without`` are left out. Neither the checkout nor its index is touched:
    the untracked files are announced in a copy of the index.
    """
    root = toplevel(directory)
    assert root is not None
    variables: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        variables |= stack.enter_context(looking_everywhere(root))
        if untracked:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="experimentstash-")))
            if "GIT_INDEX_FILE" not in variables:
                copy_index(root, scratch / "index")
                variables["GIT_INDEX_FILE"] = str(scratch / "index")
            ask(
                ["add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"],
                root,
                # For each it would write an empty object, which nobody has asked for.
                variables={**variables, "GIT_LITERAL_PATHSPECS": "1", "GIT_OBJECT_DIRECTORY": str(scratch)},
                stdin="\0".join(untracked),
            )
        limits = (*(f":(top,literal){path}" for path in paths), *(f":(top,exclude,literal){path}" for path in without))
        pathspecs = ["--", *limits] if limits else []
        options = ["--binary", "--ignore-submodules=untracked", *_PLAIN, "--src-prefix=a/", "--dst-prefix=b/"]
        return ask(["diff", *options, commit, *pathspecs], root, variables=variables).out


def changes(root: Path, old: str, new: str, path: str, shown_below: str = "") -> str:
    """Return the patch (binary-safe) between two trees, limited to ``path`` ("": everything).

    For `git apply` in a directory in which the checkout lies at ``shown_below`` ("" or "inner/").
    """
    prefixes = (f"--src-prefix=a/{shown_below}", f"--dst-prefix=b/{shown_below}")
    options = ["--binary", "--ignore-submodules=none", *_PLAIN, *prefixes]
    return ask(["diff", *options, old, new, "--", f":(top,literal){path}"], root).out


def ignored(root: Path, paths: tuple[str, ...]) -> set[str]:
    """Return which of these paths git ignores, whether they exist or not."""
    asked = ["check-ignore", "-z", "--no-index", "--stdin"]
    return {*ask(asked, root, stdin="\0".join(paths), also=[1]).items}


def unseen(root: Path, path: str) -> list[str]:
    """Return what git ignores at ``path`` and below; of a directory all of which is ignored only its name, with /."""
    words = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"]
    listed = ask([*words, "--", f":(top,literal){path}"], root).out
    return [name for name in listed.split("\0") if name]
