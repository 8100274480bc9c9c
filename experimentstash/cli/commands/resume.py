"""``experimentstash resume RUN``: go on with a run that was cut short, or with a sweep, in the same directory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experimentstash.base import permissions
from experimentstash.base.errors import StashError
from experimentstash.base.output import paper_of, say
from experimentstash.cli.commands.choosing import NAME
from experimentstash.execute.execute import execute
from experimentstash.launch import resume, sweep_asked
from experimentstash.launch.continuation import Continuation
from experimentstash.record import archives, records
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.runs.naming import Sweep
from experimentstash.runs.summary import ending_line
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("resume latest", "a further attempt"),
    ("resume k3f9a2b", "what a sweep still lacks"),
    ("resume k3f9a2b resources.mem=32G", "the same, with more memory"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("run", metavar="RUN", help=f"{NAME}; of a sweep, what has not completed runs again")
    parser.add_argument(
        "changes",
        metavar="OVERRIDE",
        nargs="*",
        help="of a sweep: hydra/launcher=…, resources.…, timeout=…, grace.…",
    )


def main(given: argparse.Namespace) -> int:
    """Make the next attempt at a run, or at those of a sweep."""
    stash = find_stash()
    found = naming.find(stash, given.run, acts=True)
    archives.refuse(*((found.directory, found.name) if isinstance(found, Sweep) else (found.path, found.id)))
    if isinstance(found, Sweep):
        from experimentstash.cli.launching import launch

        sweep = _continuable(found)
        arguments = sweep_asked.command_line(sweep, given.changes)
        return launch(arguments, continuation=Continuation(stash, sweep, given.changes))
    if given.changes:
        raise StashError(f"A run goes on as it was frozen: {given.changes[0]!r} is for a sweep.")
    return _resume(stash, found)


def _continuable(sweep: Sweep) -> Path:
    """Return the directory of a sweep that says what it was to do."""
    if not (sweep.directory / records.SWEEP_FILE).is_file():
        raise StashError(
            f"{sweep.name} is no sweep's directory: it has no {records.SWEEP_FILE}, which says what a sweep was to do.",
            "begin the sweep anew, or bring the file back",
        )
    return sweep.directory


def _resume(stash: Stash, earlier: Run) -> int:
    permissions.follow(earlier.path / records.FILE_NAME)
    run = resume.reopen(stash, earlier)
    say(f"attempt {run.attempt.number} at {run.spec.organizer or run.spec.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=True)
    say(ending_line(stash, executed.run, paper_of(sys.stderr)))
    return executed.run.attempt.exit_code or 0
