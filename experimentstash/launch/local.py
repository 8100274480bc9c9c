"""A sweep on this machine: one process composes and freezes the jobs and watches over all the tools at once.

There are no worker processes. Between two looks at the tools at work at most one job is composed, ahead of its turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash.adapters import gpus
from experimentstash.base.errors import StashError
from experimentstash.base.output import can_redraw, complain, say
from experimentstash.execute.ending import StopRequest
from experimentstash.execute.execution import Execution
from experimentstash.execute.pool import IDLE, TURN_INTERVAL, RunPool
from experimentstash.launch import context as contexts
from experimentstash.launch import sweep_jobs
from experimentstash.launch.local_settings import Settings
from experimentstash.launch.prepare import Prepared
from experimentstash.launch.progress import Progress
from experimentstash.launch.sweep_jobs import Job
from experimentstash.record.run import Run, State
from experimentstash.stash.layout import ROOT_VARIABLE, find_stash

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext
    from omegaconf import DictConfig

# Jobs that are frozen ahead of their turn, at least.
_AHEAD = 2


def launch(
    context: HydraContext,
    config: DictConfig,
    batch: Sequence[Sequence[str]],
    first_number: int,
    settings: Settings,
) -> list[JobReturn]:
    """Run the jobs of a batch to their ends and return Hydra's view of them, in their order.

    A tool that fails is an error here only if the sweeper needs its result: its run's record tells. Asked to stop, it
    raises KeyboardInterrupt or SystemExit once all has ended.
    """
    prepared = sweep_jobs.freeze_all(context, config, batch, first_number)
    if config.validate_only or config.dry_run:
        return [job.returned for job in sweep_jobs.counted(prepared, len(batch), "looked at")]
    devices = sorted({each for slot in settings.slots if slot for each in slot.split(",")})
    number = max([len(devices), *(int(each) + 1 for each in devices if each.isdecimal())])
    if (lack := gpus.lacking(number, f"hydra.launcher.gpus hands out {', '.join(devices)}")) is not None:
        say(lack)
    continuation = contexts.here().continuation
    numbers = range(first_number, first_number + len(batch))
    settled = 0 if continuation is None else continuation.settled(numbers)
    returned = supervise(prepared, len(batch) - settled, settings)
    numbered = zip(numbers, batch, strict=True)
    return [returned.get(number) or sweep_jobs.not_begun(config, overrides) for number, overrides in numbered]


def supervise(prepared: Iterator[Job], total: int, settings: Settings) -> dict[int, JobReturn]:
    """Run ``total`` jobs, each taken when its turn comes near, and return Hydra's view of those that were taken."""
    stash = find_stash(Path(os.environ[ROOT_VARIABLE]))
    is_live = len(settings.slots) > 1 and can_redraw(sys.stderr)
    progress = Progress(stash, total=total, slots=len(settings.slots), is_live=is_live)
    sweep = _Sweep(prepared, settings, progress)
    try:
        sweep.run()
        if sweep.stopped is not None:
            progress.say(f"{sweep.stopped}: {total - sweep.begun - sweep.spared} of {total} runs were not started")
    finally:
        progress.close()
    if sweep.pool.strays:
        complain(f"runs had left {sweep.pool.strays} processes behind in disguise; they were ended")
    if (number := sweep.pool.interrupted_by) is not None:
        raise KeyboardInterrupt if number is signal.SIGINT else SystemExit(128 + number)
    if sweep.error is not None:
        raise sweep.error
    return sweep.returned


