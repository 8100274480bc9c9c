"""What a task of a job array does: executes its run, and goes back into the queue if that was cut short.

``python -m experimentstash.launch.task TASKS_FILE``, in the batch script's place. A thousand nodes start this at once:
it imports neither Hydra nor anything else that is heavy.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from experimentstash import attempts, records, slurm
from experimentstash.errors import EXIT_INTERRUPTED, EXIT_USER_MISTAKE, StashError
from experimentstash.execute import Executed, execute
from experimentstash.output import complain, say
from experimentstash.records import Run, State
from experimentstash.supervision import supervisor_here


def main(argv: Sequence[str]) -> int:
    """Execute the run of this array task and return the tool's exit code."""
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    if len(argv) != 1 or not index.isdecimal():
        complain("usage, in a task of a SLURM job array: python -m experimentstash.launch.task TASKS_FILE")
        return EXIT_USER_MISTAKE
    try:
        run = records.read(Path(json.loads(Path(argv[0]).read_bytes())[int(index)]))
        _make_ready(run)
        say(f"{run.organizer or run.tool}, attempt {run.attempt}  →  {run.path / run.log}")
        executed = execute(run, show_output=False)
        say(f"{run.state.value}{f': {run.reason}' if run.reason else ''}")
        if _was_cut_short(executed):
            _requeue(run)
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except OSError as error:
        complain(f"{error.filename or argv[0]}: {error.strerror}")
        return 1
    return run.exit_code or 0


def _make_ready(run: Run) -> None:
    """Open the run's next attempt if SLURM has started its job once more by itself; StashError if it must not start."""
    if run.state is State.QUEUED:
        if not attempts.is_cancelled(run):
            return
        run.state, run.reason, run.exit_code = State.CANCELLED, "cancelled just before it started", EXIT_INTERRUPTED
        run.ended = records.now()
        records.write(run)
    is_again = slurm.restarts() > 0 and run.supervisor is not None and run.supervisor.slurm_job == slurm.current_job()
    is_over = run.state in (State.COMPLETED, State.CANCELLED) or attempts.is_cancelled(run)
    if not is_again or is_over or run.resume is None or run.attempt > run.max_requeues:
        raise StashError(f"The run {run.id} is not to be started ({run.state.value}).", "experimentstash runs")
    if not run.state.is_final:  # its supervisor was killed with the node, or by it
        run.state, run.reason = State.PREEMPTED, "its SLURM job was ended without a word and started again"
    attempts.open_next(run, State.QUEUED)
    records.write(run)


def _was_cut_short(executed: Executed) -> bool:
    """Tell whether the run was stopped for want of time or by a preemption, and its tool can go on from there."""
    run = executed.run
    is_cut = run.state in (State.TIMED_OUT, State.PREEMPTED) and executed.interrupted_by is signal.SIGTERM
    if not is_cut or run.resume is None:
        return False
    if run.attempt > run.max_requeues:
        say(f"no further attempt: it has been put back into the queue {run.max_requeues} times")
        return False
    return not attempts.is_cancelled(run)


def _requeue(run: Run) -> None:
    """Put this job back into the queue for the next attempt. To be the last thing that is done: SLURM then ends us."""
    ended = (run.state, run.reason, run.exit_code)
    job = slurm.current_job()
    assert job is not None
    attempts.open_next(run, State.QUEUED)
    run.supervisor = supervisor_here()
    # Before SLURM knows: from then on the record is the next attempt's.
    records.write(run)
    try:
        slurm.requeue(job)
    except StashError as error:
        run.state, run.reason, run.exit_code = ended
        run.ended = records.now()
        run.notes.append(f"it could not be put back into the queue: {error}")
        records.write(run)
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
