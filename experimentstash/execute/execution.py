"""One run on its way from frozen to recorded: its tool is started, watched over to its end, and the end recorded."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.adapters.numbers.place import FILE_NAME, Place
from experimentstash.adapters.scheduler import Why
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.base import files, permissions
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import EXIT_INTERRUPTED, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_USER_MISTAKE
from experimentstash.base.masking import Mask
from experimentstash.code import copies, moved, written
from experimentstash.code.written import Looks
from experimentstash.execute import advice, collect, installed, keeper, outcome
from experimentstash.execute.account import HEARTBEAT, SUPERVISOR_LOG, Account, marker_of
from experimentstash.execute.ending import Ending, StopRequest
from experimentstash.execute.own_copy import close_copy, collect_outputs, recover_copy
from experimentstash.execute.supervisor import Siblings, SupervisedTool
from experimentstash.execute.wandb_runs import CLOCK_SLACK, find_wandb, note_wandb, wandb_logs
from experimentstash.execute.why_ended import why_it_was_to_end
from experimentstash.record import attempts, records, transitions
from experimentstash.record.run import JobEnd, Process, Run, State

# Seconds from telling a tool to stop to killing it.
GRACE_HERE = 10.0
GRACE_IN_JOB = 90.0
# Of the grace that a job gives, so much is kept for closing the record and the W&B run (seconds, share at most).
_RESERVE = 10.0
_RESERVE_SHARE = 0.25
# Seconds after which the record of a run names the tool's process. Until then its marker is enough to find it, and a
# tool that has ended by then is spared a write.
_SHORT = 0.1
# With this word a Hydra tool keeps its configuration in the run's directory: see `arrived`.
_HYDRAS_WORD = "hydra.output_subdir=.hydra/tool"
# Seconds until the first look at where the tool's processes write W&B logs; after each one, twice as long to the next.
_WANDB_INTERVAL = 1.0
# Seconds between two looks for a scheduler's answer.
_ANSWER_INTERVAL = 0.1
# Bytes of a file in which numbers are looked for when a tool has ended: our job may be about to.
_MOST_AT_END = 64 << 20


class Execution:
    """One run on its way from frozen to recorded: its record, its tool, and the account of what was done to it.

    Like the tool it has no loop of its own: whoever drives it calls ``begin`` once, then ``tick`` until it ``is_over``,
    then ``conclude``; and ``abandon`` if that can't go on. OSError from any of them: its record can't be written.
    ``siblings`` are as in SupervisedTool; executions of one process share their ``looks``.
    """

    def __init__(self, run: Run, siblings: Siblings | None = None, looks: Looks | None = None) -> None:
        self.run = run
        self._looks = looks or Looks()
        self._over_at = 0.0
        self.log_offset = 0  # where in the log this attempt begins
        self._since = 0  # when it began, by the clock of the file system
        self.environment: Mapping[str, str] = {}  # the tool's
        self._log = Account(run.path / SUPERVISOR_LOG)
        terms = run.attempt.terms
        self._grace = terms.grace if terms.grace is not None else (GRACE_IN_JOB if _in_job() else GRACE_HERE)
        self._tool = SupervisedTool(marker=marker_of(run), timeout=terms.timeout, log=self._log, siblings=siblings)
        self._has_started = False
        self._before: collect.Snapshot = {}
        self._next_heartbeat = 0.0
        self._unwritten_until = math.inf
        self._is_alone = siblings is None
        self._began = 0.0
        self._next_wandb_look = math.inf
        self._wandb_interval = _WANDB_INTERVAL
        self._has_seen_leftovers = False
        self._why: Why | None = None  # why our job had us ask the tool to stop, as it was last recorded
        self._has_reserve = False
        self._asked_at = 0.0

    def begin(self, environment: Mapping[str, str]) -> None:
        """Start the tool, in this environment; one that can't be started is recorded as failed, or as cancelled.

        Where it writes into its checkout, its turn must have come: see ``collect_lock``.
        """
        run, log = self.run, self._log
        self.environment = environment
        if run.apart is not None:
            copies.make(run)
        self._before = collect.snapshot([Path(directory) for directory in run.spec.collect])
        self._began = time.time()
        supervisor = supervisor_here()
        if (ours := keeper.present()) is not None:
            supervisor.keeper = Process(ours.identity.pid, ours.identity.start_time)
        installed.confirm(run, environment)
        transitions.begin(run, supervisor)
        records.write(run, reserve=True)
        self._since = os.stat(run.path / records.FILE_NAME).st_mtime_ns
        if attempts.is_cancelled(run):  # not before the record says that it runs: see mark_cancelled
            self.give_up(State.CANCELLED, "cancelled just before it started", EXIT_INTERRUPTED)
            return
        if (commit := moved.elsewhere(run)) is not None and not self._may_run_at(commit):
            return
        try:
            descriptor = files.open_regular(run.path / run.attempt.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self.log_offset = os.lseek(descriptor, 0, os.SEEK_END)
            os.close(descriptor)
        except OSError as error:
            self.give_up(State.FAILED, f"{run.path / run.attempt.log}, its log, can't be opened: {error.strerror}", 1)
            return
        argv = [*run.spec.command.argv, *((run.spec.resume or []) if run.attempt.number > 1 else [])]
        output = str(run.path / run.attempt.log)
        try:
            process = self._tool.start(
                argv,
                cwd=run.spec.command.cwd,
                environment=environment,
                output=output,
                grace=self._grace,
                umask=permissions.parsed(run.spec.command.umask),
            )
        except OSError as error:
            self._could_not_start(error)
            return
        self._has_started = True
        self._next_heartbeat = time.monotonic() + HEARTBEAT
        self._next_wandb_look = time.monotonic() + self._wandb_interval
        self._looks.begins(run)
        log(f"started process {process.pid}: {shlex.join(argv)}")
        run.attempt.process = Process(process.pid, process.start_time)
        self._unwritten_until = time.monotonic() + _SHORT

    def _may_run_at(self, commit: str) -> bool:
        """Tell whether a run may use another commit than it was submitted with, and note it; else close its record."""
        code = self.run.spec.code
        assert code is not None and code.commit is not None
        how = f"since this run was submitted, {code.path} has moved from {code.commit[:12]} to {commit[:12]}"
        if code.pin is None:
            self.run.attempt.warnings.append(
                f"{how}: which code it has run isn't certain (code=frozen would have kept it)"
            )
            return True
        reason = f"{how}, and it is to run commit {code.pin}; submit it anew, or with code=frozen"
        self.give_up(State.FAILED, reason, EXIT_USER_MISTAKE)
        return False

    @property
    def has_started(self) -> bool:
        """Whether its tool could be started."""
        return self._has_started

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of the tool, or it could not be started."""
        return self.run.attempt.state.is_final or self._tool.is_over

    @property
    def is_ending(self) -> bool:
        """Whether it is too late to ask the tool to stop, or it has been asked already."""
        return self.is_over or self._tool.is_ending

    def tick(self) -> float:
        """Do what is due and return after how many seconds to call again at the latest, or when a child has ended."""
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT
            with contextlib.suppress(OSError):
                os.utime(self.run.path / SUPERVISOR_LOG, follow_symlinks=False)
        seconds = self._tool.tick(self._granted())
        if self._tool.is_over and not self._over_at:
            self._over_at = time.monotonic()
        if self._tool.leftovers and not self._has_seen_leftovers:  # wandb-core outlives a tool that was killed
            self._has_seen_leftovers = True
            note_wandb(self.run, wandb_places.opened(self._tool.leftovers))
        if now >= self._next_wandb_look and not self.is_ending:
            self._next_wandb_look = now + self._wandb_interval
            self._wandb_interval = min(2 * self._wandb_interval, HEARTBEAT)
            self._look_for_wandb()
        if self._why is not None and not self.is_over:
            seconds = min(seconds, self._look_for_an_answer())
        if now >= self._unwritten_until and not self.is_over:
            self._write_if_possible()
        return max(0.0, min(seconds, HEARTBEAT, self._unwritten_until - now, self._next_wandb_look - now))

    def stop(self, request: StopRequest) -> float:
        """Ask the tool to stop and return how many seconds it has to save its work: none if it has just ended."""
        job = schedulers.here() if request.may_be_jobs else None
        if job is not None and attempts.is_cancelled(self.run):
            request = StopRequest(State.CANCELLED, attempts.CANCELLED, request.number, may_be_jobs=True)
            job = None
        self._has_reserve = request.number is not None and _in_job()
        grace = self._granted()
        self._look_for_wandb()  # wandb-core may go with the tool
        if not self._tool.request_stop(request, grace):
            return 0.0
        self._asked_at = time.monotonic()
        # Kept in the record at once: if we are killed before the tool ends, it still tells why.
        self.run.attempt.reason = request.reason
        if job is not None:
            self._why = job.why
            self.run.attempt.job_end = None if self._why is None else self._why.recorded
        self._write_if_possible()
        return grace

    def stop_if_cancelled(self) -> None:
        """Ask the tool to stop if somebody wants to end this run; others that share its supervisor go on."""
        if not self.is_ending and attempts.is_cancelled(self.run):
            self.stop(StopRequest(State.CANCELLED, attempts.CANCELLED, signal.SIGTERM))

    def _granted(self) -> float:
        """Return how many seconds from now on the tool may have to save its work: never more than our job leaves."""
        grace = self._grace
        job = schedulers.here()
        if job is None:
            return grace
        if self._has_reserve:
            grace -= min(_RESERVE, grace * _RESERVE_SHARE)
        if self._asked_at:
            grace = max(0.0, grace - (time.monotonic() - self._asked_at))
        left = job.left_for_tool()
        return round(grace if left is None else min(grace, left - min(_RESERVE, left * _RESERVE_SHARE)), 1)

    def regrant(self) -> None:
        """Let a tool that was asked to stop have what our job leaves it: that may have changed since."""
        if self._asked_at and not self.is_over and schedulers.here() is not None:
            self._tool.regrant(self._granted())

    def _look_for_an_answer(self) -> float:
        """Note in the record what is said of the end of its job; return after how many seconds to look again."""
        job = schedulers.here()
        assert job is not None
        job.look()
        if job.why is not None and job.why is not self._why:
            self._why = job.why
            self.run.attempt.reason, self.run.attempt.job_end = job.why.reason, job.why.recorded
            self.regrant()
            self._log(f"{job.why.reason}; the tool has {self._granted():g} s to end")
            self._write_if_possible()
        return _ANSWER_INTERVAL if job.is_asking else HEARTBEAT

    def hasten(self) -> None:
        """Shorten what is left of the grace."""
        if not self.is_over:
            self._tool.hasten()

    def suspend(self) -> None:
        """Stop the clock and the tool (Ctrl-Z)."""
        if not self.is_over:
            self._tool.suspend()

    def resume(self) -> None:
        """Undo ``suspend``."""
        if not self.is_over:
            self._tool.resume()

    def conclude(self) -> None:
        """Bring together what the tool has written and close the record."""
        if not self._has_started:
            return
        run, ending = self.run, self._tool.ending()
        self._mask_log()
        note_wandb(run, self._wandb_beside_the_tool())
        find_wandb(run, self.log_offset, self._began)
        collect_outputs(run, self._before, may_go_on=run.spec.resume is not None and ending.returncode != 0)
        self._note_written()
        place = Place(run.path, run.attempt.log, self.log_offset, self._since, wandb=lambda: self.wandb_logs)
        _conclude(run, ending, self._log, place)
        close_copy(run)

    @functools.cached_property
    def wandb_logs(self) -> list[Path]:
        """The logs of its W&B runs, once it has ended: to look for them is to walk through all that it has written."""
        return wandb_logs(self.run)

    def _mask_log(self) -> None:
        """Have no secret in the log that the tool was given and has printed; what was shown of it hasn't any either."""
        try:
            log = self.run.path / self.run.attempt.log
            if os.lstat(log).st_size > self.log_offset:
                Mask(self.environment).file(log, self.log_offset)
        except OSError as error:
            self.run.attempt.notes.append(f"its log was not looked through for secrets: {error.strerror}")

    def abandon(self, error: BaseException) -> None:
        """End what is left of the tool, now, and close the record of a run that can't be watched any longer."""
        if self._has_started and not self._tool.is_over:
            self._tool.kill()  # nothing may go on unwatched
        if self._has_started:
            self._mask_log()
        self._looks.leaves(self.run)
        if not self.run.attempt.state.is_final:
            recover_copy(self.run)
            _abandon(self.run, error, self._log)
            close_copy(self.run)

    def give_up(self, state: State, reason: str, exit_code: int, job_end: JobEnd | None = None) -> None:
        """Close the record of a run that has not begun, and is not to."""
        transitions.end(self.run, state, reason, exit_code, job_end=job_end)
        self._log(reason)
        records.write(self.run)

    def note(self, line: str) -> None:
        """Write a line into the account."""
        self._log(line)

    def _note_written(self) -> None:
        """Say what appeared or changed in the tool's checkout while it was at work, and stays there."""
        run = self.run
        seen = self._looks.ends(run, self._over_at)
        if seen is None or run.spec.code is None:
            return
        if isinstance(seen, str):
            run.attempt.notes.append(f"what the tool wrote into its checkout was not looked at: {seen}")
            self._log(run.attempt.notes[-1])
            return
        directory = run.spec.code.path
        collected = [os.path.relpath(path, directory) for path in run.spec.collect]
        stays = [*map(os.path.normpath, run.spec.shared), os.path.relpath(run.directory, directory)]
        names = [name for name in seen.names if not written.is_within(name, stays)]
        # What it collects from there is here by now; but what was there before has changed there, too.
        changed = [name for name in names if written.is_within(name, collected)]
        names = [name for name in names if name not in changed]
        run.attempt.wrote = names[: written.MOST_NAMES]
        if names or changed or seen.stirred or seen.is_head_moved:
            from experimentstash.code import written_words  # here, because most runs need nothing of it

            warnings, notes = written_words.say(run, names, changed, seen.others)
            gone, lost = written_words.say_gone(run, seen)
            run.attempt.warnings += [*warnings, *gone]
            run.attempt.notes += [*notes, *lost]

    def _look_for_wandb(self) -> None:
        """Note where the tool's processes write W&B logs outside the run directory: nothing else may tell later."""
        process = self.run.attempt.process
        if process is None or self.is_ending:
            return
        if note_wandb(self.run, wandb_places.opened([process.pid, *procfs.descendants(process.pid)])):
            self._write_if_possible()

    def _wandb_beside_the_tool(self) -> list[str]:
        """Return the W&B runs in the tool's working directory and checkout that are surely of this run."""
        run = self.run
        folders = {run.spec.command.cwd, *([run.spec.code.path] if run.spec.code is not None else [])} - {run.directory}
        return [
            found
            for folder in folders
            for found, process in wandb_places.begun_in(Path(folder), self._began - CLOCK_SLACK).items()
            if self._is_alone or (run.attempt.process is not None and process == run.attempt.process.pid)
        ]

    def _could_not_start(self, error: OSError) -> None:
        run = self.run
        reason = f"{run.spec.command.argv[0]} could not be started: {error.strerror}"
        if str(error.filename) == run.spec.command.cwd:
            reason += f" ({run.spec.command.cwd}, where it should start)"
        self.give_up(
            State.FAILED,
            reason,
            EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_NOT_EXECUTABLE,
        )

    def _write_if_possible(self) -> None:
        """Write the record of a tool that runs: a disk that is full just now is no reason to end it."""
        self._unwritten_until = math.inf
        try:
            records.write(self.run)
        except OSError as error:
            self._unwritten_until = time.monotonic() + HEARTBEAT
            self._log(f"the record could not be written: {error.strerror}")


