"""The format of run.json as a JSON schema, made from the types: ``python -m experimentstash.record.json_schema``.

docs/run.schema.json holds what it prints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from experimentstash.base.json_floats import FLOAT
from experimentstash.base.typed import OTHERS, alternatives_of
from experimentstash.record.decoding import SOURCES, TAKE
from experimentstash.record.run import (
    FORMAT,
    Apart,
    Attempt,
    Build,
    Code,
    Command,
    Environment,
    JobEnd,
    Process,
    Queued,
    Run,
    Specification,
    State,
    Supervisor,
    Terms,
)

_PARTS = (
    Specification,
    Command,
    Apart,
    Code,
    Environment,
    Build,
    Attempt,
    Terms,
    Queued,
    Supervisor,
    Process,
    JobEnd,
)
_TEXT: dict[str, Any] = {"type": "string"}
_MORE = {"file": {"type": ["string", "null"]}, "take": {"enum": list(TAKE)}}
_NUMBER: dict[str, Any] = {
    "anyOf": [
        {"type": "number"},
        {
            "type": "object",
            "required": [FLOAT],
            "properties": {FLOAT: {"enum": ["nan", "inf", "-inf"]}},
            "additionalProperties": False,
        },
    ]
}
WORDS: dict[str, dict[str, Any]] = {
    "str": _TEXT,
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "Any": {},
    "PathText": {"type": "string", "minLength": 1},
    "FileName": {"type": "string", "pattern": r"^(?!\.{1,2}$)[^/\u0000]+$"},
    "Argument": {"type": "string", "pattern": r"^[^\u0000]*$"},
    "Time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}(\d{3})?)?[+-]\d\d:\d\d$"},
    "Seconds": {"type": "number", "minimum": 0},
    "Pid": {"type": "integer", "minimum": 1, "exclusiveMaximum": 2**31},
    "Id": {"type": "string", "pattern": "^[^/]+$"},
    "JobId": {"type": "string", "pattern": r"^\d+(_\d+)?$"},
    "Name": {"type": "string", "pattern": "^[^/]"},
    # Another version may know more of them.
    "State": {"type": "string", "minLength": 1, "maxLength": 40, "examples": [each.value for each in State]},
    "Number": _NUMBER,
    "Metrics": {"type": "object", "additionalProperties": _NUMBER},
    "WandbRuns": {"type": "array", "items": {"type": "object", "required": ["id"], "properties": {"id": _TEXT}}},
}


def schema() -> dict[str, Any]:
    """Return the schema of the format that this version writes."""
    where = {
        "oneOf": [
            {
                "type": "object",
                "required": [kind],
                "properties": {kind: _TEXT, **{name: _MORE[name] for name in more}},
                "additionalProperties": False,
            }
            for kind, more in SOURCES.items()
        ]
    }
    whole = part(Run)
    whole["properties"]["format"] = {"const": FORMAT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "run.json of ExperimentStash",
        **whole,
        "$defs": {
            **{kind.__name__: part(kind) for kind in _PARTS},
            "Sources": {"type": "object", "additionalProperties": where},
            "Objective": {"anyOf": [{"type": "null"}, where, {"type": "array", "items": where}]},
        },
    }


def part(kind: type, words: Mapping[str, Any] = WORDS) -> dict[str, Any]:
    """Return the schema of a part: all keys that are written are needed, and others are another version's."""
    names = [name for name in kind.__annotations__ if name != OTHERS]
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "required": names,
        "properties": {name: _type(kind.__annotations__[name], words) for name in names},
        **({} if OTHERS in kind.__annotations__ else {"additionalProperties": False}),
    }


def _type(annotation: str, words: Mapping[str, Any]) -> dict[str, Any]:
    found = alternatives_of(annotation)
    if len(found) > 1:
        return {"anyOf": [{"type": "null"} if each == "None" else _type(each, words) for each in found]}
    if annotation.startswith("list["):
        return {"type": "array", "items": _type(annotation[5:-1], words)}
    if annotation.startswith("dict["):
        return {"type": "object", "additionalProperties": _type(annotation[5:-1].partition(", ")[2], words)}
    known: dict[str, Any] | None = words.get(annotation)
    return {"$ref": f"#/$defs/{annotation}"} if known is None else known


def text() -> str:
    """Return the schema as the file in docs/ holds it."""
    return f"{json.dumps(schema(), indent=2)}\n"


if __name__ == "__main__":
    print(text(), end="")
