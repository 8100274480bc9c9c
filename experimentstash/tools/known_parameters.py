"""What a tool can be given: the parameters that its own configs, or its command line, declare; by its files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experimentstash.base import yaml_files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.yaml_files import YamlError
from experimentstash.freeze.declared.option import Option
from experimentstash.freeze.notebooks import source as notebook
from experimentstash.stash.schema import CallStyle, ToolConfig
from experimentstash.tools.detect import detection
from experimentstash.tools.detect.candidate import Candidate

# How deep a tool's configs are read, and how many of its parameters are named.
_DEEPEST, _MOST = 8, 500
_GLOBAL = ("_global_", "_group_")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool."""

    name: str  # with dots, as below `params`
    default: str | None = None  # as YAML, in one line; None: unknown, or there is none
    kind: str = ""  # what it takes, for people
    help: str = ""
    is_required: bool = False
    choices: tuple[str, ...] = ()  # of a config group


@dataclass(frozen=True)
class Known:
    """What is known of a tool: its parameters, and its experiments, if it has such."""

    parameters: tuple[Parameter, ...] = ()
    experiments: tuple[str, ...] = ()


def of(directory: Path, tool: ToolConfig) -> Known:
    """Return what is known of a tool whose code is in ``directory``."""
    try:
        if tool.call.style is CallStyle.notebook:
            return Known(tuple(map(_of_option, notebook.read(directory / tool.entrypoint).program.declared.options)))
        found = detection.detect(directory, tool.entrypoint).best
    except StashError:  # an entrypoint that a run will refuse
        return Known()
    if found is None:
        return Known()
    if tool.call.style is CallStyle.hydra:
        return _of_hydra(directory, tool, found)
    options = [each for each in found.options if not each.is_positional and f"--{each.name}" != tool.call.output]
    options = [each for each in options if f"--{each.name}" != tool.call.experiment]
    return Known(tuple(_of_option(each) for each in {each.name: each for each in options}.values())[:_MOST])


def _of_option(option: Option) -> Parameter:
    return Parameter(option.name, option.default, option.kind, option.help, option.is_required)


def _of_hydra(directory: Path, tool: ToolConfig, found: Candidate) -> Known:
    place = tool.call.configs or (found.hydra.config_directory if found.hydra else None)
    if place is None:
        return Known()
    name = (found.hydra.config_name if found.hydra else None) or "config"
    experiments = found.hydra.experiments if found.hydra else ()
    group = (found.hydra.experiment_key or "").lstrip("+") if found.hydra else ""
    parameters = _in_config(directory / place, name.removesuffix(".yaml"), "", group, 0)
    return Known(tuple({each.name: each for each in parameters}.values())[:_MOST], experiments)


def _in_config(place: Path, name: str, prefix: str, left_out: str, depth: int) -> Iterator[Parameter]:
    """Yield the parameters in a config of Hydra's, and in those that its defaults list chooses."""
    content = _mapping(place / f"{name}.yaml")
    if content is None or depth > _DEEPEST:
        return
    defaults = content.get("defaults")
    folder = name.rpartition("/")[0]
    for entry in defaults if isinstance(defaults, list) else ():
        for key, choice in entry.items() if isinstance(entry, dict) else ():
            words = str(key).split()
            group, _, package = words[-1].partition("@")
            if "override" in words or group.lstrip("/") == left_out or package or group.startswith("hydra/"):
                continue  # where such a config ends up, or what it changes, only Hydra can tell
            group = group.lstrip("/") if group.startswith("/") or not folder else f"{folder}/{group}"
            choices = tuple(sorted(path.stem for path in (place / group).glob("[!._]*.yaml")))
            if not choices:
                continue
            yield Parameter(group, _yaml(choice), choices=choices)
            if isinstance(choice, str) and not _is_packaged(place / group / f"{choice}.yaml"):
                inner = f"{group.replace('/', '.')}."
                yield from _in_config(place, f"{group}/{choice}", inner, left_out, depth + 1)
    yield from _in_mapping({key: value for key, value in content.items() if key not in ("defaults", "hydra")}, prefix)


def _in_mapping(content: Mapping[Any, Any], prefix: str) -> Iterator[Parameter]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _in_mapping(value, f"{name}.")
        elif value == "???":
            yield Parameter(name, is_required=True)
        elif "${" not in str(value):  # what refers to something else refers to something of the tool's
            yield Parameter(name, _yaml(value))


def _yaml(value: Any) -> str | None:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return None


def _mapping(path: Path) -> dict[Any, Any] | None:
    try:
        return yaml_files.mapping(path)
    except (OSError, YamlError):
        return None


def _is_packaged(path: Path) -> bool:
    """Tell whether a config says itself where it goes."""
    try:
        return "@package" in yaml_files.text_of(path)
    except (OSError, YamlError):
        return True
