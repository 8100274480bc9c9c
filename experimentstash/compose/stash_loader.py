"""Hydra's loader for a stash: it gives parameters one meaning (see `parameters`), and refuses settings that are none.

Hydra merges mappings and values without knowing that a text may choose a config of a group in a tool, with values
inside, and takes a dotted key for one with a dot in it. So the node `params` is put together here, in every way of
composing; everything else is Hydra's own work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from experimentstash.base import yaml_files
from experimentstash.base.errors import CommandLineError, StashError, did_you_mean
from experimentstash.base.yaml_files import YamlError
from experimentstash.compose import interpolations
from experimentstash.compose.hydra_compat import (
    CachingConfigRepository,
    ConfigResult,
    ConfigSearchPath,
    ConfigSource,
    FileConfigSource,
    HydraLoader,
    IConfigRepository,
    ResultDefault,
    overriding_with,
)
from experimentstash.compose.mistyped import refuse_mistyped
from experimentstash.stash import parameters
from experimentstash.stash.parameters import ClashError, Leaf, Leaves, Name

PARAMS = "params"
# Where a user's own values for interpolations belong.
VARIABLES = "vars"
# What Hydra itself adds to the settings that its types, and ours, know.
_HYDRAS_OWN = {("hydra",), ("hydra", "env")}


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
        with _overriding(is_lenient=given["run_mode"] is RunMode.MULTIRUN):
            config = super().loaded(**given)
        _point_at_choices(config)
        refuse_unknown(config, given["overrides"])
        _refuse_unusable(config)
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
            with _taken_out(loaded.config) as params:
                config.merge_with(loaded.config)
            if params is not None:
                below = _container(config, PARAMS)
                try:
                    config[PARAMS] = parameters.merged(below or {}, params)
                except ClashError as clash:
                    raise _in_file(loaded, default, clash) from clash
        except OmegaConfBaseException as error:
            raise ConfigCompositionException(
                f"In '{default.config_path}': {type(error).__name__} raised while composing config:\n{error}"
            ).with_traceback(error.__traceback__) from None


# --- the jobs of a sweep ---------------------------------------------------------------------------------------------


def launching(config: DictConfig) -> dict[str, Any]:
    """Return what a configuration says of how a sweep is launched."""
    nodes = config.__dict__["_content"]["hydra"].__dict__["_content"]
    return {name: OmegaConf.to_container(nodes[name], resolve=False) for name in ("launcher", "sweeper")}


def _too_late(config: DictConfig, name: str, begun: Any, asked: Any) -> StashError:
    """Return the error for a job that would have its sweep launched otherwise than it is."""
    organizer = config.hydra.runtime.choices.get("exp")
    who = "what is swept" if organizer is None else f"conf/exp/{organizer}.yaml, or what else is swept,"
    chosen = config.hydra.runtime.choices.get(f"hydra/{name}")
    if asked.get("_target_") != begun.get("_target_"):
        what, mend = f"hydra/{name}={chosen}", f"hydra/{name}={chosen}"
    else:
        other = [key for key in {**begun, **asked} if asked.get(key) != begun.get(key)]
        what, mend = f"hydra.{name}.{other[0]}", f"hydra.{name}.{other[0]}={asked.get(other[0])}"
    return StashError(
        f"{who} sets {what}, which comes too late: by then the sweep has begun, and it is launched as a whole.",
        f"give it on the command line, for all runs: {mend}",
    )


# --- files -----------------------------------------------------------------------------------------------------------


class _FileSource(FileConfigSource):
    """Hydra's source of files, with our reader of YAML: safe from what isn't one, and ten times faster."""

    @classmethod
    def of(cls, source: ConfigSource) -> _FileSource:
        return cls(provider=source.provider, path=source.path)

    def load_config(self, config_path: str) -> ConfigResult:
        path = os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path)))
        text = yaml_files.text_of(path)
        content = yaml_files.as_mapping(yaml_files.parse(text, path, for_omegaconf=True), path)
        _check_defaults(content, path)
        if content.get("hydra", {}) is None:  # Hydra would stumble over it
            raise StashError(f"{yaml_files.shown(path)}: hydra is null; it must be a mapping, or not be there.")
        try:
            header = ConfigSource._get_header_dict(text[:512])
        except ValueError as error:
            raise YamlError(path, f"a file with a first line that Hydra can't read ({error})", 1) from error
        return ConfigResult(
            config=OmegaConf.create(content),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=header,
        )


def _check_defaults(content: dict[Any, Any], path: str) -> None:
    """Refuse a defaults list with entries of which Hydra can't make anything."""
    entries = content.get("defaults")
    if entries is None:
        return
    if not isinstance(entries, list):
        raise StashError(
            f"{yaml_files.shown(path)}: its defaults must be a list.", "begin each entry of `defaults` with a dash"
        )
    for entry in entries:
        pairs = list(entry.items()) if isinstance(entry, dict) else [(entry, None)]
        is_known = len(pairs) == 1 and isinstance(pairs[0][0], str) and pairs[0][0] != ""
        for chosen in pairs[0][1] if is_known and isinstance(pairs[0][1], list) else (pairs[0][1:] if is_known else ()):
            is_known &= chosen is None or isinstance(chosen, str)
        if not is_known:
            raise StashError(
                f"{yaml_files.shown(path)}: an entry of its defaults is neither a name nor one group with the names to"
                f" choose in it: {str(entry)[:200]}.",
                "write `- NAME` or `- override /GROUP: NAME`, a number in quotes",
            )


