"""``experimentstash logs RUN [--follow]``: what the tool wrote."""

from __future__ import annotations

import shutil
import time
from typing import BinaryIO

from experimentstash.errors import StashError
from experimentstash.records import Run
from experimentstash.relay import Relay
from experimentstash.runs import look
from experimentstash.workspace import Stash

# Seconds between two looks at whether the run goes on.
_INTERVAL = 0.5


def logs(stash: Stash, run: Run, destination: BinaryIO, *, follow: bool = False, attempt: int | None = None) -> None:
    """Write the log of a run's attempt (default: the latest) to ``destination``; with ``follow`` until the run ends.

    Raises StashError if there is no such attempt, or no log.
    """
    path = run.path / _log_name(run, attempt)
    if not path.exists():
        raise StashError(f"The run {run.id} has no log yet ({run.state.value}).", f"experimentstash show {run.id}")
    if not follow or attempt not in (None, run.attempt):
        with path.open("rb") as stream:
            shutil.copyfileobj(stream, destination)
        destination.flush()
        return
    relay = Relay(path, 0, destination.fileno())
    relay.start()
    while not look(stash, run.path).state.is_final and not relay.is_broken:
        time.sleep(_INTERVAL)
    relay.finish()


def _log_name(run: Run, attempt: int | None) -> str:
    if attempt in (None, run.attempt):
        return run.log
    for earlier in run.attempts:
        if earlier.number == attempt:
            return earlier.log
    raise StashError(f"The run {run.id} has had {run.attempt} attempts, not {attempt}.")
