"""The W&B runs on disk below one run directory: found, waited for, and given the end that they did not get."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from experimentstash.adapters.wandb import log as wandb_log
from experimentstash.adapters.wandb import log_records as wandb_records
from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.adapters.wandb.log_records import RunPath
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import kind_at, open_regular

POLL = 0.02


@dataclass(frozen=True)
class WandbRun:
    """One W&B run of a run directory."""

    log: Path
    online: bool

    @property
    def id(self) -> str:
        return self.log.stem.removeprefix("run-")

    @property
    def name(self) -> str:
        """What the run is called in messages: its directory's name, which shows its time and id."""
        return self.log.parent.name

    @property
    def mark(self) -> Path:
        """The file that wandb makes beside a log once it is uploaded; ours after an online run, too."""
        return self.log.with_name(self.log.name + ".synced")

    @property
    def is_synced(self) -> bool:
        return kind_at(self.mark) == "a file"


@dataclass(frozen=True)
class Ending:
    """How a log ends."""

    exit_code: int | None  # None: without an exit record
    preempting: bool
    is_ours: bool  # whether the exit record was written by us, so that wandb can't have told the server


def find(run_directory: Path, elsewhere: Iterable[str] = ()) -> list[WandbRun]:
    """Return the W&B runs of a run directory, oldest first, and those in the directories ``elsewhere``."""
    logs = [*wandb_places.below(run_directory), *wandb_places.in_folders(elsewhere)]
    unique = {os.path.realpath(log): log for log in reversed(logs)}
    runs = [WandbRun(log, not log.parent.name.startswith("offline-")) for log in unique.values()]
    return sorted(runs, key=_age)


def _age(run: WandbRun) -> tuple[str, float, str]:
    """Sort by the second in the directory's name, and within it by when the log was last written."""
    second = run.name.removeprefix("offline-")[: len("run-20260101_000000")]
    try:
        return second, run.log.stat().st_mtime, run.name
    except OSError:
        return second, 0.0, run.name


def identify(run: WandbRun) -> RunPath | None:
    """Return the run's path as its log has it; None if wandb was killed before it wrote that down."""
    try:
        with open(run.log, "rb", opener=open_regular) as stream:
            for record in wandb_log.records(stream):
                kind, body = wandb_records.kind_and_body(record.payload)
                if kind == wandb_records.RUN:
                    return wandb_records.run_path(body)
    except OSError:
        pass
    return None


def ending(run: WandbRun) -> Ending:
    """Return how the run's log ends."""
    with open(run.log, "rb", opener=open_regular) as stream:
        exit_record, preempting = _ending(wandb_log.last_records(stream))
    if exit_record is None:
        return Ending(None, preempting, False)
    code = wandb_records.exit_code(wandb_records.kind_and_body(exit_record.payload)[1])
    return Ending(code, preempting, wandb_records.is_ours(exit_record.payload))


def history_lines(run: WandbRun) -> int:
    """Return how many history records the log holds."""
    with open(run.log, "rb", opener=open_regular) as stream:
        kinds = (wandb_records.kind_and_body(record.payload)[0] for record in wandb_log.records(stream))
        return sum(kind == wandb_records.HISTORY for kind in kinds)


def complete(run: WandbRun, exit_code: int, *, preempted: bool) -> bool:
    """Make the log end with an exit record, the first one if there is one already; return whether it was changed.

    A preempted run gets its mark before the exit record: the server turns the two into the state "preempted".
    """
    with wandb_log.opened(run.log) as stream:
        found = wandb_log.last_records(stream)
        exit_record, preempting = _ending(found)
        if exit_record is None:
            number = (wandb_records.record_number(found[-1].payload) if found else 0) + 1
            marks = [wandb_records.preempting_record(number)] if preempted and not preempting else []
            wandb_log.append(stream, [*marks, wandb_records.exit_record(number + len(marks), exit_code)])
            return True
        if preempted and not preempting:
            number = wandb_records.record_number(exit_record.payload)
            wandb_log.insert(run.log, exit_record, [wandb_records.preempting_record(number)])
            return True
    return False


def wait_until_closed(runs: Sequence[WandbRun], timeout: float) -> list[WandbRun]:
    """Wait until no process has the logs open, at most ``timeout`` seconds; return the runs that are still written.

    wandb-core outlives a dead tool by about 0.1 s. Only processes of this machine and this user can be seen.
    """
    deadline = time.monotonic() + timeout
    sizes: dict[WandbRun, int] = {}
    waiting = list(runs)
    while waiting:
        if Path("/proc/self/fd").exists():
            opened = _open_files()
            waiting = [run for run in waiting if os.path.realpath(run.log) in opened]
            pause = POLL
        else:  # macOS: a log that doesn't grow for a while is taken for closed
            pause = 0.3
            latest = {run: run.log.stat().st_size for run in waiting}
            waiting = [run for run in waiting if sizes.get(run) != latest[run]]
            sizes = latest
        if time.monotonic() >= deadline:
            break
        if waiting:
            time.sleep(pause)
    return waiting


def _open_files() -> set[str]:
    """Return the W&B logs that processes of ours have open."""
    own = os.getpid()
    return set(wandb_places.open_logs(process for process in _numbers(Path("/proc")) if process != own))


def _numbers(directory: Path) -> Iterable[int]:
    return [int(name) for name in os.listdir(directory) if name.isdecimal()]


def _ending(found: Iterable[wandb_log.Record]) -> tuple[wandb_log.Record | None, bool]:
    """Return the first exit record and whether a preempting record comes before it."""
    preempting = False
    for record in found:
        kind, _ = wandb_records.kind_and_body(record.payload)
        if kind == wandb_records.EXIT:
            return record, preempting
        preempting = preempting or kind == wandb_records.PREEMPTING
    return None, preempting
