"""Hydra's loader for a stash: it gives parameters one meaning (see `stash.parameters`), and refuses what is no setting.

Hydra merges mappings and values without knowing that a text may choose a config of a group in a tool, with values
inside, and takes a dotted key for one with a dot in it. So the node `params` is put together here, in every way of
composing; everything else is Hydra's own work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from experimentstash.base.errors import StashError
from experimentstash.compose import interpolations
from experimentstash.compose.config_files import read_ourselves
from experimentstash.compose.hydra_compat import (
    CachingConfigRepository,
    ConfigSearchPath,
    HydraLoader,
    IConfigRepository,
    ResultDefault,
)
from experimentstash.compose.nodes import mapping_at
from experimentstash.compose.params_merge import PARAMS, clash_in_file, params_taken_out, point_at_choices
from experimentstash.compose.params_overrides import overriding
from experimentstash.compose.refusals import refuse_unknown, refuse_unusable
from experimentstash.stash import parameters, paths
from experimentstash.stash.parameters import ClashError


class StashLoader(HydraLoader):
    """Hydra's loader, but for how files are read, for parameters, and for unknown settings."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        # What launches the sweep, as it was configured; None: not known yet.
        self.begun_with: dict[str, Any] | None = None
        read_ourselves(self.repository)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come to the process that another package's launcher has started."""
        interpolations.bound()
        self.__dict__.update(state)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str], *parsed: Any
    ) -> tuple[list[Override], CachingConfigRepository]:
        found = super()._parse_overrides_and_create_caching_repo(config_name, overrides, *parsed)
        read_ourselves(found[1])  # the root config, or an override, may have named further places to look in
        return found

    def loaded(self, **given: Any) -> DictConfig:
        with overriding(is_lenient=given["run_mode"] is RunMode.MULTIRUN):
            config = super().loaded(**given)
        point_at_choices(config)
        refuse_unknown(config, given["overrides"])
        refuse_unusable(config)
        return config

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """Return a job's configuration as Hydra composes it. StashError if it asks for what is decided already."""
        config = self.loaded_for_sweep(master_config, sweep_overrides)
        for name, begun in (self.begun_with or {}).items():
            if (asked := launching(config)[name]) != begun:
                raise _too_late(config, name, begun, asked)
        return config

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        config = OmegaConf.create()
        with flag_override(config, "no_deepcopy_set_nodes", True):
            for default in defaults:
                self._merge_next(config, default, repo)
        strip_defaults(config)
        assert isinstance(config, DictConfig)
        return config

    def _merge_next(self, config: Any, default: ResultDefault, repo: IConfigRepository) -> None:
        """Merge the next entry of the defaults list. Raises Hydra's errors, and StashError for a clash in its file."""
        loaded = self._load_single_config(default, repo)
        try:
            with params_taken_out(loaded.config) as params:
                config.merge_with(loaded.config)
            if params is not None:
                below = mapping_at(config, PARAMS)
                try:
                    config[PARAMS] = parameters.merged(below or {}, params)
                except ClashError as clash:
                    raise clash_in_file(loaded, default, clash) from clash
        except OmegaConfBaseException as error:
            raise ConfigCompositionException(
                f"In '{default.config_path}': {type(error).__name__} raised while composing config:\n{error}"
            ).with_traceback(error.__traceback__) from None


def strip_defaults(config: Any) -> None:
    """Remove the defaults lists that typed configs keep while they are merged: Hydra's own, inaccessible function."""
    if isinstance(config, DictConfig) and not config._is_missing() and not config._is_none():
        if config._get_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS"):
            with flag_override(config, ["readonly", "struct"], False):
                config._set_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS", None)
                config.pop("defaults", None)
        for _, value in config.items_ex(resolve=False):
            strip_defaults(value)


def launching(config: DictConfig) -> dict[str, Any]:
    """Return what a configuration says of how a sweep is launched."""
    nodes = config.__dict__["_content"]["hydra"].__dict__["_content"]
    return {name: OmegaConf.to_container(nodes[name], resolve=False) for name in ("launcher", "sweeper")}


def _too_late(config: DictConfig, name: str, begun: Any, asked: Any) -> StashError:
    """Return the error for a job that would have its sweep launched otherwise than it is."""
    organizer = config.hydra.runtime.choices.get("exp")
    who = "what is swept" if organizer is None else f"{paths.organizer(organizer)}, or what else is swept,"
    chosen = config.hydra.runtime.choices.get(f"hydra/{name}")
    if asked.get("_target_") != begun.get("_target_"):
        what, hint = f"hydra/{name}={chosen}", f"hydra/{name}={chosen}"
    else:
        other = [key for key in {**begun, **asked} if asked.get(key) != begun.get(key)]
        what, hint = f"hydra.{name}.{other[0]}", f"hydra.{name}.{other[0]}={asked.get(other[0])}"
    return StashError(
        f"{who} sets {what}, which comes too late: by then the sweep has begun, and it is launched as a whole.",
        f"give it on the command line, for all runs: {hint}",
    )
