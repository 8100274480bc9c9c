"""Where in a YAML file something stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base import yaml_files
from experimentstash.base.patterns import regex
from experimentstash.base.yaml_files import YamlError

_INDEX = regex(r"\[(\d+)\]")
# A problem that begins with the key that it is about, or names it.
_KEY = regex(r"unknown key '(?P<unknown>[^'\n]+)'|(?P<key>[A-Za-z_][\w.\[\]-]*)(?:, [\w.]+)*: ")
_TOOL = regex(r"(?:there is no|chooses the) tool '(?P<name>[^'\n]+)'")
_DEEPEST = 50


def line_of(path: Path, what: str) -> int | None:
    """Return the line of a file that a problem is about, as its words tell; None if they don't, or it isn't there."""
    key, tool = _KEY.match(what), _TOOL.match(what)
    if key is None and tool is None:
        return None
    root = _root(path)
    if root is None:
        return None
    if key is None:
        assert tool is not None
        return _line_of_choice(root, tool["name"])
    parts = _INDEX.sub(r".\1", key["unknown"] or key["key"]).split(".")
    # A registration's keys are those of `tool` in the whole configuration.
    return _line(root, parts) or (_line(root, parts[1:]) if parts[0] == "tool" else None)


def line_at(path: Path | str, keys: Sequence[Any]) -> int | None:
    """Return the line of a file in which a key stands, below others; None if it isn't there."""
    root = _root(path)
    return None if root is None else _line(root, list(map(str, keys)))


def _root(path: Path | str) -> Any:
    try:
        return yaml_files.nodes(path)
    except YamlError:
        return None


def _line(node: Any, parts: list[str]) -> int | None:
    """Return the line of a key, whose name may have dots in it."""
    if not parts or len(parts) > _DEEPEST:
        return None
    if node.id == "sequence":
        index = int(parts[0]) if parts[0].isdecimal() and len(parts[0]) < 10 else len(node.value)
        if index >= len(node.value):
            return None
        item = node.value[index]
        return int(item.start_mark.line) + 1 if len(parts) == 1 else _line(item, parts[1:])
    if node.id != "mapping":
        return None
    for name, value in node.value:
        for count in range(len(parts), 0, -1):
            if name.value == ".".join(parts[:count]):
                return int(name.start_mark.line) + 1 if count == len(parts) else _line(value, parts[count:])
    return None


def _line_of_choice(root: Any, name: str) -> int | None:
    """Return the line of the entry in a defaults list that chooses a tool."""
    entries = next((value for key, value in _pairs(root) if key.value == "defaults"), None)
    for entry in [] if entries is None or entries.id != "sequence" else entries.value:
        for key, value in _pairs(entry):
            if str(key.value).rpartition("/")[2].rpartition(" ")[2] == "tool" and value.value == name:
                return int(value.start_mark.line) + 1
    return None


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return list(node.value) if node.id == "mapping" else []
