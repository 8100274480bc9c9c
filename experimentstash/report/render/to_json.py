"""A comparison as JSON, with all that is known of it. NaN and infinities, which JSON has no numbers for, are texts."""

from __future__ import annotations

import json
import math
from typing import Any

from experimentstash.report.compare import Cell, Comparison
from experimentstash.report.groups import title
from experimentstash.runs.differing import plain

_NAMES = {"apart": "std"}


def render(comparison: Comparison) -> str:
    """Return it as text."""
    content = {
        "over": [name.removeprefix("params.") for name in comparison.over],
        "numbers": comparison.way.words,
        "metrics": [
            {
                "name": metric.name,
                "label": metric.label,
                "better": None if metric.better is None else metric.better.value,
            }
            for metric in comparison.metrics
        ],
        "groups": [
            {
                "group": {
                    column.heading: plain(value) for column, value in zip(comparison.columns, row.values, strict=True)
                },
                "runs": list(row.runs),
                "metrics": {
                    metric.name: None if cell is None else _cell(comparison, cell)
                    for metric, cell in zip(comparison.metrics, row.cells, strict=True)
                },
            }
            for row in comparison.rows
        ],
        "test": None if comparison.test is None else f"{comparison.test.words}; corrected by Holm",
        "differences": [
            {
                **vars(each),
                "first": title(comparison.rows[each.first].values),
                "second": title(comparison.rows[each.second].values),
            }
            for each in comparison.differences
        ],
        "remarks": list(comparison.remarks),
    }
    return json.dumps(valid(content), indent=2, ensure_ascii=False, allow_nan=False)


def _cell(comparison: Comparison, cell: Cell) -> dict[str, Any]:
    parts = {_NAMES.get(name, name): getattr(cell.summary, name) for name in comparison.way.parts}
    return {"n": cell.summary.count, comparison.way.middle: cell.summary.middle, **parts, "rank": cell.rank}


def valid(value: Any) -> Any:
    """Return a value with texts in place of the numbers that JSON hasn't."""
    if isinstance(value, dict):
        return {str(key): valid(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [valid(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
