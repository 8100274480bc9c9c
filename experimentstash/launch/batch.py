"""From what runs ask for to batch scripts: which runs share a job array, and what SLURM is told of each array.

The script ends in `exec`: our supervisor takes the place of the shell, so that SLURM's warning (`--signal=B:…`) reaches
it alone. It then tells the tool in the way that suits it, and W&B's service lives on until the tool has saved its work.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from experimentstash import durations
from experimentstash.errors import StashError
from experimentstash.records import Run
from experimentstash.schema import ResourcesConfig

# What `resources` calls otherwise than sbatch.
_OPTIONS = {"cpus": "cpus-per-task", "gpus": "gpus-per-node"}


@dataclass(frozen=True)
class Terms:
    """On what terms a run is given to SLURM; runs with the same terms share an array."""

    options: tuple[tuple[str, str | None], ...]  # of sbatch, by their long names; None: without a value
    setup: tuple[str, ...]
    secrets: tuple[tuple[str, str], ...]  # what the job's environment must hold besides ours


@dataclass(frozen=True)
class Piece:
    """A job array: a part of the runs with the same terms."""

    terms: Terms
    runs: tuple[Run, ...]


def resources(run: Run, common: ResourcesConfig, *, time_factor: float, grace: float) -> dict[str, Any]:
    """Return all that a run asks SLURM for: its own `resources`, completed by the launcher's.

    The wall time is in seconds. StashError if it leaves the tool no time.
    """
    asked: dict[str, Any] = {name: value for name, value in asdict(common).items() if value not in (None, [], {})}
    if run.estimated_runtime is not None:
        asked["time"] = f"{run.estimated_runtime * time_factor + grace}"
    own = dict(run.resources)
    for name, combined in (
        ("setup", [*asked.get("setup", []), *own.get("setup", [])]),
        ("extra", {**asked.get("extra", {}), **own.get("extra", {})}),
    ):
        if combined:
            own[name] = combined
    asked |= own
    if "time" in asked:
        asked["time"] = durations.parse(str(asked["time"]), "resources.time")
        if asked["time"] <= grace:
            raise StashError(
                f"resources.time: {durations.describe(asked['time'])} is all grace: the tool is told to stop"
                f" {durations.describe(grace)} before its job's end.",
                "give it more time, or a smaller grace.seconds",
            )
    return asked


def terms(asked: Mapping[str, Any], secrets: Mapping[str, str], *, warning: str, may_requeue: bool) -> Terms:
    """Return the terms of a run that asks for so much; ``warning`` is sbatch's --signal."""
    options: dict[str, str | None] = {"signal": warning}
    # Without it SLURM refuses to put the job back into the queue; with it, it may do so by itself after a preemption
    # or when a node fails: only for tools that can go on where they were.
    options["requeue" if may_requeue else "no-requeue"] = None
    for name, value in asked.items():
        if name == "time":
            options["time"] = str(max(1, math.ceil(value / 60)))  # SLURM counts in minutes
        elif name not in ("setup", "extra"):
            options[_OPTIONS.get(name, name)] = str(value)
    for name, value in asked.get("extra", {}).items():
        if value is None or value is False:
            options.pop(name, None)
        else:
            options[name] = None if value is True else str(value)
    for name, text in options.items():
        if text is not None and "\n" in text:
            raise StashError(f"resources: {name}: {text!r} holds a line break.")
    return Terms(tuple(sorted(options.items())), tuple(asked.get("setup", ())), tuple(sorted(secrets.items())))


def pieces(runs: Sequence[tuple[Run, Terms]], most: int) -> list[Piece]:
    """Return the arrays, of at most so many tasks, that hold all the runs in their order."""
    groups: dict[Terms, list[Run]] = {}
    for run, run_terms in runs:
        groups.setdefault(run_terms, []).append(run)
    return [
        Piece(group_terms, tuple(part)) for group_terms, group in groups.items() for part in _parts(tuple(group), most)
    ]


def _parts(runs: tuple[Run, ...], most: int) -> Iterator[tuple[Run, ...]]:
    for first in range(0, len(runs), most):
        yield runs[first : first + most]


def shares(sizes: Sequence[int], parallelism: int) -> list[tuple[int, int | None]]:
    """Return for each array how many of its tasks may run at once, and the array whose end it has to wait for.

    Together never more than ``parallelism``: in proportion to their sizes, and if there are more arrays than that,
    one after the other.
    """
    if len(sizes) >= parallelism:
        return [(1, index - parallelism if index >= parallelism else None) for index in range(len(sizes))]
    given = [1] * len(sizes)
    for _ in range(parallelism - len(sizes)):
        neediest = max(range(len(sizes)), key=lambda index: sizes[index] / given[index])
        given[neediest] += 1
    return [(share, None) for share in given]


def script(piece: Piece, *, name: str, python: str, tasks_file: str, parallelism: int | None, after: str | None) -> str:
    """Return the batch script of an array whose tasks ``tasks_file`` lists; ``after``: a job that must end first.

    Paths are relative to the sweep's directory, from which it is submitted.
    """
    throttle = f"%{parallelism}" if parallelism is not None and parallelism < len(piece.runs) else ""
    options: dict[str, str | None] = {
        "job-name": name,
        "array": f"0-{len(piece.runs) - 1}{throttle}",
        "output": ".slurm/slurm-%A_%a.out",
        "open-mode": "append",  # a job that is put back into the queue goes on in the same file
    }
    if after is not None:
        options["dependency"] = f"afterany:{after}"
    options |= dict(piece.terms.options)
    lines = ["#!/bin/bash"]
    lines += [f"#SBATCH --{key}" + ("" if text is None else f"={shlex.quote(text)}") for key, text in options.items()]
    lines += piece.terms.setup
    lines.append(f"exec {shlex.quote(python)} -m experimentstash.launch.task {shlex.quote(tasks_file)}")
    return "\n".join(lines) + "\n"
