"""What a task of a job array does: executes its runs, and goes back into the queue if that was cut short.

A thousand nodes start this at once (see ``start``): it imports neither Hydra nor anything else that is heavy.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from experimentstash import attempts, packs, procfs, records, slurm
from experimentstash.errors import EXIT_TIMED_OUT, EXIT_USER_MISTAKE, StashError
from experimentstash.execute import GRACE_IN_JOB, Execution, asked_by
from experimentstash.launch.crew import IDLE, TURN_INTERVAL, Crew
from experimentstash.output import complain, say
from experimentstash.records import Run, State
from experimentstash.signals import REQUESTS, SignalQueue
from experimentstash.supervision import end_strays, supervisor_here


def main(argv: Sequence[str]) -> int:
    """Execute the runs of this array task; return 0 if all have completed, else the first other exit code."""
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    if not 1 <= len(argv) <= 2 or not index.isdecimal() or not all(number.isdecimal() for number in argv[1:]):
        complain("usage, in a task of a SLURM job array: python -S start.py TASKS_FILE [AT_ONCE]")
        return EXIT_USER_MISTAKE
    try:
        pack = _Pack(Path(argv[0]), int(index), at_once=int(argv[1]) if len(argv) > 1 else 1)
        pack.execute()
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except OSError as error:
        complain(f"{error.filename or argv[0]}: {error.strerror}")
        return 1
    return pack.exit_code


class _Pack:
    """The runs that share this job: those whose turn has not come, the crew at work, and those that were cut short."""

    def __init__(self, array: Path, task: int, *, at_once: int) -> None:
        self._array, self._task = array, task
        self._waiting = deque(packs.read(array, task))
        self._size = len(self._waiting)
        self._is_in_turn = at_once == 1
        self._crew = Crew(
            (None,) * at_once, begun=_has_begun, left=self._has_left, ended=_has_ended, in_turn=self._is_in_turn
        )
        self._cut_short: list[Run] = []
        self._stopped: signal.Signals | None = None  # by what; no further runs are begun
        self._turned_away: Path | None = None  # whose tool's checkout another run writes into just now
        self.exit_code = 0

    def execute(self) -> None:
        """Go on until nothing is left to do for them in this job."""
        spared = set(procfs.children(os.getpid()))
        procfs.adopt_orphans()
        with SignalQueue() as signals:
            try:
                if slurm.restarts() > 0:
                    self._bring_back()
                while (self._waiting and self._stopped is None) or not self._crew.is_idle:
                    seconds = min(self._crew.tick(), self._begin_what_can())
                    for number in signals.wait(seconds):
                        self._react(number, signals)
            except BaseException as error:
                self._crew.abandon(error)
                raise
            finally:
                self._crew.close()
            if not self._is_in_turn:
                end_strays(spared)
            if self._crew.has_unrecorded:
                self._count(1)
            if self._stopped is not None or self._cut_short:
                self._leave_off()

    def _bring_back(self) -> None:
        """Open the next attempt of those that were at work when SLURM ended the job, and started it once more."""
        for path in self._waiting:
            run = self._read(path)
            if run is not None and run.state is not State.QUEUED and self._may_be_brought_back(run):
                if not run.state.is_final:  # its supervisor was killed with the node, or by it
                    run.state, run.reason = State.PREEMPTED, "its SLURM job was ended without a word and started again"
                attempts.open_next(run, State.QUEUED)
                records.write(run)

    def _may_be_brought_back(self, run: Run) -> bool:
        is_ours = run.supervisor is not None and run.supervisor.slurm_job == slurm.current_job()
        is_over = run.state in (State.COMPLETED, State.CANCELLED) or attempts.is_cancelled(run)
        if self._size > 1 and run.duration is not None and not _was_cut_short(run):
            is_over = True  # it came to its own end, and the job was started again for the sake of the others
        return is_ours and not is_over and run.resume is not None and slurm.restarts() <= run.max_requeues

    def _begin_what_can(self) -> float:
        """Begin the runs whose turn has come; return after how many seconds to try again."""
        seconds = IDLE
        while self._waiting and self._crew.has_place and self._stopped is None:
            path = self._waiting[0]
            run = self._read(path)
            if run is not None and not self._is_queued_here(run):
                why = "submitted once more since" if run.state is State.QUEUED else run.state.value
                say(f"{run.id} is not to be started ({why})")
                self._count(run.exit_code)
            elif run is not None and not self._begin(run):
                return TURN_INTERVAL
            self._waiting.popleft()
            seconds = 0.0
        return seconds

    def _is_queued_here(self, run: Run) -> bool:
        """Tell whether a run waits for this job: it may have been given up since, and submitted once more."""
        queued = run.queued
        return (
            run.state is State.QUEUED
            and queued is not None
            and (Path(queued.array).name, queued.task) == (self._array.name, self._task)
        )

    def _begin(self, run: Run) -> bool:
        """Begin a run; False if it has to wait until another one has left its tool's checkout."""
        try:
            has_begun = self._crew.begin(run, {})
        except StashError as error:
            Execution(run).give_up(State.FAILED, str(error), 1)
            complain(str(error))
            self._count(error.exit_code)
            return True
        if not has_begun and self._turned_away != run.path:
            self._turned_away = run.path
            waiting = f"waiting for another run that writes into {run.collect[0]} …"
            Execution(run).note(waiting)
            say(waiting)
        return has_begun

    def _has_left(self, run: Run) -> None:
        self._count(run.exit_code)
        if _was_cut_short(run):
            self._cut_short.append(run)

    def _react(self, number: signal.Signals, signals: SignalQueue) -> None:
        if self._crew.follow(number, signals):
            return
        if number in REQUESTS and self._stopped is None:
            self._stopped = number
            self._crew.stop(asked_by(number))
            at_work, waiting = len(self._crew.executions), len(self._waiting)
            say(f"{asked_by(number).reason}: {at_work} at work, {waiting} whose turn has not come")
        elif number is signal.SIGINT:
            self._crew.hasten()

    def _leave_off(self) -> None:
        """Go back into the queue for those that are not done with, or close the records of those that never began."""
        cut_short = [run for run in self._cut_short if _may_go_on(run)]
        waiting = [run for path in self._waiting if (run := self._read(path)) and self._is_queued_here(run)]
        if not cut_short and not waiting:
            return
        state = self._why(waiting)
        if state is not State.CANCELLED and (cut_short or any(_may_go_on(run) for run in waiting)):
            try:
                _requeue(cut_short)
                self.exit_code = 0
                return
            except StashError as error:
                complain(str(error))
                self._count(error.exit_code)
        for run in waiting:
            Execution(run).give_up(*self._never_began(run, state))
            _has_ended(run)
            self._count(run.exit_code)

    def _why(self, waiting: Sequence[Run]) -> State:
        """Return what has become of the job."""
        if self._cut_short:
            return self._cut_short[-1].state
        job = slurm.current_job()
        if job is None or self._stopped is not signal.SIGTERM:
            return State.CANCELLED
        return slurm.why_asked_to_stop(job, waiting[0].grace or GRACE_IN_JOB)[0]

    def _never_began(self, run: Run, state: State) -> tuple[State, str, int]:
        """Return the final state, reason and exit code of a run whose turn never came."""
        code = 128 + (self._stopped or signal.SIGTERM)
        if attempts.is_cancelled(run):
            return State.CANCELLED, attempts.CANCELLED, code
        when, mend = {
            State.TIMED_OUT: (
                "the wall time of its SLURM job was over",
                "; give its runs more time (resources.time), or fewer of them a job (hydra.launcher.runs_per_job)",
            ),
            State.PREEMPTED: ("SLURM preempted its job", "; submit it again"),
        }.get(state, ("its SLURM job was cancelled", ""))
        if run.resume is not None and mend:
            mend += f"; it may go back into the queue {run.max_requeues} times (hydra.launcher.max_requeues)"
        others = self._size - 1
        shared = f" (it shared the job with {others} other{'s' if others > 1 else ''})" if others else ""
        return state, f"its turn had not come when {when}{shared}{mend}", code

    def _read(self, path: Path) -> Run | None:
        try:
            return records.read(path)
        except StashError as error:
            complain(str(error))
            self._count(error.exit_code)
            return None

    def _count(self, exit_code: int | None) -> None:
        self.exit_code = self.exit_code or exit_code or 0


