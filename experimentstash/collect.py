"""Brings together in the run directory what a tool insists on writing inside its own checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

# What identifies a file's content well enough to see that a run wrote it: (mtime in ns, size, inode).
Snapshot = Mapping[Path, tuple[int, int, int]]


def snapshot(directories: Sequence[Path]) -> Snapshot:
    """Return the files below ``directories``, and the directories themselves, as they are now."""
    found: dict[Path, tuple[int, int, int]] = {}
    for directory in directories:
        for folder, folders, files in os.walk(directory):
            found[Path(folder)] = (0, 0, 0)
            for name in files + [name for name in folders if Path(folder, name).is_symlink()]:
                path = Path(folder, name)
                stat = path.lstat()
                found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def bring_together(directories: Sequence[Path], before: Snapshot, destination: Path) -> list[str]:
    """Move what is new below ``directories`` to ``destination``; copy what is changed. Return the new relative paths.

    The part of the path that all new files share (outputs/2026-01-31/12-00-00) is dropped. A name that is taken in the
    destination goes below ``collected/`` there.
    """
    after = snapshot(directories)
    written = sorted(path for path, mark in after.items() if mark != (0, 0, 0) and before.get(path) != mark)
    brought: list[str] = []
    if written:
        import shutil  # here, because most runs need nothing of it

        shared = Path(os.path.commonpath([path.parent for path in written]))
        for source in written:
            relative = source.relative_to(shared)
            target = destination / relative
            if os.path.lexists(target):
                target = _free(destination / "collected" / relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source in before:
                shutil.copy2(source, target, follow_symlinks=False)
            else:
                shutil.move(source, target)
            brought.append(str(target.relative_to(destination)))
    for folder in sorted((path for path in after if path not in before and path.is_dir()), reverse=True):
        if not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
    return brought


def _free(path: Path) -> Path:
    """Return ``path``, or if that is taken the path with the first free number."""
    candidate, number = path, 2
    while os.path.lexists(candidate):
        candidate, number = path.with_name(f"{path.name}.{number}"), number + 1
    return candidate
