"""``experimentstash resume RUN``: go on with a run that was cut short, or with a sweep, in the same directory."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from experimentstash import continuing, records
from experimentstash.commands.choosing import A_RUN
from experimentstash.continuing import Continuation
from experimentstash.errors import StashError
from experimentstash.execute import execute
from experimentstash.output import paper_of, say
from experimentstash.runs import find
from experimentstash.summary import ending_line
from experimentstash.workspace import Stash, find_stash


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument(
        "run", metavar="RUN", help=f"{A_RUN}; or a sweep's directory: what has not completed runs again"
    )
    parser.add_argument(
        "changes",
        metavar="OVERRIDE",
        nargs="*",
        help="of a sweep: hydra/launcher=…, resources.…, timeout=…, grace.…",
    )


def main(given: argparse.Namespace) -> int:
    """Make the next attempt at a run, or at those of a sweep."""
    stash = find_stash()
    sweep = _sweep(given.run)
    if sweep is not None:
        from experimentstash import app

        return app.main(continuing.command_line(stash, sweep, given.changes), continuation=Continuation(stash, sweep))
    if given.changes:
        raise StashError(f"A run goes on as it was frozen: {given.changes[0]!r} is for a sweep's directory.")
    return _resume(stash, given.run)


def _sweep(name: str) -> Path | None:
    directory = Path(os.path.abspath(name))
    if (directory / records.SWEEP_FILE).is_file():
        return directory
    if directory.is_dir() and next(records.directories(directory), directory) != directory:
        raise StashError(
            f"{name} is no sweep's directory: it has no {records.SWEEP_FILE}, which says what a sweep was to do.",
            "begin the sweep anew, or bring the file back",
        )
    return None


def _resume(stash: Stash, name: str) -> int:
    run = continuing.reopen(stash, find(stash, name))
    say(f"attempt {run.attempt} at {run.organizer or run.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=True)
    say(ending_line(stash, executed.run, paper_of(sys.stderr)))
    return executed.run.exit_code or 0
