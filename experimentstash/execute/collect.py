"""Brings together in the run directory what a tool insists on writing inside its own checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.base.files import Stamp, free, stamp
from experimentstash.code import written

# By its stamp it is seen that a run wrote a file.
Snapshot = Mapping[Path, Stamp]


def snapshot(paths: Sequence[Path]) -> Snapshot:
    """Return the files at and below ``paths``, and the directories, as they are now; without what no run has made."""
    found: dict[Path, Stamp] = {}
    for path in (one for given in paths for one in _meant(given)):
        if not path.is_dir() and os.path.lexists(path):
            found[path] = stamp(path.lstat())
        for folder, folders, files in os.walk(path):
            folders[:] = [name for name in folders if written.may_hold_results(os.path.join(folder, name), name, ())]
            found[Path(folder)] = (0, 0, 0)
            for name in files + [name for name in folders if Path(folder, name).is_symlink()]:
                if written.is_result(name):
                    found[Path(folder, name)] = stamp(Path(folder, name).lstat())
    return found


def _meant(path: Path) -> list[Path]:
    """Return the paths that a path or a pattern stands for."""
    if not written.is_pattern(path.as_posix()) or os.path.lexists(path):
        return [path]
    known = next((folder for folder in path.parents if folder.is_dir()), path.parent)
    return sorted(known.glob(path.relative_to(known).as_posix()))


def bring_together(paths: Sequence[Path], before: Snapshot, destination: Path, base: Path | None = None) -> list[str]:
    """Move what is new at and below ``paths`` to ``destination``; copy what is changed. Return the new relative paths.

    There it has the path that it has in ``base`` (default: in the directory around each path), which is where a tool is
    that has several things of the same name in it. A name that is taken goes below ``collected/``.
    """
    after = snapshot(paths)
    new = sorted(path for path, mark in after.items() if mark != (0, 0, 0) and before.get(path) != mark)
    brought: list[str] = []
    if new:
        import shutil  # here, because most runs need nothing of it

        for source in new:
            meant = (one for given in paths for one in _meant(given))
            around = base or next(path.parent for path in meant if source.is_relative_to(path))
            relative = source.relative_to(around)
            target = destination / relative
            if os.path.lexists(target) or any(parent.is_file() for parent in target.parents):
                target = free(destination / "collected" / relative)
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
