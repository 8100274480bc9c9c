"""The index of a checkout: its entries, and what git has been told to pass over."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experimentstash.adapters.git.command import Done, ask, git
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError

GITLINK = "160000"
# All that an entry of an index can be.
MODES = ("100644", "100755", "120000", GITLINK)
_NO_OBJECT = "0" * 40


@dataclass(frozen=True)
class Entry:
    """An entry of an index; no mode: none."""

    path: str
    mode: str | None = None
    object: str | None = None


def gitlinks(root: Path) -> dict[str, str]:
    """Return the submodules in the index of the checkout at ``root``: path → commit."""
    listed = entries_in(ask(["ls-files", "--stage", "-z"], root))
    return {path: name for path, mode, name in listed if mode == GITLINK}


def tracked(root: Path, paths: Sequence[str]) -> list[str]:
    """Return the files in the index at these paths and below them."""
    return ask(["--literal-pathspecs", "ls-files", "-z", "--", *paths], root).items


def deleted(root: Path) -> list[str]:
    """Return the tracked files that aren't there."""
    return list(dict.fromkeys(ask(["ls-files", "-z", "--deleted"], root, check=False).items))


def index_entries(project: Superproject, paths: Iterable[str]) -> list[Entry]:
    """Return the entries of the index at these paths and below them."""
    wanted = list(paths)
    if not wanted:
        return []
    listed = git(project.root, "--literal-pathspecs", "ls-files", "--stage", "-z", "--", *wanted)
    return [Entry(path, mode, name) for path, mode, name in entries_in(listed)]


def entries_in(listed: Done) -> Iterator[tuple[str, str, str]]:
    """Yield path, mode and object of what `ls-files --stage -z` lists."""
    for (mode, name, _), path in listed.entries(3):
        yield path, mode, name


def set_index(project: Superproject, entries: Iterable[Entry]) -> None:
    """Put these entries into the index, all at once."""
    lines = [f"{each.mode or '0'} {each.object or _NO_OBJECT}\t{each.path}\0" for each in entries]
    if lines:
        git(project.root, "update-index", "-z", "--index-info", stdin="".join(lines))


def store(project: Superproject, path: str, content: bytes) -> Entry:
    """Put a file's content into the object store and return the entry for the index."""
    stored = git(
        project.root, "hash-object", "-w", "--stdin", "--path", path, stdin=content.decode("utf-8", "surrogateescape")
    ).text
    return Entry(path, "100644", stored)


def refuse_unstaged_gitmodules(project: Superproject) -> None:
    """Raise StashError if .gitmodules has changes of the user's that aren't staged: ours would take them along."""
    if git(project.root, "ls-files", "--unmerged", "--", ".gitmodules").out:
        raise StashError(".gitmodules has a conflict that isn't resolved.", "resolve it, then: git add .gitmodules")
    if git(project.root, "diff-files", "--quiet", "--", ".gitmodules", check=False).code:
        # diff-files may be misled by a time stamp alone.
        git(project.root, "update-index", "-q", "--refresh", check=False)
        if git(project.root, "diff-files", "--quiet", "--", ".gitmodules", check=False).code:
            raise StashError(".gitmodules has changes that are not staged.", "git add .gitmodules (or undo them)")


@contextlib.contextmanager
def looking_everywhere(root: Path) -> Iterator[dict[str, str]]:
    """Yield variables with which git looks at the files too that it has been told to take for unchanged.

    They run as they are, whatever `git update-index --assume-unchanged` or `--skip-worktree` says.
    """
    unseen = passed_over(root)
    if not unseen:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as folder:
        index = Path(folder) / "index"
        copy_index(root, index)
        look_at(root, index, unseen)
        yield {"GIT_INDEX_FILE": str(index)}


def passed_over(root: Path) -> list[str]:
    """Return the files that git doesn't look at; a sparse checkout's, which aren't there, are not among them."""
    return [
        item[2:]
        for item in ask(["ls-files", "-v", "-z"], root).items
        if item[:1].islower() or (item[:1] == "S" and os.path.lexists(os.path.join(root, item[2:])))
    ]


def look_at(root: Path, index: Path, paths: Sequence[str]) -> None:
    """Have a copy of an index say nothing about these files."""
    for option in ("--no-assume-unchanged", "--no-skip-worktree"):
        words = ["update-index", option, "-z", "--stdin"]
        ask(words, root, variables={"GIT_INDEX_FILE": str(index)}, stdin="\0".join(paths))


def copy_index(root: Path, copy: Path) -> None:
    """Copy the index of the checkout at ``root``, if there is one.

    With its time: a file that is as old may have changed since, and so git looks into it. To a copy with a time of its
    own such a file would be as committed.
    """
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(_git_directory(root) / "index", copy)


def _git_directory(root: Path) -> Path:
    """Return where the repository of a checkout is kept; a submodule or worktree has a file that says where."""
    dot_git = root / ".git"
    if dot_git.is_dir():
        return dot_git
    return (root / files.read_text(dot_git, errors="surrogateescape").removeprefix("gitdir:").strip()).resolve()
