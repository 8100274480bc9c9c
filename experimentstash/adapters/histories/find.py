"""Which files of a run are histories, and what is in them; archived runs are read where they are."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from experimentstash.adapters.histories import csv_file, event_files, json_lines, wandb_log
from experimentstash.adapters.histories.history import LARGEST, History, Rows
from experimentstash.adapters.numbers.place import UNREADABLE, Missing, why_not
from experimentstash.adapters.wandb import places
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.record import archives
from experimentstash.record.run import Run

# CSV files that are looked at though nobody has declared a column of theirs.
_CSV_NAMES = frozenset(
    f"{stem}.csv"
    for stem in ("history", "metrics", "log", "logs", "progress", "results", "training", "train_log", "training_log")
)
# Entries of a run's directory, folders deep, and files of a kind that are looked at.
_MOST_ENTRIES, _DEEPEST, _MOST_FILES = 20_000, 6, 50
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})

_Read = Callable[[BinaryIO, Rows], None]


@dataclass(frozen=True)
class Found:
    """What was found of a run, and what couldn't be read."""

    histories: Sequence[History]
    notes: Sequence[str]


def of_run(run: Run) -> Found:
    """Return the histories of a run: of several sources of a metric, the first kind that has it.

    CSV files in which metrics are declared come first, then CSV files by their well-known names, `*.jsonl`,
    TensorBoard's event files, W&B's logs.
    """
    names = list(_names(run.path))
    declared = _declared(run, names)
    csv_names = [*declared, *(name for name in names if name.rpartition("/")[2] in _CSV_NAMES and name not in declared)]
    reading = _Reading(run.path)
    reading.take(csv_names, csv_file.read)
    reading.take([name for name in names if name.endswith(".jsonl")], json_lines.read)
    reading.take_event_files([name for name in names if "tfevents" in name.rpartition("/")[2]])
    reading.take([name for name in names if name.endswith(".wandb")], wandb_log.read)
    elsewhere = places.in_folders(places.claimed(run.wandb_elsewhere, run.id))
    reading.take([str(path) for path in elsewhere], wandb_log.read)
    return Found(reading.histories, reading.notes)


class _Reading:
    """Reads files of a run one kind after the other; a kind adds the metrics that no kind before it had."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.histories: list[History] = []
        self.notes: list[str] = []

    def take(self, names: Sequence[str], read: _Read) -> None:
        found = []
        for name in self._few(names):
            rows = Rows()
            try:
                with self._opened(name) as stream:
                    read(stream, rows)
            except UNREADABLE as error:
                self.notes.append(f"{_short(name)}: {why_not(error)}")
            if rows.has_left_out:
                self.notes.append(f"{_short(name)}: it has more metrics than are shown")
            if (history := rows.history(_short(name))) is not None:
                found.append(replace(history, modified=self._changed([name])))
        self._add(found)

    def take_event_files(self, names: Sequence[str]) -> None:
        folders: dict[str, list[str]] = {}
        for name in sorted(self._few(names)):  # their names begin with a time
            folders.setdefault(os.path.dirname(name), []).append(name)
        found: list[History] = []
        for folder, inside in folders.items():
            with tempfile.TemporaryDirectory() as temporary:
                paths = []
                for number, name in enumerate(inside):
                    try:
                        paths.append(self._on_disk(name, Path(temporary, str(number))))
                    except UNREADABLE as error:
                        self.notes.append(f"{name}: {why_not(error)}")
                histories, notes = event_files.read(paths, folder or ".")
            found += (replace(history, modified=self._changed(inside)) for history in histories)
            self.notes += notes
        self._add(found)

    def _few(self, names: Sequence[str]) -> Sequence[str]:
        if len(names) > _MOST_FILES:
            self.notes.append(f"of {len(names)} files such as {names[0]} the first {_MOST_FILES} are shown")
        return names[:_MOST_FILES]

    def _add(self, found: Sequence[History]) -> None:
        known = {metric for history in self.histories for metric in history.ys}
        for history in found:
            ys = {metric: numbers for metric, numbers in history.ys.items() if metric not in known}
            if ys:
                self.histories.append(replace(history, ys=ys))

    def _changed(self, names: Sequence[str]) -> float | None:
        """Return when one of these files was changed last, by whatever says so; None for what an archive has."""
        with contextlib.suppress(OSError):
            stamps = [os.lstat(self._directory / name) for name in names]
            return max(time for each in stamps for time in (each.st_mtime, each.st_ctime))
        return None

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a regular file of the run's, or what an archive has in its place; Missing if it is too large."""
        path = self._directory / name
        if not os.path.isabs(name):
            files.inside(self._directory, path)
        with archives.open_file(path) as stream:
            if (archives.size_of(path) or 0) > LARGEST:
                raise Missing(f"it has more than {LARGEST >> 20} MB")
            yield stream

    def _on_disk(self, name: str, temporary: Path) -> Path:
        """Return a path of a file that others can read: itself, or a copy of what an archive holds."""
        with self._opened(name) as stream:
            if os.path.lexists(self._directory / name):
                return self._directory / name
            with open(temporary, "xb") as copy:
                shutil.copyfileobj(stream, copy)
        return temporary


def _short(name: str) -> str:
    """Return what a source is called: a file from the run's directory, or a W&B run elsewhere by its own name."""
    return f"{Path(name).parent.name}" if os.path.isabs(name) else name


def _declared(run: Run, names: Sequence[str]) -> list[str]:
    """Return the CSV files in which metrics of the run are declared, or its objective."""
    objective = run.spec.objective
    sources: list[Mapping[str, Any]] = [*run.spec.metric_sources.values()]
    sources += objective if isinstance(objective, list) else [objective] if objective else []
    wanted = dict.fromkeys(str(each.get("file") or "metrics.csv") for each in sources if "column" in each)
    found: dict[str, None] = {}
    for file in wanted:
        if file in names or not any(mark in file for mark in "*?["):
            found |= {file: None} if archives.exists(run.path / file) else {}
        else:
            found |= {name: None for name in names if PurePosixPath(f"/{name}").match(f"/{file}")}
    return list(found)


def _names(directory: Path) -> Iterator[str]:
    """Yield the files of a run from its directory, those that lie less deep first; no link is followed."""
    archive = archives.holding(directory)
    if archive is None:
        yield from _on_the_disk(directory)
        return
    with contextlib.suppress(OSError):
        yield from sorted(
            (name for name, _ in archives.files_below(archive, directory)), key=lambda name: name.count("/")
        )


def _on_the_disk(directory: Path) -> Iterator[str]:
    waiting = deque([""])
    seen = 0
    while waiting:
        folder = waiting.popleft()
        is_wandb_run = places.is_of_run(folder)
        try:
            with os.scandir(directory / folder) as entries:
                several = sorted(_first(entries, _MOST_ENTRIES - seen), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in several:
            seen += 1
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_file(follow_symlinks=False):
                yield name
            elif (
                entry.is_dir(follow_symlinks=False)
                and not is_wandb_run
                and name.count("/") < _DEEPEST
                and not entry.name.startswith(".")
                and entry.name not in _SKIPPED
            ):
                waiting.append(name)


def _first(entries: Iterator[os.DirEntry[str]], most: int) -> list[os.DirEntry[str]]:
    return [entry for _, entry in zip(range(max(0, most)), entries, strict=False)]
