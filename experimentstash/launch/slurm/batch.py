"""From what runs ask for to batch scripts: which runs share a job or a job array, and what SLURM is told of each array.

The script ends in `exec`: our supervisor takes the place of the shell, so that SLURM's warning (`--signal=B:…`) reaches
it alone. It then tells the tool in the way that suits it, and W&B's service lives on until the tool has saved its work.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from experimentstash.adapters.slurm.job_output import SETUP_BEGINS
from experimentstash.adapters.slurm.job_terms import ClusterTerms, clock
from experimentstash.base import durations
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.launch.slurm import sbatch_variables
from experimentstash.launch.slurm.sbatch_variables import Filling
from experimentstash.record.run import Run
from experimentstash.stash.schema import ResourcesConfig

# What `resources` calls otherwise than sbatch.
_OPTIONS = {"cpus": "cpus-per-task", "gpus": "gpus-per-node"}
# Options that would make of a batch script of ours another one, and what says the same.
_OURS = {
    "array": "hydra.launcher.array_parallelism and runs_per_job say how runs share jobs",
    "chdir": "leave it out: where a tool runs, its registration says (working_directory)",
    "no-requeue": "hydra.launcher.max_requeues=0",
    "test-only": "dry_run=true",
    "wait": "hydra.launcher.wait=true",
    "wrap": "leave it out: resources.setup is for lines of bash",
}
ENDS_STOPPING = "trap - ERR EXIT"
# Where the lines of setup themselves end the script (`exit`, a mistake of syntax, `set -u`), it says at what.
SAYS_ITS_END = (
    "trap 'stash_code=$?; echo \"stash: its setup ended the batch script with exit code $stash_code, at or after:"
    " $BASH_COMMAND\" >&2' EXIT"
)
# Options of runs that a build has no use for.
_OF_RUNS = ("signal", "requeue", "gres")
# By which a job is told that it is to build something.
BUILD = "build"
# What a job executes.
START = str(Path(__file__).with_name("start.py"))
# Seconds before its end at which SLURM can warn a job, at most (sbatch(1), --signal).
_LONGEST_WARNING = 65535
# What SLURM takes for an amount of memory.
_MEMORY = regex(r"(\d+)([A-Za-z]*)")


@dataclass(frozen=True)
class Packing:
    """How runs share jobs: how many each job executes, and how many of them at the same time."""

    per_job: int = 1
    at_once: int = 1

    @classmethod
    def of(cls, *, per_job: int, at_once: int, parallelism: int | None) -> Packing:
        """Return the packing that the launcher's settings stand for; StashError if they make no sense.

        ``parallelism`` is how many runs of the sweep may be at work at the same time.
        """
        for name, number in (("runs_per_job", per_job), ("runs_at_once", at_once)):
            if number < 1:
                raise StashError(f"hydra.launcher.{name} is {number}.", "give it a number from 1 on")
        if at_once > per_job:
            raise StashError(
                f"hydra.launcher.runs_at_once is {at_once}, but a job executes {per_job}.",
                f"hydra.launcher.runs_per_job={at_once}, or more",
            )
        return cls(per_job, at_once if parallelism is None else min(at_once, max(1, parallelism)))

    def tasks(self, parallelism: int | None) -> int | None:
        """Return how many jobs may be at work for so many runs."""
        return None if parallelism is None else max(1, parallelism // self.at_once)

    def for_so_many(self, runs: int) -> Packing:
        """Return the packing of a job when there are no more runs than that."""
        per_job = min(self.per_job, runs)
        return Packing(per_job, min(self.at_once, per_job))


@dataclass(frozen=True)
class JobRequest:
    """What is asked of SLURM for a run; runs that ask for the same share jobs and arrays."""

    options: tuple[tuple[str, str | None], ...]  # of sbatch, by their long names; None: without a value
    setup: tuple[str, ...]
    secrets: tuple[tuple[str, str], ...]  # what the job's environment must hold besides ours
    # The run's wall time in seconds, where `options` has it in minutes, and what of it is grace.
    time: float | None = field(default=None, compare=False)
    grace: float = field(default=0.0, compare=False)
    # What variables have filled. They speak of a job, however many runs share it.
    filling: Filling = field(default_factory=Filling)

    def option(self, name: str) -> str | None:
        """Return the value of an option of sbatch; None if it isn't asked for, or has none."""
        return {**dict(self.options), **dict(self.filling.options)}.get(name)

    def of_job(self, packing: Packing) -> JobRequest:
        """Return the request of a job that executes several such runs: all that they need, and one grace."""
        options = dict(self.options)
        rounds = math.ceil(packing.per_job / packing.at_once)
        if self.time is not None and rounds > 1:
            options["time"] = _minutes(rounds * (self.time - self.grace) + self.grace)
        if packing.at_once > 1:
            cpus = options.get("cpus-per-task") or "1"
            options["cpus-per-task"] = str(int(cpus) * packing.at_once) if cpus.isdecimal() else cpus
            memory = _MEMORY.fullmatch(options.get("mem") or "")
            if memory is not None:
                options["mem"] = f"{int(memory[1]) * packing.at_once}{memory[2]}"
        return dataclasses.replace(self, options=tuple(sorted(options.items())))


