"""A composed configuration as a job sees it: in its directory, and without Hydra's own settings."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experimentstash.base.dataclass_light import dataclass
from experimentstash.compose.job_info import HydraJobInfo, job_info
from experimentstash.compose.nodes import put, raw
from experimentstash.stash.schema import StashConfig


class Job(Protocol):
    """One composed job, looked at while HydraConfig is set as in it."""

    def job_info(self) -> HydraJobInfo: ...

    def typed(self) -> StashConfig:
        """Return its settings. Raises OmegaConf's errors."""

    def keep(self, directory: Path) -> None:
        """Write what Hydra keeps of a job into the run's directory, if it isn't there yet."""


@dataclass(frozen=True)
class HydraJob:
    """A job as Hydra gives it to a task function: its files are written already."""

    config: DictConfig

    def job_info(self) -> HydraJobInfo:
        return job_info(HydraConfig.get(), self.config)

    def typed(self) -> StashConfig:
        made = OmegaConf.to_object(self.config)
        assert isinstance(made, StashConfig)
        return made

    def keep(self, directory: Path) -> None:
        """Write the files again if the directory was moved aside with what an earlier try had left."""
        hydra = HydraConfig.get()
        if hydra.output_subdir is None or (directory / hydra.output_subdir).is_dir():
            return
        (directory / hydra.output_subdir).mkdir(parents=True)
        kept = {"config": self.config, "hydra": {"hydra": hydra}, "overrides": hydra.overrides.task}
        for name, content in kept.items():
            OmegaConf.save(content, directory / hydra.output_subdir / f"{name}.yaml")


def own_directory(config: DictConfig) -> Path:
    """Return the run directory that Hydra's settings give, with HydraConfig set."""
    if config.hydra.mode is RunMode.MULTIRUN:
        place, name = (str(OmegaConf.select(config, f"hydra.sweep.{key}")) for key in ("dir", "subdir"))
        return Path(place, name)
    return Path(str(OmegaConf.select(config, "hydra.run.dir")))


@contextlib.contextmanager
def as_job(config: DictConfig, find: Callable[[DictConfig], Path] = own_directory) -> Iterator[Path]:
    """Let ``${hydra:…}`` see this configuration, as in a job; yields the run directory, which ``find`` tells."""
    hydra_config: Any = HydraConfig.instance()
    saved = hydra_config.cfg
    hydra_config.cfg = SimpleNamespace(hydra=raw(config, "hydra"))  # what HydraConfig.set_config does, without its copy
    try:
        absolute = os.path.abspath(find(config))
        put(config, "runtime.output_dir", absolute)
        yield Path(absolute)
    finally:
        hydra_config.cfg = saved
