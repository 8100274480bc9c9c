"""The one door to what Hydra and OmegaConf don't promise to keep: all private imports, and all patches of their code.

Everything else imports only what they document. What Hydra 1.3 with OmegaConf 2.3 and Hydra 1.4 with OmegaConf 2.4 do
differently is made one here. What only makes composing fast is left to Hydra's own way in versions that it isn't tested
on, and where EXPERIMENTSTASH_PLAIN_HYDRA is set.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra import main, version
from hydra._internal import config_loader_impl, defaults_list
from hydra._internal import hydra as application
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.default_element import InputDefault, ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode, TaskFunction
from omegaconf import Container, DictConfig, OmegaConf, grammar_parser
from omegaconf import base as omegaconf_base
from omegaconf._utils import OmegaConfDumper
from omegaconf.basecontainer import BaseContainer

from experimentstash.base.errors import StashError

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

__all__ = [
    "IS_1_3",
    "BasicLauncher",
    "BasicSweeper",
    "CachingConfigRepository",
    "ConfigLoaderImpl",
    "ConfigResult",
    "ConfigSearchPath",
    "ConfigSource",
    "FileConfigSource",
    "Hydra",
    "HydraLoader",
    "IConfigRepository",
    "ResultDefault",
    "application_name",
    "behaving",
    "bounding",
    "convert_plainly",
    "copying_as_bytes",
    "directory_namer",
    "dumping_by",
    "get_args_parser",
    "hydra_main",
    "installed_config",
    "is_fast",
    "no_idle_maps",
    "overriding_with",
    "parsing_once",
    "register_plugin",
    "represent_text",
    "resolve_plainly",
    "scan_plugins",
    "search_path",
    "singletons",
    "trusting",
    "type_stored",
    "typing_late",
]

# Set: nothing of what only makes composing fast is used.
PLAIN_VARIABLE = "EXPERIMENTSTASH_PLAIN_HYDRA"
_VERSION = tuple(map(int, re.findall(r"\d+", hydra.__version__)[:2]))
IS_1_3 = _VERSION < (1, 4)
if IS_1_3 and sys.version_info >= (3, 14):
    raise StashError(
        f"hydra-core {hydra.__version__} can't start on Python {sys.version_info[0]}.{sys.version_info[1]}.",
        "pip install --pre 'hydra-core>=1.4.0rc3'",
    )
# How Hydra 1.3 is to behave; 1.4 knows but one way.
_VERSION_BASE = {"version_base": "1.3"} if IS_1_3 else {}
# Hydra's own plugins. Its scan executes their modules a second time: a class from before that is another one.
_PLUGINS = {
    "BasicLauncher": "hydra._internal.core_plugins.basic_launcher",
    "BasicSweeper": "hydra._internal.core_plugins.basic_sweeper",
}


def __getattr__(name: str) -> Any:
    if name not in _PLUGINS:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_PLUGINS[name]), name)


def is_fast() -> bool:
    """Tell whether what makes composing fast is used: it is tested on these versions."""
    return (1, 3) <= _VERSION <= (1, 4) and not os.environ.get(PLAIN_VARIABLE)


def behaving() -> None:
    """Have Hydra behave as this package expects it, where `hydra.main` doesn't see to it."""
    if IS_1_3:
        version.setbase(*_VERSION_BASE.values())


def trusting() -> contextlib.AbstractContextManager[Any]:
    """Let a configuration name what is executed (callbacks, handlers of logs): here it names whole programs anyway."""
    if IS_1_3:
        return contextlib.nullcontext()
    policy: Any = import_module("hydra.utils")
    trusted: contextlib.AbstractContextManager[Any] = policy.execution_whitelist(policy.UNSAFE_DISABLE_EXECUTION_CHECKS)
    return trusted


def application_name(name: str) -> None:
    """Tell Hydra what it is to call the application."""
    JobRuntime.instance().set("name", name)


