"""Composes single experiments without running them, as a job would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.types import RunMode
from omegaconf import DictConfig

from experimentstash.base.errors import StashError
from experimentstash.compose import config_store, explain_errors
from experimentstash.compose.config_store import CONFIG_NAME
from experimentstash.compose.fast.loader import loader_for
from experimentstash.compose.job import HydraJob, as_job, own_directory
from experimentstash.compose.nodes import without_hydra
from experimentstash.freeze.plan import Request
from experimentstash.launch.prepare import as_request
from experimentstash.stash.layout import Stash


class Composer:
    """Composes experiments of one stash. What is in ``conf`` is read once: make another one when it has changed."""

    def __init__(self, stash: Stash) -> None:
        self.stash = stash
        config_store.set_up()
        self._loader = loader_for(stash.conf)

    def compose(self, overrides: Sequence[str], directory: Path | None = None) -> Request:
        """Return what the command line ``overrides`` ask for, ready for `freeze.plan`; nothing is written or started.

        ``directory`` is the run's (default: the one that Hydra's settings give). Raises StashError for a mistake.
        """
        with config_store.variables(self.stash):
            try:
                config = self.load(overrides)
                with as_job(config, own_directory if directory is None else lambda _: directory):
                    job = HydraJob(without_hydra(config))
                    return as_request(self.stash, job, job.job_info())
            except Exception as error:
                explained = self.explain(error, overrides)
                if explained is error:
                    raise
                raise explained from error

    def explain(self, error: Exception, overrides: Sequence[str]) -> Exception:
        """Return an error as a user is told of it, or the error itself if it is no mistake in the configuration."""
        return error if isinstance(error, StashError) else explain_errors.explain(error, self.stash, overrides) or error

    def load(self, overrides: Sequence[str]) -> DictConfig:
        """Return the complete configuration, the node `hydra` included, as `hydra.compose` would. Raises its errors."""
        return self._loader.load_configuration(CONFIG_NAME, list(overrides), RunMode.RUN)
