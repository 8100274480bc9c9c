"""``experimentstash sync [RUN…|--all]``: sends W&B runs that were recorded offline, or could not be ended online."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experimentstash.records import Run
from experimentstash.wandb_guard import SyncResult
from experimentstash.wandb_guard import sync as sync_directories


def sync(chosen: Sequence[Run], *, timeout: float, report: Callable[[str], None]) -> list[SyncResult]:
    """Send the W&B runs of all runs that have ended, within ``timeout`` seconds; what has arrived isn't sent again."""
    return sync_directories([run.path for run in chosen if run.state.is_final], timeout=timeout, report=report)
