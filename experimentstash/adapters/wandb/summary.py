"""The summary of a W&B run, as its log has it: of each key the last value, or what the run has said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.wandb import log, log_records
from experimentstash.base import json_numbers
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.files import open_regular

if TYPE_CHECKING:
    from typing import Any


def read(path: Path) -> dict[str, Any]:
    """Return the summary of the run with this log, nested as it is, without wandb's own keys.

    Before version 0.18 a run that was killed has none: then it is what was logged last.
    """
    summary: dict[str, Any] = {}
    logged: dict[str, Any] = {}
    with open(path, "rb", opener=open_regular) as stream:
        for record in log.records(stream):
            kind, body = log_records.kind_and_body(record.payload)
            if kind == log_records.SUMMARY:
                changed, removed = log_records.summary_items(body)
                for keys in removed:
                    _put(summary, keys, None)
                for keys, text in changed:
                    _put(summary, keys, text)
            elif kind == log_records.HISTORY and not summary:
                for keys, text in log_records.history_items(body):
                    _put(logged, keys, text)
    found: dict[str, Any] = _parsed(summary or logged)
    return found


def _put(known: dict[str, Any], keys: Sequence[str], text: str | None) -> None:
    """Put the JSON text of a value at its place, or take away what is there."""
    if not keys or keys[0].startswith("_"):
        return
    *above, last = keys
    for key in above:
        if not isinstance(known.get(key), dict):
            known[key] = {}
        known = known[key]
    if text is None:
        known.pop(last, None)
    else:
        known[last] = text


def _parsed(known: Any) -> Any:
    if isinstance(known, dict):
        return {key: _parsed(each) for key, each in known.items()}
    try:
        return json_numbers.loads(known)
    except (ValueError, RecursionError):
        return None
