"""Checks of a set-up. Each returns the problems that it finds, and never raises for a mistake of the user's."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from experimentstash.adapters.git import gitconfig, nested
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import Status, ignored, status_of
from experimentstash.base import durations, yaml_files
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.patterns import regex
from experimentstash.base.yaml_files import YamlError
from experimentstash.code.left_out import shared_paths
from experimentstash.freeze import calls
from experimentstash.freeze.calling.arguments import STYLES
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.freeze.freeze import NOT_HANDED_OVER, Plan, Request
from experimentstash.freeze.program import missing_program
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizer
from experimentstash.stash.schema import CallConfig, CallStyle, ToolConfig
from experimentstash.tools import transaction

_FILE_IN_FRONT = regex(
    r"(?P<where>conf/[^\n]+?\.yaml)(?:(?:, line (?P<line>\d+))?:| (?=adds|chooses|is)) ?(?P<what>.*)", re.DOTALL
)


class Severity(Enum):
    """Whether a problem keeps something from working."""

    error = "error"  # something can't run, or would not run what the stash says
    warning = "warning"  # all can run, but not quite as it should be


@dataclass(frozen=True)
class Problem:
    """One thing that isn't in order."""

    check: str
    what: str
    where: str  # a file or directory, relative to the stash's root
    mend: str | None = None  # a command or an edit
    severity: Severity = Severity.error
    line: int | None = None  # of the file


def explained(check: str, error: Exception, where: str) -> Problem:
    """Return the problem that an error is. ``where`` is the file at hand; a file that the message names wins."""
    if not isinstance(error, StashError):
        return Problem(check, f"{type(error).__name__}: {error}", where)
    named = _FILE_IN_FRONT.fullmatch(error.message)
    if named is None:
        return Problem(check, error.message, where, error.mend)
    line = int(named["line"]) if named["line"] else None
    return Problem(check, named["what"], named["where"], error.mend, line=line)


# --- the stash -------------------------------------------------------------------------------------------------------


def check_layout(stash: Stash) -> list[Problem]:
    """Look whether everything is where it should be."""
    found = list(_root_config(stash))
    for name in ("conf/exp", "tools"):
        if not (stash.root / name).is_dir():
            found.append(Problem("layout", "the directory is missing", name, f"mkdir {name}"))
    for group in ("tool", "exp"):
        for path in sorted((stash.conf / group).rglob("*.yml")):
            renamed = path.with_suffix(".yaml")
            mend = shlex.join(["mv", *(os.path.relpath(each, stash.root) for each in (path, renamed))])
            found.append(Problem("layout", "Hydra reads only *.yaml", os.path.relpath(path, stash.root), mend))
    return found


def _root_config(stash: Stash) -> Iterator[Problem]:
    where = "conf/config.yaml"
    try:
        content = yaml_files.mapping(stash.conf / "config.yaml")
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
            yield _warning("layout", f"hydra.searchpath: there is no directory {place}", where, "mend it there")


def check_repository(stash: Stash, status: Status | None) -> list[Problem]:
    """Look whether git can tell which code runs use, and leaves alone what they write."""
    if status is None:
        return [_warning("git", "this is no git repository: runs can't record which code they used", ".", "git init")]
    found = []
    if status.commit is None:
        mend = "git add -A && git commit"
        found.append(_warning("git", "nothing is committed yet: runs can't record which code they used", ".", mend))
    inside = os.path.relpath(stash.root, status.root)
    written = {f"{name}/": os.path.normpath(os.path.join(inside, name, "a-run")) for name in _WRITTEN}
    unwritten = ignored(status.root, tuple(written.values()))
    for name in (name for name, example in written.items() if example not in unwritten):
        found.append(_warning("git", "git doesn't ignore it", name, f"echo /{name} >> .gitignore"))
    if status.commit is not None:
        found += _untracked(stash, status)
    return found


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
        for verb in transaction.pending(stash)
    ]


