"""What is in the page: the runs that are meant, what they are compared by, their pictures, curves and details."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from experimentstash import __version__
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.dotted import is_number
from experimentstash.base.errors import StashError
from experimentstash.record.run import Run, State
from experimentstash.report import metrics, run_fields
from experimentstash.report.compare import Asked
from experimentstash.report.metrics import Metric
from experimentstash.report.page import curves, pictures, tables
from experimentstash.report.page.apart import Apart
from experimentstash.report.page.details import Details
from experimentstash.report.page.fitting import Data, Fitting, Room
from experimentstash.report.page.model import Column, Detail, Report, Runs, Table, as_data
from experimentstash.report.page.places import Links
from experimentstash.report.page.shortened import Shortened, Shown, places_of
from experimentstash.report.run_fields import METRICS, Field
from experimentstash.runs.differing import NOTHING, PARAMS, heading, identity, is_seed, said
from experimentstash.runs.expression import alike
from experimentstash.runs.facts import Facts, one_by_one
from experimentstash.runs.selection import Selection, choose
from experimentstash.stash.layout import Stash
from experimentstash.stash.paths import ROOT_CONFIG

# What is shown of every run, by the names of `runs --columns`, and what it is called where that isn't its name.
_PLAIN = ("state", "exp", "tool", "experiment", "tags", "sweep", "created", "started", "duration", "exit_code", "host")
_KEYS = {"duration": "seconds"}
_LABELS = {"exp": "experiment", "experiment": "in the tool", "duration": "time", "exit_code": "exit code"}
_MOMENTS = ("created", "started")
_IF_THEY_VARY = ("experiment", "exit_code", "host", "sweep", "tags")


# Of the room for details, what those of runs that haven't completed may take; thumbnails are next.
_OF_UNSUCCESSFUL = 1 / 4
# Runs that are asked where the stash was when they were made.
_SAMPLE = 20


@dataclass(frozen=True)
class Request:
    """What a page is asked to be of."""

    selection: Selection
    compared: Asked
    title: str | None = None
    command: str | Sequence[str] = ""  # as it is, or its words


@dataclass(frozen=True)
class Collected:
    """The data of a page, what was left out of it, and what tells the rest."""

    title: str
    data: Data
    left_out: list[str]  # what is said of it: it is among the page's remarks
    without_details: Sequence[int]
    detail: Callable[[int], Detail | None]
    has_unread: bool  # there are runs among those that are meant whose records can't be read


class Records(Sequence[Run | None]):
    """The records of runs, each read when it is asked for: all those of thousands of runs would be too much."""

    def __init__(self, runs: Sequence[Facts]) -> None:
        self._runs = runs

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        try:
            return self._runs[index].read()
        except (OSError, StashError):  # it was removed meanwhile
            return None


def collect(stash: Stash, request: Request, links: Links, most: int | None) -> Collected:
    """Return the data of the runs that are meant, in ``most`` bytes of the page; None: however large it becomes.

    StashError for what isn't there, as in `compare`.
    """
    selected = choose(stash, request.selection, with_earlier=True)
    found = selected.found
    declared, disagreeing = _declared(stash, found)
    compared, why_none = tables.of_selected(selected, request.selection, declared, request.compared)
    records, command = Records(found), request.command
    short = Shortened(stash.root, places_of(records[:: max(1, len(found) // _SAMPLE)]))
    shown = Shown(short, _values(found, compared))
    report = Report(
        title=short(request.title or stash.root.name),
        stash=stash.root.name,
        made=_local(datetime.datetime.now()),
        zone=_zone(),
        command=command if isinstance(command, str) else short.command(command, str(stash.root)),
        version=__version__,
        runs=_runs(found, declared, shown),
        tables=[_shortened(table, short, shown) for table in compared],
        details=[None] * len(found),
    )
    fitting = Fitting(report, Room(most))
    details = Details(stash, links, shown)

    def detail(place: int) -> Detail | None:
        run = records[place]
        return None if run is None else details.of(run)

    ended_well = [facts.state is State.COMPLETED for facts in found]
    others = [place for place, is_well in enumerate(ended_well) if not is_well]
    left_out = fitting.add_details(others, detail, fitting.left * _OF_UNSUCCESSFUL)
    drawn = curves.of_runs(records, [row.runs for table in tables.firsts(compared) for row in table.rows])
    fitting.add_figures(lambda room, better: pictures.of_runs(found, links, room, better), drawn)
    fitting.add_curves(drawn)
    left_out += fitting.add_details([place for place, is_well in enumerate(ended_well) if is_well], detail)
    fitting.data["remarks"] = as_data(
        [short(each) for each in (*disagreeing, *why_none, *drawn.remarks, *fitting.remarks)]
    )
    return Collected(
        fitting.data["title"],
        fitting.data,
        fitting.remarks,
        sorted(left_out),
        detail,
        has_unread=bool(selected.unread),
    )


def _declared(stash: Stash, runs: Sequence[Facts]) -> tuple[Mapping[str, Metric], list[str]]:
    """Return what is said of metrics, and where experiments disagree: a page of them has much else to show."""
    try:
        return metrics.of_runs(stash, runs), []
    except StashError as error:
        return metrics.declared(stash, ()), [f"{error.message} So only what {ROOT_CONFIG} says of metrics counts here."]


def _values(found: Sequence[Facts], compared: Sequence[Table]) -> Iterator[Any]:
    """Yield all values of parameters, and what comparisons have of them."""
    for facts in one_by_one(found):
        yield from facts.params.values()
    yield from (text for table in compared for row in table.rows for text in row.values)


def _shortened(table: Table, short: Shortened, shown: Shown) -> Table:
    return replace(
        table,
        rows=[replace(row, values=[shown(text) for text in row.values]) for row in table.rows],
        caption=short(table.caption),
        remarks=[short(each) for each in table.remarks],
    )


def _runs(found: Sequence[Facts], declared: Mapping[str, Metric], shown: Shown) -> Runs:
    return Runs(len(found), [facts.id for facts in found], list(_columns(found, declared, shown)))


def _columns(runs: Sequence[Facts], declared: Mapping[str, Metric], shown: Shown) -> Iterator[Column]:
    known = {field.name: field for field in run_fields.every(runs)}
    params = [name for name in known if name.startswith(PARAMS)]
    numbers = [name.removeprefix(METRICS) for name in known if name.startswith(METRICS)]
    telling = [*(name for name in declared if name in numbers), *run_fields.beside(numbers, params)]
    for name in (name for name in _PLAIN if name in known):
        column = _column(known[name], runs, _KEYS.get(name, name), _LABELS.get(name, name), "plain")
        if name in _MOMENTS:
            column = replace(
                column, values=[each and _local(datetime.datetime.fromisoformat(each)) for each in column.values]
            )
        if column.varies or name not in _IF_THEY_VARY:
            yield column
    for name in params:
        yield _column(known[name], runs, name, heading(name, params), "param", shown=shown)
    for name in dict.fromkeys([*telling, *numbers]):
        metric = declared.get(name) or Metric(name, name)
        better = None if metric.better is None else metric.better.value
        yield _column(known[f"{METRICS}{name}"], runs, f"{METRICS}{name}", metric.label, "metric", better)


def _column(
    field: Field,
    runs: Sequence[Facts],
    key: str,
    label: str,
    kind: str,
    better: str | None = None,
    shown: Callable[[Any], Any] = lambda value: value,
) -> Column:
    found = [shown(field.of(facts)) for facts in runs]
    if kind == "param":
        found = _written(key.removeprefix(PARAMS), found, runs)
    values = [_plain(value) for value in found]
    lists = [value if isinstance(value, list) else [] for value in found] if field.name == "tags" else []
    several = lists if any("," in each for own in lists for each in own) else []
    only_repeats = kind == "param" and is_seed(key.removeprefix(PARAMS))
    return Column(key, label, kind, _vary(values), better, values, only_repeats, several)


def _written(name: str, found: Sequence[Any], runs: Sequence[Facts]) -> list[Any]:
    """Return values of a parameter so that different ones look different; None only for what a run hasn't."""
    has = [
        value is not None or any(alike(each) == name for each in facts.params)
        for value, facts in zip(found, runs, strict=True)
    ]
    write = Apart(value if is_there else NOTHING for value, is_there in zip(found, has, strict=True))
    return [
        None if not is_there else "null" if value is None else write(value)
        for value, is_there in zip(found, has, strict=True)
    ]


def _local(moment: datetime.datetime) -> str:
    """Return a time as a clock here shows it, as `runs` and a run's details do, with its distance from UTC."""
    return moment.astimezone().isoformat(timespec="seconds")


def _zone() -> str:
    """Return the name of the zone here, both where it has another one in summer."""
    names = dict.fromkeys(time.tzname if time.daylight else time.tzname[:1])
    return "/".join(name if name[:1].isalpha() else f"UTC{name}" for name in names)


def _plain(value: Any) -> Any:
    """Return a value as the page has it: what isn't a single one as text."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):  # tags
        return ", ".join(value) or None
    return value if value is None or isinstance(value, (bool, str)) or is_number(value) else said(value)


def _vary(values: Sequence[Any]) -> bool:
    first = identity(values[0]) if values else None
    return any(value is not values[0] and identity(value) != first for value in values)
