"""hydra/launcher=slurm: a sweep's jobs frozen here and executed by SLURM."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

# From the package, not defined here: Hydra executes this module twice, and a preset must build on the one type.
from experimentstash.compose.hydra_compat import register_plugin
from experimentstash.stash.schema import SlurmLauncherConfig

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


register_plugin("hydra/launcher", "slurm", SlurmLauncherConfig)


class SlurmLauncher(Launcher):
    """Submits a sweep's jobs to SLURM; for another application it does what `submitit_slurm` does."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context = hydra_context
        self._task_function = task_function
        self._config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from experimentstash.launch import sweep_jobs

        if not sweep_jobs.is_ours(self._task_function):
            return self._stock(job_overrides, initial_job_idx)
        from omegaconf import OmegaConf

        from experimentstash.launch.slurm.submit import launch

        settings = OmegaConf.to_object(OmegaConf.merge(SlurmLauncherConfig, self._settings))
        assert isinstance(settings, SlurmLauncherConfig)
        return launch(self._context, self._config, job_overrides, initial_job_idx, settings)

    def _stock(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as Stock

        settings = dataclasses.asdict(SlurmQueueConf())
        del settings["_target_"]
        settings["submitit_folder"] = f"{self._config.hydra.sweep.dir}/.submitit/%j"
        settings["name"] = str(self._config.hydra.job.name)
        stock = Stock(**settings)
        stock.setup(hydra_context=self._context, task_function=self._task_function, config=self._config)
        launched: Sequence[JobReturn] = stock.launch(job_overrides, initial_job_idx)
        return launched
