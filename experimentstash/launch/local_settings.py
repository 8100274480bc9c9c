"""What the settings of hydra/launcher=local come to: how many runs at a time, and which GPUs each gets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex

if TYPE_CHECKING:
    pass

# How CUDA_VISIBLE_DEVICES names a device.
_DEVICE = regex(r"\d+|(?:GPU|MIG)-[\w/-]+")


@dataclass(frozen=True)
class Settings:
    """What the launcher's configuration comes to."""

    slots: tuple[str | None, ...]  # one per run at work: the CUDA_VISIBLE_DEVICES that it gets (None: what we have)
    fail_fast: bool

    @classmethod
    def of(cls, *, n_jobs: int | None, gpus: Any, gpus_per_run: int, fail_fast: bool) -> Settings:
        """Return the settings that a configuration stands for; StashError if it makes no sense."""
        for name, number in (("n_jobs", n_jobs), ("gpus_per_run", gpus_per_run)):
            if number is not None and number < 1:
                raise StashError(f"hydra.launcher.{name} is {number}.", "give it a number from 1 on")
        if gpus is None:
            return cls((None,) * (n_jobs or _cores()), fail_fast)
        devices = _devices(gpus)
        shares = [
            ",".join(devices[first : first + gpus_per_run])
            for first in range(0, len(devices) - gpus_per_run + 1, gpus_per_run)
        ]
        if not shares:
            raise StashError(
                f"hydra.launcher.gpus offers {len(devices)} GPUs, and each run is to get {gpus_per_run}.",
                "fix hydra.launcher.gpus or hydra.launcher.gpus_per_run",
            )
        return cls(tuple(shares[:n_jobs]), fail_fast)


def _cores() -> int:
    """Return how many cores we may use: a scheduler or taskset may leave us a part of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices(gpus: Any) -> list[str]:
    """Return the ids of the GPUs to share out. A number takes so many of those that we were given ourselves."""
    if not isinstance(gpus, int):
        named = [str(one).strip() for one in (gpus.split(",") if isinstance(gpus, str) else gpus)]
        for name in named:
            if not _DEVICE.fullmatch(name):
                raise StashError(
                    f"hydra.launcher.gpus names {name!r}, which is no GPU's id.", "write how many, or ids: [0,2]"
                )
        return named
    ours = os.environ.get("CUDA_VISIBLE_DEVICES")
    if ours is None:
        return [str(number) for number in range(gpus)]
    devices = [one.strip() for one in ours.split(",") if one.strip()]
    if len(devices) < gpus:
        raise StashError(
            f"hydra.launcher.gpus={gpus}, but CUDA_VISIBLE_DEVICES={ours} leaves us {len(devices)}.",
            "ask for fewer, or unset CUDA_VISIBLE_DEVICES",
        )
    return devices[:gpus]
