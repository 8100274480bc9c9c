"""A composed configuration as the job sees it: in its directory, and without Hydra's own settings."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override

from experimentstash.loader import pickled


@contextlib.contextmanager
def as_job(config: DictConfig, directory: Path | None) -> Iterator[Path]:
    """Let ``${hydra:…}`` see this configuration, as in a job of Hydra's; yields the run directory.

    ``directory``: None for the one that Hydra's settings give.
    """
    hydra_config: Any = HydraConfig.instance()
    saved = hydra_config.cfg
    hydra_config.cfg = SimpleNamespace(hydra=config.hydra)  # what HydraConfig.set_config does, without its copy
    try:
        place = directory or _directory(config)
        absolute = os.path.abspath(place)
        runtime = config.hydra.runtime
        with flag_override(runtime, ["readonly", "struct"], [False, False]):
            runtime.output_dir = absolute
        yield Path(absolute)
    finally:
        hydra_config.cfg = saved


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy without the node `hydra`, which stays where it is for ``${hydra:…}``."""
    content = config.__dict__["_content"]
    config.__dict__["_content"] = {key: node for key, node in content.items() if key != "hydra"}
    try:
        kept = pickled(config)
        copied = copy.deepcopy(config) if kept is None else pickle.loads(kept)
    finally:
        config.__dict__["_content"] = content
    assert isinstance(copied, DictConfig)
    return copied


def _directory(config: DictConfig) -> Path:
    if config.hydra.mode is RunMode.MULTIRUN:
        return Path(
            str(OmegaConf.select(config, "hydra.sweep.dir")), str(OmegaConf.select(config, "hydra.sweep.subdir"))
        )
    return Path(str(OmegaConf.select(config, "hydra.run.dir")))
