"""Executes a frozen run: starts its tool, watches over it to its end, and records that end.

Needs no Hydra, no conf/ and no network. ``python -m experimentstash.execute RUN_DIRECTORY`` does it in a job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experimentstash import collect, outcome, procfs, records, slurm, wandb_guard
from experimentstash.errors import (
    EXIT_INTERRUPTED,
    EXIT_NOT_EXECUTABLE,
    EXIT_NOT_FOUND,
    EXIT_USER_MISTAKE,
    StashError,
)
from experimentstash.files import locked
from experimentstash.output import complain, say
from experimentstash.process import clean_environment
from experimentstash.records import Run, State
from experimentstash.relay import Relay
from experimentstash.signals import SignalQueue, ends_on_request
from experimentstash.supervision import Ending, StopRequest, SupervisedTool, supervisor_here

SUPERVISOR_LOG = "supervisor.log"
MARKER = "EXPERIMENTSTASH_RUN_DIR"
# Seconds from telling a tool to stop to killing it.
GRACE_HERE = 10.0
GRACE_IN_JOB = 90.0
# Of the grace that SLURM gives, so much is kept for closing the record and the W&B run (seconds, share at most).
_RESERVE = 10.0
_RESERVE_SHARE = 0.25
# Seconds between two touches of the supervisor's log, by which other machines see that it lives.
HEARTBEAT = 60.0
_WANDB_TIMEOUT = 30.0


@dataclass(frozen=True)
class Executed:
    """A run that has ended, and the signal by which we were asked to end it."""

    run: Run
    interrupted_by: signal.Signals | None = None


def execute(run: Run, *, show_output: bool, secrets: Mapping[str, str] | None = None) -> Executed:
    """Run the tool of a frozen run to its end and record it. ``secrets`` are values that the record must not keep.

    Raises StashError if a secret that it needs isn't there (the record is closed then), or if the record can't be
    written.
    """
    try:
        with _log_file(run) as log:
            ending, relay = _execute(run, secrets or {}, log, show_output=show_output)
    except OSError as error:
        how = f"; the run itself: {run.state.value}, exit code {run.exit_code}" if run.state.is_final else ""
        raise RecordError(f"The record of {run.path} can't be written: {error.strerror}{how}.") from error
    if relay is not None:
        relay.finish()
    return Executed(run, ending.stop.number if ending and ending.stop else None)


class RecordError(StashError):
    """What became of a run could not be written down."""

    exit_code = 1


def _execute(
    run: Run, secrets: Mapping[str, str], log: _Log, *, show_output: bool
) -> tuple[Ending | None, Relay | None]:
    try:
        environment = tool_environment(run, secrets)
        with _turn(run) as before, SignalQueue() as signals:
            ending, relay = _supervise(run, environment, signals, log, show_output=show_output)
            if ending is not None:
                _bring_together(run, before)
                _conclude(run, ending, log)
                finish_wandb(run)
        return ending, relay
    except BaseException as error:
        if not run.state.is_final:
            _abandon(run, error, log)
        raise


def tool_environment(run: Run, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the complete environment of the tool: ours, cleaned, with the run's own changes."""
    command = run.command
    environment = {name: value for name, value in clean_environment().items() if name not in command.unset}
    environment.update(command.environment)
    environment.update(secrets)
    missing = [name for name in command.secrets if name not in environment]
    if missing:
        raise StashError(
            f"The tool {run.tool!r} needs {', '.join(missing)} in its environment; a record never keeps such values.",
            f"export {missing[0]}=…",
        )
    if command.path is not None:
        environment["PATH"] = os.pathsep.join(filter(None, (command.path, environment.get("PATH", os.defpath))))
    return environment


def finish_wandb(run: Run) -> None:
    """Bring the W&B runs of an ended run to their final state; whatever comes of that, the run's outcome stays."""
    outcomes = wandb_guard.finish(
        run.path,
        exit_code=run.exit_code if run.exit_code is not None else 1,
        preempted=run.state is State.PREEMPTED,
        timeout=float(run.wandb.get("timeout", _WANDB_TIMEOUT)),
        environment={**os.environ, **run.command.environment},
    )
    if outcomes:
        run.wandb["runs"] = [dataclasses.asdict(outcome) for outcome in outcomes]
        run.notes += [f"W&B run {outcome.id}: {outcome.note}" for outcome in outcomes if outcome.note]
        records.write(run)


