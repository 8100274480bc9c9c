"""What a tool's checkout has and its frozen code lacks: what its runs share, and what is to be said of the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters.git import gitindex, objects
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import known_status, unseen
from experimentstash.base.errors import StashError
from experimentstash.code.pins import Pin
from experimentstash.code.provenance import OWN_OUTPUT
from experimentstash.code.results import REMAKEABLE
from experimentstash.code.snapshots import Snapshot
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig

# Ignored by git and of no use to a run, besides what is REMAKEABLE: its environment is made anew.
_NO_INPUT = (".venv", "venv", "build", "dist", ".git", ".idea", ".vscode", ".DS_Store")
_MOST_NAMES = 5


def shared_paths(stash: Stash, name: str, tool: ToolConfig, directory: Path, pin: Pin | None = None) -> list[str]:
    """Return the paths that a tool shares with its checkout, normalized; StashError if one can't be.

    They may lie beside the tool in a repository of its own, which is frozen as a whole.
    """
    where = f"{stash.registration(name).relative_to(stash.root)}: shared"
    paths = sorted({os.path.normpath(path) for path in tool.shared})
    root = toplevel(directory)
    held = directory if root is None or root == toplevel(stash.root.resolve()) else root
    for path in paths:
        place = Path(os.path.normpath(directory / path))
        if os.path.isabs(path) or not place.is_relative_to(held) or directory.is_relative_to(place):
            raise StashError(f"{where}: {path} is not below the tool's directory, nor beside it in its repository.")
        if not (directory / path).exists():
            raise StashError(f"{where}: {path} does not exist in {tool.path}.", f"make it, or fix {where}")
        known = gitindex.tracked(directory, [path])
        if known:
            raise StashError(
                f"{where}: {path} is code: git tracks {known[0]}{' and others' if len(known) > 1 else ''}.",
                "name only what git ignores",
            )
        inner = place.relative_to(root).as_posix() if root is not None else path
        if pin is not None and objects.object_at(pin.root, f"{pin.commit}:{inner}") is not None:
            raise StashError(f"{where}: {path} is code at commit {pin.commit[:12]}: git tracks it there.")
    return paths


def given_by(tool: ToolConfig) -> list[str]:
    return [path for path in (tool.call.config_dir, tool.call.config_path) if path]


def tell_what_is_missing(
    stash: Stash,
    name: str,
    taken: Snapshot,
    directory: Path,
    root: Path,
    path: str,
    known: Sequence[str],
    is_built: bool,
    announce: Callable[[str], None],
) -> None:
    """Say what the checkout has at ``path`` and the frozen code lacks, if a run might want it.

    Not what is ``known``: shared with it, or left there by runs and builds. What ``is_built`` is made anew in it.
    """
    useless = {*REMAKEABLE, *_NO_INPUT}
    lacking = [
        each
        for each in (os.path.relpath(root / one, directory) for one in (*unseen(root, path), *taken.omitted))
        if not useless & {*each.split("/")} and not each.endswith((".egg-info", ".pyc"))
        if not any(f"{each}/".startswith(f"{one}/") for one in known)
    ]
    lacking.sort(key=lambda each: each.startswith("../"))  # first what is the tool's own
    if lacking:
        shown = ", ".join(lacking[:_MOST_NAMES]) + (" …" if len(lacking) > _MOST_NAMES else "")
        besides = "what its build makes is made anew; " if is_built else ""
        announce(
            f"Not part of it, because git ignores it, or it is large, or it may be secret: {shown}\n"
            f"  → {besides}what of it the tool reads or keeps: `shared: [{lacking[0]}]` in"
            f" {stash.registration(name).relative_to(stash.root)}"
        )


def left_behind(root: Path, path: str, pin: Pin) -> tuple[str, ...]:
    """Return what to say of a checkout that isn't what a run uses: exactly the commit that is asked for."""
    named, notes = f"commit {pin.commit[:12]}{f' ({pin.name})' if not pin.commit.startswith(pin.name) else ''}", []
    status = known_status(root)
    if status is not None and not pin.is_checked_out:
        notes.append(f"the run uses {named}, which is asked for; the checkout is at {(status.commit or 'none')[:12]}")
    prefix = f"{path}/" if path else ""
    changed = [] if status is None else [*status.changed, *status.untracked]
    changed = [each for each in changed if each.startswith(prefix) and not each.startswith(OWN_OUTPUT)]
    if changed:
        shown = ", ".join(changed[:_MOST_NAMES]) + (" …" if len(changed) > _MOST_NAMES else "")
        notes.append(
            f"what is changed in the checkout and not committed is no part of {named}, which is asked for: {shown}"
            " (with tool.commit=null it would be)"
        )
    return tuple(notes)
