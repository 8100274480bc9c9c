"""Uploads of W&B runs in one child process with our own wandb, whatever version the tools have.

wandb 0.31 or later is needed for it: older ones report every synced run as finished. It reads the logs of older ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

import experimentstash
from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.adapters.wandb.runs import WandbRun
from experimentstash.base import process
from experimentstash.base.errors import StashError
from experimentstash.base.files import kind_at, open_regular
from experimentstash.record import records
from experimentstash.record.run import State

# What would make our wandb take a run for another one, or not upload at all.
MISLEADING = frozenset(
    f"WANDB_{name}"
    for name in (
        *("DIR", "DISABLED", "ENTITY", "JOB_TYPE", "MODE", "NAME", "NOTES", "PROJECT"),
        *("RESUME", "RUN_GROUP", "RUN_ID", "SERVICE", "SWEEP_ID", "TAGS"),
    )
)
# The part of the time limit that a server may take for one answer, and its bound in seconds.
SERVER_SHARE, SERVER_TIMEOUT = 0.3, 10.0
OUTPUT_END = 1 << 20
MEND = "experimentstash sync"


class Status(str, Enum):
    """What came of an upload."""

    SENT = "sent"
    ALREADY = "already"
    FAILED = "failed"
    UNFINISHED = "unfinished"  # the run is still going; left alone


@dataclass(frozen=True)
class Upload:
    """One log to upload, as the child process reads it."""

    log: str
    online: bool
    id: str
    entity: str | None
    project: str | None
    exit_code: int
    preempting: bool
    unfinished: bool  # wandb itself can't have told the server the end
    interrupted: bool  # an earlier sync of this log began and did not end
    log_is_empty: bool


@dataclass(frozen=True)
class SyncResult:
    """What came of one run directory that has W&B runs."""

    directory: Path
    status: Status
    reason: str | None = None


@dataclass(frozen=True)
class Sent:
    """What came of one log."""

    status: Status
    reason: str | None = None


def sync(
    run_directories: Iterable[Path],
    *,
    timeout: float,
    report: Callable[[str], None] = lambda line: None,
    environment: Mapping[str, str] | None = None,
) -> list[SyncResult]:
    """Upload what has not reached the W&B server yet, within ``timeout`` seconds for all of it.

    Runs that are still going are left alone; what has arrived is not sent again. Directories without W&B runs are
    left out of the results.
    """
    deadline = time.monotonic() + timeout
    variables = os.environ if environment is None else environment
    found = {directory: wandb_runs.find(directory, _elsewhere(directory)) for directory in run_directories}
    outcomes: dict[WandbRun, Sent] = {}
    uploads: list[Upload] = []
    for directory, runs in found.items():
        for run in runs:
            decided = _prepare(run, directory, variables)
            if isinstance(decided, Upload):
                uploads.append(decided)
            else:
                outcomes[run] = decided
    if uploads:
        report(f"Uploading {len(uploads)} W&B run{'s' if len(uploads) > 1 else ''} …")
        sent = upload(uploads, timeout=max(1.0, deadline - time.monotonic()), environment=variables)
        outcomes.update({run: sent[str(run.log)] for runs in found.values() for run in runs if str(run.log) in sent})
    results = []
    for directory, runs in found.items():
        if runs:
            result = _summary(directory, [(run, outcomes[run]) for run in runs])
            results.append(result)
            report(f"{directory.name}: {result.status.value}{f' ({result.reason})' if result.reason else ''}")
    return results


def _elsewhere(directory: Path) -> list[str]:
    """Return where the tool of a run has had its W&B runs put outside the run directory, as its record has it."""
    try:
        run = records.read(directory)
    except StashError:
        return []
    return wandb_places.claimed(run.wandb_elsewhere, run.id)


def describe(run: WandbRun, run_directory: Path, environment: Mapping[str, str]) -> Upload:
    """Return the upload of a run that has its exit record."""
    if (kind := kind_at(run.mark)) not in (None, "a file"):  # wandb would write through it
        raise ValueError(f"{run.mark.name} is {kind}")
    path = wandb_runs.identify(run)
    ending = wandb_runs.ending(run)
    entity, project = (path.entity, path.project) if path else _printed_path(run, run_directory)
    return Upload(
        log=str(run.log),
        online=run.online,
        id=path.id if path else run.id,
        entity=entity or (None if path else environment.get("WANDB_ENTITY")),
        project=project or (None if path else environment.get("WANDB_PROJECT")),
        exit_code=ending.exit_code or 0,
        preempting=ending.preempting,
        unfinished=ending.is_ours,
        interrupted=not run.online and run.log.with_name(run.log.name + ".syncstate").exists(),
        log_is_empty=path is None,
    )


def upload(
    uploads: Sequence[Upload], *, timeout: float, environment: Mapping[str, str] | None = None
) -> dict[str, Sent]:
    """Upload logs in one child process within ``timeout`` seconds; return what came of each, by its path."""
    inherited = os.environ if environment is None else environment
    child = {name: value for name, value in inherited.items() if name not in MISLEADING}
    package = str(Path(experimentstash.__file__).parent.parent)
    said = ""
    failure = None
    with tempfile.TemporaryDirectory(prefix="experimentstash-wandb-") as scratch:
        child |= {"PYTHONPATH": package, "WANDB_DIR": scratch}
        request = {
            "uploads": [asdict(one) for one in uploads],
            "server_timeout": min(SERVER_TIMEOUT, timeout * SERVER_SHARE),
        }
        command = [sys.executable, "-X", "utf8", "-m", "experimentstash.adapters.wandb.upload_child"]
        try:
            text = json.dumps(request)
            done = process.run(command, cwd=Path(scratch), env=child, stdin=text, timeout=timeout, check=False)
            said = done.stdout
            if done.returncode:
                failure = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        except process.CommandError as error:
            failure = f"no end within {timeout:.0f} s" if error.returncode == 124 else error.stderr
    results = {}
    for line in said.splitlines():
        try:
            answer = json.loads(line)
            results[answer["log"]] = Sent(Status(answer["status"]), answer["reason"])
        except (ValueError, KeyError, TypeError):  # something that wandb printed
            continue
    for one in uploads:
        if one.log not in results:
            is_synced = WandbRun(Path(one.log), one.online).is_synced
            results[one.log] = Sent(Status.SENT) if is_synced else Sent(Status.FAILED, failure or "no answer")
    return results


def _prepare(run: WandbRun, directory: Path, environment: Mapping[str, str]) -> Upload | Sent:
    """Return what is to be uploaded, or why nothing is."""
    if run.is_synced:
        return Sent(Status.ALREADY)
    try:
        if wandb_runs.ending(run).exit_code is None and not _end_lost_run(run, directory):
            return Sent(Status.UNFINISHED, "it is still going")
        described = describe(run, directory, environment)
    except OSError as error:
        return Sent(Status.FAILED, f"{run.log.name} can't be read: {error.strerror}")
    except ValueError as error:
        return Sent(Status.FAILED, f"{run.log.name}: {error}")
    if described.log_is_empty and not run.online:
        return Sent(Status.FAILED, "wandb was killed before it wrote anything to its log")
    return described


def _end_lost_run(run: WandbRun, directory: Path) -> bool:
    """Give a run its exit record if our own record says that it is over, and nobody writes to its log."""
    try:
        recorded = records.read(directory)
    except StashError:
        return False
    if not recorded.attempt.state.is_final or wandb_runs.wait_until_closed([run], 0):
        return False
    code = 1 if recorded.attempt.exit_code is None else recorded.attempt.exit_code
    wandb_runs.complete(run, code, preempted=recorded.attempt.state is State.PREEMPTED)
    return True


def _printed_path(run: WandbRun, run_directory: Path) -> tuple[str | None, str | None]:
    """Return entity and project from the address that wandb printed to the tool's output, if it is there."""
    pattern = re.compile(rb"https?://\S+?/([^/\s]+)/([^/\s]+)/runs/" + re.escape(run.id.encode()) + rb"\b")
    for log in sorted(run_directory.glob("*.log")):
        with contextlib.suppress(OSError), open(log, "rb", opener=open_regular) as stream:
            if found := pattern.search(stream.read(OUTPUT_END)):
                return found[1].decode(), found[2].decode()
    return None, None


def _summary(directory: Path, outcomes: Sequence[tuple[WandbRun, Sent]]) -> SyncResult:
    for status in (Status.FAILED, Status.UNFINISHED, Status.SENT, Status.ALREADY):
        those = [(run, sent) for run, sent in outcomes if sent.status is status]
        if those:
            reasons = [f"{run.name}: {sent.reason}" for run, sent in those if sent.reason]
            return SyncResult(directory, status, "; ".join(reasons) or None)
    raise AssertionError("a directory without W&B runs")