class _Sweep:
    """The source of a pool's runs: jobs to be frozen, and runs that wait for a slot."""

    def __init__(self, prepared: Iterator[Job], settings: Settings, progress: Progress) -> None:
        self._jobs: Iterator[Job] | None = prepared  # None: there are no more
        self._settings = settings
        self._progress = progress
        self._waiting: deque[tuple[Job, Prepared]] = deque()
        self._begun: dict[str, Job] = {}  # by their runs' directories
        self.pool = RunPool(settings.slots, self, paused=progress.hidden)
        self.returned: dict[int, JobReturn] = {}
        self.begun = 0
        self.spared = 0  # jobs that need not be run
        self.stopped: str | None = None  # why no further runs are started
        self.error: BaseException | None = None

    def run(self) -> None:
        """Go on until nothing is left to do."""
        with self.pool:
            try:
                self.pool.run()
            except BaseException as error:
                self._cancel_waiting(f"not started: {error}", 1)
                raise

    @property
    def has_more(self) -> bool:
        return self._jobs is not None or bool(self._waiting)

    def begin_what_can(self) -> float:
        seconds = self._start_what_can()
        if self._jobs is not None and len(self._waiting) < max(_AHEAD, len(self._settings.slots)):
            self._prepare_one()
            seconds = 0.0
        return seconds

    def _prepare_one(self) -> None:
        assert self._jobs is not None
        try:
            job = next(self._jobs, None)
        except KeyboardInterrupt as error:  # what prepares a job has had our Ctrl-C too, which waits for its turn
            self.error, self._jobs = error, None
            return
        except Exception as error:
            # No further jobs come after it, but what is frozen already runs before the error is raised.
            self.error = error
            self._jobs = None
            if self._waiting or not self.pool.is_idle:  # told in full when they have ended
                self._progress.say("a job can't be composed, nor those after it; the runs before it go on")
            return
        if job is None:
            self._jobs = None
            return
        self.returned[job.number] = job.returned
        if job.earlier is not None:
            self.spared += 1
            self._progress.spared()
            return
        if job.prepared is not None:
            self._waiting.append((job, job.prepared))
            return
        self.begun += 1
        self._progress.rejected(job.number, job.overrides, job.why_rejected())
        self._fail_fast(f"job {job.number}")

    def _start_what_can(self) -> float:
        """Start the runs for which there is a slot; return after how many seconds to try again."""
        seconds = IDLE
        for job, prepared in list(self._waiting):
            if not self.pool.has_slot or self.stopped is not None:
                break
            prepared.confirm()
            self._begun[prepared.run.directory] = job
            if not self.pool.begin(prepared.run, prepared.secrets, show_output=len(self._settings.slots) == 1):
                seconds = TURN_INTERVAL
                continue
            self._waiting.remove((job, prepared))
            self.begun += 1
            seconds = 0.0
        return seconds

    def has_begun(self, run: Run) -> None:
        self._progress.started(run)

    def has_left(self, run: Run) -> None:
        self._begun.pop(run.directory).conclude(run)
        if run.attempt.state is not State.COMPLETED:
            self._fail_fast(run.id)

    def has_ended(self, run: Run) -> None:
        self._progress.ended(run)

    def has_failed(self, run: Run, error: StashError) -> None:
        complain(str(error))

    def was_interrupted(self, request: StopRequest, graces: Sequence[float]) -> None:
        if self.stopped is None:
            self._leave_off(request, "the sweep was interrupted", graces)

    def _fail_fast(self, name: str) -> None:
        if self._settings.fail_fast and self.stopped is None:
            why = f"{name} did not complete, and fail_fast is on"
            request = StopRequest(State.CANCELLED, f"stopped because {why}")
            self._leave_off(request, why, self.pool.stop(request))

    def _leave_off(self, request: StopRequest, why: str, graces: Sequence[float]) -> None:
        """Start nothing further; what is at work was asked to stop."""
        self._jobs = None
        self.stopped = why
        self._cancel_waiting(f"not started: {why}", 128 + (request.number or signal.SIGTERM))
        if graces:
            self._progress.say(
                f"{request.reason}: {len(graces)} tools have up to {max(graces):g} s to save their work;"
                " Ctrl-C again shortens that"
            )

    def _cancel_waiting(self, reason: str, exit_code: int) -> None:
        while self._waiting:
            job, prepared = self._waiting.popleft()
            with contextlib.suppress(OSError):
                Execution(prepared.run).give_up(State.CANCELLED, reason, exit_code)
            job.conclude(prepared.run)
