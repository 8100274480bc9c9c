"""``experimentstash cancel RUN…``: asks runs to end, gently first, and waits until they have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experimentstash.cancelling import cancel
from experimentstash.commands import choosing
from experimentstash.errors import StashError
from experimentstash.output import complain, paper_of, say
from experimentstash.runs import all_runs, is_of_sweep, unknowable
from experimentstash.summary import ending_line
from experimentstash.workspace import find_stash


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_several(parser)
    parser.add_argument("--sweep", type=Path, metavar="DIR", help="all runs of a sweep, by its directory")


def main(given: argparse.Namespace) -> int:
    """Cancel the runs that were named and say how each ended."""
    stash = find_stash()
    unread: list[Path] = []
    if given.sweep is None:
        named = choosing.chosen(stash, given, "experimentstash cancel RUN, --sweep DIR or --all", unread)
    else:
        sweep = given.sweep.resolve()
        named = [run for run in all_runs(stash, unread) if is_of_sweep(run, sweep)]
        if not named:
            raise StashError(f"{given.sweep} is not the directory of a sweep with runs.", "experimentstash runs")
    for run in named:
        if run.state.is_final and not given.all:
            say(
                f"{run.id} has ended already: {run.state.value}"
                if run.state.is_known
                else f"{run.id}: {unknowable(run)}"
            )
    is_whole = given.all or given.sweep is not None
    done = cancel(stash, [run for run in named if not run.state.is_final], say, whole_sweeps=is_whole)
    for run in done.runs:
        say(f"{run.id}: {ending_line(stash, run, paper_of(sys.stderr))}")
    for failure in done.failed:
        complain(failure)
    if given.sweep is not None:
        unread = [path for path in unread if path.resolve().is_relative_to(sweep)]
    if unread:
        complain(f"of {len(unread)} more it can't be told whether they go on: their records can't be read")
    return 1 if done.failed or unread else 0