def search_path(conf: Path) -> ConfigSearchPath:
    """Return where Hydra looks for the configs of a directory."""
    return create_config_search_path(str(conf))


def register_plugin(group: str, name: str, node: type[Any]) -> None:
    """Tell Hydra how one of our plugins is configured: also again, where its module is executed a second time."""
    again: dict[str, Any] = {} if IS_1_3 else {"replace": True}
    ConfigStore.instance().store(group=group, name=name, node=node, provider="experimentstash", **again)


def scan_plugins() -> None:
    """Have Hydra look for its plugins, once in a process."""
    with typing_late():
        Plugins.instance()


@contextlib.contextmanager
def typing_late() -> Iterator[None]:
    """Have types that are stored become configurations when they are first read: few of them ever are."""
    store: Any = ConfigStore
    original = store.store

    def stored(self: Any, name: str, node: Any, group: str | None = None, *arguments: Any, **options: Any) -> None:
        is_late = isinstance(node, type) and is_fast()
        original(self, name, {} if is_late else node, group, *arguments, **options)
        if is_late:
            names = self.repo
            for folder in filter(None, (group or "").split("/")):
                names = names[folder]
            name = name if name.endswith(".yaml") else f"{name}.yaml"
            names[name] = _TypedLate(node, names[name])

    store.store = stored
    try:
        yield
    finally:
        store.store = original


class _TypedLate(ConfigNode):
    """What the config store holds of a type whose configuration nobody has read yet."""

    def __init__(self, made_of: type[Any], like: ConfigNode) -> None:
        vars(self).update({name: value for name, value in vars(like).items() if name != "node"}, made_of=made_of)

    @functools.cached_property
    def node(self) -> Any:  # type: ignore[override]
        return OmegaConf.structured(vars(self)["made_of"])


def singletons() -> Any:
    """Return what Hydra's launchers hand to their jobs in other processes."""
    return Singleton.get_state()


# --- loading ---------------------------------------------------------------------------------------------------------


def installed_config(sources: Sequence[ConfigSource], config_path: str) -> object | None:
    """Return what a config is while this process lives: Hydra's own package, or what the config store holds.

    None if it is neither, or if there is none.
    """
    source = next((each for each in sources if each.is_config(config_path)), None)
    if source is None:
        return None
    if source.scheme() == "pkg":
        return hydra if source.path == "hydra.conf" else None
    node: Any = ConfigStore.instance().repo if source.scheme() == "structured" else None
    for name in f"{config_path}.yaml".split("/"):
        node = node.get(name) if isinstance(node, dict) else None
    return None if isinstance(node, dict) else node


def type_stored(node: Any) -> type[Any] | None:
    """Return the type of which one of the config store's configurations is made; None if that can't be told."""
    made_of = vars(node).get("made_of") or node.node._metadata.object_type
    return made_of if made_of not in (dict, list) and isinstance(made_of, type) else None


