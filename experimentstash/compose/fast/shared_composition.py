"""A composition that several jobs of a sweep share: each puts its values into it."""

from __future__ import annotations

import copy
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import MISSING, Container, DictConfig, ListConfig, OmegaConf, ValueNode

from experimentstash.base import files
from experimentstash.base.dataclass_light import replace
from experimentstash.base.patterns import regex
from experimentstash.compose.fast.yaml_text import Yaml, as_list, is_same
from experimentstash.compose.hydra_compat import directory_namer
from experimentstash.compose.job_info import (
    USUAL_NAME,
    HydraJobInfo,
    is_dry,
    job_info,
    number_of,
    override_nodes,
    typed_overrides,
)
from experimentstash.compose.nodes import NodePath, hydra_hidden, put, raw, without_hydra
from experimentstash.compose.params_merge import PARAMS
from experimentstash.stash.parameters import CHOICE, Name, name_of, read
from experimentstash.stash.schema import StashConfig

KEY = regex(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
# A directory's name that depends on nothing but the environment and the time at which the sweep began.
_SAME_FOR_ALL = regex(r"(?:[^$]|\$(?!\{)|\$\{(?:oc\.env|now):[^${}]*\})*")
# What decides whether Hydra does more for a job than to write its files, and where to.
_SAME_FOR_PLAIN = (("hydra", "job", "env_set"), ("hydra", "job", "chdir"), ("hydra", "output_subdir"))
# What of Hydra's own settings differs between the jobs of a sweep, besides the overrides.
_PER_JOB = (("job", "num"), ("job", "id"), ("job", "override_dirname"), ("runtime", "output_dir"))


class SharedComposition:
    """A job of a sweep: its configuration, the node `hydra` included, and what is derived from it."""

    def __init__(self, config: DictConfig, values: dict[str, NodePath] | None = None) -> None:
        self.config = config
        self.values = values or {}  # where the values are that differ between jobs, by the keys of their overrides
        self._interpolations: list[NodePath] = []
        self._typed: StashConfig | None = None
        self._job_info: HydraJobInfo | None = None
        self._sweep: str | None = None  # its directory, where that is the same for all jobs
        self._files: tuple[Yaml, Yaml] | None = None

    def can_vary(self, settings: Sequence[Override], values: Sequence[Override]) -> bool:
        """Tell whether other values in place of these give what composing anew with them would give.

        ``settings`` are all overrides that don't choose configs, the values among them; none is one of Hydra's.
        """
        if not all(KEY.fullmatch(override.key_or_group) for override in settings):
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

    def _is_straight(self, path: NodePath) -> bool:
        """Tell whether no interpolation leads from one of the nodes above ``path`` to somewhere else."""
        nodes = [_node(self.config, path[:length]) for length in range(1, len(path))]
        return all(isinstance(node, DictConfig) and not node._is_interpolation() for node in nodes)

    def vary(self, overrides: Sequence[Override]) -> None:
        """Take the values of another job that makes the same choices. Raises OmegaConf's errors."""
        config = self.config
        for override, typed in zip(overrides, override_nodes(raw(config, "hydra")), strict=True):
            if typed._value() == override.input_line:  # as of the job before: so is the value
                continue
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
        """Return the run's directory, as `job.own_directory` does."""
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
        for path, node in zip(self.values.values(), self._nodes.values(), strict=True):
            if not is_same(functools.reduce(_inside, path, self._typed), value := node._value()):
                self._typed = _replaced(self._typed, path, value)
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
            self._files = (Yaml(own, 2), Yaml({"hydra": settings}, 3))
        config, whole = self._files
        for path, node in zip(self.values.values(), self._nodes.values(), strict=True):
            config.set(path, node._value())
        for path in _PER_JOB:
            whole.set(("hydra", *path), raw(hydra, *path)._value())
        task = typed_overrides(hydra)
        whole.set(("hydra", "overrides", "task"), task)
        return {"config.yaml": config.text(), "hydra.yaml": whole.text(), "overrides.yaml": as_list(task)}


def _name(key: str) -> Name:
    """Return the name of a setting; that of a choice is what it is a choice of."""
    return name_of(key.removesuffix(f".{CHOICE}").split("."))


def _places(params: Any) -> dict[Name, NodePath]:
    """Return where each parameter is in the tree of them; nothing is known where that is an interpolation."""
    content = OmegaConf.to_container(params, resolve=False)
    leaves = read(content) if isinstance(content, dict) else {}
    return {(PARAMS, *name): (PARAMS, *leaf.written) for name, leaf in leaves.items()}


def _place(key: str, known: dict[Name, NodePath]) -> NodePath:
    return known.get(_name(key), tuple(key.split(".")))


def _touch(one: tuple[Name, Override], other: tuple[Name, Override]) -> bool:
    """Tell whether two overrides may be about the same; not if one is a choice and the other a value inside it."""
    (above, choosing), (below, _) = sorted((one, other), key=lambda each: len(each[0]))
    if below[: len(above)] != above:
        return False
    is_choice = above[0] == PARAMS and not choosing.is_delete() and isinstance(choosing.value(), str)
    return above == below or not is_choice


def _node(config: Container, path: NodePath) -> Any:
    """Return the node at a path, an interpolation as it stands; None if there is none."""
    node: Any = config
    for part in path:
        if not isinstance(node, (DictConfig, ListConfig)) or node._is_none() or node._is_missing():
            return None
        if node._is_interpolation():
            return None
        node = node._get_node(part)
    return node


def _interpolations(node: Any, path: NodePath = ()) -> Iterator[NodePath]:
    """Yield the paths of all interpolations."""
    if node._is_interpolation():
        yield path
    elif isinstance(node, (DictConfig, ListConfig)) and not node._is_none() and not node._is_missing():
        keys: Any = range(len(node)) if isinstance(node, ListConfig) else list(node.keys())
        for key in keys:
            yield from _interpolations(node._get_node(key), (*path, key))


def _select(config: DictConfig, path: NodePath) -> Any:
    """Return the value at a path as it is in the typed configuration."""
    value = _node(config, path[:-1])[path[-1]]
    return OmegaConf.to_object(value) if isinstance(value, Container) else value


def _inside(container: Any, key: Any) -> Any:
    """Return what is at a key of a dataclass, dict or list."""
    return container[key] if isinstance(container, (dict, list)) else getattr(container, str(key))


def _replaced(original: Any, path: NodePath, value: Any) -> Any:
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
