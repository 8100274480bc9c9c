"""What hydra/sweeper=basic does for ExperimentStash: the same jobs, none of which takes the others down with it."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.types import Override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from experimentstash.compose.hydra_compat import BasicSweeper as Stock


class BasicSweeper(Stock):
    """Hydra's basic sweeper; for another application it does nothing else."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from experimentstash.launch import sweep, sweep_jobs

        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._is_ours = sweep_jobs.is_ours(task_function)
        self._first_number = 0
        assert self.launcher is not None
        self.launcher = sweep.careful(self.launcher, hydra_context, task_function, config)

    def split_arguments(  # type: ignore[override]
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        from experimentstash.launch import sweep

        batches = self.batches(overrides, max_batch_size)
        assert self.config is not None
        return sweep.listed(self.config, batches) if self._is_ours else batches

    def batches(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """Return the jobs that the overrides come to."""
        return Stock.split_arguments(overrides, max_batch_size)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        if not self._is_ours:
            super().validate_batch_is_legal(batch)
            return
        from experimentstash.launch import sweep

        assert self.config is not None and self.hydra_context is not None and self.overrides is not None
        is_all = len(self.overrides) == 1
        sweep.look_through(self.hydra_context, self.config, batch, self._first_number, is_all=is_all)
        self._first_number += len(batch)