def read_ourselves(repository: IConfigRepository) -> None:
    """Have the files in all places of a repository read by our reader."""
    sources = repository.get_sources()
    sources[:] = [_FileSource.of(source) if _is_file_source(source) else source for source in sources]
    # Hydra copies a repository before each composition, and with it all types that it knows, which never change.
    schemas: Any = repository.get_schema_source()
    schemas.__deepcopy__ = lambda _: schemas


def _is_file_source(source: ConfigSource) -> bool:
    # By name: Hydra executes the modules of its plugins a second time.
    return type(source).__name__ == FileConfigSource.__name__


@contextlib.contextmanager
def _taken_out(config: Any) -> Iterator[dict[Any, Any] | None]:
    """Take the parameters out of what is about to be merged, and yield them; None for what OmegaConf is to judge."""
    params = _container(config, PARAMS) if isinstance(config, DictConfig) else None
    if not params:
        yield None
        return
    content = config.__dict__["_content"]
    config.__dict__["_content"] = {key: node for key, node in content.items() if key != PARAMS}
    try:
        yield params
    finally:
        config.__dict__["_content"] = content


def _container(config: DictConfig, name: str) -> dict[Any, Any] | None:
    """Return a mapping of a configuration as plain data, interpolations as they stand; None if it is no mapping."""
    content = config.__dict__["_content"]
    node = content.get(name) if isinstance(content, dict) else None
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or node._is_interpolation():
        return None
    found = OmegaConf.to_container(node, resolve=False)
    assert isinstance(found, dict)
    return found


def strip_defaults(config: Any) -> None:
    """Remove the defaults lists that typed configs keep while they are merged: Hydra's own, inaccessible function."""
    if isinstance(config, DictConfig) and not config._is_missing() and not config._is_none():
        with flag_override(config, ["readonly", "struct"], False):
            if config._get_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS"):
                config._set_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS", None)
                config.pop("defaults", None)
        for _, value in config.items_ex(resolve=False):
            strip_defaults(value)


def _in_file(loaded: ConfigResult, default: ResultDefault, clash: ClashError) -> StashError:
    path = os.path.join(loaded.path.partition("://")[2], f"{default.config_path}.yaml")
    shown = yaml_files.shown(path)
    places = [_place(path, leaf.written) for leaf in (clash.first, clash.second)]
    told = [f"{leaf.label} ({place})" for leaf, place in zip((clash.first, clash.second), places, strict=True)]
    return _clash(shown, clash, told)


def _clash(where: str, clash: ClashError, told: Sequence[str]) -> StashError:
    first, second = clash.first, clash.second
    if parameters.name_of(first.keys) == parameters.name_of(second.keys):
        what = f"{told[0]} and {told[1]} are the same parameter, given as {first.value!r} and as {second.value!r}."
        return StashError(f"{where}: {what}", "keep one of them")
    what = f"{told[0]} is {first.value!r}, which has no values inside, but {told[1]} is given too."
    return StashError(f"{where}: {what}", "keep one of them (only a text, the choice of a config group, can have both)")


def _place(path: str, keys: Sequence[Any]) -> str:
    """Return the line in a file where a parameter is given."""
    top: Any = yaml.compose(yaml_files.text_of(path))
    for chain in ((PARAMS, *keys), keys):
        node, line = top, None
        for key in chain:
            entries = node.value if isinstance(node, yaml.MappingNode) else []
            found = next((pair for pair in entries if pair[0].value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        else:
            return f"line {line}"
    return "in this file"


# --- overrides -------------------------------------------------------------------------------------------------------


def _overriding(is_lenient: bool) -> AbstractContextManager[None]:
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
    below = _container(config, PARAMS)
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
            raise _clash(str(override.input_line), clash, [clash.first.label, clash.second.label]) from clash
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


# --- the whole -------------------------------------------------------------------------------------------------------


def _point_at_choices(config: DictConfig) -> None:
    """Let ``${params.model}`` mean the choice where there are values beside it."""
    params = _container(config, PARAMS)
    chosen = {
        (PARAMS, *name): entry
        for name in parameters.choices(params or {})
        for entry in _entries(params or {}, name)
        if parameters.split_mark(entry)[1] == parameters.CHOICE
    }
    if chosen:
        for place, node in _texts(config, ()):
            value = node._value()
            pointed = parameters.pointed_at_choices(value, place, chosen)
            if pointed != value:
                node._set_value(pointed)


def _entries(tree: Any, name: Name) -> list[str]:
    for key in name:
        tree = next(value for each, value in tree.items() if str(each) == key)
    return [str(key) for key in tree]


def _texts(node: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the nodes of all texts with interpolations, and where they are."""
    content = node.__dict__.get("_content")
    if isinstance(node, DictConfig) and isinstance(content, dict):
        for key, each in content.items():
            yield from _texts(each, (*place, key))
    elif isinstance(node, ListConfig) and isinstance(content, list):
        for number, each in enumerate(content):
            yield from _texts(each, (*place, number))
    elif isinstance(node._value(), str) and "${" in node._value():
        yield place, node


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


def _refuse_unusable(config: DictConfig) -> None:
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
