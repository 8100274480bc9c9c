"""Why a tool was asked to stop, and how it has ended."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from experimentstash.base.dataclass_light import dataclass
from experimentstash.record.run import State


@dataclass(frozen=True)
class StopRequest:
    """Why a tool was stopped, and by which signal to its supervisor (None: by our own timeout)."""

    state: State
    reason: str
    number: signal.Signals | None = None
    may_be_jobs: bool = False  # by a signal that our job's scheduler may have sent: state and reason as known so far


@dataclass(frozen=True)
class Ending:
    """How a tool ended. Memory in bytes, times in seconds."""

    returncode: int  # negative: the signal
    stop: StopRequest | None
    duration: float
    cpu_time: float
    peak_memory: int
    oom_kills: int  # processes that the kernel killed for lack of memory meanwhile, but not another tool's main process
    left_behind: int  # processes that had to be ended after the tool's main process
    at_work: int  # how many of these were still computing
    survivors: int  # processes that even SIGKILL did not end
    outlived_grace: bool = False  # the main process had to be killed
    has_company: bool = False  # other tools were at work under the same supervisor
    crashed: Sequence[str] = ()  # the signals that ended processes of it whose parents had gone
    missed: StopRequest | None = None  # came when the main process had ended, before its end was noticed
