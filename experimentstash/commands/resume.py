"""``experimentstash resume RUN``: a further attempt at a run that was cut short, in the same directory."""

from __future__ import annotations

import argparse

from experimentstash import records, worktrees
from experimentstash.attempts import open_next
from experimentstash.commands.choosing import A_RUN
from experimentstash.errors import StashError
from experimentstash.execute import execute
from experimentstash.files import locked
from experimentstash.output import say
from experimentstash.records import Run, State
from experimentstash.runs import find
from experimentstash.summary import ending_line
from experimentstash.supervision import supervisor_here
from experimentstash.workspace import Stash, find_stash


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("run", metavar="RUN", help=A_RUN)


def main(given: argparse.Namespace) -> int:
    """Make the next attempt at a run, here and now."""
    stash = find_stash()
    run = resume(stash, find(stash, given.run))
    say(f"attempt {run.attempt} at {run.organizer or run.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=True)
    say(ending_line(stash, executed.run))
    return executed.run.exit_code or 0


def resume(stash: Stash, earlier: Run) -> Run:
    """Return the run, frozen again for its next attempt; what the last one left stays in the record.

    Raises StashError if the run still goes on, has completed, or its tool doesn't say that it can resume.
    """
    with locked(stash.private / "locks" / "resume.lock"):
        run = records.read(earlier.path)
        if not run.state.is_final:
            raise StashError(f"The run {run.id} has not ended.", f"experimentstash cancel {run.id}")
        if run.state is State.COMPLETED:
            raise StashError(f"The run {run.id} has completed; there is nothing to resume.")
        if not run.command.argv:
            raise StashError(f"The run {run.id} never started: {run.reason}")
        if run.resume is None:
            raise StashError(
                f"The tool {run.tool!r} doesn't say how it resumes.",
                f"if it does, write `resume: [--its, --arguments]` (or `resume: []`) in {run.registration}; that holds"
                " for runs from then on",
            )
        worktrees.refuse_if_gone(run)
        open_next(run, State.FROZEN)
        run.queued = None
        run.supervisor = supervisor_here()
        records.write(run)
        return run
