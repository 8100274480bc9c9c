"""Worktrees: further checkouts of a repository."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from experimentstash.adapters.git.command import quietly
from experimentstash.base import files


def add_worktree(root: Path, directory: Path, commit: str, lock: int) -> None:
    """Check out a commit, detached, in a new worktree of the repository of ``root``.

    git inherits the descriptor ``lock``, and so keeps the lock if we are killed before it ends.
    """
    # Forced, because of one that was there before and of which somebody has removed the directory alone.
    quietly(root, "worktree", "add", "--force", "--detach", str(directory), commit, pass_fds=[lock])


def remove_worktree(root: Path, directory: Path, lock: int) -> None:
    """Have the repository of ``root`` forget a worktree, and remove its directory if it is there; ``lock`` as above."""
    quietly(root, "worktree", "remove", "--force", "--force", str(directory), check=False, pass_fds=[lock])


def reset_worktree(directory: Path, lock: int) -> None:
    """Have a worktree of ours be as its commit is, with nothing else in it; ``lock`` as above."""
    quietly(directory, "reset", "--hard", "--quiet", pass_fds=[lock])
    quietly(directory, "clean", "-ffdxq", pass_fds=[lock])


def further_worktrees(repository: Path) -> list[Path]:
    """Return the other checkouts of a repository (`git worktree add`) that are there, or may come back."""
    found = []
    for entry in sorted(repository.glob("worktrees/*")):
        with contextlib.suppress(OSError):
            text = os.fsdecode(files.read_regular(entry / "gitdir")).rstrip("\n")
            place = Path(os.path.normpath(entry / text)).parent
            if os.path.lexists(place) or os.path.lexists(entry / "locked"):
                found.append(place)
    return found
