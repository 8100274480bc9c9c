"""Runs as data for other programs: CSV with all columns, records, or what was asked for, as JSON. No remarks in it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from experimentstash.base.dotted import is_number
from experimentstash.record import encoding
from experimentstash.report.run_fields import Field
from experimentstash.runs.differing import said
from experimentstash.runs.facts import Facts, one_by_one
from experimentstash.stash.parameters import as_json


def csv_lines(fields: Sequence[Field], runs: Sequence[Facts]) -> Iterator[str]:
    """Yield a heading, and a line for each run; numbers have all their digits, what is missing is empty."""
    yield _csv_line([field.name for field in fields])
    for facts in one_by_one(runs):
        yield _csv_line([_cell(field.of(facts)) for field in fields])


def json_lines(fields: Sequence[Field], runs: Sequence[Facts]) -> Iterator[str]:
    """Yield a line of JSON for each run: its record, or, if there are ``fields``, just these."""
    for facts in one_by_one(runs):
        if fields:
            yield json.dumps({field.name: as_json(field.of(facts)) for field in fields}, ensure_ascii=False)
        else:
            yield encoding.as_line(facts.read())


def json_list(fields: Sequence[Field], runs: Sequence[Facts]) -> Iterator[str]:
    """Yield the parts of one JSON list."""
    lines = json_lines(fields, runs) if fields else (encoding.as_json(facts.read()) for facts in runs)
    mark = "["
    for line in lines:
        yield mark + "\n  " + line.replace("\n", "\n  ")
        mark = ","
    yield "[]" if mark == "[" else "\n]"


def _csv_line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    return value if value is None or is_number(value) else said(value)
