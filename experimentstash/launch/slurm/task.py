"""What a task of a job array does: executes its runs, and goes back into the queue if that was cut short.

A thousand nodes start this at once (see ``start``): it imports neither Hydra nor anything else that is heavy.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.scheduler import Why
from experimentstash.adapters.slurm import job as slurm
from experimentstash.adapters.slurm import job_end
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base import permissions
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import EXIT_USER_MISTAKE, StashError
from experimentstash.base.output import complain, fit_streams, say
from experimentstash.execute.ending import StopRequest
from experimentstash.execute.execution import Execution
from experimentstash.execute.pool import IDLE, TURN_INTERVAL, RunPool
from experimentstash.execute.unrecorded import RecordError
from experimentstash.record import attempts, job_array, records, transitions
from experimentstash.record.run import Run, State


def main(argv: Sequence[str]) -> int:
    """Execute the runs of this array task; return 0 if all have completed, else the first other exit code."""
    fit_streams()
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    if not 1 <= len(argv) <= 3 or not index.isdecimal() or not all(number.isdecimal() for number in argv[1:]):
        complain("usage, in a task of a SLURM job array: python -S start.py TASKS_FILE [AT_ONCE | EXIT_CODE LINE]")
        return EXIT_USER_MISTAKE
    try:
        if len(argv) == 3:  # a line of the batch script has failed before it came to us
            from experimentstash.launch.slurm import failed_setup  # here, because few jobs need it

            pack = _Pack(Path(argv[0]), int(index), at_once=1)
            why = failed_setup.told(Path(argv[0]), code=int(argv[1]), line=int(argv[2]))
            pack.give_up(why, failed_setup.ADVICE, int(argv[1]))
            return pack.exit_code
        permissions.follow(Path(argv[0]))
        pack = _Pack(Path(argv[0]), int(index), at_once=int(argv[1]) if len(argv) > 1 else 1)
        pack.execute()
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except OSError as error:
        complain(f"{error.filename or argv[0]}: {error.strerror}")
        return 1
    return pack.exit_code


# Seconds for which SLURM is asked each time what it does to us.
_ASKING = 2.0
# And at least, and the share of what is left to us that this may take.
_SHORTEST, _SHARE = 0.1, 0.25
_BUILT_ANEW = "what was built for it was changed, or built anew, before it began: it may be another build than recorded"


class _Pack:
    """The runs that share this job, the source of its pool: whose turn has not come, and which were cut short."""

    def __init__(self, array: Path, task: int, *, at_once: int) -> None:
        self._array, self._task = array, task
        self._waiting = deque(job_array.read(array, task))
        self._size = len(self._waiting)
        self._pool = RunPool((None,) * at_once, self, in_turn=at_once == 1)
        self._cut_short: list[Run] = []
        self._stopped: signal.Signals | None = None  # by what; no further runs are begun
        self._why: Why | None = None  # it was started again
        self._turned_away: Path | None = None  # whose tool's checkout another run writes into just now
        self.exit_code = 0

    def give_up(self, why: str, advice: str, code: int) -> None:
        """Close the records of all that are to be executed here, and can't be."""
        complain(why)
        if slurm.restarts() > 0:
            self._bring_back()
        for path in self._waiting:
            run = self._read(path)
            if run is not None and self._is_queued_here(run):
                run.attempt.advice = advice
                Execution(run).give_up(State.FAILED, why, code)
        self._count(code)

    def execute(self) -> None:
        """Go on until nothing is left to do for them in this job."""
        with self._pool:
            if slurm.restarts() > 0:
                self._bring_back()
            self._pool.run()
            if self._stopped is not None or self._cut_short:
                self._leave_off()

    def _bring_back(self) -> None:
        """Open the next attempt of those that were at work when SLURM ended the job, and started it once more."""
        for path in self._waiting:
            run = self._read(path)
            if run is not None and run.attempt.state is not State.QUEUED and self._may_be_brought_back(run):
                self._say_why_it_went_back(run)
                transitions.open_next_attempt(run, State.QUEUED)
                records.write(run)

    def _say_why_it_went_back(self, run: Run) -> None:
        """Have a record say how the attempt ended of which that isn't known yet."""
        is_open = not run.attempt.state.is_final  # its supervisor was killed with the node, or by it
        if not is_open and (run.attempt.job_end is None or run.attempt.job_end.is_known):
            return
        if self._why is None:
            job = slurm.current_job()
            why = job_end.why_it_went_back(job, _ASKING) if job is not None else None
            self._why = why or Why(State.PREEMPTED, "its SLURM job was ended without a word and started again")
        if is_open:
            transitions.end_unseen(run, self._why.state, self._why.reason)
        else:
            transitions.correct_end(run, self._why.state, self._why.reason)

    def _may_be_brought_back(self, run: Run) -> bool:
        is_ours = run.attempt.supervisor is not None and run.attempt.supervisor.job == slurm.current_job()
        is_supposed = run.attempt.job_end is not None and not run.attempt.job_end.is_known
        is_over = run.attempt.state is State.COMPLETED or (run.attempt.state is State.CANCELLED and not is_supposed)
        is_over = is_over or attempts.is_cancelled(run)
        if self._size > 1 and run.attempt.duration is not None and not attempts.was_cut_short(run):
            is_over = True  # it came to its own end, and the job was started again for the sake of the others
        return (
            is_ours
            and not is_over
            and run.spec.resume is not None
            and slurm.restarts() <= run.attempt.terms.max_requeues
        )

    @property
    def has_more(self) -> bool:
        return bool(self._waiting) and self._stopped is None

    def begin_what_can(self) -> float:
        seconds = IDLE
        while self._waiting and self._pool.has_slot and self._stopped is None:
            path = self._waiting[0]
            run = self._read(path)
            if run is not None and self._was_given_up(run):
                self._take_up_again(run)
            if run is not None and not self._is_queued_here(run):
                why = "submitted once more since" if run.attempt.state is State.QUEUED else run.attempt.state.value
                say(f"{run.id} is not to be started ({why})")
                self._count(run.attempt.exit_code)
            elif run is not None and not self._begin(run):
                return TURN_INTERVAL
            self._waiting.popleft()
            seconds = 0.0
        return seconds

    def _is_queued_here(self, run: Run) -> bool:
        """Tell whether a run waits for this job: it may have been given up since, and submitted once more."""
        return run.attempt.state is State.QUEUED and self._is_given_to_us(run)

    def _is_given_to_us(self, run: Run) -> bool:
        queued = run.attempt.queued
        return queued is not None and (Path(queued.array).name, queued.task) == (self._array.name, self._task)

    def _was_given_up(self, run: Run) -> bool:
        """Tell whether somebody has taken our job for lost, wrongly, as is seen now, and nobody wants the run's end."""
        is_before_us = slurm.restarts() == 0 or run.attempt.state is State.LOST  # else it was our job that gave it up
        is_unbegun = run.attempt.state.is_final and run.attempt.started is None and self._is_given_to_us(run)
        return is_unbegun and is_before_us and not attempts.is_cancelled(run)

    def _take_up_again(self, run: Run) -> None:
        why = transitions.take_up_again(run)
        records.write(run)
        say(f"{run.id}: {why}")

    def _begin(self, run: Run) -> bool:
        """Begin a run; False if it has to wait until another one has left its tool's checkout."""
        if run.spec.build is not None:  # in a job before this one, perhaps: by which compilers, is known now
            from experimentstash.code import built

            build = built.as_made(run.spec.build)
            run.spec = replace(run.spec, build=build)
            if not built.is_as_recorded(build) and _BUILT_ANEW not in run.attempt.warnings:
                run.attempt.warnings.append(_BUILT_ANEW)
        has_begun = self._pool.begin(run, {})
        if not has_begun and self._turned_away != run.path:
            self._turned_away = run.path
            waiting = f"waiting for another run that writes into {run.spec.collect[0]} …"
            Execution(run).note(waiting)
            say(waiting)
        return has_begun

    def has_begun(self, run: Run) -> None:
        spec, attempt = run.spec, run.attempt
        say(f"{run.id}: {spec.organizer or spec.tool}, attempt {attempt.number}  →  {run.path / attempt.log}")

    def has_left(self, run: Run) -> None:
        self._count(run.attempt.exit_code)
        if attempts.was_cut_short(run):
            self._cut_short.append(run)

    def has_ended(self, run: Run) -> None:
        remarks = [f"{run.id}: warning: {warning}" for warning in run.attempt.warnings]
        say(f"{run.id}: {run.attempt.state.value}{f': {run.attempt.reason}' if run.attempt.reason else ''}", *remarks)

    def has_failed(self, run: Run, error: StashError) -> None:
        complain(str(error))
        if isinstance(error, RecordError):
            self._count(error.exit_code)

    def was_interrupted(self, request: StopRequest, graces: Sequence[float]) -> None:
        self._stopped = request.number
        say(f"{request.reason}: {self._pool.at_work} at work, {len(self._waiting)} whose turn has not come")

    def _leave_off(self) -> None:
        """Go back into the queue for those that are not done with, or close the records of those that never began."""
        cut_short = [run for run in self._cut_short if _may_go_on(run)]
        waiting = [run for path in self._waiting if (run := self._read(path)) and self._is_queued_here(run)]
        if not cut_short and not waiting:
            return
        watch = job_end.here()
        if watch is not None and (cut_short or any(_may_go_on(run) for run in waiting)):
            try:
                if _goes_back(watch, cut_short):
                    self.exit_code = 0
                    return
            except StashError as error:
                complain(str(error))
                self._count(error.exit_code)
        why = None if watch is None else watch.why
        ended = None if why is None else why.recorded
        for run in waiting:
            state, reason, code = self._never_began(run, State.CANCELLED if ended is None else ended.state)
            Execution(run).give_up(state, reason, code, None if attempts.is_cancelled(run) else ended)
            self.has_ended(run)
            self._count(run.attempt.exit_code)

    def _never_began(self, run: Run, state: State) -> tuple[State, str, int]:
        """Return the final state, reason and exit code of a run whose turn never came."""
        code = 128 + (self._stopped or signal.SIGTERM)
        if attempts.is_cancelled(run):
            return State.CANCELLED, attempts.CANCELLED, code
        when, hint = {
            State.TIMED_OUT: (
                "the wall time of its SLURM job was over",
                "; give its runs more time (resources.time), or fewer of them a job (hydra.launcher.runs_per_job)",
            ),
            State.PREEMPTED: ("SLURM preempted its job", "; submit it again"),
            State.KILLED: ("SLURM ended its job", "; submit it again"),
        }.get(state, ("its SLURM job was cancelled", ""))
        if run.spec.resume is not None and hint:
            hint += (
                f"; it may go back into the queue {run.attempt.terms.max_requeues} times (hydra.launcher.max_requeues)"
            )
        others = self._size - 1
        shared = f" (it shared the job with {others} other{'s' if others > 1 else ''})" if others else ""
        return state, f"its turn had not come when {when}{shared}{hint}", code

    def _read(self, path: Path) -> Run | None:
        try:
            return records.read(path)
        except StashError as error:
            complain(str(error))
            self._count(error.exit_code)
            return None

    def _count(self, exit_code: int | None) -> None:
        self.exit_code = self.exit_code or exit_code or 0


