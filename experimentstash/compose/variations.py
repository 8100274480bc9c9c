"""The jobs of a sweep: those that make the same choices share one composition, into which each one's values are put.

Most jobs of a sweep choose the same configs and give some parameters other values. Hydra composes the first of them.
Values never decide what is merged, so for the others its configuration is taken and given their values, as Hydra does
it at the end of a composition. That is the same as composing anew where no override can touch what another one sets:
plain values for different keys, none above another, and no interpolation on the way to them. Whatever isn't so certain
is composed anew.
"""

from __future__ import annotations

import copy
import functools
import itertools
import os
import pickle
import re
import textwrap
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from omegaconf import MISSING, Container, DictConfig, ListConfig, OmegaConf, ValueNode
from omegaconf.errors import OmegaConfBaseException

from experimentstash.base import files
from experimentstash.base.dataclass_light import replace
from experimentstash.base.patterns import regex
from experimentstash.compose.hydra_compat import ConfigSearchPath, directory_namer, represent_text
from experimentstash.compose.job_config import (
    USUAL_NAME,
    HydraJobInfo,
    hydra_hidden,
    is_dry,
    job_info,
    number_of,
    override_nodes,
    put,
    raw,
    typed_overrides,
    without_hydra,
)
from experimentstash.compose.loader import RememberingLoader, pickled
from experimentstash.compose.stash_loader import PARAMS
from experimentstash.stash.parameters import CHOICE, Name, name_of, read
from experimentstash.stash.schema import StashConfig

# Compositions that are kept, and those that are kept as bytes (20 KB each): a sweep over experiments may come back to
# each of them for every seed.
_KEPT, _PACKED = 64, 2000
_KEY = regex(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
# What Hydra's grammar (https://hydra.cc/docs/1.3/advanced/override_grammar/basic/) reads as a number or a plain word.
_PLAIN = regex(
    r"(?P<key>\+{0,2}[A-Za-z_][\w.-]*)=(?:(?P<number>-?(?:0|[1-9]\d*)(?P<part>\.\d+)?)|(?P<word>[a-z]\w*))", re.ASCII
)
_NO_WORDS = {"true", "false", "null", "inf", "nan"}
# What YAML leaves as it is, and what of it means something else, or gets quotes from OmegaConf.
_WORD = regex(r"(?:/|\+{0,2}(?=[A-Za-z]))[\w./+=,-]*", re.ASCII)
_NO_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "infinity", "nan"}
# A directory's name that depends on nothing but the environment and the time at which the sweep began.
_SAME_FOR_ALL = regex(r"(?:[^$]|\$(?!\{)|\$\{(?:oc\.env|now):[^${}]*\})*")
# What decides whether Hydra does more for a job than to write its files, and where to.
_SAME_FOR_PLAIN = (("hydra", "job", "env_set"), ("hydra", "job", "chdir"), ("hydra", "output_subdir"))
# What of Hydra's own settings differs between the jobs of a sweep, besides the overrides.
_PER_JOB = (("job", "num"), ("job", "id"), ("job", "override_dirname"), ("runtime", "output_dir"))


