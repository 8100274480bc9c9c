"""A tool's registration and its organizers as files: reading, writing and editing them outside Hydra."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.files import read_text
from experimentstash.base.patterns import regex
from experimentstash.base.yaml_files import YamlError, text_of
from experimentstash.freeze.environment import recipes
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.freeze.notebooks import source as notebooks
from experimentstash.stash import entrypoints
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import MISSING, CallStyle, ToolConfig, Unresolved

_PLAIN = regex(r"[A-Za-z_./][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_NOT_PLAIN = {"null", "true", "false", "yes", "no", "on", "off", "none", "~", "y", "n"}
# What makes a registration depend on other files, or on a run.
_INHERITS = regex(r"@package|(?m:^defaults\b)")
_REFERS = regex(rf"\$\{{|{_INHERITS.pattern}")
_SETS_TOOL = regex(r"(?m)^[\"']?tool[\"']?[ \t]*:")
_COMMIT = regex(r"(?m)^commit[ \t]*:.*?([ \t]+#.*)?$")


def read(stash: Stash, name: str) -> ToolConfig:
    """Return a tool's registration, as its runs get it; what only a run can resolve is `Unresolved` in it.

    StashError if there is none or it isn't one.
    """
    valid = stash.tools()
    if name not in valid:
        raise StashError(
            f"There is no tool {name!r}.{did_you_mean(name, valid)}\nTools: {', '.join(valid) or 'none yet'}",
            "experimentstash tool list",
        )
    path = stash.registration(name)
    where = path.relative_to(stash.root)
    from omegaconf.errors import OmegaConfBaseException

    from experimentstash.compose import tool_config

    problem: Exception | None = None
    if not _is_plain(stash, path):
        try:
            return tool_config.composed(stash, name)
        except Exception as error:  # whatever it is: the file alone may do
            problem = error
    try:
        tool = tool_config.alone(path)
        is_whole = tool.path is not None and tool.entrypoint != MISSING
        if problem is not None and not is_whole and _INHERITS.search(read_text(path)):  # another file has it
            raise AssertionError(" ".join(str(problem).split())) from problem
    except (OmegaConfBaseException, AssertionError) as error:
        raise StashError(f"{where}: {str(error).strip().splitlines()[0]}.", f"fix {where}") from error
    return tool


def _is_plain(stash: Stash, registration: Path) -> bool:
    """Tell whether a registration says all by itself: Hydra, which is slow, need not compose it."""
    try:
        text = read_text(registration)
        root = read_text(stash.conf / "config.yaml")
    except (OSError, UnicodeDecodeError):
        return True
    return not _REFERS.search(text) and not _SETS_TOOL.search(root)


def recipe(stash: Stash, name: str, tool: ToolConfig, directory: Path) -> Recipe:
    """Return the recipe of a tool's environment, the same that its runs have; StashError if only a run can know it."""
    environment = tool.environment
    needed: dict[str, Sequence[Any]] = {
        "entrypoint": [tool.entrypoint] if tool.entrypoint.lstrip().startswith("${") else [],
        "python_version": [tool.python_version],
        "dependencies": tool.dependencies,
        "environment": [
            *vars(environment).values(),
            *environment.extras,
            *environment.groups,
            *(environment.requirements or ()),
        ],
    }
    for field, values in needed.items():
        if unresolved := next((each for each in values if isinstance(each, Unresolved)), None):
            raise StashError(
                f"{stash.registration(name).relative_to(stash.root)}: {field}: {unresolved} stands for something only"
                " in a run: the environment can't be told without one.",
                "the first run makes it; or write there what it stands for",
            )
    entry = entrypoints.read(tool.entrypoint, directory, is_notebook=tool.call.style is CallStyle.notebook)
    made = recipes.plan(
        name,
        tool,
        directory,
        entry.script,
        stash.environments,
        runs_python=entry.runs_python,
        program=entry.program,
        brought=() if entry.notebook is None else notebooks.read(entry.notebook).needs,
    )
    environments.refuse_other_python(made)
    return made


def dependents(stash: Stash, tool: str) -> list[str]:
    """Return the experiments whose organizers choose a tool, as far as the files themselves tell."""
    wanted = re.compile(rf"(?m)^\s*-\s*(?:override\s+)?/?tool\s*:\s*['\"]?{re.escape(tool)}['\"]?\s*(?:#.*)?$")
    found = []
    for name in stash.own_experiments():
        try:
            text = text_of(stash.organizer(name))
        except YamlError:
            continue
        if wanted.search(text) and _chooses(text, tool):
            found.append(name)
    return found


def _chooses(organizer: str, tool: str) -> bool:
    """Tell whether an organizer's defaults name a tool; what looks like it elsewhere in the file does not."""
    from yaml import BaseLoader, YAMLError, load

    try:
        defaults = load(organizer, BaseLoader)["defaults"]
        pairs = [pair for entry in defaults if isinstance(entry, dict) for pair in entry.items()]
    except (YAMLError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return any(key.removeprefix("override").strip() in ("tool", "/tool") and value == tool for key, value in pairs)


def scalar(text: str) -> str:
    """Return a string as YAML that OmegaConf reads as exactly this string."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return json.dumps(text.replace("${", "\\${"), ensure_ascii=False)


def registration(values: Mapping[str, str | None], nested: Mapping[str, Mapping[str, str | None]]) -> str:
    """Return the text of a registration; what is None is left out, and values are YAML already."""
    lines = [f"{key}: {value}" for key, value in values.items() if value is not None]
    for key, inner in nested.items():
        listed = [f"  {name}: {value}".replace(":   #", ":  #") for name, value in inner.items() if value is not None]
        lines += [f"{key}:", *listed] if listed else []
    return "\n".join(lines) + "\n"


def organizer(tool: str, experiment: str | None, description: str, params: Iterable[tuple[str, str, str]]) -> str:
    """Return the text of an experiment organizer; ``params`` are (name, YAML, comment)."""
    lines = ["# @package _global_", "defaults:", f"  - override /tool: {tool}"]
    lines += [f"experiment: {scalar(experiment)}"] if experiment is not None else []
    lines += [f"description: {scalar(description)}", f"tags: [{tool}]"]
    listed = [f"  {scalar(name)}: {value}{f'  # {comment}' if comment else ''}" for name, value, comment in params]
    return "\n".join([*lines, *(["params:", *listed] if listed else [])]) + "\n"


def with_commit(text: str, commit: str) -> str:
    """Return a registration's text with another pin; comments and everything else stay as they are."""
    if _COMMIT.search(text):
        return _COMMIT.sub(lambda match: f"commit: {scalar_commit(commit)}{match[1] or ''}", text, count=1)
    match = re.search(r"(?m)^entrypoint[ \t]*:.*$", text) or re.search(r"(?m)^path[ \t]*:.*$", text)
    line = f"commit: {scalar_commit(commit)}"
    if match is None:
        return f"{text.rstrip()}\n{line}\n"
    return f"{text[: match.end()]}\n{line}{text[match.end() :]}"


def scalar_commit(commit: str) -> str:
    """Return a hash as YAML; one of digits alone, or like 12e4, would be a number."""
    return commit if re.search("[a-df]", commit) and not re.fullmatch(r"\d+e\d+", commit) else f'"{commit}"'