def _may_go_on(run: Run) -> bool:
    """Tell whether a run may be started when SLURM starts its job once more: its tool can resume, not too often yet."""
    if run.spec.resume is None or attempts.is_cancelled(run):
        return False
    most = run.attempt.terms.max_requeues
    if slurm.restarts() >= most:
        say(f"{run.id}: no further attempt: its job has been put back into the queue {most} times")
        return False
    return True


def _goes_back(watch: job_end.Watch, cut_short: Sequence[Run]) -> bool:
    """Put this job back into the queue; False if it was cancelled. StashError if SLURM refuses, or never answers.

    As long as it doesn't answer it is asked again, until it kills us: where it can't even do that, nobody waits for our
    place. Of a job that it ends for we don't know what, it has to say first that nobody has cancelled it.
    """
    job = slurm.current_job()
    assert job is not None
    until = time.monotonic() + (watch.left() or 0.0) + attempts.ASKING_ON
    while True:
        left = watch.left()  # little, after a tool that has taken all of its grace: there must be time for the note
        watch.ask_again(_ASKING if left is None else min(_ASKING, max(_SHORTEST, left * _SHARE)))
        why = watch.why
        if why is not None and why.is_known:
            _put_right(why, cut_short)
        if why is None or not why.is_schedulers or why.state is State.CANCELLED:
            return False
        refusal: StashError | None = None
        if why.is_known or why.state is not State.KILLED:
            try:
                slurm.requeue(job)
            except StashError as error:
                refusal = error
            else:
                break
        is_final = (refusal is not None and not slurm.is_silence(refusal)) or time.monotonic() > until
        said = "SLURM doesn't answer" if refusal is None else refusal.message
        _note(cut_short, f"it is not back in the queue: {said}")
        if is_final:
            raise refusal or StashError("SLURM doesn't answer.")
        time.sleep(1.0)
    # SLURM ends us now: the next attempt can't begin before we are gone.
    for run in cut_short:
        transitions.open_next_attempt(run, State.QUEUED)
        run.attempt.supervisor = supervisor_here()
        records.write(run)
    return True


def _put_right(why: Why, cut_short: Sequence[Run]) -> None:
    for run in cut_short:
        if run.attempt.job_end is not None and not run.attempt.job_end.is_known:
            transitions.correct_end(run, why.state, why.reason)
            records.write(run)


def _note(cut_short: Sequence[Run], text: str) -> None:
    """Write into records what has kept runs from going on, and how they may; in place of what was noted before."""
    for run in cut_short:
        note = f"{text}; to go on with it: experimentstash resume {run.id}"
        others = [each for each in run.attempt.notes if not each.startswith("it is not back in the queue")]
        if run.attempt.notes != [*others, note]:
            run.attempt.notes = [*others, note]
            records.write(run)
