"""``experimentstash logs RUN [--follow]``: what the tool wrote."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from typing import BinaryIO

from experimentstash.commands import choosing
from experimentstash.errors import StashError
from experimentstash.files import Unfit, open_regular
from experimentstash.output import say
from experimentstash.records import Run, State
from experimentstash.relay import Relay
from experimentstash.runs import find, is_local, look
from experimentstash.workspace import Stash, find_stash

# Seconds between two looks at whether the run goes on.
_INTERVAL = 0.5
# The same where SLURM has to be asked.
_DISTANT_INTERVAL = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_one(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    parser.add_argument("--attempt", type=int, metavar="N", help="of the Nth attempt (default: the latest)")


def main(given: argparse.Namespace) -> int:
    """Print the log of a run."""
    stash = find_stash()
    logs(stash, find(stash, given.run), sys.stdout.buffer, follow=given.follow, attempt=given.attempt)
    return 0


def logs(stash: Stash, run: Run, destination: BinaryIO, *, follow: bool = False, attempt: int | None = None) -> None:
    """Write the log of a run's attempt (default: the latest) to ``destination``; with ``follow`` until the run ends.

    Raises StashError if there is no such attempt, or no log.
    """
    if follow and attempt is None:
        run = _begun(stash, run)
    path = run.path / _log_name(run, attempt)
    if not os.path.lexists(path):
        raise StashError(f"The run {run.id} has no log yet ({run.state.value}).", f"experimentstash show {run.id}")
    if not follow or attempt not in (None, run.attempt):
        try:
            with open(path, "rb", opener=open_regular) as stream:
                shutil.copyfileobj(stream, destination)
        except Unfit as error:
            raise StashError(f"{path} can't be shown: {error.strerror}.") from error
        destination.flush()
        return
    relay = Relay(path, 0, destination.fileno())
    relay.start()
    interval = _INTERVAL if is_local(run) else _DISTANT_INTERVAL
    while not _is_over(look(stash, run.path), run.attempt) and not relay.is_broken:
        time.sleep(interval)
    relay.finish()


def _is_over(run: Run, attempt: int) -> bool:
    return run.state.is_final or run.attempt != attempt


def _begun(stash: Stash, run: Run) -> Run:
    """Wait until SLURM has started a run that is queued."""
    if run.state is State.QUEUED:
        say(f"{run.id} is queued; waiting until SLURM starts it …")
    while run.state is State.QUEUED:
        time.sleep(_DISTANT_INTERVAL)
        run = look(stash, run.path)
    return run


def _log_name(run: Run, attempt: int | None) -> str:
    if attempt in (None, run.attempt):
        return run.log
    for earlier in run.attempts:
        if earlier.number == attempt:
            return earlier.log
    raise StashError(f"The run {run.id} has had {run.attempt} attempts, not {attempt}.")
