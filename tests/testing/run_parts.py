"""Runs for tests, told by the names of fields alone: in which part of a run each stands is looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import replace
from experimentstash.record.run import Attempt, Command, Run, Specification, State, Terms


def run_with(name: str, directory: str | Path, **fields: Any) -> Run:
    """Return a run of that id; what isn't given of its tool and its command says nothing."""
    made = Run(name, str(directory), Specification("t", Command([], "/")), Attempt(1, State.FROZEN))
    return put(made, **fields)


def put(run: Run, **fields: Any) -> Run:
    """Change fields of a run, wherever they are, and return it; ``variables`` is its command's environment."""
    if "variables" in fields:
        run.spec = replace(run.spec, command=replace(run.spec.command, environment=fields.pop("variables")))
    command = {name: fields.pop(name) for name in ("argv", "cwd", "unset", "umask", "secrets") if name in fields}
    spec = _taken(Specification, fields)
    if command:
        spec["command"] = replace(spec.get("command", run.spec.command), **command)
    terms = _taken(Terms, fields)
    attempt = _taken(Attempt, fields)
    if spec:
        run.spec = replace(run.spec, **spec)
    if terms:
        attempt["terms"] = replace(attempt.get("terms", run.attempt.terms), **terms)
    for part, values in ((run.attempt, attempt), (run, fields)):
        for name, value in values.items():
            assert name in type(part).__annotations__, name
            setattr(part, name, value)
    return run


def _taken(kind: type, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields.pop(name) for name in kind.__annotations__ if name in fields and name != "others"}