class HydraLoader(ConfigLoaderImpl):
    """Hydra's loader, with one method that whatever is composed goes through."""

    def loaded(self, **given: Any) -> DictConfig:
        """Compose a configuration. ``given`` are the arguments of `load_configuration`, by name, and maybe more."""
        hydras: Any = super()
        made: DictConfig = (hydras.load_configuration if IS_1_3 else hydras._load_configuration)(**given)
        return made

    if IS_1_3:

        def load_configuration(self, *arguments: Any, **options: Any) -> DictConfig:
            names = ("config_name", "overrides", "run_mode", "from_shell", "validate_sweep_overrides")
            return self.loaded(**dict(zip(names, arguments, strict=False)), **options)

    else:

        def _load_configuration(self, **given: Any) -> DictConfig:
            return self.loaded(**given)

    def loaded_for_sweep(self, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
        """Compose a job of a sweep, as `load_sweep_config` does.

        That of 1.4 refuses a job that would have its sweep launched otherwise than ``master`` says, which may have been
        changed since it was composed.
        """
        words = [*map(str, OmegaConf.to_container(master.hydra.overrides.hydra) or ()), *overrides]
        given = {"config_name": master.hydra.job.config_name, "overrides": words, "run_mode": RunMode.RUN}
        if not IS_1_3:  # by their aliases they have been replaced already
            usual = inspect.signature(ConfigLoaderImpl.load_configuration).parameters.values()
            given = {each.name: each.default for each in usual if each.name != "self"} | given
            given["activate_config_repository"] = False
            given["parsed_overrides"] = OverridesParser.create().parse_overrides(words)
        config = self.loaded(**given)
        OmegaConf.copy_cache(from_config=master, to_config=config)
        return config


def hydra_main(task: TaskFunction, conf: Path, name: str, kind: type[Hydra], loader: type[ConfigLoaderImpl]) -> None:
    """Do what `hydra.main` does, with another application and another loader."""
    hydras: Any = application
    original = hydras.Hydra, hydras.ConfigLoaderImpl
    hydras.Hydra, hydras.ConfigLoaderImpl = kind, loader
    try:
        with trusting():
            main(config_path=str(conf), config_name=name, **_VERSION_BASE)(task)()
    finally:
        hydras.Hydra, hydras.ConfigLoaderImpl = original


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
    hydras: Any = defaults_list
    original = getattr(hydras, "_create_interpolation_map", None)
    if original is None:  # Hydra 1.4 makes none
        yield
        return

    def needed(overrides: Any, defaults: list[InputDefault], self_added: bool) -> Any:
        is_read = any(not default.is_self() and default.is_interpolation() for default in defaults)
        return original(overrides, defaults, self_added) if is_read else None

    hydras._create_interpolation_map = needed
    try:
        yield
    finally:
        hydras._create_interpolation_map = original


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


# --- copies, and what Hydra writes -----------------------------------------------------------------------------------


@contextlib.contextmanager
def copying_as_bytes() -> Iterator[None]:
    """Have OmegaConf copy a configuration by way of bytes, several times faster than node by node."""
    omegaconf: Any = DictConfig
    original = omegaconf.__deepcopy__

    def copied(config: DictConfig, memo: dict[int, Any]) -> DictConfig:
        if memo:  # a part of a copy
            return original(config, memo)  # type: ignore[no-any-return]
        content = config.__dict__
        parent, content["_parent"] = content["_parent"], None
        try:
            made: DictConfig = pickle.loads(pickle.dumps(config))
        except Exception:  # there are objects in it, or types that Hydra has executed twice
            made = original(config, memo)
        finally:
            content["_parent"] = parent
        made.__dict__["_parent"] = parent
        return made

    omegaconf.__deepcopy__ = copied
    try:
        yield
    finally:
        omegaconf.__deepcopy__ = original


@contextlib.contextmanager
def dumping_by(dumper: Callable[[], Any]) -> Iterator[None]:
    """Have OmegaConf write YAML by this dumper."""
    omegaconf: Any = import_module("omegaconf.omegaconf")
    original = omegaconf.get_omega_conf_dumper
    omegaconf.get_omega_conf_dumper = dumper
    try:
        yield
    finally:
        omegaconf.get_omega_conf_dumper = original


def directory_namer(style: Any) -> Callable[[Sequence[Override]], str] | None:
    """Return how overrides make the name of a directory (hydra.job.override_dirname), as ``style`` has it.

    None: that is an interpolation, which Hydra resolves where it is used.
    """
    original = getattr(config_loader_impl, "get_overrides_dirname", None)
    if original is None:
        return None
    exclude = list(style.exclude_keys)
    namer = functools.partial(original, kv_sep=style.kv_sep, item_sep=style.item_sep, exclude_keys=exclude)
    return lambda overrides: str(namer(list(overrides)))


def represent_text(dumper: Any, text: str) -> Any:
    """Return a text as OmegaConf writes it to YAML."""
    return OmegaConfDumper.str_representer(dumper, text)
