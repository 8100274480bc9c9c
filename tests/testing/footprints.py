"""What an action leaves: all files with kind, mode and content, what git holds, and processes, before and after."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters import procfs
from tests.testing.stash import git

# A checkout's index is rewritten whenever git looks; what it holds is told by `git ls-files`.
_INDEX = re.compile(r"\.git(/modules/.+)?(/worktrees/[^/]+)?/index")


def footprint(world: Path) -> dict[str, str]:
    """Return everything below a directory, and the processes that belong there: name → what it is."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(world):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if name not in links]
        for name in [*folders, *names, *links]:
            path = os.path.join(folder, name)
            shown = os.path.relpath(path, world)
            state = os.lstat(path)
            kind = f"{stat.S_IFMT(state.st_mode):o} {stat.S_IMODE(state.st_mode):o}"
            if os.path.islink(path):
                found[shown] = f"{kind} → {os.readlink(path)}"
            elif stat.S_ISREG(state.st_mode) and not _INDEX.search(shown):
                found[shown] = f"{kind} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
            else:
                found[shown] = kind
        if ".git" in [*folders, *names]:
            for line in git("ls-files", "--stage", "-z", cwd=Path(folder)).split("\0"):
                if line:
                    head, _, path = line.partition("\t")
                    found[f"(index of {os.path.relpath(folder, world)}) {path}"] = head
    found |= {f"(process {one.pid})": str(one.start_time) for one in processes(world)}
    return found


def processes(world: Path) -> set[procfs.Identity]:
    """Return the processes, other than this one, that are at work in a directory or for something there."""
    found = set()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()):
        try:
            where = os.readlink(f"/proc/{pid}/cwd")
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        identity = procfs.identity(pid)
        is_there = Path(where).is_relative_to(world) or os.fsencode(world) in words
        if identity is not None and is_there and procfs.is_alive(identity):
            found.add(identity)
    return found


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what differs, a line each: `+ name`, `- name` or `~ name`."""
    marks = {True: {True: "~", False: "-"}, False: {True: "+"}}
    return sorted(
        f"{marks[name in before][name in after]} {name}"
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    )


def unexpected(found: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return the changes that none of the patterns allows."""
    patterns = [re.compile(each) for each in allowed]
    return [change for change in found if not any(pattern.fullmatch(change) for pattern in patterns)]
