"""Settings that don't exist, or of which nothing could be made: they are refused where they are composed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.compose.mistyped import refuse_mistyped

# Where a user's own values for interpolations belong.
VARIABLES = "vars"
# What Hydra itself adds to the settings that its types, and ours, know.
_HYDRAS_OWN = {("hydra",), ("hydra", "env")}


def refuse_unknown(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse settings that don't exist: they would be kept and have no effect."""
    for place, name, valid in _unknown(config, ()):
        key = ".".join((*place, name))
        typed = any(word.lstrip("+").partition("=")[0].startswith(key) for word in overrides)
        home = (
            "" if place else f"\nA value of your own, for interpolations, has its place below `{VARIABLES}` or `paths`."
        )
        raise StashError(
            f"{'command line: ' if typed else ''}unknown key {key!r}.{did_you_mean(name, valid)}"
            f"\nValid: {', '.join(valid)}{home}",
            None if place else f"+{VARIABLES}.{name}=…, and ${{{VARIABLES}.{name}}} where it is used",
        )


def _unknown(node: DictConfig, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    content = node.__dict__["_content"]
    kind = node._metadata.object_type
    if not isinstance(content, dict) or not dataclasses.is_dataclass(kind):
        return
    # What other plugins' launchers and sweepers may be told, only they know.
    is_known = place in ((), ("hydra",)) or str(getattr(kind, "__module__", "")).startswith("experimentstash.")
    valid = _fields(kind)
    for key, each in content.items():
        if is_known and key not in valid and (*place, key) not in _HYDRAS_OWN:
            yield place, str(key), list(valid)
        elif isinstance(each, DictConfig):
            yield from _unknown(each, (*place, str(key)))


def refuse_unusable(config: DictConfig) -> None:
    """Refuse what OmegaConf's types let pass, and what Hydra, or we, could only stumble over later."""
    refuse_mistyped(config)
    hydra = config.__dict__["_content"].get("hydra")
    if hydra is None:  # without Hydra's own settings
        return
    for name in ("launcher", "sweeper"):
        chosen = hydra._get_node(name)
        if not isinstance(chosen, DictConfig) or chosen._is_none() or not isinstance(chosen.get("_target_"), str):
            raise StashError(
                f"hydra.{name} says nothing that could be used as a {name}: it must be a choice of that group.",
                f"hydra/{name}=basic",
            )
    verbose = hydra._get_node("verbose")
    if not isinstance(verbose, ListConfig) and not isinstance(verbose._value(), (bool, str)):
        raise StashError("hydra.verbose is neither true or false, nor the name of a logger or a list of them.")
    for name in hydra.job.env_set or {}:
        if not name or "=" in str(name):
            raise StashError(f"hydra.job.env_set names {name!r}, which can't be the name of a variable.")


def _fields(kind: Any) -> dict[str, Any]:
    fields: dict[str, Any] = kind.__dataclass_fields__
    return fields
