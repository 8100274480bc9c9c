"""The W&B runs of a run: where they are, and their final state."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters import schedulers
from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.base.output import complain
from experimentstash.record import records
from experimentstash.record.run import Run, State

_WANDB_TIMEOUT = 30.0
# Seconds by which the clock of a file system may be behind ours.
CLOCK_SLACK = 2.0
# Of what our job leaves us when the tool has ended, the share that its W&B runs may take.
_WANDB_SHARE = 0.6


def note_wandb(run: Run, folders: Iterable[str]) -> bool:
    """Keep in a record where W&B runs are that aren't in its directory; tell whether there is a new one."""
    folders = set(folders)
    if not folders:
        return False
    known = run.attempt.wandb_elsewhere
    inside = os.path.realpath(run.path)
    found = {folder for folder in map(os.path.realpath, folders) if not f"{folder}/".startswith(f"{inside}/")}
    if found <= set(known):
        return False
    for folder in sorted(found - set(known)):
        try:
            wandb_places.claim(folder, run.id)
        except OSError as error:
            run.attempt.notes.append(
                f"the W&B run in {folder} can't be marked as its own, and is left alone: {error.strerror}"
            )
    run.attempt.wandb_elsewhere = sorted({*known, *found})
    return True


def find_wandb(run: Run, log_offset: int, began: float) -> None:
    """Note the W&B runs outside the run directory of which the tool's output tells, since it ``began``."""
    since = began - CLOCK_SLACK
    note_wandb(run, wandb_places.printed(run.path / run.attempt.log, log_offset, cwd=run.spec.command.cwd, since=since))


def wandb_logs(run: Run) -> list[Path]:
    """Return the logs of the W&B runs of a run that has ended, wherever they are."""
    elsewhere = wandb_places.claimed(run.wandb_elsewhere, run.id)
    return [*wandb_places.below(run.path), *wandb_places.in_folders(elsewhere)]


def finish_wandb(run: Run) -> None:
    """Bring the W&B runs of an ended run to their final state; whatever comes of that, the run's outcome stays."""
    if not wandb_logs(run):
        return
    from experimentstash.adapters.wandb import finish as wandb_finish  # here, because most runs need nothing of it

    outcomes = wandb_finish.finish(
        run.path,
        exit_code=run.attempt.exit_code if run.attempt.exit_code is not None else 1,
        preempted=run.attempt.state is State.PREEMPTED,
        timeout=_wandb_timeout(run),
        environment={**os.environ, **run.spec.command.environment},
        elsewhere=wandb_places.claimed(run.wandb_elsewhere, run.id),
    )
    if outcomes:
        run.attempt.wandb = [vars(outcome) for outcome in outcomes]
        run.attempt.notes += [f"W&B run {outcome.id}: {outcome.note}" for outcome in outcomes if outcome.note]
        try:
            records.write(run)
        except OSError as error:  # its end is recorded, and `experimentstash sync` looks for W&B runs itself
            complain(f"{run.id}: what became of its W&B runs can't be recorded: {error.strerror}")


def _wandb_timeout(run: Run) -> float:
    """Return how many seconds the W&B runs of an ended run may take: less than our job leaves us."""
    timeout = _WANDB_TIMEOUT if run.spec.wandb_timeout is None else run.spec.wandb_timeout
    job = schedulers.here()
    left = None if job is None else job.left()
    return timeout if left is None else min(timeout, left * _WANDB_SHARE)
