"""The format of frozen.json as a JSON schema, made from the types: ``python -m experimentstash.publish.frozen_schema``.

docs/frozen.schema.json holds what it prints.
"""

from __future__ import annotations

import json
from typing import Any

from experimentstash.publish.frozen import FORMAT, PARTS, Frozen
from experimentstash.record.json_schema import WORDS, part

_WORDS = {
    **WORDS,
    "Inside": {"type": "string", "pattern": r"^(?!/)(?!(.*/)?\.{0,2}(/|$))[^\u0000]+$"},
    "Digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}


def schema() -> dict[str, Any]:
    """Return the schema of the format that this version writes."""
    whole = part(Frozen, _WORDS)
    whole["properties"]["format"] = {"const": FORMAT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "frozen.json of ExperimentStash",
        **whole,
        "$defs": {kind.__name__: part(kind, _WORDS) for kind in PARTS},
    }


def text() -> str:
    """Return the schema as the file in docs/ holds it."""
    return f"{json.dumps(schema(), indent=2)}\n"


if __name__ == "__main__":
    print(text(), end="")
