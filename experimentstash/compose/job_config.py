"""A composed configuration as a job sees it: in its directory, and without Hydra's own settings."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex
from experimentstash.compose.loader import pickled
from experimentstash.stash import parameters
from experimentstash.stash.schema import TOLD_THE_EXPERIMENT, CallStyle, StashConfig

# submitit's launcher for SLURM, by the end of its name, and what its settings are called in `resources`.
SUBMITIT_SLURM = ".submitit_launcher.SlurmLauncher"
_SUBMITITS_NAMES = {
    "cpus": "cpus_per_task",
    "gpus": "gpus_per_node",
    "nodes": "nodes",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "gres": "gres",
}


# The name of a run's directory in that of its sweep, unless something else is asked for.
USUAL_NAME = "${hydra.job.num}"


@dataclass(frozen=True)
class HydraJobInfo:
    """What Hydra's own settings say of a job."""

    directory: Path  # the run's
    output_subdir: str | None  # in it, where Hydra writes its files
    sweep: Path | None  # the sweep's; None: a single run
    number: int | None  # in the sweep
    overrides: Sequence[str]  # as they were typed
    tool: str | None
    organizer: str | None
    tool_env: Mapping[str, Any]  # the tool's `env`, interpolations as they stand
    env_set: Mapping[str, str]  # what Hydra is to set in the job's environment
    launcher: str
    sweeper: str
    is_dry: bool  # nothing is to be executed
    is_parallel: bool = False  # several jobs of the sweep may be at work at the same time
    unused: Sequence[str] = ()  # parameters that would be recorded, and that nothing hands over
    is_heard: bool = True  # the tool is told of the experiment that is set
    no_texts: Sequence[tuple[str, str, Any]] = ()  # handed over in a text: where, which key, its value
    of_launcher: Mapping[str, Any] | None = None  # what its launcher asks SLURM for, whatever the experiment says


class Job(Protocol):
    """One composed job, looked at while HydraConfig is set as in it."""

    def job_info(self) -> HydraJobInfo: ...

    def typed(self) -> StashConfig:
        """Return its settings. Raises OmegaConf's errors."""

    def keep(self, directory: Path) -> None:
        """Write what Hydra keeps of a job into the run's directory, if it isn't there yet."""


@dataclass(frozen=True)
class HydraJob:
    """A job as Hydra gives it to a task function: its files are written already."""

    config: DictConfig

    def job_info(self) -> HydraJobInfo:
        return job_info(HydraConfig.get(), self.config)

    def typed(self) -> StashConfig:
        made = OmegaConf.to_object(self.config)
        assert isinstance(made, StashConfig)
        return made

    def keep(self, directory: Path) -> None:
        """Write the files again if the directory was moved aside with what an earlier try had left."""
        hydra = HydraConfig.get()
        if hydra.output_subdir is None or (directory / hydra.output_subdir).is_dir():
            return
        (directory / hydra.output_subdir).mkdir(parents=True)
        kept = {"config": self.config, "hydra": {"hydra": hydra}, "overrides": hydra.overrides.task}
        for name, content in kept.items():
            OmegaConf.save(content, directory / hydra.output_subdir / f"{name}.yaml")


def job_info(hydra: Any, config: DictConfig) -> HydraJobInfo:
    """Return what the node `hydra` of a job's configuration says, and that itself."""
    choices = hydra.runtime.choices
    unresolved = OmegaConf.to_container(config.tool.env, resolve=False)
    assert isinstance(unresolved, dict)
    tool = choices.get("tool")
    return HydraJobInfo(
        directory=Path(hydra.runtime.output_dir),
        output_subdir=hydra.output_subdir,
        sweep=sweep_directory(hydra) if hydra.mode == RunMode.MULTIRUN else None,
        number=number_of(hydra) if hydra.mode == RunMode.MULTIRUN else None,
        overrides=typed_overrides(hydra),
        tool=None if tool is None else str(tool),
        organizer=choices.get("exp"),
        tool_env={str(name): value for name, value in unresolved.items()},
        env_set={str(name): str(value) for name, value in hydra.job.env_set.items()},
        launcher=str(hydra.launcher._target_),
        sweeper=str(hydra.sweeper._target_),
        is_dry=is_dry(config),
        is_parallel=hydra.mode == RunMode.MULTIRUN and not _in_turn(hydra.launcher),
        unused=_unused(config, hydra),
        is_heard=_is_heard(config, hydra),
        no_texts=list(_no_texts(config)),
        of_launcher=asked_by_submitit(hydra.launcher),
    )


