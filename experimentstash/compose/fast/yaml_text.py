"""YAML as OmegaConf writes it, of which only what has changed is written anew."""

from __future__ import annotations

import functools
import re
import textwrap
from enum import Enum
from typing import Any

import yaml

from experimentstash.base.patterns import regex
from experimentstash.compose.hydra_compat import represent_text
from experimentstash.compose.nodes import NodePath

# What YAML leaves as it is, and what of it means something else, or gets quotes from OmegaConf.
_WORD = regex(r"(?:/|\+{0,2}(?=[A-Za-z]))[\w./+=,-]*", re.ASCII)
_NO_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "infinity", "nan"}


class Yaml:
    """A mapping as YAML, of which only what has changed is written anew; ``depth``: how many levels are told apart."""

    def __init__(self, content: dict[Any, Any], depth: int, margin: str = "") -> None:
        self._margin = margin
        self._inner: dict[Any, Yaml] = {}
        self.values: dict[Any, Any] = dict(content)
        self._texts: dict[Any, str] = {}
        self._whole: str | None = None
        for key, value in content.items():
            if depth > 1 and isinstance(value, dict) and value:
                self._inner[key] = Yaml(value, depth - 1, margin + "  ")

    def set(self, path: NodePath, value: Any) -> bool:
        """Replace one value, and tell whether it was another one."""
        first, rest = path[0], path[1:]
        if first in self._inner and rest:
            is_other = self._inner[first].set(rest, value)
        else:
            node: Any = self.values
            for part in path[:-1]:
                node = node[part]
            plain = value.name if isinstance(value, Enum) else value
            is_other = not is_same(node[path[-1]], plain)
            if is_other:
                node[path[-1]] = plain
                self._texts.pop(first, None)
        if is_other:
            self._whole = None
        return is_other

    def text(self) -> str:
        if self._whole is None:
            for key in self.values.keys() - self._texts.keys():
                shown = (
                    as_yaml({key: None}).replace(" null", "") if key in self._inner else as_entry(key, self.values[key])
                )
                self._texts[key] = textwrap.indent(shown, self._margin) if self._margin else shown
            inner, texts = self._inner, self._texts
            self._whole = "".join(
                [texts[key] + inner[key].text() if key in inner else texts[key] for key in self.values]
            )
        return self._whole


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two plain values are written alike, which equal ones need not be: 1, 1.0 and True; 0.0 and -0.0."""
    return one is other or (type(one) is type(other) and repr(one) == repr(other))


def as_entry(key: Any, value: Any) -> str:
    """Return an entry of a mapping as YAML."""
    if isinstance(value, list) and value:
        return f"{key}:\n{as_list(value)}" if _plain(key) else as_yaml({key: value})
    plain = _plain(key), _plain(value)
    return as_yaml({key: value}) if None in plain else "{}: {}\n".format(*plain)


def as_list(values: list[Any]) -> str:
    plain = [_plain(value) for value in values]
    return as_yaml(values) if None in plain or not values else "".join(f"- {value}\n" for value in plain)


def _plain(value: Any) -> str | None:
    """Return a number or a word as YAML has it; None for what is more, or may need more."""
    if type(value) is int:
        return str(value)
    if type(value) is float and "." in (text := repr(value)):
        return text
    if type(value) is not str or not value.isascii():
        return None
    if value.isdecimal() or value in _NO_YAML_WORDS:
        return f"'{value}'"
    is_plain = _WORD.fullmatch(value) is not None and value.lstrip("+").lower() not in _NO_YAML_WORDS
    return value if is_plain else None


def as_yaml(content: Any) -> str:
    return str(yaml.dump(content, Dumper=dumper(), default_flow_style=False, allow_unicode=True, sort_keys=False))


@functools.cache
def dumper() -> Any:
    """Return OmegaConf's way of writing YAML, on libyaml where it is there."""

    class Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]
        pass

    Dumper.add_representer(str, represent_text)
    return Dumper
