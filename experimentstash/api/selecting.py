"""``es.runs``: the runs of a stash, chosen as on the command line, as a sequence that becomes a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, overload

from experimentstash.api import frames
from experimentstash.api.run import Run, in_line, of_run, stash_of
from experimentstash.api.telling import Place, stash_at, tell, telling
from experimentstash.base.errors import StashError
from experimentstash.base.text import clean
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.runs.selection import Words, choose, of_words
from experimentstash.runs.summary import count
from experimentstash.stash.layout import Stash

if TYPE_CHECKING:
    import pandas
    import polars

# Rows that are shown in a notebook.
_SHOWN = 20


class Runs(Sequence[Run]):
    """Runs, the newest first."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> Runs: ...

    def __getitem__(self, index: int | slice) -> Run | Runs:
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas.DataFrame with a row for each run; StashError if pandas isn't installed.

        Its columns: id, state, experiment, tool, ``params.NAME``, ``metrics.NAME`` (a low line for a dash), and how it
        went: started, duration (seconds), peak_memory (bytes) … pandas has NaN for a number that is missing, too.
        """
        return frames.to_pandas(self._table())

    def to_polars(self) -> polars.DataFrame:
        """Return the same as a polars.DataFrame, where a missing number is null, and NaN is NaN."""
        return frames.to_polars(self._table())

    def _table(self) -> frames.Table:
        records = list(map(of_run, self._runs))
        if unread := [record.id for record in records if is_unread(record)]:
            tell(f"nobody has read the numbers of {count(len(unread))} yet: {REFRESH}", above=2)
        return frames.of_runs(list(map(Facts, records)))

    def __repr__(self) -> str:
        shown = "\n".join(f"  {run!r}" for run in self._runs[:_SHOWN])
        more = f"\n  … and {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""
        return f"<{count(len(self))}>" + (f"\n{shown}{more}" if shown else "")

    def _repr_html_(self) -> str:
        headings = ("run", "state", "experiment", "params", "metrics", "directory")
        rows = [
            (run.id, run.state, run.experiment, in_line(facts.params), in_line(_short(facts)), str(run.directory))
            for run, facts in ((run, Facts(of_run(run))) for run in self._runs[:_SHOWN])
        ]
        head = "".join(f"<th>{heading}</th>" for heading in headings)
        cells = (["<td>" + escape(clean(text or "")) + "</td>" for text in row] for row in rows)
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        of = f"{count(len(self))}" + (f", of which the newest {_SHOWN} are shown" if len(self) > _SHOWN else "")
        return f"<table><caption>{of}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _short(facts: Facts) -> dict[str, str]:
    return {name: f"{number:.4g}" for name, number in facts.numbers.items()}


def runs(
    *names: str,
    state: Words = (),
    exp: Words = (),
    tool: Words = (),
    tag: Words = (),
    sweep: Words = (),
    since: str | None = None,
    until: str | None = None,
    where: str | None = None,
    stash: Place | None = None,
) -> Runs:
    """Return the runs that are meant, the newest first; without arguments all of them.

    ``names`` are ids of runs and sweeps, beginnings of ids, directories, or ``latest``. The others narrow it, as the
    options of the command line do: ``es.runs(exp="figure1/*", state="completed", where="params.seed < 3")``. ``stash``
    is a path in the stash; without it the working directory is. StashError for a name that there isn't; a record that
    can't be read is a StashWarning.
    """
    place, called = named(names, stash, "list")
    selection = of_words(
        called,
        states=state,
        experiments=exp,
        tools=tool,
        tags=tag,
        sweeps=sweep,
        since=since,
        until=until,
        where=where,
    )
    with telling():
        found = choose(place, selection, with_earlier=True).found
    return Runs(Run(place, facts.run) for facts in found)


def named(runs: Iterable[str | Run | Iterable[Run]], stash: Place | None, to: str) -> tuple[Stash, list[str]]:
    """Return the stash, and the names of runs that are given ``to`` be worked on, by name or as runs from there."""
    given = list(runs)
    found = [one for each in given for one in ([each] if isinstance(each, (str, Run)) else each)]
    if given and not found:
        raise StashError(f"There are no runs to {to}.")
    first = next((one for one in found if isinstance(one, Run)), None)
    place = stash_of(first) if stash is None and first is not None else stash_at(stash)
    return place, [one if isinstance(one, str) else str(one.directory) for one in found]
