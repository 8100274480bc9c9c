"""What runs have taken, and on which machines, in words. What isn't known is said to be so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experimentstash.base.durations import describe
from experimentstash.base.text import counted, size
from experimentstash.publish.frozen import Frozen, FrozenRun, Machine
from experimentstash.publish.markdown import plain

UNKNOWN = "unknown"


def duration(runs: Sequence[FrozenRun]) -> str:
    """Return how long runs took, one after another."""
    return _sum([run.took.duration for run in runs])


def processor_time(runs: Sequence[FrozenRun]) -> str:
    """Return the CPU time of runs, which is time × cores as far as these were at work."""
    return _sum([run.took.cpu_time for run in runs])


def memory(runs: Sequence[FrozenRun]) -> str:
    """Return the most memory that one of some runs took."""
    known = [run.took.peak_memory for run in runs if run.took.peak_memory is not None]
    if not known:
        return UNKNOWN
    return size(max(known)) + _rest(len(runs) - len(known))


def _sum(given: Sequence[float | None]) -> str:
    known = [each for each in given if each is not None]
    if not known:
        return UNKNOWN
    return describe(sum(known)) + _rest(len(given) - len(known))


def _rest(count: int) -> str:
    return f" ({UNKNOWN} of {counted(count, 'run')})" if count else ""


def machines(frozen: Frozen) -> Iterator[tuple[str, int]]:
    """Yield the machines that runs were on, in words, and how many runs each had."""
    found: dict[str, int] = {}
    for run in frozen.runs:
        said = UNKNOWN if run.machine is None else machine(run.machine)
        found[said] = found.get(said, 0) + 1
    yield from found.items()


def machine(of: Machine) -> str:
    """Return what a machine is, in words."""
    parts = [of.cpu or of.architecture, counted(of.cores, "core")]
    parts += [f"{size(of.memory)} of memory"] if of.memory else []
    parts += [f"{each.name} with {each.memory} (driver {each.driver})" for each in of.gpus] or ["no GPU seen"]
    return plain(", ".join([*parts, of.platform]))


def disk(frozen: Frozen) -> str:
    """Return how much of a disk is known to be needed."""
    outputs = sum(output.content.size for run in frozen.runs for output in run.outputs)
    inputs = sum(each.content.size for run in frozen.runs for each in run.inputs)
    parts = [f"{size(outputs)} for the outputs of all runs"]
    parts += [f"{size(inputs)} of inputs"] if inputs else []
    return f"{', '.join(parts)}; what code and environments take isn't known"