class SweepLoader(RememberingLoader):
    """Hydra's loader for a sweep."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        # Whether whoever asks for a job's configuration is done with it before asking for the next one.
        self.is_shared = False
        self._known: OrderedDict[tuple[str | None, ...], SharedComposition] = OrderedDict()
        self._packed: OrderedDict[tuple[str | None, ...], tuple[bytes, dict[str, _Path]]] = OrderedDict()
        self._master: DictConfig | None = None
        self._parse = functools.lru_cache(maxsize=1000)(_Parser())

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        if not self.is_shared:
            return super().load_sweep_config(master_config, sweep_overrides)
        return self.variation(master_config, sweep_overrides).config

    def variation(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> SharedComposition:
        """Return the job with these overrides, valid until the next one is asked for. Raises what Hydra raises."""
        if master_config is not self._master:
            self._master = master_config
            self._known.clear()
            self._packed.clear()
        try:
            parsed = [self._parse(line) for line in sweep_overrides]
        except Exception:  # Hydra says it better
            return SharedComposition(super().load_sweep_config(master_config, sweep_overrides))
        are_values = [self._is_value(override) for override in parsed]
        shape = tuple(
            _shape(override) if is_value else override.input_line
            for override, is_value in zip(parsed, are_values, strict=True)
        )
        known = self._known.pop(shape, None) or self._unpacked(shape)
        if known is not None:
            try:
                known.vary(parsed)
                OmegaConf.copy_cache(from_config=master_config, to_config=known.config)
                self._keep(shape, known)
                return known
            except OmegaConfBaseException:
                pass  # a value of the wrong type: Hydra says it better
        made = SharedComposition(super().load_sweep_config(master_config, sweep_overrides))
        settings = [override for override in parsed if not self._is_choice(override)]
        values = [override for override, is_value in zip(parsed, are_values, strict=True) if is_value]
        if not any(override.is_hydra_override() for override in parsed) and made.can_vary(settings, values):
            self._keep(shape, made)
        return made

    def _keep(self, shape: tuple[str | None, ...], variation: SharedComposition) -> None:
        self._known[shape] = variation
        if len(self._known) > _KEPT:
            oldest, least_used = self._known.popitem(last=False)
            if (kept := pickled(least_used.config)) is not None:
                self._packed[oldest] = kept, least_used.values
                if len(self._packed) > _PACKED:
                    self._packed.popitem(last=False)

    def _unpacked(self, shape: tuple[str | None, ...]) -> SharedComposition | None:
        kept, values = self._packed.pop(shape, (None, {}))
        return None if kept is None else SharedComposition(pickle.loads(kept), values)

    def _is_choice(self, override: Override) -> bool:
        return self._memory.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def _is_value(self, override: Override) -> bool:
        """Tell whether an override does nothing but give a plain value to a setting of an experiment."""
        value = override.value()
        return (
            not override.is_delete()
            and override.package is None
            and not getattr(override, "is_value_path", False)
            and override.value_type is ValueType.ELEMENT
            and (isinstance(value, (bool, int, float)) or (isinstance(value, str) and "${" not in value != "???"))
            and _KEY.fullmatch(override.key_or_group) is not None
            and override.key_or_group.partition(".")[0] not in ("hydra", "tool")
            and not self._memory.group_exists(override.key_or_group)
        )


def _shape(override: Override) -> str:
    """Return what all overrides say alike that may share a composition.

    A text stays beside values that are inside what it chooses; another value takes their place.
    """
    return override.get_key_element() + ("=text" if isinstance(override.value(), str) else "")


class _Parser:
    """Hydra's parser, which is asked once for each key that gets numbers or plain words."""

    def __init__(self) -> None:
        self._parser = OverridesParser.create()
        self._known: dict[str, Override] = {}

    def __call__(self, line: str) -> Override:
        plain = _PLAIN.fullmatch(line)
        if plain is None or (plain["word"] or "").lower() in _NO_WORDS:
            return self._parser.parse_override(line)
        key = plain["key"]
        if key not in self._known:
            self._known[key] = self._parser.parse_override(f"{key}=0")
        number = float if plain["part"] else int
        value = plain["word"] if plain["number"] is None else number(plain["number"])
        return replace(self._known[key], _value=value, input_line=line)


