"""Whether a checkout is still at the commit that a run's record names: days may lie between submission and start.

Light, and no process is started as long as nothing has moved.
"""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.root import root_of
from experimentstash.base.files import read_text
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError
from experimentstash.record.run import Run

_HASH = regex(r"[0-9a-f]{40}|[0-9a-f]{64}")


def elsewhere(run: Run) -> str | None:
    """Return the commit at which the live code of a run is now, if it is another than recorded and so may differ."""
    code = run.spec.code
    if code is None or code.commit is None or code.snapshot is not None:
        return None
    root = root_of(code.path)
    now = None if root is None else _head(root)
    if root is None or now in (None, code.commit):
        return None
    is_stashs = run.spec.stash is not None and Path(run.spec.stash.path).is_relative_to(root)
    if is_stashs and _is_same(Path(root), code.commit, str(now), os.path.relpath(code.path, root)):
        return None
    return now


def _head(root: str) -> str | None:
    """Return the commit that a checkout is at, read from git's files; None where they don't tell."""
    join = os.path.join
    try:
        place = join(root, ".git")
        if not os.path.isdir(place):
            place = join(root, _read(place).removeprefix("gitdir:").strip())
        head = _read(join(place, "HEAD")).strip()
        if not head.startswith("ref:"):
            return head if _HASH.fullmatch(head) else None
        name = head.removeprefix("ref:").strip()
        is_worktree = os.path.isfile(join(place, "commondir"))
        common = join(place, _read(join(place, "commondir")).strip()) if is_worktree else place
        for home in (place, common):
            if os.path.isfile(join(home, name)):
                found = _read(join(home, name)).strip()
                return found if _HASH.fullmatch(found) else None
        for line in _read(join(common, "packed-refs")).splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name and _HASH.fullmatch(commit):
                return commit
    except OSError:
        pass
    return None


def _read(path: str) -> str:
    return read_text(path, errors="surrogateescape")


def _is_same(root: Path, before: str, now: str, path: str) -> bool:
    """Tell whether the files at ``path`` are the same in both commits."""

    try:
        return objects.object_at(root, f"{before}:{path}") == objects.object_at(root, f"{now}:{path}")
    except (CommandError, OSError):  # no git on this machine
        return False
