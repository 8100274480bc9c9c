"""What is looked at between composing and the first job: the application of Hydra's that we run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from experimentstash.base import permissions
from experimentstash.base.errors import StashError
from experimentstash.base.files import lock_if_free
from experimentstash.base.output import say
from experimentstash.base.redaction import contains_secret, find_secret
from experimentstash.compose import hydra_files, sweep_size, sweepers
from experimentstash.compose.fast.sweep_loader import SweepLoader
from experimentstash.compose.hydra_compat import Hydra
from experimentstash.compose.job_info import SUBMITIT_SLURM, asked_by_submitit, is_dry
from experimentstash.compose.stash_loader import StashLoader, launching
from experimentstash.freeze import freeze
from experimentstash.launch import context as contexts
from experimentstash.launch.context import Begun, LauncherTerms
from experimentstash.launch.prepare import refuse_secret_variables
from experimentstash.launch.sweep_asked import BASIC_LAUNCHER, launcher_instead, way_on
from experimentstash.record import records
from experimentstash.stash.schema import SCHEDULER_LAUNCHERS, LocalLauncherConfig

# Ours that do the work of submitit's launchers.
_INSTEAD_OF_STOCK = "hydra_plugins.experimentstash_launcher.submitit.Submitit"
_SUBMITIT_LOCAL = ".submitit_launcher.LocalLauncher"


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
    subdirectory = config.hydra.output_subdir
    names = [] if subdirectory is None else [f"{subdirectory}/{name}" for name in hydra_files.KEPT]
    contexts.set_begun(Begun(hydra_files.look(directory.absolute(), names)))


def _begin_sweep(config: DictConfig, loader: StashLoader) -> None:
    """Refuse a sweep that can't work, before it begins, and have it launched by what serves it best."""
    directory = Path(config.hydra.sweep.dir).absolute()
    permissions.tighten(permissions.MASKS[config.permissions.value])
    refuse_secret_variables(config.hydra.job.env_set)
    _refuse_secrets(config, directory)
    is_new = contexts.here().continuation is None
    if is_new and next(records.directories(directory), None) is not None:
        raise records.already_taken(directory, _way_on(directory))
    sweeper = str(config.hydra.sweeper._target_)
    organizer = config.hydra.runtime.choices.get("exp")
    if organizer is not None and config.objective is None and sweepers.needs_results(sweeper):
        raise sweepers.no_objective(organizer)  # one that is swept over is looked at when it is frozen
    launcher = str(config.hydra.launcher._target_)
    instead = launcher_instead(launcher)
    if contexts.here().again is not None and instead is not None:
        raise StashError(f"The launcher {launcher} composes its jobs elsewhere.", f"hydra/launcher={instead}")
    if not is_new and instead is not None:
        raise StashError(
            f"The launcher {launcher} can't leave out what is done.",
            f"experimentstash resume {shlex.quote(str(directory))} hydra/launcher={instead}",
        )
    before = hydra_files.look(directory, [records.SWEEP_FILE, records.JOBS_FILE, records.LOCK])
    lock = lock_if_free(directory / records.LOCK)
    if lock is None:
        raise StashError(f"Another command is at work on {directory}.", "wait until it has ended")
    contexts.set_begun(Begun(before, directory, sweeper, lock))
    loader.begun_with = launching(config)
    remark = sweep_size.remark(config) if is_new else None
    if sweeper == sweepers.BASIC:
        with read_write(config), open_dict(config):
            config.hydra.sweeper._target_ = sweepers.INSTEAD_OF_BASIC
    if remark is not None:
        say(remark if is_dry(config) else f"{remark}; dry_run=true shows what they would ask for")
    is_shown_here = config.dry_run and launcher not in SCHEDULER_LAUNCHERS
    if launcher.endswith(SUBMITIT_SLURM) and not config.validate_only:
        from experimentstash.launch.slurm import submitit_settings  # here, because most runs need nothing of it

        borrowed = submitit_settings.fill_what_nobody_asked(config)
        contexts.set_terms(LauncherTerms(asked_by_submitit(config.hydra.launcher), borrowed))
        if (unheeded := freeze.unheeded(config.resources)) is not None:
            say(unheeded)
    if config.validate_only or is_shown_here:  # nothing runs, so nothing needs to be launched elsewhere
        _launch_with(config, LocalLauncherConfig())
    elif not is_new and launcher == BASIC_LAUNCHER:  # as it does it, and able to leave out what is done
        _launch_with(config, LocalLauncherConfig(n_jobs=1))
    elif launcher.endswith(SUBMITIT_SLURM):
        submitit_settings.have_it_warn(config)
        with read_write(config), open_dict(config):
            config.hydra.launcher.setup = [contexts.here().terms.to_tell(), *config.hydra.launcher.setup]
        _launch_by(config, f"{_INSTEAD_OF_STOCK}SlurmLauncher")
    elif launcher.endswith(_SUBMITIT_LOCAL):
        _launch_by(config, f"{_INSTEAD_OF_STOCK}LocalLauncher")
    if isinstance(loader, SweepLoader):
        one_by_one = launcher_instead(config.hydra.launcher._target_) is None
        loader.is_shared = one_by_one and not config.hydra.callbacks


def _refuse_secrets(config: DictConfig, directory: Path) -> None:
    """Refuse a secret that is written out in the configuration, which Hydra keeps as it stands, or in a path."""
    written = str(OmegaConf.to_container(config, resolve=False, enum_to_str=True))
    found = find_secret([written, str(directory)], os.environ)
    if found is not None:
        raise contains_secret(found, "The configuration")


def _way_on(sweep: Path) -> str | None:
    try:
        return way_on(sweep, str(sweep))
    except StashError:
        return None
