"""``experimentstash runs``: the runs of the stash.

At a terminal the newest few, the newest at the bottom, just above the prompt; elsewhere all, the newest first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from experimentstash.base.errors import StashError
from experimentstash.base.output import Paper, paper_of, say
from experimentstash.cli.commands import choosing
from experimentstash.report import metrics, run_fields, runs_data, runs_table
from experimentstash.report.metrics import Metric
from experimentstash.report.run_fields import METRICS, Field
from experimentstash.report.select import left_out, without_numbers
from experimentstash.runs.facts import Facts
from experimentstash.runs.selection import choose
from experimentstash.runs.summary import waiting_lines
from experimentstash.runs.whereabouts import why_waiting
from experimentstash.stash.layout import Stash, find_stash

# Runs that are shown at a terminal unless somebody says how many.
_SHOWN = 30


EXAMPLES = (
    ("runs -n 5", "the newest five"),
    ("runs --state failed --since yesterday", "what went wrong"),
    ("runs k3f9a2b --sort -accuracy -n 3", "the best of a sweep"),
    ("runs --where 'params.lr < 0.1' --csv", "for a spreadsheet"),
    ("runs --columns id,lr,accuracy", "these columns alone"),
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


def main(given: argparse.Namespace) -> int:
    """Print the runs as a table, as CSV or as JSON."""
    stash = find_stash()
    selection = choosing.selection(given)
    selected = choose(stash, selection)
    say(*left_out(selected, selection))
    found = selected.found
    by = run_fields.named([] if given.sort is None else [given.sort.removeprefix("-")], found)
    for field in by:
        found = run_fields.in_order(found, field, is_reversed=given.sort.startswith("-"))
    found = found[: given.most]
    names = [name for words in given.columns or () for name in words.split(",") if name]
    fields = run_fields.named(names, found)
    asked = [f"{name}." for name in (selection.where.names if selection.where is not None else ())]
    if any(name.startswith(METRICS) for name in [*asked, *(field.name for field in [*by, *fields])]):
        say(*without_numbers(selected.found))
    paper = paper_of(sys.stdout)
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
        print(table(stash, shown[::-1] if is_upwards else shown, fields, paper))
        if len(shown) < len(found):
            say(
                f"the {'newest' if given.sort is None else 'first'} {len(shown)} of {len(found)} runs; -n N shows more,"
                " --all all of them"
            )
    else:
        say("there are no such runs" if selection.has_filters else "there are no runs yet")
    return 0


def table(stash: Stash, shown: Sequence[Facts], fields: Sequence[Field], paper: Paper) -> str:
    """Return the runs as a table, and what those that wait wait for."""
    drawn = (
        runs_table.of_fields(fields, shown, paper)
        if fields
        else runs_table.usual(stash, shown, _declared(stash, shown), paper)
    )
    return "\n".join([drawn, *waiting_lines(why_waiting([facts.run for facts in shown]), paper)])


def _declared(stash: Stash, shown: Sequence[Facts]) -> Mapping[str, Metric]:
    """Return what the stash says of numbers; if that makes no sense, it is said, and runs are shown without it."""
    organizers = {facts.run.spec.organizer for facts in shown}
    try:
        return metrics.declared(stash, (name for name in organizers if name is not None))
    except StashError as error:
        say(error.message)
        return {}


def _amount(word: str) -> int:
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of runs: write one from 1 on")
    return number
