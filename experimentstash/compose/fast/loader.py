"""Composes many experiments fast, and exactly as Hydra does, because it is Hydra's own code that does it.

Two things are not done again for each composition: reading a file, and merging what the defaults lists of two
compositions have in common at their beginning (Hydra's own settings, the types, the root config, often the tool).
Merging is a fold from the left, so the result of a common beginning can be kept and continued. What is installed,
Hydra's own settings and the types, is most of the work; it stays as it is, and is read and merged once in a process.
Whatever isn't plain (another search path, an error) is left to Hydra's unchanged loader.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, flag_override

from experimentstash.base.errors import StashError
from experimentstash.compose.config_files import read_ourselves
from experimentstash.compose.config_store import CONFIG_NAME
from experimentstash.compose.fast.installed import Installed, Kept, Step
from experimentstash.compose.hydra_compat import (
    CachingConfigRepository,
    ConfigLoaderImpl,
    ConfigResult,
    ConfigSearchPath,
    IConfigRepository,
    ResultDefault,
    installed_config,
    is_fast,
    no_idle_maps,
    search_path,
)
from experimentstash.compose.nodes import pickled
from experimentstash.compose.stash_loader import StashLoader, strip_defaults


class Loader(StashLoader):
    """The loader for a stash, fast. What is in ``conf`` is read once: make another one when it has changed."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self._plain = StashLoader(search_path)
        self.left_to_hydra = 0  # compositions that were not plain
        self._remembered: _Memory | None = None
        self._parser = OverridesParser.create()
        self._merged: dict[tuple[Step, ...], bytes] = {}
        self._previous: tuple[Step, ...] = ()

    def __reduce__(self) -> Any:
        """Become the plain one where a launcher hands the loader to another process."""
        self._plain.begun_with = self.begun_with
        return _the_same, (self._plain,)

    def loaded(self, **given: Any) -> DictConfig:
        try:
            with no_idle_maps():
                return super().loaded(**given)
        except StashError:
            raise
        except Exception:  # whatever it is, Hydra shall say it, or show that it is none
            self.left_to_hydra += 1
            return self._plain.loaded(**given)

    @property
    def _memory(self) -> _Memory:
        if self._remembered is None:
            memory = _Memory(self.repository)
            self._process_config_searchpath(CONFIG_NAME, [], memory)
            read_ourselves(memory)  # the root config may have named further places to look in
            self._remembered = memory
        return self._remembered

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str], *known: Any
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = known[0] if known and known[0] is not None else self._parser.parse_overrides(overrides)
        is_elsewhere = any(override.get_key_element().endswith("hydra.searchpath") for override in parsed)
        if is_elsewhere or config_name != CONFIG_NAME:
            return super()._parse_overrides_and_create_caching_repo(config_name, overrides, *known)
        return parsed, self._memory

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        if repo is not self._memory:
            return super()._compose_config_from_defaults_list(defaults, repo)
        steps = tuple(_step(default, self._memory) for default in defaults)
        installed = next((at for at, step in enumerate(steps) if step.origin is None), len(steps))
        shared = _length_in_common(steps, self._previous)
        _installed.recall(steps[:installed])
        known, kept = self._beginning(steps)
        config = OmegaConf.create() if kept is None else pickle.loads(kept)
        OmegaConf.clear_cache(config)  # what time it was when that was kept
        config._set_flag("no_deepcopy_set_nodes", None)  # was set when what was merged so far was kept
        with flag_override(config, "no_deepcopy_set_nodes", True):
            for position in range(known, len(steps) + 1):
                if position in (installed, shared) and position > known and (kept := pickled(config)) is not None:
                    if position == installed:
                        _installed.keep(steps[:position], kept)
                    else:
                        self._merged[steps[:position]] = kept
                if position < len(steps):
                    self._merge_next(config, defaults[position], repo)
        self._previous = steps
        strip_defaults(config)
        assert isinstance(config, DictConfig)
        return config

    def _beginning(self, steps: tuple[Step, ...]) -> tuple[int, bytes | None]:
        """Return how much is known of what these steps come to, and that."""
        for length in range(len(steps), 0, -1):
            for merged in (self._merged, _installed.merged):
                if (kept := merged.get(steps[:length])) is not None:
                    return length, kept
        return 0, None

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        if repo is self._memory:
            copies: Any = SimpleNamespace(load_config=self._memory.copy, get_schema_source=repo.get_schema_source)
            return super()._load_single_config(default, copies)
        return super()._load_single_config(default, repo)


def loader_for(conf: Path) -> StashLoader:
    """Return a loader for the configs of a directory: a fast one, unless all is left to plain Hydra."""
    return (Loader if is_fast() else StashLoader)(search_path(conf))


def _the_same(loader: ConfigLoaderImpl) -> ConfigLoaderImpl:
    return loader


def _length_in_common(first: Sequence[Step], second: Sequence[Step]) -> int:
    return next(
        (at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(second)),
    )


def _step(default: ResultDefault, memory: _Memory) -> Step:
    return Step(default.config_path, default.package, default.primary, memory.origin(default.config_path or ""))


_installed = Installed()


class _Memory(CachingConfigRepository):
    """Hydra's cache of what one composition reads, made to last for many."""

    def __init__(self, delegate: IConfigRepository) -> None:
        super().__init__(delegate)
        self._read: dict[str, Kept | None] = {}
        self._origins: dict[str, int | None] = {}
        self._existing: dict[tuple[str, str], bool] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self._read:
            self._read[config_path] = self._kept(config_path)
        kept = self._read[config_path]
        return None if kept is None else kept.original

    def copy(self, config_path: str) -> ConfigResult | None:
        """Return a config of one's own."""
        self.load_config(config_path)
        kept = self._read[config_path]
        return None if kept is None else kept.copy()

    def origin(self, config_path: str) -> int | None:
        """Return what tells an installed config from all others; None for a file, which may change."""
        self.load_config(config_path)
        return self._origins[config_path]

    def _kept(self, config_path: str) -> Kept | None:
        node = installed_config(self.get_sources(), config_path)
        self._origins[config_path] = None if node is None else id(node)

        def read() -> ConfigResult | None:
            return self.delegate.load_config(config_path=config_path)

        if node is not None:
            return _installed.config(config_path, node, read)
        found = read()
        return None if found is None else Kept(found)

    def group_exists(self, config_path: str) -> bool:
        return self._remembered("group", config_path)

    def config_exists(self, config_path: str) -> bool:
        return self._remembered("config", config_path)

    def _remembered(self, kind: str, path: str) -> bool:
        key = (kind, path)
        if key not in self._existing:
            ask = self.delegate.group_exists if kind == "group" else self.delegate.config_exists
            self._existing[key] = ask(config_path=path)
        return self._existing[key]
