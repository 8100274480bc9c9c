"""``experimentstash runs``: the runs of the stash.

At a terminal the newest few, the newest at the bottom, just above the prompt; elsewhere all, the newest first.
"""

from __future__ import annotations

import argparse
import sys

from experimentstash.base.output import paper_of, say
from experimentstash.cli.commands import choosing
from experimentstash.record import encoding
from experimentstash.runs.selection import choose
from experimentstash.runs.summary import runs_table, waiting_lines
from experimentstash.runs.whereabouts import why_waiting
from experimentstash.stash.layout import find_stash

# Runs that are shown at a terminal unless somebody says how many.
_SHOWN = 30


EXAMPLES = (
    ("runs -n 5", "the newest five"),
    ("runs --state failed --exp 'figure1/*'", "some that failed"),
    ("runs k3f9a2b", "those of a sweep"),
    ("runs --json", "their records"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"only these: {choosing.NAME}")
    choosing.add_filters(parser)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "-n", "--most", type=_amount, metavar="N", help=f"the newest N (at a terminal {_SHOWN}, unless you say so)"
    )
    amount.add_argument("--all", action="store_true", help="all of them, at a terminal too")
    parser.add_argument("--json", action="store_true", help="print the records")


def main(given: argparse.Namespace) -> int:
    """Print the runs as a table or as JSON."""
    stash = find_stash()
    selection = choosing.selection(given)
    found = [facts.run for facts in choose(stash, selection).found][: given.most]
    paper = paper_of(sys.stdout)
    if given.json:
        print(encoding.as_json(found))
    elif found:
        shown = found if paper.width is None or given.all or given.most is not None else found[:_SHOWN]
        print(runs_table(stash, shown if paper.width is None else shown[::-1], paper))
        if lines := waiting_lines(why_waiting(shown), paper):
            print("\n".join(lines))
        if len(shown) < len(found):
            say(f"the newest {len(shown)} of {len(found)} runs; -n N shows more, --all all of them")
    else:
        say("there are no such runs" if selection.has_filters else "there are no runs yet")
    return 0


def _amount(word: str) -> int:
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of runs: write one from 1 on")
    return number
