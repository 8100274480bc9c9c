"""What Hydra's own settings say of a job."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experimentstash.base.dataclass_light import dataclass
from experimentstash.compose.handed_over import is_heard, no_texts, unused
from experimentstash.compose.nodes import raw

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
        unused=unused(config, hydra),
        is_heard=is_heard(config, hydra),
        no_texts=list(no_texts(config)),
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