def uncomposed(config: DictConfig, number: int, overrides: Sequence[str]) -> HydraJobInfo:
    """Return what is known of a job of a sweep that can't be composed; ``config`` is what all of them share."""
    hydra = config.hydra
    sweep = sweep_directory(hydra)
    chosen = [word.partition("=")[2] for word in overrides if word.lstrip("+").startswith("exp=")]
    is_usual = raw(hydra, "sweep", "subdir")._value() == USUAL_NAME
    return HydraJobInfo(
        directory=sweep / (str(number) if is_usual else refused_name(number)),
        output_subdir=None,
        sweep=sweep,
        number=number,
        overrides=list(overrides),
        tool=None,
        organizer=chosen[-1] if chosen else hydra.runtime.choices.get("exp"),
        tool_env={},
        env_set={},
        launcher=str(hydra.launcher._target_),
        sweeper=str(hydra.sweeper._target_),
        is_dry=is_dry(config),
    )


def sweep_directory(hydra: Any) -> Path:
    """Return a sweep's directory: relative to where it was begun, wherever a job is by now."""
    return Path(os.path.abspath(os.path.join(str(hydra.runtime.cwd), str(hydra.sweep.dir))))


def refused_name(number: int | None) -> str:
    """Return the name of the directory in which a job is recorded that can't have its own: it is no other job's."""
    return f"{number}-not-run"


def number_of(hydra: Any) -> int | None:
    """Return a job's number in its sweep."""
    number = raw(hydra, "job", "num")._value()
    return number if isinstance(number, int) else None


def _is_heard(config: DictConfig, hydra: Any) -> bool:
    """Tell whether the tool is told of its experiment: by how it is called, or where an interpolation names it."""
    node = config._get_node("experiment")
    if node is None or node._is_none() or config.tool.call.style in TOLD_THE_EXPERIMENT:
        return True
    if config.tool.call.experiment is not None and config.tool.call.style is not CallStyle.arguments:
        return True
    settings = [config.arguments, config.tool, config.params, config.vars, hydra.job.env_set]
    texts = [str(OmegaConf.to_container(each, resolve=False)) for each in settings if each is not None]
    return any(re.search(r"[{:]\.*experiment(?![\w-])", text) for text in texts)


def _unused(config: DictConfig, hydra: Any) -> list[str]:
    """Return the parameters that have no way to a tool of the style `arguments`: no interpolation names them."""
    if config.tool.call.style is not CallStyle.arguments or not config.params:
        return []
    params = OmegaConf.to_container(config.params, resolve=False)
    if not isinstance(params, dict):
        return []
    settings = [config.arguments, config.tool, config.resources, config.vars, config.paths, hydra.job.env_set]
    texts = [str(OmegaConf.to_container(each, resolve=False)) for each in settings]
    texts.append(str(config._get_node("experiment")))
    left = parameters.read(params)
    while True:
        said = re.sub(r"[\[\]]", ".", "\n".join(texts))
        if re.search(r"(?<=[{:])params(?![\w.-])|params\.[\w.]*\$", said):  # all, or what another value names
            return []
        named = [name for name in left if _is_named(name, said)]
        if not named:
            return [".".join(("params", *name)) for name in left]
        for name in named:
            text = str(left.pop(name).value)
            beside = re.findall(r"\$\{\.+([\w.-]+)", text)  # whichever of that name
            texts += [
                text,
                *(f"params.{'.'.join(each)}" for each in left for last in beside if each[-1] in last.split(".")),
            ]


_KEY = regex(r"(?<!\\)\$\{([^\s${}:]+)\}")


_MISSING = object()


def _no_texts(config: DictConfig) -> Iterator[tuple[str, str, Any]]:
    """Yield the interpolated values of which `arguments` and `env` would make a text in one of several ways."""
    given = [(f"arguments.{index}", node) for index, node in enumerate(_nodes(config.arguments))]
    given += [(f"env.{name}", config.tool.env._get_node(name)) for name in config.tool.env]
    for where, node in given:
        text = node._value() if node is not None else None
        for key in _KEY.findall(text) if isinstance(text, str) and "${" in text else ():
            if key.startswith("."):
                continue
            try:
                value = OmegaConf.select(config, key, default=_MISSING)
            except OmegaConfBaseException:
                continue  # whoever reads the text says so
            if value is None and text == f"${{{key}}}" and where.startswith("env."):
                continue  # it is unset
            if isinstance(value, (DictConfig, ListConfig)):
                yield where, key, OmegaConf.to_container(value, resolve=False)
            elif value is None or isinstance(value, bool):
                yield where, key, value