class SharedComposition:
    """A job of a sweep: its configuration, the node `hydra` included, and what is derived from it."""

    def __init__(self, config: DictConfig, values: dict[str, _Path] | None = None) -> None:
        self.config = config
        self.values = values or {}  # where the values are that differ between jobs, by the keys of their overrides
        self._interpolations: list[_Path] = []
        self._typed: StashConfig | None = None
        self._job_info: HydraJobInfo | None = None
        self._sweep: str | None = None  # its directory, where that is the same for all jobs
        self._files: tuple[_Yaml, _Yaml] | None = None

    def can_vary(self, settings: Sequence[Override], values: Sequence[Override]) -> bool:
        """Tell whether other values in place of these give what composing anew with them would give.

        ``settings`` are all overrides that don't choose configs, the values among them; none is one of Hydra's.
        """
        if not all(_KEY.fullmatch(override.key_or_group) for override in settings):
            return False
        names = [_name(override.key_or_group) for override in settings]
        params = raw(self.config, PARAMS)
        known = _places(params)
        places = {override.key_or_group: _place(override.key_or_group, known) for override in settings}
        varying = {override.key_or_group: places[override.key_or_group] for override in values}
        can_vary = (
            not any(_touch(one, other) for one, other in itertools.combinations(zip(names, settings, strict=True), 2))
            and all(self._is_straight(path) for path in places.values())
            and all(isinstance(_node(self.config, path), ValueNode) for path in varying.values())
            and not any(_node(self.config, path)._is_interpolation() for path in _SAME_FOR_PLAIN)
        )
        self.values = varying if can_vary else {}
        return can_vary

    def _is_straight(self, path: _Path) -> bool:
        """Tell whether no interpolation leads from one of the nodes above ``path`` to somewhere else."""
        nodes = [_node(self.config, path[:length]) for length in range(1, len(path))]
        return all(isinstance(node, DictConfig) and not node._is_interpolation() for node in nodes)

    def vary(self, overrides: Sequence[Override]) -> None:
        """Take the values of another job that makes the same choices. Raises OmegaConf's errors."""
        config = self.config
        for override, typed in zip(overrides, override_nodes(raw(config, "hydra")), strict=True):
            typed._set_value(override.input_line)
            node = self._nodes.get(override.key_or_group)
            if node is not None:
                node._set_value(override.value())
        put(config, "runtime.output_dir", MISSING)  # each job's own
        if self._dirname is not None:
            put(config, "job.override_dirname", self._dirname(overrides))

    @functools.cached_property
    def _nodes(self) -> dict[str, Any]:
        """The nodes of the values that differ, by the keys of their overrides."""
        return {key: raw(self.config, *path) for key, path in self.values.items()}

    @functools.cached_property
    def _dirname(self) -> Callable[[Sequence[Override]], str] | None:
        """How overrides make the name of a directory."""
        return directory_namer(self.config.hydra.job.config.override_dirname)

    @functools.cached_property
    def is_plain(self) -> bool:
        """Whether Hydra would do nothing for the job but write its files."""
        hydra = self.config.hydra
        return not (hydra.job.env_set or hydra.job.chdir or hydra.output_subdir is None)

    @functools.cached_property
    def _output_subdir(self) -> str:
        return str(self.config.hydra.output_subdir)

    def directory(self, config: DictConfig) -> Path:
        """Return the run's directory, as `job_config.own_directory` does."""
        settings = raw(config, "hydra", "sweep")
        if self._sweep is None:
            place = str(settings.dir)
            if _SAME_FOR_ALL.fullmatch(str(raw(settings, "dir")._value())):
                self._sweep = place
        else:
            place = self._sweep
        is_usual = raw(settings, "subdir")._value() == USUAL_NAME
        return Path(place, str(raw(config, "hydra", "job", "num")._value() if is_usual else settings.subdir))

    def job_info(self) -> HydraJobInfo:
        """Return what Hydra's settings say of the job, with HydraConfig set as in it."""
        hydra = raw(self.config, "hydra")
        if self._job_info is None or self._sweep is None:
            self._job_info = job_info(hydra, self.config)
            return self._job_info
        return replace(
            self._job_info,
            directory=Path(raw(hydra, "runtime", "output_dir")._value()),
            number=number_of(hydra),
            overrides=typed_overrides(hydra),
            is_dry=is_dry(self.config),
        )

    def typed(self) -> StashConfig:
        """Return the job's settings, with HydraConfig set as in a job. Raises OmegaConf's errors.

        They share what doesn't differ with those of other jobs: not to be changed.
        """
        if self._typed is None:
            made = OmegaConf.to_object(without_hydra(self.config))
            assert isinstance(made, StashConfig)
            self._typed = made
            self._interpolations = [path for path in _interpolations(self.config) if path[0] != "hydra"]
            return made
        directory = raw(self.config, "hydra", "runtime", "output_dir")._value()
        with hydra_hidden(self.config):
            for path in self._interpolations:
                # Of the one that every job has, it is known without asking OmegaConf.
                is_directory = _node(self.config, path)._value() == StashConfig.output_dir
                self._typed = _replaced(self._typed, path, directory if is_directory else _select(self.config, path))
        for path in self.values.values():
            self._typed = _replaced(self._typed, path, raw(self.config, *path)._value())
        return self._typed

    def keep(self, directory: Path) -> None:
        """Write the files that Hydra keeps of a job, with HydraConfig set as in it."""
        folder = os.path.join(directory, self._output_subdir)
        try:
            os.mkdir(folder)
            flags = os.O_EXCL
        except (FileExistsError, FileNotFoundError):  # an earlier try's, or deeper
            os.makedirs(folder, exist_ok=True)
            flags = os.O_TRUNC
        for name, text in self.files().items():
            files.write(os.path.join(folder, name), text.encode(), flags)

    def files(self) -> dict[str, str]:
        """Return the files that Hydra keeps of a job in its output_subdir."""
        hydra = raw(self.config, "hydra")
        if self._files is None:
            own = OmegaConf.to_container(without_hydra(self.config), resolve=False, enum_to_str=True)
            settings = OmegaConf.to_container(hydra, resolve=False, enum_to_str=True)
            assert isinstance(own, dict)
            self._files = (_Yaml(own, 2), _Yaml({"hydra": settings}, 3))
        config, whole = self._files
        for path in self.values.values():
            config.set(path, raw(self.config, *path)._value())
        for path in _PER_JOB:
            whole.set(("hydra", *path), raw(hydra, *path)._value())
        task = typed_overrides(hydra)
        whole.set(("hydra", "overrides", "task"), task)
        return {"config.yaml": config.text(), "hydra.yaml": whole.text(), "overrides.yaml": _list(task)}


