"""``experimentstash cancel RUN…``: asks runs to end, gently first, and waits until they have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, paper_of, say
from experimentstash.cli.commands import choosing
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.runs.cancelling import cancel
from experimentstash.runs.listing import all_runs
from experimentstash.runs.naming import Sweep
from experimentstash.runs.selection import Selection
from experimentstash.runs.summary import count, ending_line
from experimentstash.runs.whereabouts import unknowable
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("cancel k3f9a2b", "a run, or all of a sweep"),
    ("cancel latest", "what was started last"),
    ("cancel --state queued", "what has not begun"),
    ("cancel --all", "everything that goes on or waits"),
)

_HINT = "experimentstash cancel RUN, or --all"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_several(parser)


def main(given: argparse.Namespace) -> int:
    """Cancel the runs that were named and say how each ended."""
    stash = find_stash()
    unread: list[Path] = []
    whole, alone = _named(stash, given, unread)
    if whole and not given.all and all(run.attempt.state.is_final for run in whole):
        say(f"{count(len(whole))} have ended already" if len(whole) > 1 else f"{whole[0].id} has ended already")
    for run in alone:
        if run.attempt.state.is_final:
            say(
                f"{run.id} has ended already: {run.attempt.state.value}"
                if run.attempt.state.is_known
                else f"{run.id}: {unknowable(run)}"
            )
    has_failed = False
    for runs, is_whole in ((whole, True), (alone, False)):
        done = cancel(stash, [run for run in runs if not run.attempt.state.is_final], say, whole_sweeps=is_whole)
        for run in done.runs:
            say(f"{run.id}: {ending_line(stash, run, paper_of(sys.stderr))}")
        for failure in done.failed:
            complain(failure)
        has_failed = has_failed or bool(done.failed)
    if unread:
        complain(f"of {len(unread)} more it can't be told whether they go on: their records can't be read")
    return 1 if has_failed or unread else 0


def _named(stash: Stash, given: argparse.Namespace, unread: list[Path]) -> tuple[list[Run], list[Run]]:
    """Return the runs that were named together with all others of their sweeps, and those that were named alone.

    Of those that fit filters, only what hasn't ended.
    """
    if choosing.are_all(given):
        return all_runs(stash, unread), []
    asked = choosing.selection(given)
    if asked not in (Selection(asked.names), Selection(sweeps=asked.sweeps)):
        selected = choosing.meant(stash, given, _HINT)
        unread += selected.unread
        fitting = [facts.run for facts in selected.found if not facts.state.is_final]
        if selected.found and not fitting:
            say("all of these runs have ended already")
        return [], fitting
    if asked.is_empty:
        raise StashError("Which runs?", _HINT)
    found: list[Run | Sweep] = [naming.find(stash, name, acts=True) for name in asked.names]
    found += [naming.find_sweep(stash, name, acts=True) for name in asked.sweeps]
    several = [naming.runs_of(stash, sweep, unread) for sweep in found if isinstance(sweep, Sweep)]
    whole = {run.path.resolve(): run for runs in several for run in runs}
    alone = {run.path.resolve(): run for run in found if isinstance(run, Run)}
    return list(whole.values()), [run for path, run in alone.items() if path not in whole]