def _untracked(stash: Stash, status: Status) -> list[Problem]:
    shown = (os.path.relpath(status.root / path, stash.root) for path in status.untracked)
    paths = [path for path in shown if path.startswith(("conf/tool/", "conf/exp/")) and path.endswith(".yaml")]
    if len(paths) > _MOST_UNTRACKED:
        return [_warning("git", f"git doesn't track {len(paths)} files of it yet", "conf", "git add conf")]
    return [_warning("git", "git doesn't track it yet", path, f"git add {shlex.quote(path)}") for path in sorted(paths)]


_MOST_UNTRACKED = 5
_WRITTEN = ("outputs", "multirun", ".experimentstash")


def _warning(check: str, what: str, where: str, mend: str | None = None) -> Problem:
    return Problem(check, what, where, mend, Severity.warning)


# --- submodules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Submodules:
    """What the stash's repository says about its submodules; paths relative to ``root``."""

    root: Path
    declared: Mapping[str, str]  # path → URL
    pinned: Mapping[str, str]  # path → commit


def submodules(status: Status | None) -> Submodules | None:
    """Return what a repository says about its submodules; None outside one."""
    if status is None:
        return None
    return Submodules(status.root, gitconfig.declared_submodules(status.root), gitlinks(status.root))


def check_submodule(stash: Stash, name: str, tool: ToolConfig, known: Submodules | None) -> list[Problem]:
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
        return [Problem("submodule", error.message, where, error.mend)]
    if status is None or status.commit is None:
        return [Problem("submodule", "git can't tell its commit", where, f"git -C {quoted} status")]
    if status.commit != pin:
        what = f"it is at {status.commit[:12]}, but the stash pins {pin[:12]}"
        mend = f"git submodule update {quoted}, or to pin what is there: git add {quoted}"
        found.append(Problem("submodule", what, where, mend))
    found += [
        _warning(
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
    found = [_warning("submodule", what, where, f"git submodule add URL {shlex.quote(where)}")]
    try:
        status = status_of(repository)
    except GitError as error:
        return [*found, Problem("submodule", error.message, where, error.mend)]
    if status is None or status.commit is None:
        return [*found, Problem("submodule", "git can't tell its commit", where, f"git -C {shlex.quote(where)} status")]
    return [*found, *_uncommitted(status, where)]


def _uncommitted(status: Status, where: str) -> list[Problem]:
    changed = len(status.changed) + len(status.untracked)
    what = f"it has uncommitted changes ({changed} file{'s' if changed > 1 else ''})"
    return [_warning("submodule", what, where, f"git -C {shlex.quote(where)} status")] if changed else []


def check_unregistered(stash: Stash, tools: Iterable[ToolConfig], known: Submodules | None) -> list[Problem]:
    """Look for submodules below tools/ that no tool uses."""
    if known is None:
        return []
    used = [Path(os.path.normpath(stash.root / tool.path)) for tool in tools if tool.path]
    submodules = {known.root / path for path in {*known.declared, *known.pinned}}
    below = [path for path in submodules if path.is_relative_to(stash.root / "tools")]
    idle = [path for path in below if not any(each.is_relative_to(path) for each in used)]
    return [
        _warning("submodule", "no tool is registered for this submodule", os.path.relpath(path, stash.root))
        for path in sorted(idle)
    ]


def check_nesting(stash: Stash, tools: Mapping[str, ToolConfig]) -> list[Problem]:
    """Look for tools of the stash's own repository that lie inside another one: neither has its files to itself."""
    own = toplevel(stash.root)
    places = {name: Path(os.path.normpath(stash.root / tool.path)) for name, tool in tools.items() if tool.path}
    return [
        Problem(
            "duplicates",
            f"path: {tools[name].path} lies inside the tool {other!r} ({tools[other].path})",
            _registration(stash, name),
            "move one of them beside the other",
        )
        for name, place in places.items()
        for other, outer in places.items()
        if place != outer and place.is_relative_to(outer) and toplevel(place) == own
    ]


# --- tools -----------------------------------------------------------------------------------------------------------


def check_path(stash: Stash, name: str, tool: ToolConfig) -> list[Problem]:
    """Look whether a tool's directory stays inside the stash, symbolic links and all, and has what is named in it."""
    registration = _registration(stash, name)
    try:
        directory = tool_directory(stash, name, tool)
    except StashError as error:
        return [explained("registration", error, registration)]
    if tool.path and os.path.isabs(tool.path):
        mend = f"path: {os.path.relpath(directory, stash.root)}"
        return [_warning("registration", "path: is absolute, which holds on this machine alone", registration, mend)]
    if tool.call.configs is not None and not (directory / tool.call.configs).is_dir():
        what = f"call.configs: there is no directory {tool.call.configs} in {tool.path}"
        return [Problem("registration", what, registration)]
    if tool.shared and toplevel(directory) is not None:
        try:
            shared_paths(stash, name, tool, directory.resolve())
        except StashError as error:
            return [explained("registration", error, registration)]
    missing = [given for given in (tool.call.config_dir, tool.call.config_path) if given]
    missing = [given for given in missing if not (stash.root / given).is_dir()]
    return [Problem("registration", f"there is no directory {given} in the stash", registration) for given in missing]


def check_environment(stash: Stash, recipe: Recipe) -> list[Problem]:
    """Look whether a tool's environment is made, from what the tool asks for now."""
    if environments.is_ready(recipe) or recipe.directory is None:
        return []
    had_one = recipe.directory.parent.is_dir() and any(
        (path / environments.READY_MARK).exists() for path in recipe.directory.parent.iterdir()
    )
    others = f": the one that is here was made from another {recipe.origin}, or in another place" if had_one else ""
    what = f"the environment of the tool as it is now is not made yet{others}"
    mend = f"experimentstash tool sync {shlex.quote(recipe.name)}"
    return [_warning("environment", what, _registration(stash, recipe.name), mend)]


def check_entrypoint(planned: Plan) -> list[Problem]:
    """Look whether the module or program that a tool is started by exists, without importing the tool."""
    missing = missing_program(planned)
    if missing is None:
        return []
    return [
        Problem("entrypoint", missing.message, _registration(planned.request.stash, planned.request.tool), missing.mend)
    ]


# --- experiments -----------------------------------------------------------------------------------------------------


def check_organizer(stash: Stash, organizer: Organizer, tools: Sequence[str]) -> list[Problem]:
    """Look at what an organizer's file alone tells: a tool that is registered, a runtime that is one."""
    where = organizer_file(stash, organizer.name)
    if organizer.problem is not None:
        return [Problem("organizer", organizer.problem, where)]
    if organizer.tool is None:
        mend = "write `- override /tool: NAME` in its `defaults:`"
        return [Problem("organizer", "it doesn't say which tool to run", where, mend)]
    if organizer.tool not in tools and "${" not in organizer.tool:
        what = f"there is no tool {organizer.tool!r}.{did_you_mean(organizer.tool, tools)}"
        return [Problem("organizer", what, where, f"experimentstash tool add {shlex.quote(organizer.tool)} URL")]
    if organizer.estimated_runtime is not None and "${" not in organizer.estimated_runtime:
        try:
            durations.parse(organizer.estimated_runtime, "estimated_runtime")
        except StashError as error:
            return [explained("organizer", error, where)]
    return []


def check_inner_experiment(request: Request) -> list[Problem]:
    """Look whether the experiment that an organizer names exists inside its Hydra tool, by its files alone."""
    name, call, stash = request.config.experiment, request.config.tool.call, request.stash
    if name is None or call.style is not CallStyle.hydra or request.organizer is None:
        return []
    ours = [stash.root / given for given in (call.config_path, call.config_dir) if given]
    own = [Path(os.path.normpath(stash.root / (request.config.tool.path or ""))) / call.configs] if call.configs else []
    if ours and call.experiment is None:
        groups = [*ours, *own]
    else:
        group = (call.experiment or "experiment").lstrip("+~").partition("@")[0]
        groups = [directory / group for directory in (*own, *ours) if (directory / group).is_dir()]
    if not groups or any((directory / f"{name}.yaml").is_file() for directory in groups):
        return []
    valid = sorted(
        {path.relative_to(group).with_suffix("").as_posix() for group in groups for path in group.rglob("*.yaml")}
    )
    places = " or ".join(os.path.relpath(group, stash.root) for group in groups)
    listed = ", ".join(difflib.get_close_matches(name, valid, n=10, cutoff=0.0) if len(valid) > 10 else valid)
    what = f"experiment: {request.tool} has no {name!r} in {places}.{did_you_mean(name, valid)}"
    return [
        Problem("experiment", what, organizer_file(stash, request.organizer), f"valid: {listed}" if listed else None)
    ]


def check_parameters(planned: Plan) -> list[Problem]:
    """Look for parameters that the tool's own source doesn't declare; it may declare more than can be read."""
    request = planned.request
    if request.organizer is None:
        return []
    names = calls.undeclared(planned.calling, request.config.params)
    declared = [option.name for option in planned.calling.program.declared.options if not option.is_positional]
    where = organizer_file(request.stash, request.organizer)
    return [
        _warning(
            "parameters",
            f"params.{name}: {request.tool} doesn't seem to know it.{did_you_mean(name, declared)}",
            where,
            f"mend its name, or if the tool takes it: `call: {{ways: {{{name}: word}}}}` in the registration",
        )
        for name in names
    ]


def check_call(stash: Stash, name: str, call: CallConfig) -> list[Problem]:
    """Look for settings of how a tool is called that its style takes no notice of."""
    usual, where = CallConfig(), _registration(stash, name)
    given = {each for each, value in vars(call).items() if value != getattr(usual, each)}
    idle = sorted(given - {"style"} - {*STYLES[call.style].settings})
    what = "call.{}: it has no effect in the style " + call.style.value
    return [_warning("registration", what.format(each), where, f"remove `{each}:`") for each in idle]


def check_experiment_is_handed_over(request: Request) -> list[Problem]:
    """Look whether the experiment that an organizer names, and its parameters, reach the tool at all."""
    config = request.config
    name, call = config.experiment, config.tool.call
    if request.unused and request.organizer is not None:
        where, mend = (
            organizer_file(request.stash, request.organizer),
            f"use ${{{request.unused[0]}}} there, or leave it out",
        )
        return [_warning("experiment", f"{', '.join(request.unused)}: {NOT_HANDED_OVER}", where, mend)]
    if request.is_heard or request.organizer is None:
        return []
    mend = "use ${experiment} in `arguments`" if call.style is CallStyle.arguments else "set `call: {experiment: …}`"
    what = f"experiment: {name!r} doesn't reach {request.tool}: the style {call.style.value} hands none over"
    return [_warning("experiment", what, organizer_file(request.stash, request.organizer), f"{mend}, or leave it out")]


def check_duplicates(stash: Stash, organizers: Sequence[Organizer]) -> list[Problem]:
    """Look for experiments that are the same, and for names that are one where upper and lower case are."""
    found = []
    for names in _groups({each.name: each.name.casefold() for each in organizers}):
        for name in names[1:]:
            what = (
                f"its name differs from {names[0]!r} in upper and lower case only: on some machines they are one file"
            )
            found.append(Problem("duplicates", what, organizer_file(stash, name)))
    same = {each.name: f"{each.tool} {each.settings}" for each in organizers if each.problem is None}
    for names in _groups(same):
        for name in names[1:]:
            what = f"it does the same as {names[0]!r}"
            found.append(_warning("duplicates", what, organizer_file(stash, name)))
    return found


def check_tool_names(stash: Stash, names: Sequence[str]) -> list[Problem]:
    """Look for tools whose names are one where upper and lower case are."""
    return [
        Problem(
            "duplicates", f"its name differs from {same[0]!r} in upper and lower case only", _registration(stash, name)
        )
        for same in _groups({name: name.casefold() for name in names})
        for name in same[1:]
    ]


def _groups(keys: Mapping[str, str]) -> list[list[str]]:
    names = defaultdict(list)
    for name, key in keys.items():
        names[key].append(name)
    return [group for group in names.values() if len(group) > 1]


def organizer_file(stash: Stash, name: str) -> str:
    return os.path.relpath(stash.organizer(name), stash.root)


def _registration(stash: Stash, name: str) -> str:
    return os.path.relpath(stash.registration(name), stash.root)
