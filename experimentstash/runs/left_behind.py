"""What a dead supervisor has left at work: it is waited for, and ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity
from experimentstash.base.output import say
from experimentstash.execute.account import MARKER, marker_of
from experimentstash.execute.children import KILL_PATIENCE
from experimentstash.execute.execution import GRACE_HERE
from experimentstash.record.records import FILE_NAME
from experimentstash.record.run import Run, State, Supervisor
from experimentstash.runs.whereabouts import is_local, is_supervised_by

# Seconds that starting a tool may take at most, from the record that says it runs to the one that names its process.
_STARTING = 1.0
LOOK_INTERVAL = 0.05


def end_leftovers(run: Run) -> None:
    """Wait for what a dead supervisor's tool has been told to do, for its grace at most; then kill it."""
    if run.attempt.supervisor is None or not is_local(run) or run.attempt.state is State.QUEUED:
        return
    marker = marker_of(run)
    recorded = Path(run.spec.command.environment.get(MARKER, run.directory))
    if (recorded / FILE_NAME).exists() and not recorded.samefile(run.path):  # the processes are another run's
        return
    _wait_for_keeper(run, run.attempt.supervisor)
    deadline = time.monotonic() + (GRACE_HERE if run.attempt.terms.grace is None else run.attempt.terms.grace)
    main = set()
    if run.attempt.process is not None:
        entries = procfs.environment(run.attempt.process.pid)
        if entries is None or os.fsencode(marker) in entries:  # whatever a record says: no other process is ended
            main = {Identity(run.attempt.process.pid, run.attempt.process.start_time)}
    # A tool that is just being started shows whose it is only once its program is executed.
    settled = time.monotonic() + (
        _STARTING if run.attempt.state is State.RUNNING and run.attempt.process is None else 0.0
    )
    while not (members := _living(marker, main)) and time.monotonic() < settled:
        time.sleep(LOOK_INTERVAL)
    if members:
        say(f"the supervisor of {run.id} is gone; ending the {len(members)} processes it left …")
        for member in members:
            # The kernel has told the main process already; what it started in sessions of their own knows nothing yet.
            if run.attempt.process is None or member.pid != run.attempt.process.pid:
                procfs.send(member, signal.SIGTERM)
            procfs.send(member, signal.SIGCONT)  # stopped by Ctrl-Z, it couldn't even end
    while members:
        if time.monotonic() > deadline:
            for member in members:
                procfs.send(member, signal.SIGKILL)
        if time.monotonic() > deadline + KILL_PATIENCE:
            run.attempt.notes.append(f"{len(members)} processes of the tool survive SIGKILL (a dead file system?)")
            return
        time.sleep(LOOK_INTERVAL)
        members = _living(marker, members | main)


def _wait_for_keeper(run: Run, supervisor: Supervisor) -> None:
    """Wait until the keeper of a dead supervisor has ended what that left, hidden processes among it."""
    grace = GRACE_HERE if run.attempt.terms.grace is None else run.attempt.terms.grace
    patience = time.monotonic() + grace + 2 * KILL_PATIENCE
    has_said = False
    keeper = supervisor.keeper
    if keeper is None or not is_supervised_by(run, keeper.pid):
        return
    while time.monotonic() < patience:
        if not procfs.is_alive(Identity(keeper.pid, keeper.start_time)):
            return
        if not has_said:
            say(f"the supervisor of {run.id} is gone; what it left is being ended …")
            has_said = True
        time.sleep(LOOK_INTERVAL)


def _living(marker: str, known: set[Identity]) -> set[Identity]:
    """Return the living processes of a run, ``known`` ones among them.

    One that is ending has given up its environment already: those that are known are looked for by themselves.
    """
    # A second look for a child whose parent ended just before its turn came in the first.
    found = procfs.members(marker) or procfs.members(marker)
    return found | {one for one in known if procfs.is_alive(one)}