@dataclass(frozen=True)
class JobArray:
    """A job array: a part of the runs that ask for the same. Each of its tasks executes some of them."""

    request: JobRequest  # of each task
    tasks: tuple[tuple[Run, ...], ...]
    at_once: int = 1  # how many of a task's runs are at work at the same time

    @property
    def runs(self) -> list[Run]:
        return [run for task in self.tasks for run in task]


def resources(run: Run, common: ResourcesConfig, *, time_factor: float, grace: float) -> dict[str, Any]:
    """Return all that a run asks SLURM for: its own `resources`, completed by the launcher's.

    The wall time is in seconds. StashError if it leaves the tool no time.
    """
    asked: dict[str, Any] = {name: value for name, value in asdict(common).items() if value not in (None, [], {})}
    if run.spec.estimated_runtime is not None:
        asked["time"] = f"{run.spec.estimated_runtime * time_factor + grace}"
    own = dict(run.attempt.terms.resources)
    for name, combined in (
        ("setup", [*asked.get("setup", []), *own.get("setup", [])]),
        ("extra", {**asked.get("extra", {}), **own.get("extra", {})}),
    ):
        if combined:
            own[name] = combined
    asked |= own
    _take_out(asked, asked.get("extra", {}))
    if "time" in asked:
        asked["time"] = durations.parse(str(asked["time"]), "resources.time")
        if asked["time"] <= grace:
            raise _all_grace("resources.time", asked["time"], grace)
    return asked


