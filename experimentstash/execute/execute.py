"""Executes a frozen run: starts its tool, watches over it to its end, and records that end.

Needs no Hydra, no conf/ and no network. ``python -m experimentstash.execute.execute RUN_DIRECTORY`` does it in a job.
"""

from __future__ import annotations

import contextlib
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base import permissions
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import EXIT_USER_MISTAKE, StashError
from experimentstash.base.output import complain, fit_streams, guarded, is_terminal, say
from experimentstash.execute import keeper
from experimentstash.execute.ending import StopRequest
from experimentstash.execute.execution import Execution
from experimentstash.execute.pool import IDLE, TURN_INTERVAL, RunPool
from experimentstash.record import records
from experimentstash.record.run import Run, State


@dataclass(frozen=True)
class Executed:
    """A run that has ended, and the first signal that asked us to stop, if only after its tool's own end."""

    run: Run
    interrupted_by: signal.Signals | None = None


def execute(run: Run, *, show_output: bool, secrets: Mapping[str, str] | None = None) -> Executed:
    """Run the tool of a frozen run to its end and record it. ``secrets`` are values that the record must not keep.

    Raises StashError if a secret that it needs isn't there (the record is closed then), or if the record can't be
    written.
    """
    single = _Single(run, secrets or {}, show_output=show_output)
    with single.pool:
        single.pool.run()
    if single.error is not None:
        raise single.error
    return Executed(run, single.pool.interrupted_by)


class _Single:
    """The one run of a pool with one slot."""

    def __init__(self, run: Run, secrets: Mapping[str, str], *, show_output: bool) -> None:
        self._run, self._secrets, self._show_output = run, secrets, show_output
        self.pool = RunPool((None,), self, in_turn=True)
        self.has_more = True  # its turn has not come
        self._is_said = False
        self.error: StashError | None = None

    def begin_what_can(self) -> float:
        if not self.has_more:
            return IDLE
        if self.pool.begin(self._run, self._secrets, show_output=self._show_output):
            self.has_more = False
            return 0.0
        if not self._is_said:
            self._is_said = True
            waiting = f"waiting for another run that writes into {self._run.spec.collect[0]} …"
            Execution(self._run).note(waiting)
            say(waiting)
        return TURN_INTERVAL

    def has_begun(self, run: Run) -> None: ...

    def has_left(self, run: Run) -> None: ...

    def has_ended(self, run: Run) -> None: ...

    def has_failed(self, run: Run, error: StashError) -> None:
        self.error = error

    def was_interrupted(self, request: StopRequest, graces: Sequence[float]) -> None:
        if self.has_more:
            self.has_more = False
            code = 128 + (request.number or signal.SIGTERM)
            Execution(self._run).give_up(State.CANCELLED, "asked to stop before the tool started", code)
        for grace in graces:
            _say_if_heard(
                f"{request.reason}: the tool has {grace:g} s to save its work; Ctrl-C again shortens that",
                request.number,
            )


def _say_if_heard(message: str, number: signal.Signals | None) -> None:
    """Say something unless we would have to wait with it: for a stopped terminal (Ctrl-S), or a reader that sleeps."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if select.select([], [sys.stderr.fileno()], [], 0)[1]:
            if number is signal.SIGINT and is_terminal():  # which has shown it as ^C, wherever its cursor was
                print(file=sys.stderr)
            say(message)


def main(argv: Sequence[str]) -> int:
    """Execute the frozen run in the directory ``argv[0]`` and return the tool's exit code."""
    fit_streams()
    if len(argv) != 1:
        complain("usage: python -m experimentstash.execute.execute RUN_DIRECTORY")
        return EXIT_USER_MISTAKE
    try:
        run = records.read(Path(argv[0]))
        permissions.follow(run.path / records.FILE_NAME)
        if run.attempt.state is not State.FROZEN:
            raise StashError(
                f"The run {run.id} has been started already ({run.attempt.state.value}).", "experimentstash runs"
            )
        run.attempt.supervisor = supervisor_here()
        records.write(run)
        executed = execute(run, show_output=sys.stdout is not None and sys.stdout.isatty())
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except OSError as error:
        complain(f"The record of {argv[0]} can't be written: {error.strerror}.")
        return 1
    return executed.run.attempt.exit_code or 0


if __name__ == "__main__":
    with keeper.kept(), guarded():
        sys.exit(main(sys.argv[1:]))
