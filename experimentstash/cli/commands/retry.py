"""``experimentstash retry RUN…``: does runs that failed once more, from the start, with the code of now."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, say
from experimentstash.cli.commands import choosing
from experimentstash.launch import sweep_asked
from experimentstash.launch.continuation import Continuation
from experimentstash.record import archives, records
from experimentstash.record.run import Run, State
from experimentstash.runs import naming, reconcile
from experimentstash.runs.selection import Selected
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("retry k3f9a2b-7", "a run that failed"),
    ("retry k3f9a2b", "those of a sweep that failed"),
    ("retry k3f9a2b resources.mem=32G", "the same, with more memory"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help=f"{choosing.NAME}; of a sweep, those that failed")
    parser.add_argument(
        "changes", metavar="OVERRIDE", nargs="*", help="hydra/launcher=…, resources.…, timeout=…, grace.…"
    )
    choosing.add_filters(parser)


def main(given: argparse.Namespace) -> int:
    """Do once more what failed: in a sweep in its place, a single run as a new one."""
    stash = find_stash()
    changes = [word for word in given.runs if "=" in word and not os.path.lexists(word)]
    given.runs = [word for word in given.runs if word not in changes]
    meant, failed = _failed(stash, given)
    there = [run for run in failed if _is_there(run)]
    singles, sweeps = _in_sweeps(there)
    has_unread = int(bool(meant.unread) or len(there) < len(failed))
    if not there:
        if meant.found and not failed:
            say("none of these runs has failed")
        return has_unread
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
    return (codes[0] if len(codes) == 1 else int(any(codes))) or has_unread


def _is_there(run: Run) -> bool:
    """Tell whether a run isn't archived; if it is, say so."""
    try:
        archives.refuse(run.path, f"The run {run.id}")
    except StashError as error:
        complain(str(error))
        return False
    return True


def _failed(stash: Stash, given: argparse.Namespace) -> tuple[Selected, list[Run]]:
    """Return the runs that are meant, and which of them failed; StashError for one that was named and did not."""
    queries = JobQueries()
    asked = choosing.selection(given)
    alone = set()
    if not asked.has_filters:
        for run in (found for name in given.runs if isinstance(found := naming.find(stash, name, acts=True), Run)):
            if not run.attempt.state.is_final or reconcile.may_go_back(run, queries):
                raise StashError(f"The run {run.id} has not ended.", f"experimentstash cancel {run.id}")
            if run.attempt.state is State.COMPLETED:
                raise StashError(f"The run {run.id} has completed.", f"experimentstash rerun {run.id}")
            alone.add(run.path.resolve())

    def has_failed(run: Run) -> bool:
        state = run.attempt.state
        if not state.is_final or state is State.COMPLETED or reconcile.may_go_back(run, queries):
            return False
        # Somebody meant one that was cancelled to end; it can be named all the same.
        return state is not State.CANCELLED or run.path.resolve() in alone or state in asked.states

    meant = choosing.meant(stash, given, "experimentstash retry RUN, or --exp, --since …")
    return meant, [facts.run for facts in meant.found if has_failed(facts.run)]


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
