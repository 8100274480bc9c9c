"""The task functions of Hydra's launchers. They go by their names into other processes, and into submitit's jobs."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experimentstash.base.output import paper_of, say
from experimentstash.compose import sweepers
from experimentstash.compose.job import HydraJob
from experimentstash.execute.execute import execute
from experimentstash.launch import context as contexts
from experimentstash.launch.prepare import Prepared, Rejected, Spared, prepare_job
from experimentstash.launch.sweep_asked import BASIC_LAUNCHER
from experimentstash.launch.unicode_elsewhere import as_usual
from experimentstash.runs.summary import ending_line

if TYPE_CHECKING:
    from experimentstash.adapters.numbers.objective import Result


def prepare(config: DictConfig) -> Prepared | Spared | Rejected | None:
    """Freeze one composed experiment: a task function for launchers that leave executing to others."""
    as_usual()
    return prepare_job(HydraJob(config))


def task(config: DictConfig) -> Result | None:
    """Freeze and execute one composed experiment: the task function of Hydra's launchers.

    Returns the objective's value. A tool that fails is an error here only if the sweeper needs that: its run's record
    tells.
    """
    prepared = prepare(config)
    if isinstance(prepared, Spared):
        return prepared.earlier.attempt.result
    if not isinstance(prepared, Prepared) or config.dry_run:
        return None
    context = contexts.here()
    stash, run = context.stash, prepared.run
    say(f"{run.spec.organizer or run.spec.experiment or run.spec.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=_shows_output(), secrets=prepared.secrets)
    context.account.has_executed(executed)
    if run.sweep is None:
        return run.attempt.result
    say(ending_line(stash, run, paper_of(sys.stderr)))  # its sweep may go on for long
    # Where a launcher runs all jobs in this process, asking one of them to stop means the whole sweep.
    launcher, number = HydraConfig.get().launcher._target_, executed.interrupted_by
    if number is not None and launcher == BASIC_LAUNCHER:
        raise KeyboardInterrupt if number is signal.SIGINT else SystemExit(128 + number)
    if run.attempt.result is None and sweepers.needs_results(str(HydraConfig.get().sweeper._target_)):
        raise sweepers.no_result(run)
    return run.attempt.result


def _shows_output() -> bool:
    # A submitit job's stdout is a log file beside the run's own.
    return "SUBMITIT_EXECUTOR" not in os.environ
