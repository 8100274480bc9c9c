"""What is looked at between composing and the first job: the application of Hydra's that we run."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from experimentstash.adapters.slurm import job_terms
from experimentstash.base import durations, limits, permissions
from experimentstash.base.errors import StashError
from experimentstash.base.files import lock_if_free
from experimentstash.base.output import Meter, say
from experimentstash.base.redaction import contains_secret, find_secret
from experimentstash.compose import hydra_files, sweep_size, sweepers
from experimentstash.compose.hydra_compat import Hydra
from experimentstash.compose.job_config import SUBMITIT_SLURM, asked_by_submitit, is_dry
from experimentstash.compose.stash_loader import StashLoader, launching
from experimentstash.compose.variations import SweepLoader
from experimentstash.execute.execution import GRACE_IN_JOB
from experimentstash.freeze import freeze
from experimentstash.launch import session as sessions
from experimentstash.launch.continuing import BASIC_LAUNCHER, launcher_instead, way_on
from experimentstash.launch.preparing import refuse_secret_variables
from experimentstash.record import records
from experimentstash.stash.schema import LocalLauncherConfig, SlurmLauncherConfig

# In a sweep's directory, held while a command is at work on it.
LOCK = ".lock"
# Ours that do the work of submitit's launchers.
_INSTEAD_OF_STOCK = "hydra_plugins.experimentstash_launcher.submitit.Submitit"
_SUBMITIT_LOCAL = ".submitit_launcher.LocalLauncher"
# What its settings call otherwise than sbatch.
_ITS_OPTIONS = {"timeout_min": "time", "mem_gb": "mem", "tasks_per_node": "ntasks-per-node", "name": "job-name"}
# What it has settings of its own for that are texts.
_ITS_TEXTS = ("account", "constraint", "gres", "partition", "qos")
# Where sbatch's own --signal is given to submitit.
_OWN_SIGNAL = "hydra.launcher.additional_parameters.signal"
# Seconds before the wall time at which SLURM warns a job whose --signal doesn't say.
_SLURMS_GRACE = 60.0
# What a batch script of submitit's does where a line of `setup` has failed. It doesn't give its own name: what has that
# is a copy on the node, which goes with the job.
_SAY_AND_END = (
    'echo "stash: line $LINENO of the batch script, in hydra.launcher.setup, failed with exit code $stash_code:'
    ' $BASH_COMMAND" >&2; exit $stash_code'
)


class Application(Hydra):
    """Hydra's application, which looks once more before a run or a sweep begins.

    It is no callback's work: how a sweep is launched may be changed only before Hydra looks at it, and whatever is
    wrong is to end it.
    """

    _begin: Callable[[DictConfig, StashLoader], None] | None = None

    def run(self, *arguments: Any, **options: Any) -> JobReturn:
        self._begin = _begin_run
        return super().run(*arguments, **options)

    def multirun(self, *arguments: Any, **options: Any) -> Any:
        self._begin = _begin_sweep
        return super().multirun(*arguments, **options)

    def compose_config(self, *arguments: Any, **options: Any) -> DictConfig:
        config = super().compose_config(*arguments, **options)
        begin, self._begin = self._begin, None
        if begin is not None:
            assert isinstance(self.config_loader, StashLoader)
            begin(config, self.config_loader)
        return config


class OtherMode(Exception):
    """The configuration itself says that it is of a sweep."""


def _launch_by(config: DictConfig, launcher: str) -> None:
    """Have another launcher do it, with the settings of the one that was chosen."""
    with read_write(config), open_dict(config):
        config.hydra.launcher._target_ = launcher


def _launch_with(config: DictConfig, launcher: LocalLauncherConfig) -> None:
    with read_write(config), open_dict(config):
        config.hydra.launcher = asdict(launcher)


def _begin_run(config: DictConfig, loader: StashLoader) -> None:
    """Refuse a run that can't work, before it begins."""
    if config.hydra.mode not in (None, RunMode.RUN):
        raise OtherMode
    directory = Path(config.hydra.run.dir)
    permissions.tighten(permissions.MASKS[config.permissions.value])
    refuse_secret_variables(config.hydra.job.env_set)
    _refuse_secrets(config, directory)
    if (directory / records.FILE_NAME).exists():
        raise records.already_taken(directory)
    if config.hydra.launcher._target_ != BASIC_LAUNCHER and not is_dry(config):
        chosen = config.hydra.runtime.choices.get("hydra/launcher")
        say(f"hydra/launcher={chosen} is for sweeps: a single run goes on right here (with -m it is launched)")
    if (session := sessions.present()) is not None:
        subdirectory = config.hydra.output_subdir
        names = [] if subdirectory is None else [f"{subdirectory}/{name}" for name in hydra_files.KEPT]
        session.before = hydra_files.look(directory.absolute(), names)


