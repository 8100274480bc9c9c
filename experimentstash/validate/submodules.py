"""Checks of the checkouts that tools lie in."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from experimentstash.adapters.git import gitconfig, nested
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import Status, status_of
from experimentstash.base.text import counted
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig
from experimentstash.validate.problem import Problem, warning


@dataclass(frozen=True)
class Submodules:
    """What the stash's repository says about its submodules; paths relative to ``root``."""

    root: Path
    declared: Mapping[str, str]  # path → URL
    pinned: Mapping[str, str]  # path → commit


def known_submodules(status: Status | None) -> Submodules | None:
    """Return what a repository says about its submodules; None outside one."""
    if status is None:
        return None
    return Submodules(status.root, gitconfig.declared_submodules(status.root), gitlinks(status.root))


def check_submodule(stash: Stash, tool: ToolConfig, known: Submodules | None) -> list[Problem]:
    """Look whether the checkout that a tool lies in is there, and at the commit that the stash names."""
    directory = Path(os.path.normpath(stash.root / (tool.path or "")))
    if known is None or not directory.is_relative_to(stash.root) or directory == stash.root:
        return []
    holders = (each for each in {**known.pinned, **known.declared} if directory.is_relative_to(known.root / each))
    path = next(holders, None)
    if path is None:
        return _check_no_submodule(stash, directory, known)
    checkout = known.root / path
    where = os.path.relpath(checkout, stash.root)
    quoted, pin = shlex.quote(where), known.pinned.get(path)
    if pin is None:
        what = "it is in .gitmodules, but not in git's index"
        return [Problem("submodule", what, where, f"git submodule add {shlex.quote(known.declared[path])} {quoted}")]
    if path not in known.declared:
        return [
            Problem("submodule", "git has it as a submodule, but .gitmodules doesn't say where it comes from", where)
        ]
    if not (checkout / ".git").exists():
        what = "the submodule is not checked out"
        return [Problem("submodule", what, where, f"git submodule update --init --recursive {quoted}")]
    found = []
    try:
        status = status_of(checkout)
    except GitError as error:
        return [Problem("submodule", error.message, where, error.hint)]
    if status is None or status.commit is None:
        return [Problem("submodule", "git can't tell its commit", where, f"git -C {quoted} status")]
    if status.commit != pin:
        what = f"it is at {status.commit[:12]}, but the stash pins {pin[:12]}"
        hint = f"git submodule update {quoted}, or to pin what is there: git add {quoted}"
        found.append(Problem("submodule", what, where, hint))
    found += [
        warning(
            "submodule",
            f"its submodule {inner} is not checked out",
            where,
            f"if it is needed: git -C {quoted} submodule update --init --checkout --recursive -- {shlex.quote(inner)}",
        )
        for inner in nested.missing(checkout)
    ]
    return [*found, *_uncommitted(status, where)]


def _check_no_submodule(stash: Stash, directory: Path, known: Submodules) -> list[Problem]:
    repository = toplevel(directory)
    if repository is None or repository == known.root:
        return []
    where = os.path.relpath(repository, stash.root)
    what = "it is a repository of its own, but no submodule: a clone of the stash will lack it"
    found = [warning("submodule", what, where, f"git submodule add URL {shlex.quote(where)}")]
    try:
        status = status_of(repository)
    except GitError as error:
        return [*found, Problem("submodule", error.message, where, error.hint)]
    if status is None or status.commit is None:
        return [*found, Problem("submodule", "git can't tell its commit", where, f"git -C {shlex.quote(where)} status")]
    return [*found, *_uncommitted(status, where)]


def _uncommitted(status: Status, where: str) -> list[Problem]:
    changed = len(status.changed) + len(status.untracked)
    what = f"it has uncommitted changes ({counted(changed, 'file')})"
    return [warning("submodule", what, where, f"git -C {shlex.quote(where)} status")] if changed else []


def check_unregistered(stash: Stash, tools: Iterable[ToolConfig], known: Submodules | None) -> list[Problem]:
    """Look for submodules below tools/ that no tool uses."""
    if known is None:
        return []
    used = [Path(os.path.normpath(stash.root / tool.path)) for tool in tools if tool.path]
    submodules = {known.root / path for path in {*known.declared, *known.pinned}}
    below = [path for path in submodules if path.is_relative_to(stash.root / paths.TOOLS)]
    idle = [path for path in below if not any(each.is_relative_to(path) for each in used)]
    return [
        warning("submodule", "no tool is registered for this submodule", os.path.relpath(path, stash.root))
        for path in sorted(idle)
    ]