def _conclude(run: Run, ending: Ending, log: Account, place: Place) -> None:
    why = why_it_was_to_end(run, ending)
    if why is not None:
        asked = ending.stop or ending.missed
        number = signal.SIGTERM if asked is None else asked.number
        ending = Ending(**{**vars(ending), "stop": StopRequest(why.state, why.reason, number)})
    verdict = outcome.judge(run, ending)
    if verdict.state is State.FAILED and verdict.signal is None and (cell := advice.failed_cell(run)) is not None:
        verdict = replace(verdict, reason=cell)
    by_scheduler = None if why is None else why.recorded
    transitions.end(run, verdict.state, verdict.reason, verdict.exit_code, job_end=by_scheduler, signal=verdict.signal)
    run.attempt.duration = round(ending.duration, 3)
    run.attempt.cpu_time = round(ending.cpu_time, 3)
    run.attempt.peak_memory = ending.peak_memory
    warnings, notes = outcome.remarks(ending, run.attempt.state)
    run.attempt.warnings += warnings
    run.attempt.notes += notes
    if _HYDRAS_WORD in run.spec.command.argv:
        from experimentstash.execute import arrived  # here, because only Hydra tools tell, and only at their end

        warnings, notes = arrived.remarks(run)
        run.attempt.warnings += warnings
        run.attempt.notes += notes
    _measure(run, place)
    if run.attempt.state is State.FAILED:
        run.attempt.advice = advice.advise(run, run.path / run.attempt.log)
    log(
        f"{run.attempt.state.value}, exit code {run.attempt.exit_code}"
        + (f": {run.attempt.reason}" if run.attempt.reason else "")
    )
    records.write(run)


