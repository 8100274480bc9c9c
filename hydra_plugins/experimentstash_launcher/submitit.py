"""What submitit's launchers do for ExperimentStash: the same jobs, each with an end of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class SubmititSlurmLauncher(Launcher):
    """Begins what the stock launcher does, with its settings; waits for every job, whatever becomes of the others."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context = hydra_context
        self._task_function = task_function
        self._config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from experimentstash.launch.slurm import submitit_jobs

        stock = self._stock()(**self._settings)
        stock.setup(hydra_context=self._context, task_function=self._task_function, config=self._config)
        return submitit_jobs.launch(stock, self._context, self._config, job_overrides, initial_job_idx)

    def _stock(self) -> Any:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher

        return submitit_launcher.SlurmLauncher


class SubmititLocalLauncher(SubmititSlurmLauncher):
    """The same for submitit's processes on this machine."""

    def _stock(self) -> Any:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher

        return submitit_launcher.LocalLauncher