def _take_out(asked: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Take out of what a run asks for what its `extra` wants left out; StashError for what has no place in that."""
    settings = {_OPTIONS.get(each.name, each.name): each.name for each in dataclasses.fields(ResourcesConfig)}
    for option, value in extra.items():
        own = settings.get(option)
        if value is None or value is False:
            asked.pop(own or "", None)
        elif own is not None:
            raise StashError(f"resources.extra.{option}: what a run asks for is said once.", f"write resources.{own}")
        elif option in _OURS:
            raise StashError(f"resources.extra.{option}: the batch script couldn't do its work.", _OURS[option])


def options_asked(asked: Mapping[str, Any]) -> set[str]:
    """Return the options of sbatch that a run asks for, or asks to be left out."""
    named = {_OPTIONS.get(name, name) for name in asked if name not in ("setup", "extra")}
    return named | set(asked.get("extra", {}))


def completed(asked: Mapping[str, Any], filling: Filling, *, grace: float) -> dict[str, Any]:
    """Return all that a run asks for, with what variables have filled; StashError if that leaves the tool no time."""
    names = {option: name for name, option in _OPTIONS.items()}
    own = {each.name for each in dataclasses.fields(ResourcesConfig)}
    found, extra = dict(asked), dict(asked.get("extra", {}))
    for option, text in filling.options:
        if option == "time":
            limit = sbatch_variables.seconds(str(text))
            if limit is not None and limit <= grace:
                raise _all_grace(f"SBATCH_TIMELIMIT={text}", limit, grace)
            extra |= {} if limit is not None else {"time": text}
            found |= {} if limit is None else {"time": limit}
        elif names.get(option, option) in own:
            found[names.get(option, option)] = text
        else:
            extra[option] = True if text is None else text
    return found | ({"extra": extra} if extra else {})


def _all_grace(what: str, seconds: float, grace: float) -> StashError:
    return StashError(
        f"{what}: {durations.describe(seconds)} is all grace: the tool is told to stop"
        f" {durations.describe(grace)} before its job's end.",
        "give it more time, or a smaller grace.seconds",
    )


def job_request(
    asked: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    warning: str | None,
    may_requeue: bool,
    grace: float,
    filling: Filling | None = None,
) -> JobRequest:
    """Return the request of a run that asks for so much; ``warning`` is sbatch's --signal, so long before the end.

    ``filling`` is what variables have filled besides.
    """
    options: dict[str, str | None] = {} if warning is None else {"signal": f"B:{warning}"}
    # Without it SLURM refuses to put the job back into the queue; with it, it may do so by itself after a preemption
    # or when a node fails: only for tools that can go on where they were.
    options["requeue" if may_requeue else "no-requeue"] = None
    for name, value in asked.items():
        if name == "time":
            options["time"] = _minutes(value)
        elif name not in ("setup", "extra"):
            options[_OPTIONS.get(name, name)] = str(value)
    for name, value in asked.get("extra", {}).items():
        if name == "signal" and value not in (None, False):
            raise StashError(
                f"resources.extra.signal: {value} would take the place of the warning to the run's supervisor.",
                "write grace.signal and grace.seconds; `extra: {signal: null}` is for no warning at all",
            )
        if value is None or value is False:
            options.pop(name, None)
        else:
            options[name] = None if value is True else str(value)
    for name, text in options.items():
        if text is not None and "\n" in text:
            raise StashError(f"resources: {name}: {text!r} holds a line break.")
    return JobRequest(
        options=tuple(sorted(options.items())),
        setup=tuple(asked.get("setup", ())),
        secrets=tuple(sorted(secrets.items())),
        time=asked.get("time"),
        grace=grace,
        filling=filling or Filling(),
    )


def warning(signal: str, grace: float) -> str | None:
    """Return what sbatch's --signal is given for a warning so many seconds before the wall time; None for none.

    StashError for a grace that SLURM can't count to.
    """
    if grace > _LONGEST_WARNING:
        raise StashError(
            f"grace.seconds: {grace:g} is more than the {_LONGEST_WARNING} s that SLURM can warn a job before its end."
        )
    return f"{signal}@{math.ceil(grace)}" if grace > 0 else None


def _minutes(seconds: float) -> str:
    """Return a time as SLURM counts it."""
    return str(max(1, math.ceil(seconds / 60)))


def job_arrays(runs: Sequence[tuple[Run, JobRequest]], most: int, packing: Packing) -> list[JobArray]:
    """Return the arrays, of at most so many tasks, that hold all the runs in their order."""
    groups: dict[JobRequest, list[tuple[Run, JobRequest]]] = {}
    for run, request in runs:
        groups.setdefault(request, []).append((run, request))
    found = []
    for group in groups.values():
        own = packing.for_so_many(len(group))
        whole = max((each for _, each in group), key=lambda each: each.time or 0.0).of_job(own)
        tasks = tuple(_parts(tuple(run for run, _ in group), own.per_job))
        found += [JobArray(whole, part, own.at_once) for part in _parts(tasks, most)]
    return found


_Item = TypeVar("_Item")


def _parts(items: tuple[_Item, ...], most: int) -> Iterator[tuple[_Item, ...]]:
    for first in range(0, len(items), most):
        yield items[first : first + most]


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


def _told(options: Mapping[str, str | None], cluster: ClusterTerms) -> str:
    """Return the line of bash that tells a job on what terms SLURM runs it."""
    name, _, grace = (options.get("signal") or "").removeprefix("B:").partition("@")
    time = options.get("time") or ""
    return cluster.told(
        signal_name=name or "none",
        grace=float(grace or 0),
        limit=60.0 * int(time) if time.isdecimal() else clock(time),
        partition=options.get("partition"),
    )


def stop_at_failure(command: str) -> str:
    """Return the line of bash after which one that fails has a command executed in its place, as of `set -e`.

    Not what fails inside of a file that is sourced, or of a function (`module`), if that itself ends well.
    `$stash_code` is the exit code.
    """
    # Without braces after a dollar, which the settings of submitit's launcher take for an interpolation.
    action = f'stash_code=$?; [ "$BASH_SOURCE" != "$0" ] || {{ trap - EXIT; {command}; }}'
    return f"trap {shlex.quote(action)} ERR"


def script(
    jobs: JobArray,
    *,
    name: str,
    python: str,
    tasks_file: str,
    parallelism: int | None,
    after: str | None,
    cluster: ClusterTerms | None = None,
    setup_may_fail: bool = False,
    built_by: Sequence[str] = (),
) -> str:
    """Return the batch script of an array whose tasks ``tasks_file`` lists; ``after``: a job that must end first.

    Those that it is ``built_by`` must succeed first.

    Paths are relative to the sweep's directory, from which it is submitted.
    """
    throttle = f"%{parallelism}" if parallelism is not None and parallelism < len(jobs.tasks) else ""
    options: dict[str, str | None] = {
        "job-name": name,
        "array": f"0-{len(jobs.tasks) - 1}{throttle}",
        "output": ".slurm/slurm-%A_%a.out",
        "open-mode": "append",  # a job that is put back into the queue goes on in the same file
    }
    if waits := [*(f"afterok:{each}" for each in built_by), *([f"afterany:{after}"] if after is not None else [])]:
        options["dependency"] = ",".join(waits)
    if built_by:  # what can't be built will never begin
        options["kill-on-invalid-dep"] = "yes"
    at_once = (str(jobs.at_once),) if jobs.at_once > 1 else ()
    return _script(jobs.request, options, [python, tasks_file], at_once, cluster=cluster, setup_may_fail=setup_may_fail)


def build_script(request: JobRequest, *, name: str, python: str, order: str) -> str:
    """Return the batch script of a job that builds what ``order`` says, held; it asks for what a run of it asks for."""
    options: dict[str, str | None] = {
        "job-name": f"{BUILD}-{name}",
        "output": f"{order.removesuffix('.json')}-%j.out",
        "hold": None,
    }
    plain = tuple((key, text) for key, text in request.options if key not in _OF_RUNS and not key.startswith("gpu"))
    asked = dataclasses.replace(request, options=plain)
    return _script(asked, options, [python, BUILD, order], (), cluster=None, setup_may_fail=False)


def _script(
    request: JobRequest,
    options: dict[str, str | None],
    program: Sequence[str],
    more: Sequence[str],
    *,
    cluster: ClusterTerms | None,
    setup_may_fail: bool,
) -> str:
    """Return the batch script of a job that starts us with these words, and ``more`` if its setup hasn't failed."""
    filling = request.filling
    options = options | {**dict(filling.options), **dict(request.options)}
    lines = ["#!/bin/bash"]
    if filling.variables:
        lines.append(f"# as variables say, for want of anything else: {', '.join(dict(filling.variables))}")
    lines += [f"#SBATCH --{key}" + ("" if text is None else f"={shlex.quote(text)}") for key, text in options.items()]
    if cluster is not None:
        lines.append(_told(options, cluster))
    # In the encoding of the record, whatever the locale of the node is.
    python, *words = program
    start = f"exec {shlex.join([python, '-X', 'utf8', '-S', START, *words])}"
    if request.setup:  # which may go elsewhere
        lines.append("stash_here=$PWD")
        start = f'cd "$stash_here"; {start}'
        lines += [f"echo {shlex.quote(SETUP_BEGINS)}", SAYS_ITS_END]
        lines += [] if setup_may_fail else [stop_at_failure(f"{start} $stash_code $LINENO")]
        lines += [*request.setup, ENDS_STOPPING]
    lines.append(" ".join([start, *more]))
    return "\n".join(lines) + "\n"
