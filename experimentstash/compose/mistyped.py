"""Settings that OmegaConf takes though they are of no type that they can be of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from omegaconf import DictConfig

from experimentstash.base.errors import StashError

_PLAIN_TYPES = (str, int, float, bool)
# Where a text becomes a path, the name of something, or a variable of the environment.
_NEVER_WITH_NUL = ("hydra.", "tool.", "resources.", "wandb.", "code", "output_dir", "tags", "timeout")


def refuse_mistyped(node: Any, place: str = "") -> None:
    """Refuse the settings below a node of settings that are no plain values where there must be some."""
    for key, what in _mistyped(node, place):
        raise StashError(f"{key} is {what}.", f"fix {key} where it is set: in conf, or on the command line")


def _mistyped(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield the settings that are no plain values where there must be some, or that no path or variable can hold."""
    content = node.__dict__.get("_content")
    if not isinstance(content, (dict, list)):
        value = node._value()
        if isinstance(value, str) and "\0" in value and place.startswith(_NEVER_WITH_NUL):
            yield place, "a text with a NUL character in it, which nothing outside can be given"
        return
    element = node._metadata.element_type
    is_plain = element in _PLAIN_TYPES or (get_origin(element) is Union and get_args(element)[0] in _PLAIN_TYPES)
    is_free = (
        element is Any and not dataclasses.is_dataclass(node._metadata.object_type) and not place.startswith("hydra")
    )
    if is_free:  # the user's own values: they go where others look at them
        return
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, each in entries:
        inner = f"{place}[{key}]" if isinstance(content, list) else f"{place}.{key}" if place else str(key)
        if is_plain and isinstance(each.__dict__.get("_content"), (dict, list)):
            kind = "a mapping" if isinstance(each, DictConfig) else "a list"
            yield inner, f"{kind}, where a single value must be"
        yield from _mistyped(each, inner)