def _supervise(
    run: Run, environment: Mapping[str, str], signals: SignalQueue, log: _Log, *, show_output: bool
) -> tuple[Ending | None, Relay | None]:
    """Return how the tool ended (None: it could not be started) and who still shows its output."""
    grace = run.grace if run.grace is not None else (GRACE_IN_JOB if _in_job() else GRACE_HERE)
    procfs.adopt_orphans()
    _begin(run)
    tool = SupervisedTool(marker=f"{MARKER}={run.directory}", timeout=run.timeout, is_alone=True, log=log)
    descriptor = os.open(run.path / run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        offset = os.lseek(descriptor, 0, os.SEEK_END)
        argv = [*run.command.argv, *((run.resume or []) if run.attempt > 1 else [])]
        process = tool.start(argv, cwd=Path(run.command.cwd), environment=environment, output=descriptor)
    except OSError as error:
        _could_not_start(run, error, log)
        return None, None
    finally:
        os.close(descriptor)
    try:
        log(f"started process {process.pid}: {shlex.join(argv)}")
        run.process = records.Process(process.pid, process.start_time)
        _write_if_possible(run, log)
        destination = _stdout() if show_output else None
        relay = None if destination is None else Relay(run.path / run.log, offset, destination)
        if relay is not None:
            relay.start()
        next_heartbeat = time.monotonic() + HEARTBEAT
        while not tool.is_over:
            for number in signals.wait(tool.tick(grace)):
                _react(tool, number, signals, run, grace, log)
            if time.monotonic() >= next_heartbeat:
                next_heartbeat += HEARTBEAT
                with contextlib.suppress(OSError):
                    os.utime(run.path / SUPERVISOR_LOG)
    except BaseException:
        tool.kill()  # nothing may go on unwatched
        raise
    return tool.ending(), relay


def _stdout() -> int | None:
    """Return the descriptor of our stdout; None if it was closed when we were started, or isn't a file."""
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _write_if_possible(run: Run, log: _Log) -> None:
    """Write the record of a tool that runs: a disk that is full just now is no reason to end it."""
    try:
        records.write(run)
    except OSError as error:
        log(f"the record could not be written: {error.strerror}")


def _say_if_heard(message: str) -> None:
    """Say something unless we would have to wait with it: for a stopped terminal (Ctrl-S), or a reader that sleeps."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if select.select([], [sys.stderr.fileno()], [], 0)[1]:
            say(message)


def _react(
    tool: SupervisedTool, number: signal.Signals, signals: SignalQueue, run: Run, grace: float, log: _Log
) -> None:
    if number is signal.SIGTSTP:
        tool.suspend()
        signals.stop_ourselves()
        tool.resume()
    elif number is signal.SIGCONT:
        tool.resume()
    elif number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if tool.is_ending:
            if number is signal.SIGINT:
                tool.hasten()
            return
        request = StopRequest(State.CANCELLED, f"asked to stop by {_WORDS[number]}", number)
        if number is not signal.SIGINT and _in_job():
            grace -= min(_RESERVE, grace * _RESERVE_SHARE)
        # Kept in the record at once: if we are killed before the tool ends, it still tells why.
        run.reason = request.reason
        tool.request_stop(request, grace)
        _write_if_possible(run, log)
        _say_if_heard(f"{request.reason}: the tool has {grace:g} s to save its work; Ctrl-C again shortens that")


_WORDS = {
    signal.SIGINT: "Ctrl-C (SIGINT)",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP (the terminal has gone)",
}


def _begin(run: Run) -> None:
    run.state = State.RUNNING
    run.started = records.now()
    run.supervisor = supervisor_here()
    run.host = run.supervisor.host
    records.write(run)


def _conclude(run: Run, ending: Ending, log: _Log) -> None:
    job = slurm.current_job()
    if ending.stop is not None and ending.stop.number is signal.SIGTERM and job is not None:
        state, reason = slurm.why_asked_to_stop(job, run.grace or GRACE_IN_JOB)
        ending = dataclasses.replace(ending, stop=StopRequest(state, reason, signal.SIGTERM))
    verdict = outcome.judge(run, ending)
    run.state, run.exit_code, run.signal, run.reason = verdict.state, verdict.exit_code, verdict.signal, verdict.reason
    run.ended = records.now()
    run.duration = round(ending.duration, 3)
    run.cpu_time = round(ending.cpu_time, 3)
    run.peak_memory = ending.peak_memory
    if ending.left_behind:
        run.notes.append(f"the tool left {ending.left_behind} processes behind; they were ended")
    if ending.survivors:
        run.notes.append(f"{ending.survivors} processes of the tool survive SIGKILL (a dead file system?)")
    if run.state is State.FAILED:
        run.advice = outcome.advise(run, run.path / run.log)
    log(f"{run.state.value}, exit code {run.exit_code}" + (f": {run.reason}" if run.reason else ""))
    records.write(run)


def _could_not_start(run: Run, error: OSError, log: _Log) -> None:
    run.state = State.FAILED
    run.exit_code = EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_NOT_EXECUTABLE
    run.reason = f"{run.command.argv[0]} could not be started: {error.strerror}"
    if str(error.filename) == run.command.cwd:
        run.reason += f" ({run.command.cwd}, where it should start)"
    run.ended = records.now()
    log(run.reason)
    records.write(run)


def _abandon(run: Run, error: BaseException, log: _Log) -> None:
    """Close the record of a run whose tool was never started, or that we could not go on watching."""
    is_asked = isinstance(error, (KeyboardInterrupt, SystemExit))
    run.state = State.CANCELLED if is_asked else State.FAILED
    run.exit_code = 1
    if is_asked:
        run.exit_code = EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else int(str(error))
    run.reason = "asked to stop before the tool started" if is_asked else str(error)
    run.ended = records.now()
    log(run.reason)
    records.write(run)


@contextlib.contextmanager
def _turn(run: Run) -> Iterator[collect.Snapshot]:
    """Wait until no other run writes into the same checkout, if the tool does that; yield what is there now."""
    if run.collect_lock is None:
        yield {}
        return
    with contextlib.ExitStack() as stack:
        with ends_on_request():
            waiting = f"waiting for another run that writes into {run.collect[0]} …"
            stack.enter_context(locked(Path(run.collect_lock), on_wait=lambda: say(waiting)))
        yield collect.snapshot([Path(directory) for directory in run.collect])


def _bring_together(run: Run, before: collect.Snapshot) -> None:
    directories = [Path(directory) for directory in run.collect]
    try:
        run.collected = collect.bring_together(directories, before, run.path)
    except OSError as error:
        run.notes.append(f"what the tool wrote in its checkout could not all be moved here: {error}")


class _Log:
    """A line-by-line account, with times, of what the supervisor did. A full disk doesn't stop it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._descriptor, f"{records.now()} {line}\n".encode("utf-8", "surrogateescape"))


@contextlib.contextmanager
def _log_file(run: Run) -> Iterator[_Log]:
    descriptor = os.open(run.path / SUPERVISOR_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        yield _Log(descriptor)
    finally:
        os.close(descriptor)


def _in_job() -> bool:
    return slurm.current_job() is not None


def main(argv: Sequence[str]) -> int:
    """Execute the frozen run in the directory ``argv[0]`` and return the tool's exit code."""
    if len(argv) != 1:
        complain("usage: python -m experimentstash.execute RUN_DIRECTORY")
        return EXIT_USER_MISTAKE
    try:
        run = records.read(Path(argv[0]))
        if run.state is not State.FROZEN:
            raise StashError(f"The run {run.id} has been started already ({run.state.value}).", "experimentstash runs")
        run.supervisor = supervisor_here()
        records.write(run)
        executed = execute(run, show_output=sys.stdout is not None and sys.stdout.isatty())
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except OSError as error:
        complain(f"The record of {argv[0]} can't be written: {error.strerror}.")
        return 1
    return executed.run.exit_code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
