"""Going on with a run that was cut short."""

from __future__ import annotations

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base.errors import StashError
from experimentstash.base.files import locked
from experimentstash.code import worktree_users
from experimentstash.record import records, transitions
from experimentstash.record.attempts import forget_cancelled
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile, whereabouts
from experimentstash.stash.layout import Stash


def reopen(stash: Stash, earlier: Run) -> Run:
    """Return the run, frozen again for its next attempt; what the last one left stays in the record.

    Raises StashError if the run still goes on, has completed, or its tool doesn't say that it can resume.
    """
    with locked(stash.lock(reconcile.TAKING_UP)):
        run = records.read(earlier.path)
        if (why := whereabouts.unknowable(run)) is not None:
            raise StashError(f"The run {run.id} can't be resumed: {why}.")
        if not run.attempt.state.is_final or reconcile.may_go_back(run, JobQueries()):
            raise StashError(f"The run {run.id} has not ended.", f"experimentstash cancel {run.id}")
        if run.attempt.state is State.COMPLETED:
            raise StashError(f"The run {run.id} has completed; there is nothing to resume.")
        if run.removed is not None:
            raise StashError(
                f"The files of the run {run.id} were removed: there is nothing from which it could go on.",
                f"experimentstash retry {run.id}",
            )
        if not run.spec.command.argv:
            raise StashError(f"The run {run.id} never started: {run.attempt.reason}")
        if run.spec.resume is None:
            raise StashError(
                f"The tool {run.spec.tool!r} doesn't say how it resumes.",
                f"if it does, write `resume: [--its, --arguments]` (or `resume: []`) in {run.spec.registration}; that"
                " holds for runs from then on",
            )
        worktree_users.keep_for(stash, run)
        forget_cancelled(run)
        transitions.open_next_attempt(run, State.FROZEN)
        run.attempt.supervisor = supervisor_here()
        records.write(run)
        return run
