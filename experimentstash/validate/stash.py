"""Checks of a stash as a whole: its root config, what git knows of it, what was left half done."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import Status, ignored
from experimentstash.base import yaml_files
from experimentstash.base.yaml_files import YamlError
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.tools import recovery
from experimentstash.validate.problem import Problem, warning

_MOST_UNTRACKED = 5


def check_layout(stash: Stash) -> list[Problem]:
    """Look whether everything is where it should be."""
    found = list(_root_config(stash))
    for name in (paths.ORGANIZERS, paths.TOOLS):
        if not (stash.root / name).is_dir():
            found.append(Problem("layout", "the directory is missing", name, f"mkdir {name}"))
    for group in ("tool", "exp"):
        for path in sorted((stash.conf / group).rglob("*.yml")):
            renamed = path.with_suffix(".yaml")
            hint = shlex.join(["mv", *(os.path.relpath(each, stash.root) for each in (path, renamed))])
            found.append(Problem("layout", "Hydra reads only *.yaml", os.path.relpath(path, stash.root), hint))
    return found


def _root_config(stash: Stash) -> Iterator[Problem]:
    where = paths.ROOT_CONFIG
    try:
        content = yaml_files.mapping(stash.root / paths.ROOT_CONFIG)
    except YamlError as error:
        yield Problem("layout", f"this is {error.what}", where, line=error.line)
        return
    entries = content.get("defaults")
    entries = entries if isinstance(entries, list) else []
    groups = {key.split(" ")[-1].lstrip("/") for entry in entries if isinstance(entry, dict) for key in map(str, entry)}
    if "experimentstash" not in entries:
        what = "its defaults don't begin with `experimentstash`, which brings all settings"
        yield Problem("layout", what, where, "write `defaults: [experimentstash, tool: null, _self_]` there")
    elif "tool" not in groups:
        yield Problem("layout", "its defaults have no `tool`, for experiments to override", where, "add `- tool: null`")
    for place in stash.config_dirs[1 + len(stash.more_dirs) :]:
        if not place.is_dir():
            yield warning("layout", f"hydra.searchpath: there is no directory {place}", where, "fix it there")


def check_repository(stash: Stash, status: Status | None) -> list[Problem]:
    """Look whether git can tell which code runs use, and leaves alone what they write."""
    if status is None:
        return [warning("git", "this is no git repository: runs can't record which code they used", ".", "git init")]
    found = []
    if status.commit is None:
        hint = "git add -A && git commit"
        found.append(warning("git", "nothing is committed yet: runs can't record which code they used", ".", hint))
    inside = os.path.relpath(stash.root, status.root)
    written = {f"{name}/": os.path.normpath(os.path.join(inside, name, "a-run")) for name in paths.WRITTEN}
    unwritten = ignored(status.root, tuple(written.values()))
    for name in (name for name, example in written.items() if example not in unwritten):
        found.append(warning("git", "git doesn't ignore it", name, f"echo /{name} >> .gitignore"))
    if status.commit is not None:
        found += _untracked(stash, status)
    return found


def _untracked(stash: Stash, status: Status) -> list[Problem]:
    shown = (os.path.relpath(status.root / path, stash.root) for path in status.untracked)
    ours = tuple(f"{folder}/" for folder in (paths.REGISTRATIONS, paths.ORGANIZERS))
    untracked = [path for path in shown if path.startswith(ours) and path.endswith(".yaml")]
    if len(untracked) > _MOST_UNTRACKED:
        return [
            warning("git", f"git doesn't track {len(untracked)} files of it yet", paths.CONF, f"git add {paths.CONF}")
        ]
    return [
        warning("git", "git doesn't track it yet", path, f"git add {shlex.quote(path)}") for path in sorted(untracked)
    ]


def check_unfinished(stash: Stash) -> list[Problem]:
    """Find tool commands that were killed before they ended."""
    if toplevel(stash.root) is None:
        return []
    return [
        Problem(
            "unfinished",
            f"`experimentstash {verb}` was interrupted",
            ".",
            "any tool command puts it in order, such as: experimentstash tool list",
        )
        for verb in recovery.pending(stash)
    ]
