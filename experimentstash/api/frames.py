"""Tables for pandas and polars, with the types that their columns have. Neither is needed by anything else."""

from __future__ import annotations

import datetime
import importlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experimentstash.api.run import as_time
from experimentstash.base.errors import StashError
from experimentstash.report.run_fields import METRICS, every
from experimentstash.runs.differing import PARAMS
from experimentstash.runs.facts import Facts

if TYPE_CHECKING:
    import pandas
    import polars

# Whole numbers that fit.
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1

# By names, all of the same length; None where there is nothing.
Table = Mapping[str, Sequence[Any]]


def of_runs(runs: Sequence[Facts]) -> Table:
    """Return a row for each run, with the columns of `runs --csv` and what it took besides."""
    fields = {_CALLED.get(field.name, field.name): field for field in every(runs)}
    told = [name for name in fields if name.startswith((PARAMS, METRICS))]
    names = dict.fromkeys([*_FIRST, *told, *fields])
    table = {name: [fields[name].of(facts) for facts in runs] for name in names}
    attempts = [facts.run.attempt for facts in runs]
    return {
        **table,
        **{name: [as_time(moment) for moment in table[name]] for name in _TIMES},
        "cpu_time": [attempt.cpu_time for attempt in attempts],
        "peak_memory": [attempt.peak_memory for attempt in attempts],
        "reason": [attempt.reason for attempt in attempts],
    }


# What is called otherwise than on the command line, where `exp` is short for it.
_CALLED = {"exp": "experiment", "experiment": "inner_experiment"}
_FIRST = ("id", "state", "experiment", "tool")
# What a column is when it is empty, and what it is however its values look.
_TIMES = ("created", "started", "ended")
_NUMBERS = ("duration", "cpu_time")
_WHOLE = ("peak_memory", "exit_code", "job")
_TEXTS = (*_FIRST, "inner_experiment", "reason", "sweep", "host", "commit", "directory")


def _kind(name: str, values: Sequence[Any]) -> type | None:
    """Return what all values of a column are; None if they are of several kinds, or are none of these."""
    for kind, names in ((datetime.datetime, _TIMES), (float, _NUMBERS), (int, _WHOLE), (str, _TEXTS)):
        if name in names:
            return kind
    kinds = {type(value) for value in values if value is not None}
    if name.startswith(METRICS) or kinds == {int, float} or kinds == {float}:
        return float
    if kinds == {int}:
        return int if all(_LEAST <= value <= _MOST for value in values if value is not None) else None
    return kinds.pop() if len(kinds) == 1 and kinds <= {bool, str} else None


def to_pandas(table: Table) -> pandas.DataFrame:
    """Return it as a pandas.DataFrame; StashError if pandas isn't installed."""
    pd = _imported("pandas")
    columns = {name: _pandas_column(pd, _kind(name, values), values) for name, values in table.items()}
    frame: pandas.DataFrame = pd.DataFrame(columns)
    return frame


def _pandas_column(pd: Any, kind: type | None, values: Sequence[Any]) -> Any:
    has_gaps = any(value is None for value in values)
    if kind is datetime.datetime:
        return pd.Series(pd.to_datetime(list(values), utc=True))
    if kind is float:
        return pd.Series([math.nan if value is None else float(value) for value in values], dtype="float64")
    if kind is int:
        return pd.Series(list(values), dtype="Int64" if has_gaps else "int64")
    if kind is bool:
        return pd.Series(list(values), dtype="boolean" if has_gaps else "bool")
    return pd.Series(list(values), dtype="string" if kind is str else "object")


def to_polars(table: Table) -> polars.DataFrame:
    """Return it as a polars.DataFrame; StashError if polars isn't installed. What has no type is JSON."""
    pl = _imported("polars")
    types = {
        datetime.datetime: pl.Datetime("ms", "UTC"),
        float: pl.Float64,
        int: pl.Int64,
        bool: pl.Boolean,
        str: pl.String,
    }
    columns = []
    for name, values in table.items():
        kind = _kind(name, values)
        if kind is not None:
            given = [float(value) if kind is float and value is not None else value for value in values]
            columns.append(pl.Series(name, given, dtype=types[kind]))
        elif all(isinstance(value, list) and all(isinstance(each, str) for each in value) for value in values):
            columns.append(pl.Series(name, values, dtype=pl.List(pl.String)))
        else:
            texts = [None if value is None else json.dumps(value, default=str) for value in values]
            columns.append(pl.Series(name, texts, dtype=pl.String))
    frame: polars.DataFrame = pl.DataFrame(columns)
    return frame


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StashError(f"{name} isn't installed here.", f"pip install {name}") from error
