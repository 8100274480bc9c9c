"""What lies in a checkout and is no code: directories of runs, reports, what sweeps and Hydra applications keep."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from experimentstash.base import files
from experimentstash.record import records

# Can be made anew by what made it: not worth a backup, nor a sign of somebody's work.
REMAKEABLE = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints"}
# How every record of a run begins.
_RECORD = (b'{\n  "id": "', b'"directory": "')
_BEGINNING = 1024
# What a page of `experimentstash report` has in its head, and what lies in a directory, or a zip file, of one.
REPORT_MARK = b'<meta name="generator" content="ExperimentStash'
REPORT_MANIFEST = ".experimentstash-report"
_HEAD = 4096
# What is written into a sweep's own directory, by Hydra, by us and by sweepers.
_OF_SWEEPS = {
    records.SWEEP_FILE,
    records.JOBS_FILE,
    records.EARLIER_FILE,
    records.LOCK,
    ".slurm",
    ".submitit",
    records.ASIDE,
    "optimization_results.yaml",
}
_HYDRA = ".hydra"
_OF_HYDRA = ("config.yaml", "hydra.yaml", "overrides.yaml")
# What in the output directory of a Hydra application may yet be code that somebody keeps there.
_SOURCES = (".py", ".pyx", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rs", ".jl", ".r", ".sh", ".ipynb", ".toml")


def among(
    root: Path,
    names: Iterable[str],
    *,
    code: Sequence[Path],
    known: Sequence[Path] = (),
    tracked: Callable[[], Sequence[str]],
) -> set[str]:
    """Return which of these files of the checkout at ``root`` are results.

    The directories of runs are known by their records; those ``known`` have none yet. One that holds something of
    ``code`` is none, whatever lies in it, nor is one in which git tracks something (``tracked`` lists that), unless the
    record itself is tracked.
    """
    look = _Look(root, {folder for path in code for folder in (path, *path.parents)}, known, tracked)
    return {name for name in names if look.is_result(name)}


class _Look:
    """One look at a checkout: each directory is looked into once."""

    def __init__(
        self, root: Path, holding_code: set[Path], known: Sequence[Path], tracked: Callable[[], Sequence[str]]
    ) -> None:
        self._root = str(root)
        self._holding_code = {str(path) for path in holding_code}
        self._known = {str(path) for path in known}
        self._list = tracked
        self._seen: dict[str, tuple[bool, bool, bool, bool]] = {}

    def is_result(self, name: str) -> bool:
        folder = name
        while folder:
            folder = folder.rpartition("/")[0]
            is_run, is_hydras, is_sweep, is_reports = self._kind(folder)
            inside = name[len(folder) + 1 :] if folder else name
            if (
                is_run
                or (is_hydras and (inside.startswith(f"{_HYDRA}/") or not is_source(inside)))
                or (is_sweep and inside.partition("/")[0] in _OF_SWEEPS)
                or (is_reports and not is_source(inside))
            ):
                return True
        return is_report(os.path.join(self._root, name))  # last, because it is opened for that

    def _kind(self, folder: str) -> tuple[bool, bool, bool, bool]:
        """Tell whether a directory is a run's, a Hydra application's output, a sweep's, a report's."""
        if folder not in self._seen:
            path = os.path.join(self._root, folder).rstrip("/")
            record = f"{folder}/{records.FILE_NAME}"
            is_run = is_hydras = False
            if path not in self._holding_code:
                is_run = is_record(os.path.join(path, records.FILE_NAME)) or path in self._known
                is_hydras = all(os.path.isfile(os.path.join(path, _HYDRA, each)) for each in _OF_HYDRA)
                if (is_run or is_hydras) and folder in self._tracked_folders:
                    is_run, is_hydras = is_run and record in self._tracked, False
            is_sweep, is_reports = (
                os.path.isfile(os.path.join(path, name)) for name in (records.SWEEP_FILE, REPORT_MANIFEST)
            )
            self._seen[folder] = is_run, is_hydras, is_sweep, is_reports and path not in self._holding_code
        return self._seen[folder]

    @functools.cached_property
    def _tracked(self) -> set[str]:
        return set(self._list())

    @functools.cached_property
    def _tracked_folders(self) -> set[str]:
        found: set[str] = set()
        for name in self._tracked:
            while name := name.rpartition("/")[0]:
                found.add(name)
        return found


def is_source(name: str) -> bool:
    """Tell whether a file is code, by its name."""
    return name.lower().endswith(_SOURCES)


def is_report(path: str) -> bool:
    """Tell whether a file is a page of a report, or a zip file of one."""
    ending = os.path.splitext(path)[1].lower()
    mark = {".html": REPORT_MARK, ".htm": REPORT_MARK, ".zip": REPORT_MANIFEST.encode()}.get(ending)
    if mark is None:
        return False
    try:
        with open(path, "rb", opener=files.open_regular) as stream:
            return mark in stream.read(_HEAD)
    except OSError:
        return False


def is_record(path: str) -> bool:
    """Tell whether a file is the record of a run, by how it begins."""
    try:
        with open(path, "rb", opener=files.open_regular) as stream:
            start = stream.read(_BEGINNING)
    except OSError:
        return False
    return start.startswith(_RECORD[0]) and _RECORD[1] in start
