"""``experimentstash logs RUN [--follow]``: what the tool wrote."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.masking import Mask
from experimentstash.base.output import say
from experimentstash.base.tail import Relay
from experimentstash.cli.commands import choosing
from experimentstash.record import archives, records
from experimentstash.record.run import Run, State
from experimentstash.runs import log, naming
from experimentstash.runs.reconcile import load_reconciled, may_go_back
from experimentstash.runs.summary import title, words
from experimentstash.runs.whereabouts import is_local
from experimentstash.stash.layout import Stash, find_stash

_NOT_BEGUN = (State.FROZEN, State.QUEUED)
# Seconds between two looks at whether the run goes on.
_INTERVAL = 0.5
# The same where SLURM has to be asked.
_DISTANT_INTERVAL = 5.0


EXAMPLES = (
    ("logs", "of the latest run"),
    ("logs k3f9a2b-7 -f", "of a run of a sweep, until it ends"),
    ("logs k3f9a2b --attempt 1", "of its first attempt"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_one(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    parser.add_argument("--attempt", type=int, metavar="N", help="of the Nth attempt (default: the latest)")


def main(given: argparse.Namespace) -> int:
    """Print the log of a run, or one after the other those of a sweep, each with its run's name in front."""
    stash = find_stash()
    found = naming.find(stash, given.run)
    if isinstance(found, Run):
        logs(stash, found, sys.stdout.buffer, follow=given.follow, attempt=given.attempt)
        return 0
    if given.attempt is not None:
        raise StashError(f"{found.name} is a sweep: an attempt is one at a run.", f"experimentstash runs {found.name}")
    unread: list[Path] = []
    for number, run in enumerate(naming.runs_of(stash, found, unread)):
        if not given.follow and not _has_log(run):
            say(f"{run.id} has no log yet ({words(run.attempt.state)})")
            continue
        print(f"{chr(10) if number else ''}==> {run.id}  {title(run)} <==", flush=True)
        logs(stash, run, sys.stdout.buffer, follow=given.follow)
    return 1 if unread else 0


def logs(stash: Stash, run: Run, destination: BinaryIO, *, follow: bool = False, attempt: int | None = None) -> None:
    """Write the log of a run's attempt (default: the latest) to ``destination``; with ``follow`` until the run ends.

    A run that goes back into SLURM's queue is followed into its next attempt. Raises StashError if there is no such
    attempt, or no log, or if the run is removed meanwhile.
    """
    if follow and attempt in (None, run.attempt.number) and archives.holding(run.path) is None:
        _follow(stash, run, destination, only=attempt is not None)
        return
    log.copy(run, destination, attempt)
    destination.flush()


def _follow(stash: Stash, run: Run, destination: BinaryIO, *, only: bool) -> None:
    """Show one attempt after the other until the run has ended for good, and then say how, unless it had already.

    ``only`` the latest attempt, if that is what was asked for.
    """
    was_over = run.attempt.state.is_final and not may_go_back(run, JobQueries())
    first = number = run.attempt.number  # the next one to be shown
    while True:
        run = _begun(stash, run)
        for earlier in run.earlier:  # it went by while nobody looked
            if earlier.number >= number and os.path.lexists(run.path / earlier.log):
                _announce(run, earlier.number, first)
                relay = _relay(run, earlier.log, destination)
                relay.finish()
        number = run.attempt.number
        if run.attempt.state in _NOT_BEGUN:
            continue
        if number > first and not _has_log(run):
            break  # it never began
        _announce(run, number, first)
        relay = _relay(run, run.attempt.log, destination)
        now = _await_the_end(stash, run, relay)
        if now is None:  # nobody reads on
            return
        relay.finish()
        run = now
        if run.attempt.number == number:
            break
        if only:
            return
        number += 1
    if not was_over:
        say(f"{run.id}: {words(run.attempt.state)}{f': {run.attempt.reason}' if run.attempt.reason else ''}")


def _announce(run: Run, number: int, first: int) -> None:
    if number > first:
        say(f"{run.id}: attempt {number}")


def _relay(run: Run, name: str, destination: BinaryIO) -> Relay:
    log.opened(run, name).close()
    relay = Relay(run.path / name, 0, destination.fileno(), Mask(os.environ))
    relay.start()
    return relay


def _await_the_end(stash: Stash, run: Run, relay: Relay) -> Run | None:
    """Return a run when its attempt has ended, and has either been followed by another one or is the last; None if the
    reader has gone.
    """
    has_said = False
    while not relay.is_broken:
        queries = JobQueries()
        now = _looked_at(stash, run, queries)
        if now.attempt.number != run.attempt.number:
            return now
        if now.attempt.state.is_final:
            if not may_go_back(now, queries):
                return now
            if not has_said:
                say(f"{now.id}: {words(now.attempt.state)}; it may go back into SLURM's queue, waiting for that …")
                has_said = True
        time.sleep(_INTERVAL if is_local(now) else _DISTANT_INTERVAL)
    return None


def _begun(stash: Stash, run: Run) -> Run:
    """Wait until a run's attempt has begun, or is not to, or another one has taken its place."""
    attempt, has_said = run.attempt.number, False
    while (run.attempt.number == attempt and run.attempt.state in _NOT_BEGUN) or (
        run.attempt.state is State.RUNNING and not _has_log(run)
    ):
        if not has_said:
            where = (
                "queued; waiting until SLURM starts it"
                if run.attempt.state is State.QUEUED
                else "not started yet; waiting"
            )
            again = f" for attempt {run.attempt.number}" if run.attempt.number > 1 else ""
            say(f"{run.id} is {where}{again} …")
            has_said = True
        time.sleep(_DISTANT_INTERVAL if run.attempt.state is State.QUEUED else _INTERVAL)
        run = _looked_at(stash, run, JobQueries())
    return run


def _has_log(run: Run) -> bool:
    return archives.exists(run.path / run.attempt.log)


def _looked_at(stash: Stash, run: Run, queries: JobQueries) -> Run:
    try:
        return load_reconciled(stash, run.path, queries)
    except StashError as error:
        if os.path.lexists(run.path / records.FILE_NAME):
            raise
        raise StashError(
            f"The run {run.id} is no longer in {run.path}: it was moved or removed while it was followed.",
            "experimentstash runs",
        ) from error
