"""What is looked at before a run or a sweep begins: the application's callback for Hydra."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from experimentstash import records, sweep_size, sweepers
from experimentstash import session as sessions
from experimentstash.errors import StashError
from experimentstash.execute import GRACE_IN_JOB
from experimentstash.files import lock_if_free
from experimentstash.job_config import is_dry
from experimentstash.output import Meter, say
from experimentstash.preparing import refuse_secret_variables
from experimentstash.schema import LocalLauncherConfig, SlurmLauncherConfig

# What Hydra's configuration calls the callback.
NAME = "experimentstash"
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
# In a sweep's directory, held while a command is at work on it.
LOCK = ".lock"
_OUR_LAUNCHERS = (LocalLauncherConfig._target_, SlurmLauncherConfig._target_)


class Refusal(BaseException):
    """Ends Hydra's work from a callback, where Hydra would turn any Exception into a warning."""


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise Refusal from error


def _launch_with(config: DictConfig, launcher: LocalLauncherConfig) -> None:
    with read_write(config), open_dict(config):
        config.hydra.launcher = asdict(launcher)


class Guard(Callback):
    """Refuses what can't work before it begins, and hands the grace signal to submitit's SLURM launcher."""

    @_refusing()
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.run.dir)
        refuse_secret_variables(config.hydra.job.env_set)
        if (directory / records.FILE_NAME).exists():
            raise records.already_taken(directory)

    @_refusing()
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.sweep.dir).absolute()
        refuse_secret_variables(config.hydra.job.env_set)
        session = sessions.present()
        is_new = session is None or session.continuation is None
        if is_new and next(records.directories(directory), None) is not None:
            raise records.already_taken(directory, f"experimentstash resume {shlex.quote(str(directory))}")
        sweeper = str(config.hydra.sweeper._target_)
        organizer = config.hydra.runtime.choices.get("exp")
        if organizer is not None and config.objective is None and sweepers.needs_results(sweeper):
            raise sweepers.no_objective(organizer)  # one that is swept over is looked at when it is frozen
        launcher = str(config.hydra.launcher._target_)
        if not is_new and launcher not in (*_OUR_LAUNCHERS, BASIC_LAUNCHER):
            raise _would_do_again(str(directory), launcher)
        if session is not None:
            session.lock = lock_if_free(directory / LOCK)
            if session.lock is None:
                raise StashError(f"Another command is at work on {directory}.", "wait until it has ended")
            session.sweep, session.sweeper = directory, sweeper
        remark = sweep_size.remark(config)
        if remark is not None:
            say(remark if is_dry(config) else f"{remark}; dry_run=true shows what they would ask for")
        is_shown_here = config.dry_run and launcher != SlurmLauncherConfig._target_
        if config.validate_only or is_shown_here:  # nothing runs, so nothing needs to be launched elsewhere
            _launch_with(config, LocalLauncherConfig())
        elif not is_new and launcher == BASIC_LAUNCHER:  # as it does it, and able to leave out what is done
            _launch_with(config, LocalLauncherConfig(n_jobs=1))
        elif launcher.endswith(".submitit_launcher.SlurmLauncher"):
            seconds = int(config.grace.seconds or GRACE_IN_JOB)
            with read_write(config), open_dict(config):
                config.hydra.launcher.signal_delay_s = seconds
                parameters = dict(config.hydra.launcher.get("additional_parameters") or {})
                parameters.setdefault("signal", f"{config.grace.signal}@{seconds}")
                config.hydra.launcher.additional_parameters = parameters
        if session is not None and session.loader is not None:
            one_by_one = config.hydra.launcher._target_ in (*_OUR_LAUNCHERS, BASIC_LAUNCHER)
            session.loader.meter = Meter("checked")
            session.loader.is_shared = one_by_one and list(config.hydra.callbacks) == [NAME]


def _would_do_again(sweep: str, launcher: str) -> StashError:
    """Return the error for a launcher that would do again what is done."""
    return StashError(
        f"The launcher {launcher} can't leave out what is done.",
        f"experimentstash resume {shlex.quote(sweep)} hydra/launcher=slurm (or local)",
    )
