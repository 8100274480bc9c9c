"""hydra/launcher=local: several runs of a sweep at the same time, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

from experimentstash.compose.hydra_compat import register_plugin
from experimentstash.stash.schema import LocalLauncherConfig

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

register_plugin("hydra/launcher", "local", LocalLauncherConfig)


class LocalLauncher(Launcher):
    """Runs a sweep's jobs side by side under one supervisor; for another application it does what `basic` does."""

    def __init__(self, **settings: Any) -> None:
        self._given = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from experimentstash.launch import sweep_jobs
        from experimentstash.launch.local_settings import Settings

        self._context = hydra_context
        self._config = config
        if sweep_jobs.is_ours(task_function):
            self._settings = Settings.of(**self._given)
            self._basic = None
            return
        from experimentstash.compose.hydra_compat import BasicLauncher

        self._basic = BasicLauncher()
        self._basic.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if self._basic is not None:
            return self._basic.launch(job_overrides, initial_job_idx)
        from experimentstash.launch import local

        return local.launch(self._context, self._config, job_overrides, initial_job_idx, self._settings)