_Path = tuple[Any, ...]  # keys, and positions in lists


def _name(key: str) -> Name:
    """Return the name of a setting; that of a choice is what it is a choice of."""
    return name_of(key.removesuffix(f".{CHOICE}").split("."))


def _places(params: Any) -> dict[Name, _Path]:
    """Return where each parameter is in the tree of them; nothing is known where that is an interpolation."""
    content = OmegaConf.to_container(params, resolve=False)
    leaves = read(content) if isinstance(content, dict) else {}
    return {(PARAMS, *name): (PARAMS, *leaf.written) for name, leaf in leaves.items()}


def _place(key: str, known: dict[Name, _Path]) -> _Path:
    return known.get(_name(key), tuple(key.split(".")))


def _touch(one: tuple[Name, Override], other: tuple[Name, Override]) -> bool:
    """Tell whether two overrides may be about the same; not if one is a choice and the other a value inside it."""
    (above, choosing), (below, _) = sorted((one, other), key=lambda each: len(each[0]))
    if below[: len(above)] != above:
        return False
    is_choice = above[0] == PARAMS and not choosing.is_delete() and isinstance(choosing.value(), str)
    return above == below or not is_choice


def _node(config: Container, path: _Path) -> Any:
    """Return the node at a path, an interpolation as it stands; None if there is none."""
    node: Any = config
    for part in path:
        if not isinstance(node, (DictConfig, ListConfig)) or node._is_none() or node._is_missing():
            return None
        if node._is_interpolation():
            return None
        node = node._get_node(part)
    return node


