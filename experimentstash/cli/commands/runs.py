"""``experimentstash runs``: the runs of the stash.

At a terminal the newest few, the newest at the bottom, just above the prompt; elsewhere all, the newest first.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.output import paper_of, say
from experimentstash.cli.commands import choosing
from experimentstash.record import encoding
from experimentstash.record.run import Run, State
from experimentstash.runs.listing import all_runs, newest_first
from experimentstash.runs.summary import runs_table, waiting_lines
from experimentstash.runs.whereabouts import why_waiting
from experimentstash.stash.layout import Stash, find_stash

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
    parser.add_argument("--state", help="only those in this state: completed, failed, running …")
    parser.add_argument("--exp", metavar="GLOB", help="only those of these experiments: 'figure1/*'")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "-n", "--most", type=_amount, metavar="N", help=f"the newest N (at a terminal {_SHOWN}, unless you say so)"
    )
    amount.add_argument("--all", action="store_true", help="all of them, at a terminal too")
    parser.add_argument("--json", action="store_true", help="print the records")


def main(given: argparse.Namespace) -> int:
    """Print the runs as a table or as JSON."""
    stash = find_stash()
    found = runs(stash, given.runs, state=given.state, experiment=given.exp, most=given.most)
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
        say("there are no such runs" if given.state or given.exp else "there are no runs yet")
    return 0


def runs(
    stash: Stash,
    names: Sequence[str] = (),
    *,
    state: str | None = None,
    experiment: str | None = None,
    most: int | None = None,
) -> list[Run]:
    """Return the runs in ``state`` whose experiment organizer matches the glob ``experiment``, newest first.

    Only those that ``names`` stand for, if there are any: ids and directories of runs and sweeps. Raises StashError for
    a name or a state that doesn't exist.
    """
    wanted = None if state is None else _state(state)
    found = [
        run
        for run in (newest_first(choosing.of_names(stash, names, [])) if names else all_runs(stash))
        if (wanted is None or run.attempt.state is wanted)
        and (
            experiment is None
            or fnmatch.fnmatchcase(run.spec.organizer or run.spec.experiment or run.spec.tool, experiment)
        )
    ]
    return found[:most]


def _amount(word: str) -> int:
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of runs: write one from 1 on")
    return number


def _state(word: str) -> State:
    valid = [state.value for state in State]
    cleaned = word.lower().replace(" ", "_").replace("-", "_")
    if cleaned not in valid:
        raise StashError(f"There is no state {word!r}.{did_you_mean(cleaned, valid)}\nValid: {', '.join(valid)}")
    return State(cleaned)
