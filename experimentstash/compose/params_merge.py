"""The node `params` as it is put together from files, and what refers to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig

from experimentstash.base import yaml_files
from experimentstash.base.errors import StashError
from experimentstash.base.yaml_lines import line_at
from experimentstash.compose.hydra_compat import (
    ConfigResult,
    ResultDefault,
)
from experimentstash.compose.nodes import mapping_at
from experimentstash.stash import parameters
from experimentstash.stash.parameters import ClashError, Name

PARAMS = "params"


@contextlib.contextmanager
def params_taken_out(config: Any) -> Iterator[dict[Any, Any] | None]:
    """Take the parameters out of what is about to be merged, and yield them; None for what OmegaConf is to judge."""
    params = mapping_at(config, PARAMS) if isinstance(config, DictConfig) else None
    if not params:
        yield None
        return
    content = config.__dict__["_content"]
    config.__dict__["_content"] = {key: node for key, node in content.items() if key != PARAMS}
    try:
        yield params
    finally:
        config.__dict__["_content"] = content


def clash_in_file(loaded: ConfigResult, default: ResultDefault, clash: ClashError) -> StashError:
    path = os.path.join(loaded.path.partition("://")[2], f"{default.config_path}.yaml")
    shown = yaml_files.shown(path)
    places = [_place(path, leaf.written) for leaf in (clash.first, clash.second)]
    told = [f"{leaf.label} ({place})" for leaf, place in zip((clash.first, clash.second), places, strict=True)]
    return clash_error(shown, clash, told)


def clash_error(where: str, clash: ClashError, told: Sequence[str]) -> StashError:
    first, second = clash.first, clash.second
    if parameters.name_of(first.keys) == parameters.name_of(second.keys):
        what = f"{told[0]} and {told[1]} are the same parameter, given as {first.value!r} and as {second.value!r}."
        return StashError(f"{where}: {what}", "keep one of them")
    what = f"{told[0]} is {first.value!r}, which has no values inside, but {told[1]} is given too."
    return StashError(f"{where}: {what}", "keep one of them (only a text, the choice of a config group, can have both)")


def _place(path: str, keys: Sequence[Any]) -> str:
    """Return the line in a file where a parameter is given."""
    line = line_at(path, (PARAMS, *keys)) or line_at(path, keys)  # a whole configuration, or one in a group of `params`
    return "in this file" if line is None else f"line {line}"


def point_at_choices(config: DictConfig) -> None:
    """Let ``${params.model}`` mean the choice where there are values beside it."""
    params = mapping_at(config, PARAMS)
    chosen = {
        (PARAMS, *name): entry
        for name in parameters.choices(params or {})
        for entry in _entries(params or {}, name)
        if parameters.split_mark(entry)[1] == parameters.CHOICE
    }
    if chosen:
        for place, node in _texts(config, ()):
            value = node._value()
            pointed = parameters.pointed_at_choices(value, place, chosen)
            if pointed != value:
                node._set_value(pointed)


def _entries(tree: Any, name: Name) -> list[str]:
    for key in name:
        tree = next(value for each, value in tree.items() if str(each) == key)
    return [str(key) for key in tree]


def _texts(node: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the nodes of all texts with interpolations, and where they are."""
    content = node.__dict__.get("_content")
    if isinstance(node, DictConfig) and isinstance(content, dict):
        for key, each in content.items():
            yield from _texts(each, (*place, key))
    elif isinstance(node, ListConfig) and isinstance(content, list):
        for number, each in enumerate(content):
            yield from _texts(each, (*place, number))
    elif isinstance(node._value(), str) and "${" in node._value():
        yield place, node
