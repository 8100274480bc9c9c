"""Which GPUs this machine has, as far as its devices tell: nothing is loaded or started for that."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from experimentstash.base.dataclass_light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# Devices that stand for GPUs of which we don't know how many there are: AMD's, and those of a Windows machine around.
_UNCOUNTED = ("kfd", "dxg")


def seen(devices: Path = Path("/dev")) -> int | None:
    """Return how many GPUs there are; None if that can't be told."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        names = os.listdir(devices)
    except OSError:
        return None
    if any(name in names for name in _UNCOUNTED):
        return None
    return sum(re.fullmatch(r"nvidia\d+", name) is not None for name in names)


def lacking(number: int, what: str, devices: Path = Path("/dev")) -> str | None:
    """Return what is to be said if fewer GPUs are here than ``what`` needs; None: enough, or nobody knows."""
    there = seen(devices)
    if there is None or number <= there:
        return None
    has = "no GPU" if there == 0 else f"{there} GPU{'' if there == 1 else 's'}"
    return f"{what}: this machine has {has} that can be seen"


def asked(resources: Mapping[str, Any]) -> int:
    """Return how many GPUs a run asks for on a node: `2`, `a100:2`, or in its gres `gpu:a100:2`."""
    wanted = str(resources.get("gpus") or "")
    parts = (
        [f"gpu:{part}" for part in wanted.split(",")]
        if wanted
        else [part for part in str(resources.get("gres") or "").split(",") if part[:3] == "gpu"]
    )
    return sum(_number(part) for part in parts)


def _number(part: str) -> int:
    last = part.partition("(")[0].rpartition(":")[2]
    return int(last) if last.isdecimal() else 1
