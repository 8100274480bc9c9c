"""What editors check and complete the configuration by: JSON schemas in `conf/.schemas`, and which file has which.

They are files of the stash's, to be committed: whoever clones it has them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash import editor_schemas, paths, settings
from experimentstash.stash.layout import Stash
from experimentstash.tools import known_parameters, registrations
from experimentstash.tools.known_parameters import Known, Parameter

VSCODE = ".vscode/settings.json"


def of_every_stash() -> dict[str, str]:
    """Return the files that don't depend on what is in a stash, by their paths in it."""
    schemas = {_schema(kind.name): editor_schemas.text_of(kind) for kind in settings.KINDS}
    which = {f"./{_schema(kind.name)}": kind.where for kind in settings.KINDS}
    return {**schemas, VSCODE: f"{json.dumps({'yaml.schemas': which}, indent=2)}\n"}


def write(stash: Stash) -> list[str]:
    """Write all that has changed, but for an editor's settings that are there; return the paths of what was written."""
    wanted = of_every_stash()
    for tool in stash.tools():
        wanted[_schema(f"exp.{tool}")] = schema_of_tool(stash, tool)
    written = []
    for path, text in wanted.items():
        place = stash.root / path
        if path == VSCODE and os.path.lexists(place):
            continue
        if _content(place) != text:
            files.make_directory(place.parent)
            files.write_atomically(place, text)
            written.append(path)
    return written


def schema_place(stash: Stash, tool: str) -> Path | None:
    """Return where the schema of a tool's organizers is to be; None if the stash has no schemas."""
    place = stash.root / _schema(f"exp.{tool}")
    return place if place.parent.is_dir() else None


def modeline(schema: Path, organizer: Path) -> str:
    """Return the line, with a newline, by which editors check an organizer."""
    return f"# yaml-language-server: $schema={os.path.relpath(schema, organizer.parent)}\n"


def schema_of_tool(stash: Stash, tool: str) -> str:
    """Return the schema of a tool's organizers, with its experiments and parameters as far as they are known."""
    try:
        registration = registrations.read(stash, tool)
        known = known_parameters.of(tool_directory(stash, tool, registration), registration)
    except StashError:  # its code isn't there; `validate` says so
        known = Known()
    schema = editor_schemas.schema_of(settings.ORGANIZER)
    schema["title"] = f"An experiment of {tool}"
    properties = schema["properties"]
    if known.experiments:
        properties["experiment"]["anyOf"].insert(0, {"enum": list(known.experiments)})
    if known.parameters:
        # Whatever else the tool takes may stand there, too: not all that a program reads can be known.
        properties["params"]["anyOf"][0] = {
            "type": "object",
            "properties": {each.name: _parameter(each) for each in known.parameters},
        }
    return f"{json.dumps(schema, indent=1, ensure_ascii=False)}\n"


def _parameter(parameter: Parameter) -> dict[str, Any]:
    said = "\n\n".join(filter(None, [parameter.kind, parameter.help]))
    found: dict[str, Any] = {"description": said} if said else {}
    if parameter.default is not None:
        found["default"] = json.loads(parameter.default)
    if parameter.choices:
        found["anyOf"] = [{"enum": list(parameter.choices)}, {}]
    return found


def _schema(name: str) -> str:
    return f"{paths.SCHEMAS}/{name}.json"


def _content(path: Path) -> str | None:
    try:
        return files.read_text(path)
    except (OSError, UnicodeDecodeError):
        return None
