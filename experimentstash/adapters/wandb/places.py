"""Where the W&B logs of a run are: below its directory, or wherever else its tool had them put.

Standard library only, and light: supervisors look here for every run.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from experimentstash.base.files import open_regular, read_regular, write
from experimentstash.base.patterns import regex

# Directories and files of a run that are looked at at most: a tool may write a million images.
MOST_ENTRIES = 50_000
# Bytes of the beginning and of the end of a tool's output in which wandb may have said where it writes.
_SAID = 1 << 20
# In these there are no W&B runs.
_SKIPPED = {".git", ".hydra", "__pycache__", "node_modules", "site-packages"}
_FOLDER = regex(r"(?:offline-)?run-\d{8}_\d{6}-[^/]+")
# As wandb prints it when a run begins, and when an offline run has ended; colours may be in between.
_PRINTED = regex(rb"(?:saved locally in|wandb sync|logs at:)[ \t]+(?:\x1b\[[\d;]*m|['\"`])*([^\x1b\n\r]+)")

# In wandb's account of a run, each line of which names the process.
_PROCESS = regex(rb"MainThread:(\d+)")
_ACCOUNT = 8192
# In the directory of a W&B run outside its run's directory: whose it is.
_CLAIM = "experimentstash-run"
_LONGEST_CLAIM = 1024


def below(directory: Path) -> list[Path]:
    """Return the W&B logs below a directory, those that lie less deep first."""
    found: list[Path] = []
    waiting = deque([str(directory)])
    seen = 0
    while waiting and seen < MOST_ENTRIES:
        folder = waiting.popleft()
        is_run = is_of_run(folder)
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                if is_run and _is_log(entry.name):
                    found.append(Path(entry.path))
                elif not is_run and entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return found


def is_of_run(folder: str) -> bool:
    """Tell whether a directory is that of a W&B run, by its name."""
    return _FOLDER.fullmatch(os.path.basename(folder)) is not None


def in_folders(folders: Iterable[str]) -> list[Path]:
    """Return the logs in the directories of W&B runs."""
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            found += [Path(folder, name) for name in sorted(os.listdir(folder)) if _is_log(name)]
    return found


def claim(folder: str, run_id: str) -> None:
    """Have the directory of a W&B run say whose it is, unless it does; OSError if that is impossible.

    A record can name any directory. What isn't the run's own is neither ended nor sent with it.
    """
    with contextlib.suppress(FileExistsError):
        write(os.path.join(folder, _CLAIM), f"{run_id}\n".encode(), os.O_EXCL)


def claimed(folders: Iterable[str], run_id: str) -> list[str]:
    """Return the directories of W&B runs that say that they are the run's."""
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            said = read_regular(os.path.join(folder, _CLAIM), _LONGEST_CLAIM)
            if said == f"{run_id}\n".encode() and is_of_run(folder):
                found.append(folder)
    return found


def opened(processes: Iterable[int]) -> set[str]:
    """Return the directories of the W&B runs whose logs these processes have open."""
    return {os.path.dirname(log) for log in open_logs(processes) if is_of_run(os.path.dirname(log))}


def open_logs(processes: Iterable[int]) -> Iterator[str]:
    """Yield the W&B logs that processes of ours have open."""
    for process in processes:
        with contextlib.suppress(OSError):  # somebody else's, or gone
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{process}/fd/{descriptor}")
                    if target.endswith(".wandb"):
                        yield target


def printed(output: Path, offset: int, *, cwd: str, since: float) -> set[str]:
    """Return the directories of W&B runs, written to after ``since``, that wandb has named in a tool's output.

    ``offset`` is where in the file the output begins. A relative directory is relative to ``cwd``.
    """
    found: set[str] = set()
    try:
        with open(output, "rb", opener=open_regular) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(offset)
            said = stream.read(_SAID)
            stream.seek(max(offset + len(said), size - _SAID))
            said += b"\n" + stream.read(_SAID)
    except OSError:
        return found
    if b"wandb" not in said:
        return found
    for match in _PRINTED.finditer(said):
        path = os.path.normpath(os.path.join(cwd, os.fsdecode(match[1]).strip().strip("'\"`")))
        # "Find logs at: ./wandb/run-…/logs"
        for folder in (path, os.path.dirname(path)):
            if is_of_run(folder) and _is_as_new(folder, since):
                found.add(folder)
    return found


def begun_in(directory: Path, since: float) -> dict[str, int | None]:
    """Return the W&B runs that lie in a directory's `wandb`, written to after ``since``, each with its process."""
    found: dict[str, int | None] = {}
    for name in ("wandb", ".wandb"):
        with contextlib.suppress(OSError):
            for entry in os.listdir(directory / name):
                folder = os.path.join(directory, name, entry)
                if is_of_run(entry) and _is_as_new(folder, since):
                    found[folder] = _process_of(folder)
    return found


def _process_of(folder: str) -> int | None:
    """Return the process that began a W&B run, as wandb's own account has it."""
    account = os.path.join(folder, "logs", "debug.log")
    with contextlib.suppress(OSError), open(account, "rb", opener=open_regular) as stream:
        if named := _PROCESS.search(stream.read(_ACCOUNT)):
            return int(named[1])
    return None


def _is_as_new(folder: str, since: float) -> bool:
    return any(log.stat().st_mtime >= since for log in in_folders([folder]))


def _is_log(name: str) -> bool:
    return name.startswith("run-") and name.endswith(".wandb")