def _has_begun(run: Run) -> None:
    say(f"{run.id}: {run.organizer or run.tool}, attempt {run.attempt}  →  {run.path / run.log}")


def _has_ended(run: Run) -> None:
    remarks = [f"{run.id}: warning: {warning}" for warning in run.warnings]
    say(f"{run.id}: {run.state.value}{f': {run.reason}' if run.reason else ''}", *remarks)


def _was_cut_short(run: Run) -> bool:
    """Tell whether a run was stopped for want of its job's time, or by a preemption."""
    return run.state is State.PREEMPTED or (run.state is State.TIMED_OUT and run.exit_code != EXIT_TIMED_OUT)


def _may_go_on(run: Run) -> bool:
    """Tell whether a run may be started when SLURM starts its job once more: its tool can resume, not too often yet."""
    if run.resume is None or attempts.is_cancelled(run):
        return False
    if slurm.restarts() >= run.max_requeues:
        say(f"{run.id}: no further attempt: its job has been put back into the queue {run.max_requeues} times")
        return False
    return True


def _requeue(cut_short: Sequence[Run]) -> None:
    """Put this job back into the queue for their next attempts. The last thing to be done: SLURM then ends us."""
    import copy  # here, because most jobs need nothing of it

    as_they_were = copy.deepcopy(cut_short)
    job = slurm.current_job()
    assert job is not None
    for run in cut_short:
        attempts.open_next(run, State.QUEUED)
        run.supervisor = supervisor_here()
        # Before SLURM knows: from then on the record is the next attempt's.
        records.write(run)
    try:
        slurm.requeue(job)
    except StashError as error:
        for run in as_they_were:
            run.notes.append(f"it could not be put back into the queue: {error}")
            records.write(run)
        raise
