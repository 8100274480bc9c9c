"""JSON schemas of the configuration files, from which editors check and complete them while they are written.

An interpolation may stand for any value, a text may be written as a number, and a number or a truth value as a text:
as Hydra takes them.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, get_args, get_origin

from experimentstash.stash import settings
from experimentstash.stash.schema import StashConfig
from experimentstash.stash.settings import Kind, Setting

DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that the YAML language server knows in full
_INTERPOLATION = {"type": "string", "pattern": r"\$\{"}
_TRUTH = r"^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF)$"
_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": ["string", "number", "boolean"]},
    int: {"type": ["integer", "string"], "pattern": r"^[-+]?[0-9]+$"},
    float: {"type": ["number", "string"], "pattern": r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"},
    bool: {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, {"type": "string", "pattern": _TRUTH}]},
    Any: {},
}
_DEFAULTS = {
    "type": "array",
    "items": {"type": ["string", "object"]},
    "description": "The defaults list: what this file builds on.",
}
_HYDRA = {"type": "object", "description": "Hydra's own settings (launcher, sweeper, run, sweep, job …)."}


def schema_of(kind: Kind) -> dict[str, Any]:
    """Return the JSON schema of a kind of file."""
    properties: dict[str, Any] = {"defaults": _DEFAULTS}
    definitions: dict[str, Any] = {}
    for each in kind.types:
        properties |= _properties(each, definitions)
    if StashConfig in kind.types:
        properties["hydra"] = _HYDRA
    if kind is settings.LAUNCHER:
        properties["_target_"] = {"type": "string"}
    return {
        "$schema": DRAFT,
        "title": kind.title,
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
        "definitions": dict(sorted(definitions.items())),
    }


def text_of(kind: Kind) -> str:
    """Return the schema of a kind of file as JSON."""
    return f"{json.dumps(schema_of(kind), indent=1, ensure_ascii=False)}\n"


def _properties(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    return {setting.key: _described(setting, definitions) for setting in settings.own_settings(kind)}


def _described(setting: Setting, definitions: dict[str, Any]) -> dict[str, Any]:
    found = {**_of_type(setting.hint, definitions), "description": _description(setting)}
    if not setting.is_needed and setting.default not in ({}, None):
        found["default"] = setting.default
    return found


def _description(setting: Setting) -> str:
    said = [f"{value}: {text}" for value, text in setting.choices.items() if text]
    return "\n\n".join(filter(None, [setting.text, "\n".join(said)]))


def _of_type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type."""
    hint, is_optional = settings.optional(hint)
    if hint is Any:
        return {}
    choices = [_strictly(hint, definitions), _INTERPOLATION]
    return {"anyOf": [*choices, {"type": "null"}] if is_optional else choices}


def _strictly(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type where neither an interpolation stands nor null."""
    if get_origin(hint) is list:
        return {"type": "array", "items": _of_type(get_args(hint)[0], definitions)}
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": _of_type(get_args(hint)[1], definitions)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    if settings.inner_kind(hint) is None:
        return _PLAIN[hint]
    if hint.__name__ not in definitions:
        definitions[hint.__name__] = {}  # it is known while it is being made
        definitions[hint.__name__] = {
            "type": "object",
            "description": settings.about(hint),
            "properties": _properties(hint, definitions),
            "additionalProperties": False,
        }
    return {"$ref": f"#/definitions/{hint.__name__}"}
