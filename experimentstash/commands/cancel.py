"""``experimentstash cancel RUN…``: asks runs to end, gently first, and waits until they have."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.commands import choosing
from experimentstash.errors import StashError
from experimentstash.output import say
from experimentstash.records import Run, State
from experimentstash.runs import all_runs, ask_to_stop, is_local, look, withdraw
from experimentstash.slurm import Enquiry
from experimentstash.summary import ending_line
from experimentstash.workspace import Stash, find_stash

_INTERVAL = 0.1
_SLURM_INTERVAL = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_several(parser)
    parser.add_argument("--sweep", type=Path, metavar="DIR", help="all runs of a sweep, by its directory")


def main(given: argparse.Namespace) -> int:
    """Cancel the runs that were named and say how each ended."""
    stash = find_stash()
    if given.sweep is None:
        named = choosing.chosen(stash, given, "experimentstash cancel RUN, --sweep DIR or --all")
    else:
        sweep = str(given.sweep.absolute())
        named = [run for run in all_runs(stash) if run.sweep == sweep]
        if not named:
            raise StashError(f"{given.sweep} is not the directory of a sweep with runs.", "experimentstash runs")
    for run in named:
        if run.state.is_final and not given.all:
            say(f"{run.id} has ended already: {run.state.value}")
    for run in cancel(stash, [run for run in named if not run.state.is_final], say):
        say(f"{run.id}: {ending_line(stash, run)}")
    return 0


def cancel(stash: Stash, chosen: Sequence[Run], report: Callable[[str], None]) -> list[Run]:
    """Ask each run that hasn't ended to end, wait for those that this machine can see end, and return them all.

    The tool gets its grace; its supervisor kills what is left of it then.
    """
    queued = [run for run in chosen if run.state is State.QUEUED]
    if queued:
        withdraw(queued)
        enquiry = Enquiry()
        chosen = [look(stash, run.path, enquiry) for run in chosen]
    withdrawn = [run for run in chosen if run.state.is_final]
    asked = ask_to_stop(chosen, report)
    waiting = [run for run in asked if is_local(run)]
    if waiting:
        report(f"asked {len(waiting)} run{'s' if len(waiting) > 1 else ''} to stop; waiting for the end …")
    while waiting:
        time.sleep(_INTERVAL if not queued else _SLURM_INTERVAL)
        enquiry = Enquiry()
        waiting = [run for run in waiting if not look(stash, run.path, enquiry).state.is_final]
    enquiry = Enquiry()
    return [look(stash, run.path, enquiry) for run in (*withdrawn, *asked)]
