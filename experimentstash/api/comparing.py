"""``es.compare``: runs of whatever tools side by side, as `experimentstash compare` has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from experimentstash.api import frames
from experimentstash.api.run import Run
from experimentstash.api.selecting import named
from experimentstash.api.telling import Place, telling
from experimentstash.base.errors import refuse_unknown_word
from experimentstash.report.compare import Asked
from experimentstash.report.compare import Comparison as Compared
from experimentstash.report.differences import TESTS
from experimentstash.report.render import formats, to_csv, to_terminal
from experimentstash.report.select import comparison
from experimentstash.report.summaries import WAYS
from experimentstash.runs.selection import Words, of_words, several

if TYPE_CHECKING:
    import pandas
    import polars

Spread = Literal["std", "quartiles", "t", "bootstrap"]


class Comparison:
    """A table of what runs differ by, and what their numbers come to."""

    def __init__(self, compared: Compared) -> None:
        self._compared = compared

    @property
    def remarks(self) -> list[str]:
        """What was left out, and what else is to be known of the numbers."""
        return list(self._compared.remarks)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas.DataFrame with a row for each group of runs; StashError if pandas isn't installed.

        Its columns are what tells the groups apart, and for each metric ``NAME.n``, ``NAME.mean`` and ``NAME.std``, or
        what else the spread is.
        """
        return frames.to_pandas(self._table())

    def to_polars(self) -> polars.DataFrame:
        """Return the same as a polars.DataFrame."""
        return frames.to_polars(self._table())

    def _table(self) -> frames.Table:
        headings, rows = to_csv.table(self._compared)
        return {heading: [row[number] for row in rows] for number, heading in enumerate(headings)}

    def to_latex(self) -> str:
        """Return a table for LaTeX, made with booktabs and siunitx."""
        return formats.render("latex", self._compared)

    def to_markdown(self) -> str:
        """Return a table in Markdown."""
        return formats.render("markdown", self._compared)

    def to_html(self) -> str:
        """Return a piece of HTML."""
        return formats.render("html", self._compared)

    def to_csv(self) -> str:
        """Return a table as CSV, with all digits. It has no place for the remarks."""
        return formats.render("csv", self._compared)

    def to_json(self) -> str:
        """Return all of it as JSON; NaN and infinities are texts in it."""
        return formats.render("json", self._compared)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return to_terminal.render(self._compared)


def compare(
    *runs: str | Run | Iterable[Run],
    state: Words = (),
    exp: Words = (),
    tool: Words = (),
    tag: Words = (),
    sweep: Words = (),
    since: str | None = None,
    until: str | None = None,
    where: str | None = None,
    by: Words = (),
    over: Words = (),
    metrics: Words = (),
    spread: Spread = "std",
    test: Literal["t", "wilcoxon"] | None = None,
    stash: Place | None = None,
) -> Comparison:
    """Compare runs that have completed, over seeds.

    ``runs`` are names as in ``es.runs``, or runs from there; without them, and with the same filters, those of the
    stash. ``by``: a row for each value of this, not of all that differs. ``over``: what is averaged over, not seeds.
    ``metrics``: these numbers, not all. ``spread``: ``std``, ``quartiles``, ``t`` or ``bootstrap``. ``test``: ``t`` or
    ``wilcoxon``, whether rows differ. StashError if nothing can be compared, and for names that no run has.
    """
    place, names = named(runs, stash, "compare")
    selection = of_words(
        names,
        states=state,
        experiments=exp,
        tools=tool,
        tags=tag,
        sweeps=sweep,
        since=since,
        until=until,
        where=where,
    )
    how = asked(by, over, metrics, spread)
    if test is not None:
        refuse_unknown_word(test, TESTS, "test")
    with telling():
        found, _ = comparison(place, selection, how, None if test is None else TESTS[test])
    return Comparison(found)


def asked(by: Words, over: Words, metrics: Words, spread: Spread) -> Asked:
    """Return how runs are to be compared; StashError for a spread that there isn't."""
    refuse_unknown_word(spread, WAYS, "spread")
    return Asked(WAYS[spread], several(by), several(over), several(metrics))
