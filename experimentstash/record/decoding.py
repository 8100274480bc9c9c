"""JSON as a record: whatever it says is checked here, and nobody asks again."""

from __future__ import annotations

import os
from collections.abc import Mapping

from experimentstash.base import json_floats, typed
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.record.run import (
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

if TYPE_CHECKING:
    from typing import Any


def _state(value: Any, where: str) -> State:
    try:
        return State(typed.text(value, where))
    except ValueError:
        raise typed.wrong(value, where, "a state") from None


def _run_id(value: Any, where: str) -> str:
    if "/" in typed.name(value, where):
        raise typed.wrong(value, where, "a run's id")
    return str(value)


def _job_id(value: Any, where: str) -> str:
    job, _, task = typed.text(value, where).partition("_")
    if not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in (job, task or "0")):
        raise typed.wrong(value, where, "a job of SLURM's")
    return str(value)


def _objective(value: Any, where: str) -> Any:
    """Take where a number is found, or several are."""
    for each in value if isinstance(value, list) else [value]:
        _source(each, where)
    return value


def _sources(value: Any, where: str) -> dict[str, Any]:
    """Take where numbers are found, by their names."""
    found: dict[str, Any] = _MAPPING(value, where)
    for name, each in found.items():
        _source(each, f"{where}.{name}")
    return found


def _source(value: Any, where: str) -> None:
    """Refuse what isn't the place of a number, in a file of the run's own directory."""
    given = _MAPPING(value, where)
    file = given.get("file")
    if file is not None and (os.path.isabs(typed.path(file, where)) or ".." in file.split("/")):
        raise typed.wrong(file, f"{where}.file", "a file of the run's")
    kind = next((kind for kind in SOURCES if kind in given), None)
    if kind is None or not set(given) <= {kind, *SOURCES[kind]}:
        raise typed.wrong(value, where, "the place of a number")
    for key, word in given.items():
        if not isinstance(word, str) and not (key == "file" and word is None):
            raise typed.wrong(word, f"{where}.{key}", "a text")
    if given.get("take", "last") not in TAKE:
        raise typed.wrong(given["take"], f"{where}.take", f"one of {', '.join(TAKE)}")


def _number(value: Any, where: str) -> float:
    """Take a number, which may be infinite."""
    return typed.number(json_floats.from_json(value), where)


def _metrics(value: Any, where: str) -> dict[str, float]:
    """Take numbers by their names; they may be NaN."""
    if not isinstance(value, dict):
        raise typed.wrong(value, where, "a mapping")
    found: dict[str, float] = {}
    for name, each in value.items():
        number = json_floats.from_json(each)
        found[name] = number if type(number) is float else float(typed.number(number, f"{where}.{name}"))
    return found


def _wandb_runs(value: Any, where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _MAPPINGS(value, where)
    for number, each in enumerate(found):
        typed.text(each.get("id"), f"{where}[{number}].id")
    return found


# What else there is to each way to say where a number is; and which of several is meant.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "key": ("file",),
    "column": ("file", "take"),
    "pattern": ("file", "take"),
    "wandb": (),
    "tensorboard": ("file", "take"),
}
TAKE = ("last", "min", "max", "mean")
_MAPPING = typed.checker("dict[str, Any]", typed.BASIC)
_MAPPINGS = typed.checker("list[dict[str, Any]]", typed.BASIC)
_KNOWN = {
    **typed.BASIC,
    "PathText": typed.path,
    "FileName": typed.file_name,
    "Argument": typed.argument,
    "Time": typed.time,
    "Seconds": typed.duration,
    "Pid": typed.pid,
    "Id": _run_id,
    "JobId": _job_id,
    "Name": typed.name,
    "State": _state,
    "Objective": lambda value, where: None if value is None else _objective(value, where),
    "Sources": _sources,
    "WandbRuns": _wandb_runs,
    "Number": _number,
    "Metrics": _metrics,
}
for _kind in (
    Command,
    Code,
    Environment,
    Build,
    Process,
    Supervisor,
    Queued,
    JobEnd,
    Apart,
    Specification,
    Terms,
    Attempt,
    Run,
):
    _KNOWN[_kind.__name__] = typed.builder(_kind, _KNOWN)


def supervisor(data: Any) -> Supervisor:
    """Return the supervisor that plain data tells of; ValueError where it says what makes no sense."""
    found: Supervisor = _KNOWN["Supervisor"](data, "")
    return found


def build(data: Any) -> Run:
    """Return the run that a record tells of; ValueError where it says what makes no sense."""
    if isinstance(data, dict) and data.get("format", 1) == 1:
        from experimentstash.record import format_1  # here, because hardly any record is so old

        data = format_1.as_format_2(data)
    run: Run = _KNOWN["Run"](data, "")
    return run