def _begin_sweep(config: DictConfig, loader: StashLoader) -> None:
    """Refuse a sweep that can't work, before it begins, and have it launched by what serves it best."""
    directory = Path(config.hydra.sweep.dir).absolute()
    permissions.tighten(permissions.MASKS[config.permissions.value])
    refuse_secret_variables(config.hydra.job.env_set)
    _refuse_secrets(config, directory)
    session = sessions.present()
    is_new = session is None or session.continuation is None
    if is_new and next(records.directories(directory), None) is not None:
        raise records.already_taken(directory, _way_on(directory))
    sweeper = str(config.hydra.sweeper._target_)
    organizer = config.hydra.runtime.choices.get("exp")
    if organizer is not None and config.objective is None and sweepers.needs_results(sweeper):
        raise sweepers.no_objective(organizer)  # one that is swept over is looked at when it is frozen
    launcher = str(config.hydra.launcher._target_)
    if not is_new and (instead := launcher_instead(launcher)) is not None:
        raise StashError(
            f"The launcher {launcher} can't leave out what is done.",
            f"experimentstash resume {shlex.quote(str(directory))} hydra/launcher={instead}",
        )
    if session is not None:
        session.before = hydra_files.look(directory, [records.SWEEP_FILE, records.JOBS_FILE, LOCK])
        session.lock = lock_if_free(directory / LOCK)
        if session.lock is None:
            raise StashError(f"Another command is at work on {directory}.", "wait until it has ended")
        session.sweep, session.sweeper = directory, sweeper
    loader.begun_with = launching(config)
    remark = sweep_size.remark(config) if is_new else None
    if sweeper == sweepers.BASIC:
        with read_write(config), open_dict(config):
            config.hydra.sweeper._target_ = sweepers.INSTEAD_OF_BASIC
    if remark is not None:
        say(remark if is_dry(config) else f"{remark}; dry_run=true shows what they would ask for")
    is_shown_here = config.dry_run and launcher != SlurmLauncherConfig._target_
    if launcher.endswith(SUBMITIT_SLURM) and not config.validate_only:
        borrowed = _fill_what_nobody_asked(config)
        if session is not None:
            session.borrowed = borrowed
            session.of_launcher = asked_by_submitit(config.hydra.launcher)
        if (unheeded := freeze.unheeded(config.resources)) is not None:
            say(unheeded)
    if config.validate_only or is_shown_here:  # nothing runs, so nothing needs to be launched elsewhere
        _launch_with(config, LocalLauncherConfig())
    elif not is_new and launcher == BASIC_LAUNCHER:  # as it does it, and able to leave out what is done
        _launch_with(config, LocalLauncherConfig(n_jobs=1))
    elif launcher.endswith(SUBMITIT_SLURM):
        _have_submitit_warn(config)
        if session is not None:
            with read_write(config), open_dict(config):
                config.hydra.launcher.setup = [sessions.to_tell(session), *config.hydra.launcher.setup]
        _launch_by(config, f"{_INSTEAD_OF_STOCK}SlurmLauncher")
    elif launcher.endswith(_SUBMITIT_LOCAL):
        _launch_by(config, f"{_INSTEAD_OF_STOCK}LocalLauncher")
    if isinstance(loader, SweepLoader):
        one_by_one = launcher_instead(config.hydra.launcher._target_) is None
        loader.meter = Meter("checked")
        loader.is_shared = one_by_one and not config.hydra.callbacks


