"""Overrides of parameters, applied here and not by Hydra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from experimentstash.base.errors import CommandLineError, StashError
from experimentstash.compose.hydra_compat import (
    overriding_with,
)
from experimentstash.compose.nodes import mapping_at
from experimentstash.compose.params_merge import PARAMS, clash_error
from experimentstash.stash import parameters
from experimentstash.stash.parameters import ClashError, Leaf, Leaves, Name


def overriding(is_lenient: bool) -> AbstractContextManager[None]:
    """Have overrides of parameters applied here, not by Hydra.

    ``is_lenient``: of a sweep as a whole, which knows nothing of what its jobs choose; each of them is looked at later.
    """

    def make(original: Callable[[list[Override], DictConfig], None]) -> Callable[[list[Override], DictConfig], None]:
        def apply(overrides: list[Override], config: DictConfig) -> None:
            ours = [override for override in overrides if _is_of_params(override)] if PARAMS in config else []
            original([override for override in overrides if override not in ours] if ours else overrides, config)
            if ours:
                _override(ours, config, is_lenient)

        return apply

    return overriding_with(make)


def _is_of_params(override: Override) -> bool:
    return override.key_or_group == PARAMS or override.key_or_group.startswith(f"{PARAMS}.")


def keys_of(override: Override) -> tuple[str, ...]:
    """Return the keys below `params` of an override of a parameter."""
    key = override.key_or_group + ("" if override.package is None else f"@{override.package}")
    keys = key.removeprefix(PARAMS).removeprefix(".")
    return tuple(map(str, parameters.parts_of(keys))) if keys else ()


def _override(overrides: Sequence[Override], config: DictConfig, is_lenient: bool) -> None:
    below = mapping_at(config, PARAMS)
    if below is None:
        raise StashError(
            f"{overrides[0].input_line}: `params` as a whole is an interpolation or nothing, so nothing in it can be"
            " overridden.",
            "give `params` a mapping; an interpolation may be the value of any key in it",
        )
    changing = _Overriding(parameters.read(below))
    for override in overrides:
        try:
            changing.apply(override)
        except (ConfigCompositionException, StashError):
            if not is_lenient:
                raise
    try:
        config[PARAMS] = parameters.tree(changing.leaves)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException(f"Error merging override {overrides[-1].input_line}") from error


class _Overriding:
    """What the overrides of one command line make of the parameters."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self._set: dict[Name, Override] = {}  # by which override of this command line each was given

    def apply(self, override: Override) -> None:
        """Apply one override. Raises what Hydra raises, and StashError where two contradict each other."""
        keys, value = keys_of(override), override.value()
        name = parameters.name_of(keys)
        if override.is_delete():
            self._remove(override, parameters.name_of(_without_choice(keys)), value, only_choice=_is_choice(keys))
            return
        if not keys and not isinstance(value, dict):
            raise StashError(f"{override.input_line}: `params` is a mapping of parameters.", "params.KEY=VALUE")
        if self._set_in_list(override, name, value):
            return
        given = self._given(override, keys, value)
        if not given:
            raise StashError(
                f"{override.input_line} changes nothing: mappings are merged, and an empty one says nothing.",
                f"'~{override.key_or_group}' removes what is there",
            )
        before = set(self.leaves)
        for each, leaf in given.items():
            # Whatever is there, a mapping may take its place.
            lengths = range(max(1, len(_without_choice(keys))), len(each) + 1)
            self._check(override, each, any(each[:length] in before for length in lengths))
            self._note(override, each, parameters.put(self.leaves, each, leaf), leaf)

    def _given(self, override: Override, keys: tuple[str, ...], value: Any) -> Leaves:
        try:
            if not isinstance(value, dict):
                mark = ""
                own = _without_choice(keys)
                return {parameters.name_of(own): Leaf(own, value, mark, keys, _is_choice(keys))}
            nested = value
            for key in reversed(keys):
                nested = {key: nested}
            found = parameters.read(nested)
        except ClashError as clash:
            raise clash_error(str(override.input_line), clash, [clash.first.label, clash.second.label]) from clash
        is_nothing = value == {} and (self._below(parameters.name_of(keys)) or not keys)
        return {} if is_nothing else found

    def _check(self, override: Override, name: Name, is_there: bool) -> None:
        """Raise what Hydra raises if the key of an override is, or isn't, there already."""
        known = self.leaves.get(name)
        key = ".".join((PARAMS, *name))
        if override.is_add():
            is_free = known is None or known.value is None or isinstance(override.value(), (dict, list))
            is_mapping = known is None and self._below(name) and not parameters.may_choose(override.value())
            if not is_free or (is_mapping and not isinstance(override.value(), (dict, list))):
                line = str(override.input_line)
                raise ConfigCompositionException(
                    f"Could not append to config. An item is already at '{key}'.\nEither remove + prefix: '{line[1:]}'"
                    f"\nOr add a second + to add or override '{key}': '+{line}'\n"
                )
        elif not override.is_force_add() and not is_there and known is None and not self._below(name):
            raise ConfigCompositionException(
                f"Could not override '{override.key_or_group}'.\nTo append to your config use +{override.input_line}"
            ) from _unknown_key(name)

    def _remove(self, override: Override, name: Name, value: Any, only_choice: bool) -> None:
        known = self.leaves.get(name)
        if known is None and (only_choice or not self._below(name)):
            raise ConfigCompositionException(f"Could not delete from config. '{override.key_or_group}' does not exist.")
        if value is not None and (known is None or not parameters.same(known.value, value)):
            what = f"is {known.value!r}" if known is not None else "is a mapping"
            raise ConfigCompositionException(
                f"Could not delete from config. The value of '{override.key_or_group}' {what} and not {value!r}."
            )
        gone = [name] if only_choice else parameters.remove(self.leaves, name)
        self.leaves.pop(name, None)
        for each in gone:
            if each in self._set:
                raise _contradiction(self._set[each], override)

    def _set_in_list(self, override: Override, name: Name, value: Any) -> bool:
        """Set an element of a list (params.list.0=x); False if it is none."""
        for length in range(1, len(name)):
            above = self.leaves.get(name[:length])
            if above is not None and isinstance(above.value, list) and name[length].isdecimal():
                config = OmegaConf.create({"list": above.value})
                OmegaConf.set_struct(config, not (override.is_add() or override.is_force_add()))
                key = ".".join(("list", *name[length:]))
                try:
                    OmegaConf.update(config, key, value, merge=True)
                except (OmegaConfBaseException, IndexError) as error:
                    raise ConfigCompositionException(f"Error merging override {override.input_line}") from error
                changed = OmegaConf.to_container(config, resolve=False)
                assert isinstance(changed, dict)
                self.leaves[name[:length]] = Leaf(
                    above.keys, changed["list"], above.mark, above.written, above.is_choice
                )
                return True
        return False

    def _note(self, override: Override, name: Name, gone: Sequence[Name], leaf: Leaf) -> None:
        """Keep in mind who gave what; one of two overrides that give the same in different words would be lost."""
        for other in gone:
            if other in self._set:
                raise _contradiction(self._set[other], override)
        earlier = self._set.get(name)
        if earlier is not None and earlier.get_key_element() != override.get_key_element():
            raise _contradiction(earlier, override)
        self._set[name] = override

    def _below(self, name: Name) -> bool:
        return any(len(other) > len(name) and other[: len(name)] == name for other in self.leaves)


def _unknown_key(name: Name) -> ConfigKeyError:
    """Return what OmegaConf raises for a key that isn't there."""
    kind = "    reference_type=Dict[str, Any]\n" if len(name) == 1 else ""
    full = ".".join((PARAMS, *name))
    return ConfigKeyError(f"Key '{name[-1]}' is not in struct\n    full_key: {full}\n{kind}    object_type=dict")


def _without_choice(keys: tuple[str, ...]) -> tuple[str, ...]:
    return keys[:-1] if _is_choice(keys) else keys


def _is_choice(keys: tuple[str, ...]) -> bool:
    return len(keys) > 1 and keys[-1] == parameters.CHOICE


def _contradiction(first: Override, second: Override) -> StashError:
    return CommandLineError(
        f"command line: {first.input_line!r} and {second.input_line!r} say different things of the same parameter.",
        "keep one of them",
    )
