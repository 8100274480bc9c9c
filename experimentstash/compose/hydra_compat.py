"""The one door to what Hydra and OmegaConf don't promise to keep: all private imports, and all patches of their code.

Everything else imports only what they document. What a version of theirs has renamed or dropped is made good here.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import main, version
from hydra._internal import defaults_list
from hydra._internal import hydra as application
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import InputDefault, ResultDefault
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import TaskFunction
from omegaconf import Container, DictConfig, grammar_parser
from omegaconf import base as omegaconf_base
from omegaconf._utils import OmegaConfDumper
from omegaconf.basecontainer import BaseContainer

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

__all__ = [
    "BasicLauncher",
    "BasicSweeper",
    "CachingConfigRepository",
    "ConfigLoaderImpl",
    "ConfigResult",
    "ConfigSearchPath",
    "ConfigSource",
    "FileConfigSource",
    "Hydra",
    "IConfigRepository",
    "ResultDefault",
    "application_name",
    "behaving",
    "bounding",
    "convert_plainly",
    "directory_namer",
    "get_args_parser",
    "hydra_main",
    "no_idle_maps",
    "overriding_with",
    "parsing_once",
    "represent_text",
    "resolve_plainly",
    "search_path",
    "singletons",
]

# How Hydra 1.3 is to behave.
VERSION_BASE = "1.3"
# Hydra's own plugins. Its scan executes their modules a second time: a class from before that is another one.
_PLUGINS = {
    "BasicLauncher": "hydra._internal.core_plugins.basic_launcher",
    "BasicSweeper": "hydra._internal.core_plugins.basic_sweeper",
}


def __getattr__(name: str) -> Any:
    if name not in _PLUGINS:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_PLUGINS[name]), name)


def behaving() -> None:
    """Have Hydra behave as this package expects it, where `hydra.main` doesn't see to it."""
    version.setbase(VERSION_BASE)


def application_name(name: str) -> None:
    """Tell Hydra what it is to call the application."""
    JobRuntime.instance().set("name", name)


def search_path(conf: Path) -> ConfigSearchPath:
    """Return where Hydra looks for the configs of a directory."""
    return create_config_search_path(str(conf))


def singletons() -> Any:
    """Return what Hydra's launchers hand to their jobs in other processes."""
    return Singleton.get_state()


# --- loading ---------------------------------------------------------------------------------------------------------


def hydra_main(task: TaskFunction, conf: Path, name: str, loader: type[ConfigLoaderImpl]) -> None:
    """Do what `hydra.main` does, with another loader."""
    hydra: Any = application
    original = hydra.ConfigLoaderImpl
    hydra.ConfigLoaderImpl = loader
    try:
        main(config_path=str(conf), config_name=name, version_base=VERSION_BASE)(task)()
    finally:
        hydra.ConfigLoaderImpl = original


@contextlib.contextmanager
def overriding_with(
    make: Callable[[Callable[[list[Override], DictConfig], None]], Callable[[list[Override], DictConfig], None]],
) -> Iterator[None]:
    """Have overrides applied to a configuration by what is made of Hydra's own function for it."""
    loader: Any = ConfigLoaderImpl
    original = loader._apply_overrides_to_config
    loader._apply_overrides_to_config = staticmethod(make(original))
    try:
        yield
    finally:
        loader._apply_overrides_to_config = staticmethod(original)


@contextlib.contextmanager
def no_idle_maps() -> Iterator[None]:
    """Spare Hydra the map of choices that it makes for each entry of the defaults tree, where nothing reads it.

    Only an interpolation among a config's own defaults does; making the maps costs half of a composition.
    """
    hydra: Any = defaults_list
    original = hydra._create_interpolation_map

    def needed(overrides: Any, defaults: list[InputDefault], self_added: bool) -> Any:
        is_read = any(not default.is_self() and default.is_interpolation() for default in defaults)
        return original(overrides, defaults, self_added) if is_read else None

    hydra._create_interpolation_map = needed
    try:
        yield
    finally:
        hydra._create_interpolation_map = original


# --- interpolations --------------------------------------------------------------------------------------------------

resolve_plainly: Callable[..., Any] = Container.resolve_parse_tree
convert_plainly: Callable[..., Any] = BaseContainer._to_content


def bounding(resolve: Callable[..., Any], convert: Callable[..., Any]) -> None:
    """Have OmegaConf resolve each interpolation, and convert each configuration, by these functions from now on."""
    Container.resolve_parse_tree = resolve  # type: ignore[method-assign]
    BaseContainer._to_content = staticmethod(convert)  # type: ignore[method-assign]


@contextlib.contextmanager
def parsing_once() -> Iterator[None]:
    """Have OmegaConf parse each text with interpolations once, not each time that it is read."""
    omegaconf: Any = omegaconf_base
    original = omegaconf.parse
    omegaconf.parse = _parse
    try:
        yield
    finally:
        omegaconf.parse = original


_parse = functools.lru_cache(maxsize=1000)(grammar_parser.parse)


# --- what Hydra writes -----------------------------------------------------------------------------------------------


def directory_namer(style: Any) -> Callable[[Sequence[Override]], str]:
    """Return how overrides make the name of a directory (hydra.job.override_dirname), as ``style`` has it."""
    namer = functools.partial(
        get_overrides_dirname,
        kv_sep=style.kv_sep,
        item_sep=style.item_sep,
        exclude_keys=list(style.exclude_keys),
    )
    return lambda overrides: namer(list(overrides))


def represent_text(dumper: Any, text: str) -> Any:
    """Return a text as OmegaConf writes it to YAML."""
    return OmegaConfDumper.str_representer(dumper, text)
