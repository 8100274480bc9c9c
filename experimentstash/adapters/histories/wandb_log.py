"""Histories in the logs of W&B runs, sent or not."""

from __future__ import annotations

import json
from typing import BinaryIO

from experimentstash.adapters.histories.history import Rows
from experimentstash.adapters.histories.json_lines import as_number
from experimentstash.adapters.wandb import log, log_records
from experimentstash.base.dotted import leaves

# Of wandb's own keys these count; the others are no numbers of the tool's.
_COUNTING = {"_step", "_timestamp"}


def read(stream: BinaryIO, rows: Rows) -> None:
    """Take the rows of a log: what was logged at each step."""
    for record in log.records(stream):
        kind, body = log_records.kind_and_body(record.payload)
        if kind != log_records.HISTORY:
            continue
        row: dict[str, float] = {}
        for keys, text in log_records.history_items(body):
            if not keys or (keys[0].startswith("_") and keys[0] not in _COUNTING):
                continue
            for name, value in leaves(_parsed(text), ".".join(keys)):
                if (number := as_number(value)) is not None:
                    row[name] = number
        if (step := log_records.history_step(body)) is not None:
            row["_step"] = step
        rows.add(row)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
