"""What a run has used of what it asked for, so that the next one asks for what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from experimentstash.base import durations
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.record.run import Run

# An amount of memory as SLURM takes it: without a unit it is megabytes, and all units are powers of 1024.
_MEMORY = regex(r"([0-9]{1,12})([KMGTP]?)B?")
_UNITS = {"K": 1, "": 2, "M": 2, "G": 3, "T": 4, "P": 5}
_GIB, _MIB = 1 << 30, 1 << 20


@dataclass(frozen=True)
class Amount:
    """How much of something was used, and asked for; None where that isn't known."""

    used: float | None = None
    asked: float | None = None


@dataclass(frozen=True)
class Usage:
    """What an attempt at a run has used: CPUs in the mean, the peak of its memory in bytes, seconds by the clock."""

    cpus: Amount
    memory: Amount
    time: Amount

    @property
    def words(self) -> str:
        """Say it in a line: ``1.3 of 4 CPUs, 2.1 of 16 GiB, 18m02s of 2h00m``; nothing if nothing is known.

        The time is in it only where there was a limit to it.
        """
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        if self.cpus.used is not None:
            of = "" if self.cpus.asked is None else f" of {self.cpus.asked:g}"
            yield f"{self.cpus.used:.1f}{of} CPU{'' if self.cpus.asked == 1 else 's'}"
        if self.memory.used is not None:
            yield memory(self.memory.used, self.memory.asked)
        if self.time.used is not None and self.time.asked is not None:
            yield f"{durations.describe(self.time.used)} of {durations.describe(self.time.asked)}"


def memory(used: float, asked: float | None = None) -> str:
    """Say how many bytes of memory were used, in the units of what SLURM is asked for."""
    unit, name = (_GIB, "GiB") if max(used, asked or 0) >= _GIB else (_MIB, "MiB")
    return f"{used / unit:.1f}{'' if asked is None else f' of {asked / unit:.4g}'} {name}"


def of_run(run: Run) -> Usage:
    """Return what the present attempt at a run has used of what it asked for.

    What is asked of a scheduler counts only for a run that was submitted; our own timeout counts everywhere.
    """
    attempt, asked = run.attempt, run.attempt.terms.resources if run.attempt.queued is not None else {}
    took, cpu_time = attempt.duration, attempt.cpu_time
    limits = [limit for limit in (_seconds(asked.get("time")), attempt.terms.timeout) if limit is not None]
    return Usage(
        cpus=Amount(None if not took or cpu_time is None else cpu_time / took, _cpus(asked)),
        memory=Amount(attempt.peak_memory or None, _memory(asked)),
        time=Amount(took, min(limits, default=None)),
    )


def _cpus(asked: Mapping[str, Any]) -> float | None:
    """Return how many CPUs a run asks for; None if it asks for several tasks or nodes, of which we see one."""
    several = [name for name in asked.get("extra") or {} if str(name).startswith("ntasks")]
    number = str(asked.get("cpus", ""))
    is_one = str(asked.get("nodes", 1)) == "1" and not several
    return float(number) if is_one and number.isascii() and number.isdecimal() and int(number) else None


def _memory(asked: Mapping[str, Any]) -> float | None:
    """Return how much memory a run asks for on a node, in bytes; None also for all that there is."""
    found = _MEMORY.fullmatch(str(asked.get("mem", "")).strip().upper())
    amount = int(found[1]) * 1024 ** _UNITS[found[2]] if found else 0
    return amount or None


def _seconds(text: Any) -> float | None:
    if text is None:
        return None
    try:
        return durations.parse(str(text), "resources.time")
    except StashError:  # as another version has written it
        return None
