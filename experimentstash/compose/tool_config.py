"""A tool's registration as its runs get it: composed by Hydra, and resolved as far as it can be outside a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import omegaconf
from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from experimentstash.base import yaml_files
from experimentstash.base.quoting import quoted
from experimentstash.compose.mistyped import refuse_mistyped
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import MISSING, CallConfig, EnvironmentConfig, ToolConfig, Unresolved

# OmegaConf 2.4 warns of the name that 2.3 has for it; what 2.3 knew by the other one is something older.
_register: Any = getattr(
    OmegaConf, "register_new_resolver" if omegaconf.__version__.startswith("2.3.") else "register_resolver"
)


def composed(stash: Stash, name: str) -> ToolConfig:
    """Return the registration that a run without an experiment would get. Raises what composing raises."""
    from hydra.types import RunMode  # here: most registrations need no Hydra, which is slow

    from experimentstash.compose import config_store
    from experimentstash.compose.config_store import CONFIG_NAME
    from experimentstash.compose.fast.loader import loader_for
    from experimentstash.compose.nodes import without_hydra

    config_store.set_up()
    with config_store.variables(stash):
        loader = loader_for(stash.conf)
        config = loader.load_configuration(CONFIG_NAME, [f"tool={quoted(name)}"], RunMode.RUN)
        with _outside_a_run(config.hydra.runtime.choices):
            return _tool(without_hydra(config))


def alone(path: Path) -> ToolConfig:
    """Return what a registration says by itself. Raises OmegaConf's errors, and YamlError."""
    content = yaml_files.parse(yaml_files.text_of(path), path, for_omegaconf=True)
    loaded = OmegaConf.create(yaml_files.as_mapping(content, path))
    loaded.pop("defaults", None)
    merged = OmegaConf.merge(OmegaConf.structured(ToolConfig), loaded)
    refuse_mistyped(merged, "tool")
    with _outside_a_run({}):
        return _tool(OmegaConf.create({"tool": merged}))


@contextmanager
def _outside_a_run(choices: Mapping[str, Any]) -> Iterator[None]:
    """Let ``${hydra:…}`` stand for what was chosen, and for nothing that only a run has."""

    def resolve(path: str) -> Any:
        return choices[path.removeprefix("runtime.choices.")]

    was_known = OmegaConf.has_resolver("hydra")
    _register("hydra", resolve, replace=True)
    try:
        yield
    finally:
        OmegaConf.clear_resolver("hydra")
        if was_known:
            from hydra.core.utils import setup_globals

            setup_globals()


def _tool(config: DictConfig) -> ToolConfig:
    values = _value(config, "tool")
    if not isinstance(values, dict):
        raise AssertionError("it is no mapping")
    for field in dataclasses.fields(ToolConfig):
        value = values.get(field.name)
        if isinstance(value, Unresolved) and field.name in ("dependencies", "build", "collect", "shared", "resume"):
            values[field.name] = [value]
    if isinstance(values["env"], Unresolved):
        values["env"] = {}  # for runs alone
    call, environment = (_section(key, values[name]) for name, key in (("call", "style"), ("environment", "kind")))
    return ToolConfig(**{**values, "call": CallConfig(**call), "environment": EnvironmentConfig(**environment)})


def _section(first: str, value: Any) -> dict[str, Any]:
    return {first: value} if isinstance(value, Unresolved) else value


def _value(container: DictConfig | ListConfig, key: Any) -> Any:
    """Return a setting as plain data, or the text of what can't be resolved here, wherever in it that stands."""
    try:
        value = container[key]
    except MissingMandatoryValue:
        return MISSING
    except Exception:  # resolvers may raise anything
        return Unresolved(container._get_node(key)._value())  # type: ignore[union-attr]
    if not isinstance(value, Container):
        return value
    if isinstance(value, ListConfig):
        return [_value(value, position) for position in range(len(value))]
    assert isinstance(value, DictConfig)
    return {str(each): _value(value, each) for each in value}
