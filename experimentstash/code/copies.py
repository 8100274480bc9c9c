"""A copy of the tool's code that a run has for itself: what it writes there is its own, and is kept with it at its end.

Standard library only, and light: supervisors make the copies.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.files import free
from experimentstash.code import written
from experimentstash.record.run import Run
from experimentstash.stash import paths

if TYPE_CHECKING:
    from experimentstash.record.run import Apart

# The directory of all copies of a tool's frozen code, beside that.
HOME = "copies"
# Beside the copy, set last: what has changed since then the run has made.
_READY = ".ready"
# Seconds after which the clock of a file system, which counts in ticks, has surely gone on.
_LONGEST_TICK = 2.5
# Where what a run has written beside its tool's directory goes.
ASIDE = "collected"


def make(run: Run) -> None:
    """Make a run's copy, unless it is there from an earlier attempt."""
    import shutil  # here, because most runs need nothing of it

    assert run.apart is not None
    apart = run.apart
    copy, home = Path(apart.path), _home(run)
    if (home / _READY).exists():
        return
    files.remove(home)
    home.mkdir(parents=True)
    shutil.copytree(apart.source, copy, symlinks=True)
    live = Path(apart.live)
    for name in apart.folders:
        (copy / name).mkdir(parents=True, exist_ok=True)
    for name in apart.brought:
        if not os.path.lexists(copy / name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            if (live / name).is_dir():
                shutil.copytree(live / name, copy / name, symlinks=True)
            elif (live / name).exists():
                shutil.copy2(live / name, copy / name)
    for name in apart.links:
        if not os.path.lexists(copy / name) and os.path.lexists(live / name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(live / name)
    # A tool may look beside its directory, for ../data.
    with contextlib.suppress(OSError):
        for name in os.listdir(live.parent):
            if not os.path.lexists(home / name):
                (home / name).symlink_to(live.parent / name)
    ready = home / _READY
    ready.touch()
    copied, deadline = ready.stat().st_ctime_ns, time.monotonic() + _LONGEST_TICK
    while ready.stat().st_ctime_ns <= copied and time.monotonic() < deadline:
        time.sleep(0.001)
        os.utime(ready)


def keep(run: Run, *, may_go_on: bool) -> list[str]:
    """Keep with a run what it has written into its copy; return where, relative to its directory.

    Moved, but for a run that ``may_go_on``: it is copied then, so that it finds it again.
    """
    import shutil  # here, because most runs need nothing of it

    _home(run)
    assert run.apart is not None
    if run.spec.code is None:
        raise files.Unfit(run.apart.path, "nobody knows whose code it is a copy of")
    copy, source = Path(run.apart.path), Path(run.apart.source)
    tool = os.path.relpath(run.spec.code.path, run.apart.source)  # where the tool's directory is in the copy
    earlier = {name for attempt in run.every_attempt for name in attempt.collected}
    brought: list[str] = []
    for path in _changed(run.apart):
        inside = os.path.relpath(path, os.path.join(copy, tool))
        if inside.startswith("../"):
            inside = os.path.join(ASIDE, os.path.relpath(path, copy.parent if not path.is_relative_to(copy) else copy))
        target = run.path / inside
        is_ours = inside in earlier
        if not is_ours and (os.path.lexists(target) or any(parent.is_file() for parent in target.parents)):
            target = free(run.path / ASIDE / inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_ours:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
        if may_go_on or (source / os.path.relpath(path, copy)).exists():
            shutil.copy2(path, target, follow_symlinks=False)
        else:
            shutil.move(path, target)
        brought.append(str(target.relative_to(run.path)))
    return sorted({*brought, *earlier})


def remove(run: Run) -> None:
    """Remove a run's copy."""
    with contextlib.suppress(OSError):
        home = _home(run)
        files.remove(home / _READY)
        files.remove(home)
        home.parent.rmdir()


def _home(run: Run) -> Path:
    """Return the directory in which a run's copy lies. Unfit if none can be there: a record may say anything."""
    assert run.apart is not None
    path = Path(run.apart.path)
    home = path.parent
    is_usual = len(home.parents) > 5 and [home.parents[n].name for n in (0, 3, 4)] == [HOME, paths.CODE, paths.PRIVATE]
    if not is_usual or not home.name.startswith(f"{run.id}-"):
        raise files.Unfit(home, "it is no place for a copy of a tool's code")
    files.inside(home.parents[4], path)
    return home


def _changed(apart: Apart) -> Iterator[Path]:
    """Yield the files in a run's copy, and beside it, that it has made or changed."""
    copy, home = Path(apart.path), Path(apart.path).parent
    try:
        since = (home / _READY).stat().st_ctime_ns
    except OSError:
        return
    links = {str(copy / name) for name in apart.links}
    for folder, folders, names in os.walk(home):
        folders.sort()
        folders[:] = [
            name
            for name in folders
            if written.may_hold_results(os.path.join(folder, name), name, _listed(os.path.join(folder, name)))
            or name in ("wandb", ".wandb")
        ]
        for name in sorted([*names, *(each for each in folders if os.path.islink(os.path.join(folder, each)))]):
            path = Path(folder, name)
            if not written.is_result(name) or (folder == str(home) and (name == _READY or path.is_symlink())):
                continue
            if str(path) in links and path.is_symlink():
                continue
            if path.lstat().st_ctime_ns >= since:
                yield path


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
