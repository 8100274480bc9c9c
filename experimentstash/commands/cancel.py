"""``experimentstash cancel RUN…``: asks runs to end, gently first, and waits until they have."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from experimentstash.records import Run
from experimentstash.runs import ask_to_stop, is_local, look
from experimentstash.workspace import Stash

_INTERVAL = 0.1


def cancel(stash: Stash, chosen: Sequence[Run], report: Callable[[str], None]) -> list[Run]:
    """Ask each run that hasn't ended to end, wait for those that this machine can see end, and return them all.

    The tool gets its grace; its supervisor kills what is left of it then.
    """
    asked = [run for run in chosen if ask_to_stop(run, report)]
    waiting = [run for run in asked if is_local(run)]
    if waiting:
        report(f"asked {len(waiting)} run{'s' if len(waiting) > 1 else ''} to stop; waiting for the end …")
    while waiting:
        time.sleep(_INTERVAL)
        waiting = [run for run in waiting if not look(stash, run.path).state.is_final]
    return [look(stash, run.path) for run in asked]
