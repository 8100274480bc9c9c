"""Parallel runs of a tool that writes into its checkout: each gets a copy of the tool's code for itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import unseen
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.code import copies, written
from experimentstash.code.results import REMAKEABLE
from experimentstash.record.run import Apart, Command
from experimentstash.stash.layout import Stash, new_token
from experimentstash.stash.schema import ToolConfig

if TYPE_CHECKING:
    from experimentstash.code.worktrees import Frozen

# With more files than that a tool's code is not copied for every run: they take turns.
MOST_FILES = 20_000
# What a tool has written before, and may read, is copied too if it is no larger than that (bytes, files).
_LARGEST_BROUGHT, _MOST_BROUGHT = 16 << 20, 500
_NO_INPUT = {*REMAKEABLE, ".git", ".idea", ".vscode", ".DS_Store", "build", "dist"}


@dataclass(frozen=True)
class Plot:
    """What the runs of a tool that are kept apart have in common."""

    frozen: Frozen
    source: Path  # what is copied: the root of the frozen code, or the tool's directory in it
    live: Path  # the same in the checkout
    origin: Path  # for which of the two a run is planned
    links: tuple[str, ...]
    brought: tuple[str, ...]
    folders: tuple[str, ...]

    def copy(self, run_id: str) -> Apart:
        """Return the copy that a run gets."""
        path = self.frozen.environments.parent / copies.HOME / f"{run_id}-{new_token()}" / self.live.name
        return Apart(
            str(self.source), str(path), str(self.live), list(self.links), list(self.brought), list(self.folders)
        )

    def moved(self, command: Command, apart: Apart) -> Command:
        """Return a command that was planned for the origin as it is in a run's own copy."""
        origin, path = str(self.origin), apart.path
        inside = os.path.relpath(self.frozen.directory, self.source)
        directory = os.path.normpath(os.path.join(path, inside))
        first = command.argv[:1]
        is_python = bool(first) and os.path.basename(first[0]).startswith("python")
        argv = [*first, *(_moved(word, origin, path) for word in command.argv[1:])]
        if first and not is_python:
            argv[0] = _moved(first[0], origin, path)
        before = command.environment.get("PYTHONPATH", "")
        places = [_moved(each, origin, path) for each in before.split(os.pathsep) if each]
        if is_python:  # an installation of the tool in editable mode leads to the checkout itself
            source = [os.path.join(directory, "src")] if (self.frozen.directory / "src").is_dir() else []
            places = list(dict.fromkeys([*source, directory, *places]))
        environment = {**command.environment, **({"PYTHONPATH": os.pathsep.join(places)} if places else {})}
        unset = [name for name in command.unset if name not in environment]
        cwd = _moved(command.cwd, origin, path)
        return replace(command, argv=argv, cwd=cwd, environment=environment, unset=unset)


def _moved(word: str, origin: str, path: str) -> str:
    """Return a word of a command, or its value, at the new place if it is a path in the old one."""
    key, equals, value = word.partition("=")
    if equals and (value == origin or value.startswith(f"{origin}/")):
        return f"{key}={path}{value[len(origin) :]}"
    return path + word[len(origin) :] if word == origin or word.startswith(f"{origin}/") else word


def plot(
    stash: Stash, tool: ToolConfig, live: Path, frozen: Frozen, wrote: Sequence[str], *, is_frozen: bool
) -> Plot | None:
    """Return what the runs of a tool that writes at ``wrote`` have in common; None if its code is too large to copy.

    ``is_frozen``: they are planned for the frozen code, not for the checkout.
    """
    root = toplevel(live)
    is_own = root is not None and root != toplevel(stash.root)
    own, source = (root, frozen.tree) if is_own and root is not None else (live, frozen.directory)
    if sum(len(names) for _, _, names in os.walk(source)) > MOST_FILES:
        return None
    real = own.resolve()
    top = toplevel(real) or real
    inside = "" if top == real else real.relative_to(top).as_posix()
    within = os.path.relpath(live, own)
    outputs = [os.path.normpath(os.path.join(within, path)) for path in wrote]
    fresh = {os.path.normpath(os.path.join(within, path)) for path in tool.collect}
    links = [
        name
        for each in (*unseen(top, inside), *frozen.provenance.code.omitted)
        if not _NO_INPUT & {*(name := os.path.relpath(top / each, real)).split("/")}
        and not name.endswith((".egg-info", ".pyc"))
        and not written.is_within(name, outputs)
    ]
    brought: list[str] = []
    for name in outputs:
        if name not in fresh and not name.startswith("../") and os.path.lexists(own / name):
            (brought if _is_small(own / name) else links).append(name)
    # Where it collects from a run finds nothing of others, but the directory itself: a tool may not make it.
    folders = tuple(name for name in outputs if name in fresh and (own / name).is_dir())
    origin = source if is_frozen else own
    return Plot(frozen, source, own, origin, tuple(dict.fromkeys(links)), tuple(brought), folders)


def _is_small(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return path.is_file() and path.stat().st_size <= _LARGEST_BROUGHT
    size = count = 0
    for folder, _, names in os.walk(path):
        count += len(names)
        size += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)
        if count > _MOST_BROUGHT or size > _LARGEST_BROUGHT:
            return False
    return True
