"""The true end of a tool's W&B runs once it has ended.

A tool that is killed takes wandb-core with it within 0.1 s, without a word to the log or the server. What happens then
is decided here; the W&B server is only ever asked from a child process (``wandb_sync``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.adapters.wandb import sync as wandb_sync
from experimentstash.adapters.wandb.runs import WandbRun
from experimentstash.adapters.wandb.sync import Status
from experimentstash.base.dataclass_light import dataclass

# How long wandb may take to let go of its log after the tool's death (wandb-core: 0.1 s; wandb 0.17: 2.6 s), in
# seconds, and the part of the time limit that this may use up.
CLOSING, CLOSING_SHARE = 5.0, 0.25
# An exit code from here on says that a signal ended the tool.
SIGNALLED = 128


@dataclass(frozen=True)
class WandbOutcome:
    """What became of one W&B run."""

    id: str
    directory: str  # relative to the run directory, if it is in there
    online: bool
    exit_code: int | None  # as its log has it; None: the log could not be completed
    delivered: bool  # whether the server knows the end; False for an offline run until it is synced
    note: str | None = None  # what went wrong, and the command that fixes it


def finish(
    run_directory: Path,
    *,
    exit_code: int,
    preempted: bool,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    elsewhere: Iterable[str] = (),
) -> list[WandbOutcome]:
    """Bring the W&B runs of a tool that has ended to their end, within ``timeout`` seconds.

    They are below the run directory, and in the directories ``elsewhere``. ``environment`` is the tool's (default:
    ours): the server's address and credentials. Never raises: what could not be done is in the notes. Doing it again
    does no harm.
    """
    deadline = time.monotonic() + timeout
    runs = [run for run in wandb_runs.find(run_directory, elsewhere) if not run.is_synced]
    if not runs:
        return []
    variables = os.environ if environment is None else environment
    try:
        still_written = wandb_runs.wait_until_closed(runs, min(CLOSING, timeout * CLOSING_SHARE))
    except OSError:
        still_written = []
    outcomes = {run: _complete(run, run_directory, exit_code, preempted, run in still_written) for run in runs}
    uploads = []
    for run, (outcome, is_ours) in list(outcomes.items()):
        # wandb waits for its upload before a tool exits by itself; a signal may have cut that short.
        if run.online and outcome.exit_code is not None and (is_ours or exit_code >= SIGNALLED):
            try:
                uploads.append(wandb_sync.describe(run, run_directory, variables))
            except (OSError, ValueError) as error:
                outcomes[run] = (_with(outcome, False, f"its log can't be read: {error}"), is_ours)
        elif run.online and outcome.exit_code is not None:
            outcomes[run] = (_with(outcome, True, None), is_ours)
    if uploads:
        try:
            sent = wandb_sync.upload(uploads, timeout=max(1.0, deadline - time.monotonic()), environment=variables)
        except OSError as error:  # a full disk, no more processes, …
            sent = {one.log: wandb_sync.Sent(Status.FAILED, str(error)) for one in uploads}
        for run, (outcome, is_ours) in outcomes.items():
            if result := sent.get(str(run.log)):
                note = None if result.status is not Status.FAILED else f"did not reach the server: {result.reason}"
                outcomes[run] = (_with(outcome, note is None, note), is_ours)
    return [outcome for outcome, _ in outcomes.values()]


def _complete(
    run: WandbRun, run_directory: Path, exit_code: int, preempted: bool, still_written: bool
) -> tuple[WandbOutcome, bool]:
    """Return the outcome so far, and whether the exit record in the log is ours."""
    folder = run.log.parent
    place = str(folder.relative_to(run_directory) if folder.is_relative_to(run_directory) else folder)
    unfinished = WandbOutcome(run.id, place, run.online, None, False)
    try:
        if still_written and wandb_runs.ending(run).exit_code is None:
            return _with(unfinished, False, "a process still writes to its log, which was left alone"), False
        had_end = wandb_runs.ending(run).exit_code is not None
        wandb_runs.complete(run, exit_code, preempted=preempted and not (had_end and run.online))
        ending = wandb_runs.ending(run)
        note = None
        if not run.online and wandb_runs.identify(run) is None:
            note = "wandb was killed before it wrote anything to its log (before wandb 0.31, up to 32 KiB are lost)"
        return WandbOutcome(run.id, place, run.online, ending.exit_code, False, note), ending.is_ours
    except OSError as error:
        return _with(unfinished, False, f"its log can't be completed: {error.strerror}"), False
    except ValueError as error:
        return _with(unfinished, False, f"its log can't be completed: {error}"), False


def _with(outcome: WandbOutcome, delivered: bool, problem: str | None) -> WandbOutcome:
    note = outcome.note
    if problem is not None:
        note = f"{problem}\n  → {wandb_sync.MEND}"
    return WandbOutcome(outcome.id, outcome.directory, outcome.online, outcome.exit_code, delivered, note)