def _refuse_secrets(config: DictConfig, directory: Path) -> None:
    """Refuse a secret that is written out in the configuration, which Hydra keeps as it stands, or in a path."""
    written = str(OmegaConf.to_container(config, resolve=False, enum_to_str=True))
    found = find_secret([written, str(directory)], os.environ)
    if found is not None:
        raise contains_secret(found, "The configuration")


def _fill_what_nobody_asked(config: DictConfig) -> dict[str, str]:
    """Have submitit ask for what sbatch's variables say, where the settings say nothing; sbatch itself gets none.

    Returns the variables whose values these are.
    """
    launcher = config.hydra.launcher
    parameters = dict(launcher.get("additional_parameters") or {})
    set_ones = [str(name) for name, value in launcher.items() if value is not None]
    asked = {_ITS_OPTIONS.get(name, name).replace("_", "-") for name in [*set_ones, *map(str, parameters)]}
    from experimentstash.launch.slurm import sbatch_variables  # here, as below: most runs need nothing of it

    filling = sbatch_variables.fill(os.environ, asked)
    for remark in sbatch_variables.remarks(os.environ, filling):
        say(remark)
    with read_write(config), open_dict(config):
        for option, text in filling.options:
            if option in _ITS_TEXTS:
                launcher[option] = text
            else:
                parameters[option] = True if text is None else text
        launcher.additional_parameters = parameters
    return dict(filling.variables)


def _have_submitit_warn(config: DictConfig) -> None:
    """Have submitit's SLURM launcher ask for the warning that `grace` describes; StashError if that makes no sense."""
    from experimentstash.launch.slurm import batch

    launcher = config.hydra.launcher
    grace = GRACE_IN_JOB if config.grace.seconds is None else limits.seconds(config.grace.seconds, "grace.seconds")
    name = limits.warning_signal(str(config.grace.signal))
    parameters = dict(launcher.get("additional_parameters") or {})
    if "signal" in parameters:  # the user's own: [R][B:]SIGNAL[@SECONDS]
        limits.warning_signal(str(parameters["signal"]).rpartition(":")[2].partition("@")[0], _OWN_SIGNAL)
    else:
        if grace >= launcher.timeout_min * 60:
            raise StashError(
                f"hydra.launcher.timeout_min: {launcher.timeout_min:g} min is all grace: the tool is told to stop"
                f" {durations.describe(grace)} before its job's end.",
                "give it more time, or a smaller grace.seconds",
            )
        # Without a grace it is warned as late as SLURM can: that the option is missing means something to submitit.
        parameters["signal"] = batch.warning(name, max(1.0, grace))
    submitted_name, _, seconds = str(parameters["signal"]).rpartition(":")[2].partition("@")
    told = job_terms.of_cluster().told(
        signal_name=limits.warning_signal(submitted_name),
        grace=float(seconds) if seconds.isdecimal() else _SLURMS_GRACE,
        limit=launcher.timeout_min * 60,
        partition=launcher.partition,
    )
    setup = list(launcher.setup or [])
    with read_write(config), open_dict(config):
        launcher.setup = [told]
        if setup:
            watched = [batch.SAYS_ITS_END, batch.stop_at_failure(_SAY_AND_END), *setup, batch.ENDS_STOPPING]
            launcher.setup = [told, *watched]
        launcher.signal_delay_s = max(1, math.ceil(grace))
        launcher.additional_parameters = parameters


def _way_on(sweep: Path) -> str | None:
    try:
        return way_on(sweep, str(sweep))
    except StashError:
        return None