def _measure(run: Run, place: Place) -> None:
    """Keep in a record which numbers a run has come to; whatever comes of that, the run's outcome stays."""
    if run.attempt.state is State.COMPLETED and run.spec.objective is not None:
        from experimentstash.adapters.numbers import objective

        run.attempt.result, missing = objective.read(run.spec.objective, place)
        run.attempt.notes += missing
    has_some = run.attempt.result is not None or run.spec.metric_sources or os.path.lexists(run.path / FILE_NAME)
    if not has_some and not place.wandb():
        run.attempt.metrics = {}
        return
    from experimentstash.adapters.numbers import metrics

    try:
        run.attempt.notes += metrics.measure(run, replace(place, most=_MOST_AT_END))
    except Exception as error:  # whatever there is in what a tool has written: its run has ended as it has
        run.attempt.notes.append(f"its numbers were not read: {type(error).__name__}: {error}")


def _abandon(run: Run, error: BaseException, log: Account) -> None:
    """Close the record of a run whose tool was never started, or that we could not go on watching."""
    is_asked = isinstance(error, (KeyboardInterrupt, SystemExit))
    state, reason, exit_code = State.FAILED, _in_words(error), 1
    if is_asked:
        state, reason = State.CANCELLED, "asked to stop before the tool started"
        exit_code = EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else int(str(error))
    transitions.end(run, state, reason, exit_code, job_end=run.attempt.job_end)
    log(reason)
    records.write(run)


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"its files can't be written: {error.strerror} ({error.filename or 'no file is named'})"
    return str(error)


def _in_job() -> bool:
    return schedulers.here() is not None
