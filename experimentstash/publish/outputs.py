"""What of a run's directory its tool has written: its results, and what else there is."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import kind_at
from experimentstash.execute.account import SUPERVISOR_LOG
from experimentstash.publish.comparators.comparator import How
from experimentstash.publish.contents import below
from experimentstash.publish.declared import Declared
from experimentstash.record import added, records, times
from experimentstash.record.run import Run

CONFIGURATION = ".hydra"
# What a run's log is called wherever runs are compared: a further attempt has one of another name.
LOG = "output.log"


@dataclass(frozen=True)
class Written:
    """The results in a run's directory, by their paths there, and how each is compared; the rest by its names."""

    results: dict[str, How]
    left_out: tuple[str, ...]
    handed: tuple[str, ...]  # what the tool was given
    strange: tuple[str, ...]  # what would be results, and are no files: links


def look(run: Run, declared: Declared) -> Written:
    """Look through the directory of a run that has ended."""
    results: dict[str, How] = {}
    left_out: list[str] = []
    strange: list[str] = []
    handed = handed_to(run)
    ours = {records.FILE_NAME, added.FILE_NAME, SUPERVISOR_LOG, *handed, *(each.log for each in run.every_attempt)}
    ours |= {each.patch for each in (run.spec.stash, run.spec.code) if each is not None and each.patch is not None}
    for name in below(run.path):
        if name in ours or name.startswith((f"{CONFIGURATION}/", f".{records.FILE_NAME}.")):
            continue
        how = declared.how(name)
        if how is None:
            left_out.append(name)
        elif kind_at(run.path / name) != "a file":
            left_out.append(name)
            strange.append(name)
        else:
            results[name] = how
    log = declared.how(LOG)
    if log is not None and (run.path / run.attempt.log).is_file():
        results[LOG] = log
    return Written(results, tuple(left_out), handed, tuple(strange))


def place(run: Run, output: str) -> Path:
    """Return where a run has, or would have, a result."""
    return run.path / (run.attempt.log if output == LOG else output)


def configured(run: Run) -> float | None:
    """Return when a run's configuration was written, just before it began, by the clock of its file system.

    None: nobody knows.
    """
    try:
        return os.stat(run.path / CONFIGURATION / "overrides.yaml").st_mtime
    except OSError:
        return None


def handed_to(run: Run) -> tuple[str, ...]:
    """Return the names of the files that a run's tool was given in its directory: its words name them."""
    found = []
    started = times.moment(run.attempt.started) if run.attempt.started else float("inf")
    listed = sorted(os.listdir(run.path)) if run.path.is_dir() else []
    words = [*run.spec.command.argv, *run.spec.command.environment.values()]
    for name in listed:
        path = run.path / name
        is_named = any(word.endswith(f"{run.directory}/{name}") for word in words)
        if is_named and kind_at(path) == "a file" and path.stat().st_mtime < started:
            found.append(name)
    environment = run.spec.environment
    if environment is not None and environment.packages in listed:
        found.append(str(environment.packages))
    return tuple(found)
