"""Reading the numbers of runs that are over once more: they end up in their records, and nothing else changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from experimentstash.adapters.numbers import declarations, metrics
from experimentstash.adapters.numbers.metrics import Reading
from experimentstash.adapters.numbers.place import ALL, Place
from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base import yaml_files
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError
from experimentstash.base.yaml_files import YamlError
from experimentstash.execute.wandb_runs import CLOCK_SLACK, wandb_logs
from experimentstash.record import archives, records, times
from experimentstash.record.run import Run
from experimentstash.runs import reconcile
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizers

# What a note begins with that tells of declarations which the run did not have.
_LATER = "where its metrics are was declared later"
_OURS = (_LATER, metrics.NONE_READ, metrics.NO_VALUE)


@dataclass(frozen=True)
class Refreshed:
    """What became of a run's numbers."""

    run: Run
    has_changed: bool = False
    left_alone: str | None = None  # why they were not looked for
    failed: str | None = None  # why they could not be
    notes: list[str] = field(default_factory=list)  # what there is to know of them


def refresh(stash: Stash, runs: Iterable[Run]) -> Iterator[Refreshed]:
    """Read the numbers of runs again, one after the other, and keep them in their records."""
    now, queries = _DeclaredNow(stash), JobQueries()
    for run in runs:
        left_alone = _why_left_alone(run, queries)
        if left_alone is not None:
            yield Refreshed(run, left_alone=left_alone)
            continue
        try:
            yield _refreshed(stash, run, now, queries)
        except StashError as error:
            yield Refreshed(run, failed=error.message)
        except OSError as error:
            yield Refreshed(run, failed=f"its record can't be written: {error.strerror}")


def _why_left_alone(run: Run, queries: JobQueries) -> str | None:
    # What goes back into a queue is written by its job, which asks for no lock of ours.
    if not run.attempt.state.is_final or reconcile.may_go_back(run, queries):
        return "not over yet"
    if run.attempt.started is None:
        return "never begun"
    if run.removed is not None:
        return "its files were removed"
    return "archived" if archives.holding(run.path) is not None else None


def _refreshed(stash: Stash, run: Run, now: _DeclaredNow, queries: JobQueries) -> Refreshed:
    declared, notes = run.spec.metric_sources, []
    if not declared and (declared := now.of(run)):
        notes.append(f"{_LATER}: {', '.join(declared)}")
    reading = metrics.read(run, _place(run), declared)
    numbers = {**_kept(run, reading, declared), **reading.numbers}
    notes += reading.notes
    if _same(run.attempt.metrics, numbers) and notes == [note for note in run.attempt.notes if note.startswith(_OURS)]:
        return Refreshed(run, notes=notes)
    with reconcile.undisturbed(stash):
        present = records.read(run.path)  # somebody may have taken it up again meanwhile
        why = _why_left_alone(present, queries)
        if why is not None or present.attempt.number != run.attempt.number:
            return Refreshed(present, left_alone=why or "taken up again")
        has_changed = not _same(present.attempt.metrics, numbers)
        present.attempt.metrics = numbers
        present.attempt.notes = [*(note for note in present.attempt.notes if not note.startswith(_OURS)), *notes]
        records.write(present)
    return Refreshed(present, has_changed=has_changed, notes=notes)


def _place(run: Run) -> Place:
    """Return where the numbers of a run's last attempt are; what is from before that isn't its own."""
    assert run.attempt.started is not None
    since = int((times.moment(run.attempt.started) - CLOCK_SLACK) * 1e9)
    is_copy = os.stat(run.path).st_ino != run.inode  # then the files are as new as the copy is
    if is_copy and run.attempt.number == 1:
        since = 0
    return Place(run.path, run.attempt.log, since=since, is_copy=is_copy, wandb=lambda: wandb_logs(run))


def _kept(run: Run, reading: Reading, declared: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers that a record has and whose files are gone, or can't be read any more."""
    return {
        name: number
        for name, number in (run.attempt.metrics or {}).items()
        if _declared_as(name, declared) in reading.problems
    }


def _declared_as(name: str, declared: Mapping[str, Any]) -> str:
    if name in declared:
        return name
    return next((each for each in declared if each != ALL and name.startswith(f"{each}.")), ALL)


def _same(one: Mapping[str, float] | None, other: Mapping[str, float]) -> bool:
    return one is not None and repr(sorted(one.items())) == repr(sorted(other.items()))  # NaN is the same as NaN


class _DeclaredNow:
    """Where the configuration of now says that metrics are, for runs that did not know it: of the files alone."""

    def __init__(self, stash: Stash) -> None:
        self._stash = stash
        self._organizers = Organizers(stash)
        self._known: dict[tuple[str, str | None], dict[str, dict[str, Any]]] = {}

    def of(self, run: Run) -> dict[str, dict[str, Any]]:
        """Return that for a run's tool and experiment; StashError for what makes no sense."""
        key = run.spec.tool, run.spec.organizer
        if key not in self._known:
            self._known[key] = self._read(*key)
        return self._known[key]

    def _read(self, tool: str, organizer: str | None) -> dict[str, dict[str, Any]]:
        layers = [(paths.registration(tool), self._registered(tool)), (paths.ROOT_CONFIG, self._of_root())]
        if organizer is not None:
            layers.append((paths.organizer(organizer), self._organizers.of(organizer, "metrics")))
        found: dict[str, dict[str, Any]] = {}
        for where, said in layers:
            for name, given in (said if isinstance(said, Mapping) else {}).items():
                source = declarations.source_of(given) if isinstance(given, Mapping) else {}
                if not source or any("${" in value for value in source.values() if isinstance(value, str)):
                    continue  # what an interpolation stands for only a run can tell
                label = f"{where}: metrics.{name}"
                found[str(name)] = dict(vars(declarations.checked(str(name), source, label, self._stash.root)))
        return found

    def _registered(self, tool: str) -> Any:
        path = self._stash.registration(tool)
        return yaml_files.mapping(path).get("metrics") if path.is_file() else None

    def _of_root(self) -> Any:
        try:
            return self._organizers.of_root("metrics")
        except YamlError:
            return None
