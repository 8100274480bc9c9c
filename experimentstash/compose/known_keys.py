"""Which keys there could be where one is unknown, to help with the words of an error."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experimentstash.base import yaml_files
from experimentstash.base.errors import CommandLineError, StashError
from experimentstash.base.quoting import quoted
from experimentstash.base.yaml_files import YamlError
from experimentstash.compose.config_store import CONFIG_NAME
from experimentstash.compose.fast.loader import loader_for
from experimentstash.compose.stash_loader import StashLoader
from experimentstash.stash import schema
from experimentstash.stash.layout import Stash
from experimentstash.stash.parameters import name_of, read

# So many experiments are looked through for a parameter that some of them lack, and so many are named.
_MOST_COMPOSED, _MOST_NAMED = 200, 10


def list_or_mapping(path: Path, detail: str) -> tuple[str, str]:
    """Return which key of a file is a list where there must be a mapping, or the other way round, and what it is.

    If none is, the ``detail`` that is known already.
    """
    try:
        content = yaml_files.mapping(path)
    except YamlError:
        content = {}
    kinds = {item.name: str(item.type) for item in dataclasses.fields(schema.StashConfig)}
    for key, value in content.items():
        if isinstance(value, dict) and kinds.get(str(key), "").startswith("List"):
            return str(key), "is a mapping, not a list"
        if isinstance(value, list) and not kinds.get(str(key), "List").startswith("List"):
            return str(key), "is a list, not a mapping"
    is_known = "ListConfig" not in detail
    return "a key", detail if is_known else "is a list where a mapping must be, or the other way round"


def key_of_type(name: str) -> str:
    kinds = {str(item.type): item.name for item in dataclasses.fields(schema.StashConfig)}
    return kinds.get(name, "hydra" if name == "HydraConf" else f"the key of the type {name}")


def keys_of_type(name: str | None) -> list[str]:
    kind = getattr(schema, name or "", None)
    return [item.name for item in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def composed_keys(parent: str, stash: Stash, overrides: Sequence[str]) -> list[str]:
    """Return the keys below ``parent`` in what the command line's group choices alone compose to."""
    chosen = [word.split(",")[0] for word in overrides if re.match(r"(\+exp|tool)=[\w/.,-]+$", word)]
    try:
        found = OmegaConf.select(_loader(stash).load_configuration(CONFIG_NAME, chosen, RunMode.RUN), parent)
    except Exception:  # it only helps to word a message
        return []
    return [str(key) for key in found] if isinstance(found, DictConfig) else []


def lacking_key(key: str, stash: Stash, overrides: Sequence[str], hint: str) -> StashError | None:
    """Return the error for a parameter that only some experiments of a sweep have; None if that isn't so."""
    having, lacking = _lacking(key, stash, overrides)
    if not having or not lacking:
        return None
    return CommandLineError(
        f"command line: {key} is no parameter of the experiment{'' if len(lacking) == 1 else 's'} {_some(lacking)};"
        f" {_some(having)} {'has' if len(having) == 1 else 'have'} it.",
        hint,
    )


def _lacking(key: str, stash: Stash, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the experiments of a sweep that have a parameter, and those that lack it."""
    experiments = _swept_experiments(overrides)
    name = name_of(key.split(".")[1:])
    tools = [word for word in overrides if re.match(r"tool=[\w/.-]+$", word)]
    having: list[str] = []
    lacking: list[str] = []
    loader = _loader(stash)
    for experiment in experiments[:_MOST_COMPOSED]:
        try:
            config = loader.load_configuration(CONFIG_NAME, [f"+exp={quoted(experiment)}", *tools], RunMode.RUN)
            content = OmegaConf.to_container(config.params, resolve=False)
            found = any(each[: len(name)] == name for each in read(content)) if isinstance(content, dict) else False
        except Exception:  # it only helps to word a message
            continue
        (having if found else lacking).append(experiment)
    return having, lacking


def _swept_experiments(overrides: Sequence[str]) -> list[str]:
    for word in overrides:
        if re.match(r"\+{0,2}exp=", word):
            override = OverridesParser.create().parse_override(word)
            if override.is_discrete_sweep() and "glob(" not in word:
                return list(dict.fromkeys(override.sweep_string_iterator()))
    return []


def _loader(stash: Stash) -> StashLoader:
    return loader_for(stash.conf)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown
