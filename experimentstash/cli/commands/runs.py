"""``experimentstash runs``: the runs of the stash.

At a terminal the newest few, the newest at the bottom, just above the prompt; elsewhere all, the newest first.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Mapping, Sequence

from experimentstash.base.errors import StashError
from experimentstash.base.output import Paper, heard, paper_of, say
from experimentstash.cli import watching
from experimentstash.cli.commands import choosing
from experimentstash.record.run import State
from experimentstash.report import metrics, run_fields, runs_data, runs_table
from experimentstash.report.metrics import Metric
from experimentstash.report.run_fields import METRICS, Field
from experimentstash.report.select import left_out, without_numbers
from experimentstash.runs import naming
from experimentstash.runs.facts import Facts
from experimentstash.runs.past import Estimate, Past
from experimentstash.runs.selection import Selected, Selection, all_of, choose
from experimentstash.runs.summary import past_lines, state_counts, waiting_lines
from experimentstash.runs.whereabouts import job_of, why_waiting
from experimentstash.stash.layout import Stash, find_stash

# Runs that are shown at a terminal unless somebody says how many.
_SHOWN = 30
# Seconds between two screens of --watch, and at least between two questions to a scheduler; a look is followed by a
# pause that is so many times as long. Of so many runs it is asked why they wait.
_INTERVAL, _PAUSE, _SHARE, _ASKED = 2.0, 15.0, 5, 200
# Seconds for which it is read, at most, how long earlier runs took.
_LOOK_BACK = 0.3

EXAMPLES = (
    ("runs -n 5", "the newest five"),
    ("runs --state failed --since yesterday", "what went wrong"),
    ("runs k3f9a2b --sort -accuracy -n 3", "the best of a sweep"),
    ("runs --where 'params.lr < 0.1' --csv", "for a spreadsheet"),
    ("runs --columns id,lr,accuracy", "these columns alone"),
    ("runs --state running,queued --watch", "what goes on"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"only these: {choosing.NAME}")
    choosing.add_filters(parser)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "-n",
        "--most",
        type=_amount,
        metavar="N",
        help=f"the newest N, or the first N of --sort (at a terminal {_SHOWN}, unless you say so)",
    )
    amount.add_argument("--all", action="store_true", help="all of them, at a terminal too")
    parser.add_argument("--sort", metavar="NAME", help="in the order of this; -NAME: the other way round")
    parser.add_argument(
        "--columns",
        action="append",
        metavar="NAME[,NAME …]",
        help="exactly these columns: id, state, exp, tool, params.NAME, metrics.NAME …",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the records, or the columns, as a JSON list")
    form.add_argument("--jsonl", action="store_true", help="the same, a line for each run")
    form.add_argument("--csv", action="store_true", help="print all columns, or those that you name, as CSV")
    form.add_argument(
        "--watch",
        nargs="?",
        type=watching.seconds,
        const=_INTERVAL,
        metavar="SECONDS",
        help=f"show them until Ctrl-C, drawn anew so many seconds apart (default: {_INTERVAL:g})",
    )


def main(given: argparse.Namespace) -> int:
    """Print the runs as a table, as CSV or as JSON."""
    stash = find_stash()
    selection = choosing.selection(given)
    if given.watch is not None:
        return watching.watch(_Screen(stash, selection, given).draw, given.watch)
    paper = paper_of(sys.stdout)
    is_for_all = given.all or given.sort is not None or (given.most is None and paper.width is None)
    selected = choose(stash, selection, with_earlier=True, most=None if is_for_all else given.most or _SHOWN)
    say(*left_out(selected, selection))
    found, fields, order = arranged(stash, selected.found, given)
    say(*naming.copies(found))
    asked = [] if selection.where is None else [str(name) for name in selection.where.names]
    asked += [field.name for field in [*order, *fields]]
    if any(name.startswith(METRICS) for name in asked):
        say(*without_numbers(selected.found))
    if given.json:
        for part in runs_data.json_list(fields, found):
            print(part, end="")
        print()
    elif given.jsonl:
        for line in runs_data.json_lines(fields, found):
            print(line)
    elif given.csv:
        for line in runs_data.csv_lines(fields or run_fields.every(found), found):
            print(line)
    elif found:
        shown = found if paper.width is None or given.all or given.most is not None else found[:_SHOWN]
        is_upwards = paper.width is not None and given.sort is None
        waiting = why_waiting([facts.run for facts in shown if not facts.state.is_final])
        print(table(stash, shown[::-1] if is_upwards else shown, fields, paper, waiting, expected(Past(stash), shown)))
        if selected.has_more and given.most is None:
            say(f"the newest {len(shown)} runs; -n N shows more, --all all of them")
        elif len(shown) < len(found):
            which = "newest" if given.sort is None else "first"
            say(f"the {which} {len(shown)} of {len(found)} runs; -n N shows more, --all all of them")
    else:
        say(choosing.NONE if selection.has_filters else "there are no runs yet")
    return 0


def arranged(
    stash: Stash, found: list[Facts], given: argparse.Namespace
) -> tuple[list[Facts], list[Field], list[Field]]:
    """Return as many runs as are asked for, in the order that is; the columns that are; and what they are sorted by."""
    order = [] if given.sort is None else _named(stash, [given.sort.removeprefix("-")], found)
    for field in order:
        found = run_fields.in_order(found, field, is_reversed=given.sort.startswith("-"))
    return found[: given.most], _named(stash, choosing.names(given.columns, "--columns"), found), order


def _named(stash: Stash, names: Sequence[str], found: Sequence[Facts]) -> list[Field]:
    """Return what names stand for; what these runs lack, and others of the stash have, is a column of nothing."""
    with heard():  # of what can't be read something was said already
        return run_fields.named(names, found, lambda: all_of(stash))


def expected(past: Past, shown: Sequence[Facts]) -> dict[str, Estimate]:
    """Return how long those runs will take that are at work, by their ids, as far as earlier ones tell."""
    at_work = [facts.run for facts in shown if facts.state is State.RUNNING]
    if at_work:
        past.read(_LOOK_BACK)
    return {run.id: estimate for run in at_work if (estimate := past.of(run)) is not None}


def table(
    stash: Stash,
    shown: Sequence[Facts],
    fields: Sequence[Field],
    paper: Paper,
    waiting: Mapping[str, str],
    ends: Mapping[str, Estimate],
) -> str:
    """Return the runs as a table, what those that wait wait for, and when those at work will end, by their ids."""
    drawn = (
        runs_table.of_fields(fields, shown, paper)
        if fields
        else runs_table.usual(stash, shown, _declared(stash, shown), paper, ends)
    )
    ids = {facts.id for facts in shown}
    lines = waiting_lines({name: why for name, why in waiting.items() if name in ids}, paper)
    return "\n".join([drawn, *lines, *past_lines(ends.values(), paper)])


class _Screen:
    """What is shown of runs while they are watched. Schedulers are asked from time to time only."""

    def __init__(self, stash: Stash, selection: Selection, given: argparse.Namespace) -> None:
        self._stash, self._selection, self._given = stash, selection, given
        self._selected: Selected | None = None
        self._waiting: Mapping[str, str] = {}
        self._past = Past(stash)
        self._due = 0.0  # when schedulers are asked again

    def draw(self, paper: Paper, rows: int) -> str:
        """Return what fits into so many rows."""
        found, fields, _ = arranged(self._stash, self._look().found, self._given)
        moment, counted = f"{datetime.datetime.now():%H:%M:%S}", state_counts([facts.state for facts in found])
        head = watching.fit(f"{moment}  {counted}  (every {self._given.watch:g}s)", paper)
        room = rows - 2
        while True:
            text = self._table(found[:room], fields, paper) if found else "none so far"
            too_many = text.count("\n") + 2 - rows
            if too_many <= 0 or room <= 1:
                return f"{head}\n{text}"
            room = max(1, min(room, len(found)) - too_many)

    def _table(self, shown: Sequence[Facts], fields: Sequence[Field], paper: Paper) -> str:
        return table(self._stash, shown, fields, paper, self._waiting, expected(self._past, shown))

    def _look(self) -> Selected:
        """Look at the runs; records are put right, and schedulers asked, only when that is due."""
        began = time.monotonic()
        if self._selected is not None and began < self._due:
            if not self._selection.names:
                self._selected = choose(self._stash, self._selection, closes=False, with_earlier=True)
            return self._selected
        self._selected = choose(self._stash, self._selection, with_earlier=True)
        going = [facts.run for facts in self._selected.found if not facts.state.is_final]
        self._waiting = why_waiting(going[:_ASKED])
        is_asked = any(job_of(run) is not None for run in going)
        now = time.monotonic()
        self._due = now + max(_PAUSE if is_asked else 0.0, (now - began) * _SHARE)
        return self._selected


def _declared(stash: Stash, shown: Sequence[Facts]) -> Mapping[str, Metric]:
    """Return what the stash says of numbers; if that makes no sense, it is said, and runs are shown without it."""
    try:
        return metrics.of_runs(stash, shown)
    except StashError as error:
        say(error.message)
        return {}


def _amount(word: str) -> int:
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of runs: write one from 1 on")
    return number
