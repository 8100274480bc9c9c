"""``experimentstash sync [RUN…|--all]``: sends W&B runs that were recorded offline, or could not be ended online."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters.wandb.sync import Status, SyncResult
from experimentstash.adapters.wandb.sync import sync as sync_directories
from experimentstash.base.output import say
from experimentstash.cli.commands import choosing
from experimentstash.record import archives
from experimentstash.record.run import Run
from experimentstash.runs.listing import all_runs, superseded
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("sync latest", "what the latest run recorded offline"),
    ("sync --all --timeout 60", "everything, for a minute at most"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_several(parser)
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="for all of it (default: 600)")


def main(given: argparse.Namespace) -> int:
    """Send what the named runs have not sent yet; 1 if some of it could not be sent."""
    stash = find_stash()
    unread: list[Path] = []
    if choosing.are_all(given):
        named = [*all_runs(stash, unread), *superseded(stash)]
    else:
        selected = choosing.meant(stash, given, "experimentstash sync RUN, or --all")
        named, unread = [facts.run for facts in selected.found], selected.unread
        if not choosing.selection(given).has_filters:  # else they merely fit: what is archived was sent before
            for run in named:
                archives.refuse(run.path, f"The run {run.id}")
    results = sync(named, timeout=given.timeout, report=say)
    if not results and not unread:
        say("none of these runs has used W&B")
    return 1 if any(result.status is Status.FAILED for result in results) or unread else 0


def sync(chosen: Sequence[Run], *, timeout: float, report: Callable[[str], None]) -> list[SyncResult]:
    """Send the W&B runs of all runs that have ended, within ``timeout`` seconds; what has arrived isn't sent again."""
    return sync_directories([run.path for run in chosen if run.attempt.state.is_final], timeout=timeout, report=report)