def _nodes(values: Any) -> list[Any]:
    return [values._get_node(index) for index in range(len(values))]


def _is_named(name: Sequence[str], text: str) -> bool:
    """Tell whether a text names a parameter, or what it lies in."""
    whole = (".".join(name[:length]) for length in range(1, len(name) + 1))
    return any(re.search(rf"params\.{re.escape(each)}(?![\w-])(?!\.\w)", text) for each in whole)


def _in_turn(launcher: Any) -> bool:
    """Tell whether a launcher executes one job after the other."""
    return str(launcher._target_).endswith(".BasicLauncher") or launcher.get("n_jobs") == 1


def asked_by_submitit(launcher: Any) -> dict[str, Any] | None:
    """Return what submitit's launcher for SLURM asks for, as `resources` has it; None: it is another launcher.

    It submits all jobs of a sweep alike, by its own settings.
    """
    if not str(launcher._target_).endswith(SUBMITIT_SLURM):
        return None
    more = {str(key).replace("-", "_"): value for key, value in (launcher.get("additional_parameters") or {}).items()}
    settings = {**more, **{str(key): value for key, value in launcher.items() if value is not None}}
    asked = {name: settings.get(key) for name, key in _SUBMITITS_NAMES.items()}
    memory = settings.get("mem_gb")
    asked |= {"time": f"{launcher.timeout_min}m", "mem": settings.get("mem") if memory is None else f"{memory}G"}
    return {name: value for name, value in asked.items() if value is not None}


def is_dry(config: DictConfig) -> bool:
    """Tell whether nothing is to be executed."""
    return _flag(config, "dry_run") or _flag(config, "validate_only")


def _flag(config: DictConfig, name: str) -> bool:
    value = raw(config, name)._value()
    return bool(value if isinstance(value, bool) else config[name])


def typed_overrides(hydra: DictConfig) -> list[str]:
    """Return the overrides as they were typed: an interpolation in one belongs to the configuration, not to Hydra's."""
    return [str(node._value()) for node in override_nodes(hydra)]


def override_nodes(hydra: DictConfig) -> list[Any]:
    """Return the nodes that hold a job's overrides."""
    nodes: list[Any] = raw(hydra, "overrides", "task").__dict__["_content"]
    return nodes


def own_directory(config: DictConfig) -> Path:
    """Return the run directory that Hydra's settings give, with HydraConfig set."""
    if config.hydra.mode is RunMode.MULTIRUN:
        place, name = (str(OmegaConf.select(config, f"hydra.sweep.{key}")) for key in ("dir", "subdir"))
        return Path(place, name)
    return Path(str(OmegaConf.select(config, "hydra.run.dir")))


def raw(config: DictConfig, *path: str) -> Any:
    """Return the node at a path below nothing but mappings, as it stands.

    OmegaConf's own way there takes 30 µs: a sweep goes it dozens of times for each of thousands of jobs.
    """
    node: Any = config
    for name in path:
        node = node.__dict__["_content"][name]
    return node


def put(config: DictConfig, path: str, value: Any) -> None:
    """Give one of Hydra's own settings a value, whatever the flags that protect it say."""
    raw(config, "hydra", *path.split("."))._set_value(value)


@contextlib.contextmanager
def as_job(config: DictConfig, find: Callable[[DictConfig], Path] = own_directory) -> Iterator[Path]:
    """Let ``${hydra:…}`` see this configuration, as in a job; yields the run directory, which ``find`` tells."""
    hydra_config: Any = HydraConfig.instance()
    saved = hydra_config.cfg
    hydra_config.cfg = SimpleNamespace(hydra=raw(config, "hydra"))  # what HydraConfig.set_config does, without its copy
    try:
        absolute = os.path.abspath(find(config))
        put(config, "runtime.output_dir", absolute)
        yield Path(absolute)
    finally:
        hydra_config.cfg = saved


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy without the node `hydra`, which stays where it is for ``${hydra:…}``."""
    with hydra_hidden(config):
        kept = pickled(config)
        copied = copy.deepcopy(config) if kept is None else pickle.loads(kept)
    assert isinstance(copied, DictConfig)
    return copied


@contextlib.contextmanager
def hydra_hidden(config: DictConfig) -> Iterator[None]:
    """Take the node `hydra` out for a while: a job doesn't have it, and ``${hydra.…}`` finds nothing."""
    content = config.__dict__["_content"]
    config.__dict__["_content"] = {key: node for key, node in content.items() if key != "hydra"}
    try:
        yield
    finally:
        config.__dict__["_content"] = content
