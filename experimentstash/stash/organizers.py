"""What an experiment organizer says about itself, read from its YAML alone: fast for thousands, and without Hydra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experimentstash.base import yaml_files
from experimentstash.base.yaml_files import YamlError
from experimentstash.stash.layout import Stash

# What describes an experiment and doesn't change what it does.
_DESCRIPTIVE = {"description", "tags", "estimated_runtime", "debug", "validate_only", "dry_run", "metrics", "outputs"}
_DESCRIPTIVE |= {"skip_completed", "force"}
_MOST_BASES = 20


@dataclass(frozen=True)
class Organizer:
    """An experiment organizer as its file says, interpolations and all. ``settings`` is equal for equal experiments."""

    name: str
    tool: str | None
    experiment: str | None
    description: str
    tags: tuple[str, ...]
    estimated_runtime: str | None
    settings: str
    problem: str | None = None  # why the file could not be read

    def belongs_to(self, tool: str | None, tag: str | None = None) -> bool:
        """Tell whether it is of this tool and has this tag (None: any)."""
        return (tool is None or self.tool == tool) and (tag is None or tag in self.tags)


class Organizers:
    """The organizers of a stash; a file that several of them build on is read once."""

    def __init__(self, stash: Stash) -> None:
        self._stash = stash
        self._contents: dict[str, dict[str, Any] | str] = {}
        root = self._content("config")
        self._default_tool = None if isinstance(root, str) else _chosen_tool(root)

    def read(self, name: str) -> Organizer:
        """Return an organizer; what can't be read has a ``problem``."""
        layers = []
        for content in self._layers(f"exp/{name}"):
            if isinstance(content, str):
                return Organizer(name, None, None, "", (), None, "", problem=content)
            layers.append(content)
        tools = [tool for tool in map(_chosen_tool, layers) if tool is not None]
        own = {key: value for content in reversed(layers) for key, value in content.items()}
        tags = own.get("tags") or ()
        return Organizer(
            name=name,
            tool=tools[0] if tools else self._default_tool,
            experiment=_text(own.get("experiment")),
            description=(_text(own.get("description")) or "").strip(),
            tags=tuple(map(str, tags)) if isinstance(tags, list) else (str(tags),) if tags else (),
            estimated_runtime=_text(own.get("estimated_runtime")),
            settings=_settings(layers),
        )

    def of(self, name: str, key: str) -> Any:
        """Return what an organizer, or one that it builds on, says under a key; None if it can't be read, too."""
        layers = (content for content in self._layers(f"exp/{name}") if not isinstance(content, str))
        return next((content[key] for content in layers if key in content), None)

    def of_root(self, key: str) -> Any:
        """Return what the root config itself says under a key. Raises YamlError if it can't be read."""
        return yaml_files.mapping(self._stash.config_file("config")).get(key)

    def of_tool(self, tool: str, key: str) -> Any:
        """Return what a tool's registration says under a key; None if it is gone, or can't be read."""
        try:
            return yaml_files.mapping(self._stash.registration(tool)).get(key)
        except YamlError:
            return None

    def _layers(self, path: str) -> Iterator[dict[str, Any] | str]:
        """Yield the content of a config and of the organizers that it builds on, what wins first."""
        seen = [path]
        for current in seen:
            content = self._content(current)
            yield content
            for entry in _defaults(content):
                base = _base(entry)
                if base is not None and base not in seen and len(seen) < _MOST_BASES:
                    seen.append(base)

    def _content(self, path: str) -> dict[str, Any] | str:
        """Return the mapping in a file of conf, or what is wrong with the file."""
        if path not in self._contents:
            self._contents[path] = _read(self._stash, path)
        return self._contents[path]


def _read(stash: Stash, path: str) -> dict[str, Any] | str:
    try:
        return yaml_files.mapping(stash.config_file(path))
    except YamlError as error:
        return f"it is {error.what}{f' (line {error.line})' if error.line else ''}"


def _defaults(content: Mapping[str, Any] | str) -> list[Any]:
    entries = None if isinstance(content, str) else content.get("defaults")
    return entries if isinstance(entries, list) else []


def _chosen_tool(content: Mapping[str, Any]) -> str | None:
    """Return the tool that a defaults list chooses: `override /tool: NAME`, or `tool: NAME` in the root config."""
    for entry in reversed(_defaults(content)):
        if isinstance(entry, dict) and len(entry) == 1:
            ((group, name),) = entry.items()
            if str(group).split(" ")[-1].lstrip("/") == "tool" and isinstance(name, str):
                return name
    return None


def _base(entry: Any) -> str | None:
    """Return the organizer that an entry of an organizer's defaults list builds on; None for anything else."""
    if not isinstance(entry, str) or entry == "_self_":
        return None
    path = entry.partition("@")[0]
    return path.removeprefix("/") if path.startswith("/exp/") else None if path.startswith("/") else f"exp/{path}"


def _settings(layers: list[dict[str, Any]]) -> str:
    return repr([{key: value for key, value in content.items() if key not in _DESCRIPTIVE} for content in layers])


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
