"""A record as JSON; what is said in it without the secrets that may be in what tools say."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from enum import Enum

from experimentstash import __version__
from experimentstash.base import json_floats, typed
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.redaction import redact
from experimentstash.record.run import FORMAT, Attempt, Code, Run, Specification

if TYPE_CHECKING:
    from typing import Any


def _plain(value: Any) -> dict[str, Any]:
    """Return a record, or a part of one, for JSON; names in a checkout, which may be given after a secret, redacted."""
    if isinstance(value, Code):
        return {name: _redacted(each) if name in _NAMES else each for name, each in vars(value).items()}
    return dict(_fields(value))


_NAMES = ("branch", "omitted", "withheld", "unknown")
_ENCODER = json.JSONEncoder(default=_plain)


def as_json(found: Run | list[Run]) -> str:
    """Return records as they are printed."""
    return json.dumps(found, indent=2, default=_plain)


def as_line(run: Run) -> str:
    """Return a record as it is printed, in one line."""
    return _ENCODER.encode(run)


def text_of(run: Run) -> str:
    """Return the record of a run as we write it."""
    run.format, run.version = FORMAT, __version__
    return f"{_block(run)}\n"


def _block(part: Run | Specification | Attempt, indent: str = "") -> str:
    """Return a part of a record as JSON, a line for each key: json's own indentation takes several times as long."""
    known, inner = vars(part), f"{indent}  "
    kind: Any = type(part)
    lines = []
    for name, begun, is_said in _lines(kind, inner):
        value = known[name]
        if value is None:  # as most keys have
            lines.append(f"{begun}null")
            continue
        value = _numbers(value) if name in _NUMBERS else value
        lines.append(f"{begun}{_encoded(value, inner, is_said=is_said)}")
    for name, value in known.get(typed.OTHERS, {}).items():
        lines.append(f"{inner}{_quoted(name)}: {_encoded(value, inner, is_said=False)}")
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


@functools.cache
def _lines(kind: type[Any], indent: str) -> tuple[tuple[str, str, bool], ...]:
    """Return the keys of a part of a record, how the line of each begins, and whether its value is said."""
    said = _SAID if kind is Attempt else ()
    names = [name for name in kind.__annotations__ if name != typed.OTHERS]
    return tuple((name, f"{indent}{_quoted(name)}: ", name in said) for name in names)


def _kept(spec: Specification, indent: str) -> str:
    """Return a specification as JSON. It never changes: its text is kept in it for each further record of the run."""
    known = vars(spec)
    if "_text" not in known:
        known["_text"] = _block(spec, indent)
    text: str = known["_text"]
    return text


_quoted = functools.lru_cache(maxsize=1024)(json.dumps)  # the names are the same in each record


def _encoded(value: Any, indent: str, *, is_said: bool) -> str:
    kind = type(value)
    if not value and kind in _NOTHING:
        return _NOTHING[kind]
    if kind is int:
        return str(value)
    if kind is Specification:
        return _kept(value, indent)
    if kind is Attempt:
        return _block(value, indent)
    if kind is list and type(value[0]) is Attempt:
        return f"[{', '.join(_block(each, indent) for each in value)}]"
    return _ENCODER.encode(_redacted(value) if is_said else value)


_NOTHING = {type(None): "null", list: "[]", dict: "{}"}


def _fields(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a part of a record says, that in words of another version last."""
    known = vars(part)
    for name in type(part).__annotations__:  # its fields: `known` may have more, such as the text of `_kept`
        if name != typed.OTHERS:
            yield name, _numbers(known[name]) if name in _NUMBERS else known[name]
    yield from known.get(typed.OTHERS, {}).items()


# What may be numbers for which JSON has no words.
_NUMBERS = ("result", "metrics")


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: json_floats.as_json(number) for name, number in value.items()}
    if isinstance(value, list):
        return [json_floats.as_json(number) for number in value]
    return value if value is None else json_floats.as_json(value)


# What an attempt says in words that may be those of a tool, or of another program. The rest is checked when it is
# frozen: it must stay as it is, because it is what is executed.
_SAID = ("reason", "advice", "notes", "warnings", "job_end", "wandb", "wandb_elsewhere", "collected", "wrote")


def _redacted(value: Any) -> Any:
    """Return what is said without the secrets in it."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return redact(value, os.environ)
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    if isinstance(value, dict):
        return {name: _redacted(each) for name, each in value.items()}
    return _redacted(vars(value)) if hasattr(value, "__dict__") else value
