"""Where the frozen code of a tool lies on disk, and how that is removed; what stands where, `worktrees` tells."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters.git import worktree
from experimentstash.base import files, typed
from experimentstash.base.failpoints import step
from experimentstash.stash.layout import Stash

TREE, ENVIRONMENTS, CONFIGS, USERS = "tree", "environments", "configs", "users"
REPOSITORIES, READY = "repositories.json", "ready"


def remove(place: Path, lock: int) -> None:
    """Remove frozen code, made or half-made; interrupted, it can be called again."""
    if files.kind_at(place) != "a directory":
        files.remove(place)
    files.remove(place / READY)
    for checkout, directory in reversed(registered(place)):
        if (checkout / ".git").exists():
            worktree.remove_worktree(checkout, directory, lock)
            step("a worktree is forgotten")
    for directory in (place / TREE, place / ENVIRONMENTS, place):  # what tells the repositories goes last
        files.remove(directory)
        step("removed")


def registered(place: Path) -> list[tuple[Path, Path]]:
    """Return the checkouts that know of a worktree here, each with that; what lies elsewhere isn't ours to remove."""
    try:
        noted = typed.loads(files.read_regular(place / REPOSITORIES))
        known = [(Path(checkout), Path(directory)) for checkout, directory in noted]
        real = place.resolve()
        return [(checkout, directory) for checkout, directory in known if directory.resolve().is_relative_to(real)]
    except (OSError, ValueError, TypeError):
        return []


def folder_of(stash: Stash, name: str) -> Path:
    return stash.code / name


def worktrees_in(home: Path) -> list[Path]:
    if files.kind_at(home) != "a directory":
        return []
    return [path for path in listed(home) if (path / REPOSITORIES).exists() or (path / USERS).is_dir()]


def listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def exclusive(stash: Stash, name: str, announce: Callable[[str], None]) -> contextlib.AbstractContextManager[int]:
    return files.locked(
        stash.lock(f"code-{name}"),
        on_wait=lambda: announce(f"Waiting for another process that freezes the code of {name!r} …"),
    )
