"""The ways in which parameters can be written: in an organizer, or one that it builds on, on a command line, swept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from experimentstash.freeze.calling.hydra import override_value
from experimentstash.freeze.calling.words import yaml_text

# What the organizer that is built on says (None: there is none), what the organizer says, the command line.
Way = tuple[dict[str, Any] | None, dict[str, Any], list[str]]


def ways(values: Mapping[str, Any], place: str = "", beside: Mapping[str, Any] | None = None) -> dict[str, Way]:
    """Return each way of writing these parameters, all of which are at one place in `params`.

    ``beside`` is what else is there, where the way of writing says only what is new.
    """
    written = escaped(dict(values))
    earlier = dict.fromkeys(values, 0)  # what stands there before, where the way of writing is to change it
    ours, theirs, others = (_at(place, each) for each in (written, earlier, dict(beside or {})))
    every_other = {name: written[name] for name in list(written)[::2]}
    rest = {name: written[name] for name in written if name not in every_other}
    removed = [f"~params.{place}"] if place else [f"~params.{name}" for name in values]
    inside = dotted(values, place)
    return {
        "nested": (None, ours, []),
        "dotted": (None, dotted(written, place), []),
        "both": (None, _at(place, every_other) | dotted(rest, place), []),
        "built on": (theirs, ours, []),
        "built on, dotted over nested": (theirs, dotted(written, place), []),
        "built on, nested over dotted": (dotted(earlier, place), ours, []),
        "command line": (None, theirs, _words("", values, place)),
        "command line over dotted": (None, dotted(earlier, place), _words("", values, place)),
        "command line, +": (None, others, _words("+", values, place)),
        "command line, ++": (None, theirs, _words("++", values, place)),
        "command line, ++ for what is inside": (None, theirs, _words("++", inside, "")),
        "command line, ~ and +": (None, theirs, [*removed, *_words("+", values, place)]),
        "command line, a mapping": (None, theirs, [f"{_key(place)}={override_value(values, 'params')}"]),
        "swept": (None, theirs, _swept(values, place)),
    }


def organizer(content: Mapping[str, Any]) -> str:
    """Return the line of an organizer that has these parameters."""
    return f"params: {yaml_text(content, 'params')}\n"


def escaped(value: Any) -> Any:
    """Return a value as it is written in a configuration: ${ would be an interpolation."""
    if isinstance(value, str):
        return value.replace("${", "\\${")
    if isinstance(value, list):
        return [escaped(each) for each in value]
    return {key: escaped(each) for key, each in value.items()} if isinstance(value, dict) else value


def dotted(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return a mapping with dotted keys for all that is in it."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        at = f"{path}.{key}" if path else key
        found |= dotted(value, at) if isinstance(value, dict) and value else {at: value}
    return found


def _at(place: str, content: dict[str, Any]) -> dict[str, Any]:
    return {place: content} if place else content


def _key(*parts: str) -> str:
    return ".".join(["params", *filter(None, parts)])


def _words(mark: str, values: Mapping[str, Any], place: str) -> list[str]:
    return [f"{mark}{_key(place, name)}={override_value(value, name)}" for name, value in values.items()]


def _swept(values: Mapping[str, Any], place: str) -> list[str]:
    """Return what a sweeper hands to one of its jobs."""
    parser = OverridesParser.create()
    found = []
    for word in _words("", values, place):
        override = parser.parse_override(f"{word},7")
        found.append(f"{override.get_key_element()}={next(override.sweep_string_iterator())}")
    return found