def _interpolations(node: Any, path: _Path = ()) -> Iterator[_Path]:
    """Yield the paths of all interpolations."""
    if node._is_interpolation():
        yield path
    elif isinstance(node, (DictConfig, ListConfig)) and not node._is_none() and not node._is_missing():
        keys: Any = range(len(node)) if isinstance(node, ListConfig) else list(node.keys())
        for key in keys:
            yield from _interpolations(node._get_node(key), (*path, key))


def _select(config: DictConfig, path: _Path) -> Any:
    """Return the value at a path as it is in the typed configuration."""
    value = _node(config, path[:-1])[path[-1]]
    return OmegaConf.to_object(value) if isinstance(value, Container) else value


def _replaced(original: Any, path: _Path, value: Any) -> Any:
    """Return a copy of nested dataclasses, dicts and lists with one value replaced; it shares all the others."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    copied = copy.copy(original)
    if isinstance(copied, (dict, list)):
        copied[first] = _replaced(copied[first], rest, value)
    else:
        setattr(copied, str(first), _replaced(getattr(copied, str(first)), rest, value))
    return copied


class _Yaml:
    """A mapping as YAML, of which only what has changed is written anew; ``depth``: how many levels are told apart."""

    def __init__(self, content: dict[Any, Any], depth: int, margin: str = "") -> None:
        self._margin = margin
        self._inner: dict[Any, _Yaml] = {}
        self.values: dict[Any, Any] = dict(content)
        self._texts: dict[Any, str] = {}
        self._whole: str | None = None
        for key, value in content.items():
            if depth > 1 and isinstance(value, dict) and value:
                self._inner[key] = _Yaml(value, depth - 1, margin + "  ")

    def set(self, path: _Path, value: Any) -> None:
        """Replace one value."""
        self._whole = None
        first, rest = path[0], path[1:]
        if first in self._inner and rest:
            self._inner[first].set(rest, value)
            return
        node: Any = self.values
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value.name if isinstance(value, Enum) else value
        self._texts.pop(first, None)

    def text(self) -> str:
        if self._whole is None:
            for key in self.values.keys() - self._texts.keys():
                shown = _yaml({key: None}).replace(" null", "") if key in self._inner else _entry(key, self.values[key])
                self._texts[key] = textwrap.indent(shown, self._margin) if self._margin else shown
            inner, texts = self._inner, self._texts
            self._whole = "".join(
                [texts[key] + inner[key].text() if key in inner else texts[key] for key in self.values]
            )
        return self._whole


def _entry(key: Any, value: Any) -> str:
    """Return an entry of a mapping as YAML."""
    if isinstance(value, list) and value:
        return f"{key}:\n{_list(value)}" if _plain(key) else _yaml({key: value})
    plain = _plain(key), _plain(value)
    return _yaml({key: value}) if None in plain else "{}: {}\n".format(*plain)


def _list(values: list[Any]) -> str:
    plain = [_plain(value) for value in values]
    return _yaml(values) if None in plain or not values else "".join(f"- {value}\n" for value in plain)


def _plain(value: Any) -> str | None:
    """Return a number or a word as YAML has it; None for what is more, or may need more."""
    if type(value) is int:
        return str(value)
    if type(value) is not str or not value.isascii():
        return None
    if value.isdecimal():
        return f"'{value}'"
    is_plain = _WORD.fullmatch(value) is not None and value.lstrip("+").lower() not in _NO_YAML_WORDS
    return value if is_plain else None


def _yaml(content: Any) -> str:
    return str(yaml.dump(content, Dumper=_dumper(), default_flow_style=False, allow_unicode=True, sort_keys=False))


@functools.cache
def _dumper() -> Any:
    """Return OmegaConf's way of writing YAML, on libyaml where it is there."""

    class Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]
        pass

    Dumper.add_representer(str, represent_text)
    return Dumper
