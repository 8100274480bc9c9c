"""``experimentstash retry RUN…``: does runs that failed once more, from the start, with the code of now."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, say
from experimentstash.cli.commands.choosing import NAME
from experimentstash.launch import sweep_asked
from experimentstash.launch.continuation import Continuation
from experimentstash.record import records
from experimentstash.record.run import Run, State
from experimentstash.runs import naming, reconcile
from experimentstash.runs.naming import Sweep
from experimentstash.runs.summary import words
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("retry k3f9a2b-7", "a run that failed"),
    ("retry k3f9a2b", "those of a sweep that failed"),
    ("retry k3f9a2b resources.mem=32G", "the same, with more memory"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help=f"{NAME}; of a sweep, those that failed")
    parser.add_argument(
        "changes", metavar="OVERRIDE", nargs="*", help="hydra/launcher=…, resources.…, timeout=…, grace.…"
    )


def main(given: argparse.Namespace) -> int:
    """Do once more what failed: in a sweep in its place, a single run as a new one."""
    stash = find_stash()
    changes = [word for word in given.runs if "=" in word and not os.path.lexists(word)]
    names = [word for word in given.runs if word not in changes]
    if not names:
        raise StashError("Which runs?", "experimentstash retry RUN")
    singles, sweeps = _in_sweeps(_failed(stash, names))
    if not singles and not sweeps:
        say("none of these runs has failed")
        return 0
    from experimentstash.cli.launching import launch

    codes = []
    tasks = [
        (sweep_asked.command_line(sweep, changes), Continuation(stash, sweep, changes, only={r.spec.job for r in runs}))
        for sweep, runs in sweeps.items()
    ]
    for arguments, continuation in [*tasks, *((sweep_asked.anew(run, changes), None) for run in singles)]:
        try:
            codes.append(launch(arguments, continuation))
        except StashError as error:
            complain(str(error))  # the others are done all the same
            codes.append(error.exit_code)
    return codes[0] if len(codes) == 1 else int(any(codes))


def _failed(stash: Stash, names: Sequence[str]) -> list[Run]:
    """Return the runs that were named, and of sweeps those that failed; StashError for one that can't be retried."""
    found: dict[Path, Run] = {}
    queries = JobQueries()
    for name in names:
        one = naming.find(stash, name)
        several = [one]
        if isinstance(one, Sweep):
            # Somebody meant those that were cancelled to end; one by one they may be named all the same.
            runs = naming.runs_of(stash, one)
            several = [
                run
                for run in runs
                if run.attempt.state.is_final
                and run.attempt.state not in (State.COMPLETED, State.CANCELLED)
                and not reconcile.may_go_back(run, queries)
            ]
        elif not one.attempt.state.is_final or reconcile.may_go_back(one, queries):
            raise StashError(f"The run {one.id} has not ended.", f"experimentstash cancel {one.id}")
        elif one.attempt.state is State.COMPLETED:
            raise StashError(f"The run {one.id} has {words(one.attempt.state)}.", f"experimentstash rerun {one.id}")
        found.update({run.path.resolve(): run for run in several if isinstance(run, Run)})
    return list(found.values())


def _in_sweeps(failed: Sequence[Run]) -> tuple[list[Run], dict[Path, list[Run]]]:
    """Return the runs that stand alone, and the others by the directories of their sweeps."""
    singles: list[Run] = []
    sweeps: dict[Path, list[Run]] = {}
    for run in failed:
        if run.sweep is None or run.spec.job is None:
            singles.append(run)
            continue
        sweep = Path(run.sweep)
        if not (sweep / records.SWEEP_FILE).is_file():
            raise StashError(
                f"{sweep} has no {records.SWEEP_FILE}, which says what the sweep of {run.id} was to do.",
                "bring the file back",
            )
        sweeps.setdefault(sweep, []).append(run)
    return singles, sweeps
