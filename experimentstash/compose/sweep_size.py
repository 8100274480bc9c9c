"""How many runs a sweep will have, before it starts."""

from __future__ import annotations

import math

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from experimentstash.base.errors import StashError

# From so many runs on, a sweep may be larger than its user thinks: lists multiply.
_LARGE = 200


def remark(config: DictConfig) -> str | None:
    """Return what is to be said of the size of a sweep by Hydra's basic sweeper; StashError if it has no runs."""
    sweeper = config.hydra.sweeper
    if not str(sweeper._target_).endswith(".BasicSweeper"):
        return None
    words = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
    typed = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(typed, list)
    words += typed
    lengths: dict[str, int] = {}  # of a key that is given twice, the last one counts
    for override in OverridesParser.create(config_loader=GlobalHydra.instance().config_loader()).parse_overrides(words):
        if override.is_discrete_sweep():
            length = sum(1 for _ in override.sweep_string_iterator())
            if length == 0:
                raise StashError(f"{override.input_line} stands for nothing: the sweep has no runs.")
            lengths[override.get_key_element()] = length
    total = math.prod(lengths.values())
    if total < _LARGE:
        return None
    factors = " × ".join(f"{length} {key.lstrip('+')}" for key, length in lengths.items() if length > 1)
    return f"this sweep has {total:,} runs ({factors})"
