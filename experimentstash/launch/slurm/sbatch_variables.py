"""sbatch's variables (``SBATCH_PARTITION`` …), which for sbatch itself beat what a batch script says.

For us what an experiment or a launcher asks for always wins. So sbatch gets none of them; those that say where a job
runs, and what it gets there, fill what nobody has asked for, in the script, where everyone sees it. Those that say how
it runs (its warning, its output, whether it may be requeued …) have no effect.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex

# The options that variables may fill; of two variables for one option the first.
_FILLING = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CLUSTERS": "clusters",
    "SLURM_CLUSTERS": "clusters",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_MEM_PER_CPU": "mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "mem-per-gpu",
    "SBATCH_GRES": "gres",
    "SBATCH_GPUS": "gpus",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_GPUS_PER_TASK": "gpus-per-task",
    "SBATCH_GPUS_PER_SOCKET": "gpus-per-socket",
    "SBATCH_CPUS_PER_GPU": "cpus-per-gpu",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_WCKEY": "wckey",
}
# Options that say the same in different ways: who has asked for one of them has left no gap for another.
_ALIKE = (
    {"mem", "mem-per-cpu", "mem-per-gpu"},
    {"gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"},
    {"cpus-per-task", "cpus-per-gpu"},
    {"exclusive", "oversubscribe", "share"},
)
# Kinds of --exclusive; anything else in its variable means the option alone.
_EXCLUSIVE_FOR = ("user", "mcs", "topo")
_TIME = regex(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


@dataclass(frozen=True)
class Filling:
    """What variables have filled of what a job asks for."""

    options: tuple[tuple[str, str | None], ...] = ()  # of sbatch, as in JobRequest
    variables: tuple[tuple[str, str], ...] = ()  # whose values these are

    def get(self, option: str) -> str | None:
        return dict(self.options).get(option)


def fill(environment: Mapping[str, str], asked: Collection[str]) -> Filling:
    """Return what the variables say of options that nobody has asked for; ``asked`` are those, wanted or not."""
    options: dict[str, str | None] = {}
    variables = {}
    for name, option in _FILLING.items():
        value = environment.get(name, "").strip()
        same = next((kind for kind in _ALIKE if option in kind), {option})
        if value and "\n" not in value and option not in options and not same & set(asked):
            options[option] = value if option != "exclusive" or value in _EXCLUSIVE_FOR else None
            variables[name] = value
    return Filling(tuple(options.items()), tuple(variables.items()))


def remarks(environment: Mapping[str, str], filling: Filling) -> list[str]:
    """Return what is to be said of sbatch's variables: what they have filled, and which have no effect."""
    found = []
    if filling.variables:
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in filling.variables)
        found.append(f"nobody has asked for it, so it is as your environment says: {given}")
    beaten = {name for name in _FILLING if name in environment} - {name for name, _ in filling.variables}
    if beaten:
        found.append(f"{', '.join(sorted(beaten))} of your environment: something else is asked for, which counts")
    ignored = sorted(name for name in environment if name.startswith("SBATCH_") and name not in _FILLING)
    if ignored:
        found.append(
            f"{', '.join(ignored)} of your environment: no effect here; resources.extra asks sbatch for more than we do"
        )
    return found


def seconds(limit: str) -> float | None:
    """Return a time limit, written as sbatch wants it, in seconds; None if there is none, or if it makes no sense."""
    found = _TIME.fullmatch(limit.strip())
    if found is None or (found["third"] is not None and found["second"] is None):
        return None
    parts = [int(part) for part in (found["first"], found["second"], found["third"]) if part is not None]
    if found["days"] is not None:  # D-HH[:MM[:SS]]
        hours, minutes, rest = (*parts, 0, 0)[:3]
        return float(int(found["days"]) * 86400 + hours * 3600 + minutes * 60 + rest)
    hours, minutes, rest = {1: (0, parts[0], 0), 2: (0, *parts), 3: tuple(parts)}[len(parts)]
    return float(hours * 3600 + minutes * 60 + rest)
