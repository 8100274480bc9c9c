"""A build in a SLURM job of its own, which the runs of its tool wait for: for compilers that only nodes have.

Its order, a file beside those of the arrays, says what is to be built and which runs wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base import files, permissions, typed
from experimentstash.base.errors import EXIT_USER_MISTAKE, StashError
from experimentstash.base.output import complain, fit_streams, say
from experimentstash.base.signals import ends_on_request
from experimentstash.freeze.build import make
from experimentstash.freeze.build.builds import Build
from experimentstash.record import records, transitions
from experimentstash.record.run import Run, State
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig

_PATHS = ("directory", "home", "place")
_COMMANDS = ("commands", "written")


def write(order: Path, stash: Stash, build: Build, waiting: Sequence[Run]) -> None:
    """Write the order of a build, for which these runs wait."""
    data = {name: str(value) if name in _PATHS and value is not None else value for name, value in vars(build).items()}
    text = json.dumps({"stash": str(stash.root), "build": data, "runs": [run.directory for run in waiting]}, indent=1)
    files.write_atomically(order, f"{text}\n")


def main(argv: Sequence[str]) -> int:
    """Build what an order says and return 0; where that fails, the runs that wait for it have failed, too."""
    fit_streams()
    if len(argv) not in (1, 3):
        complain("usage, in a SLURM job: python -S start.py build ORDER [EXIT_CODE LINE]")
        return EXIT_USER_MISTAKE
    order = Path(argv[0])
    try:
        permissions.follow(order)
        stash, build, waiting = _read(order)
    except (OSError, ValueError, TypeError, KeyError) as error:
        complain(f"{order} doesn't say what is to be built: {error}")
        return 1
    if len(argv) == 3:  # a line of the batch script has failed before it came to us
        return _has_failed(waiting, f"a line of its setup failed (line {argv[2]} of {order.with_suffix('.sh')})")
    try:
        with ends_on_request():
            make.make(stash, ToolConfig(), build, say)
    except StashError as error:
        complain(str(error))
        return _has_failed(waiting, error.message)
    except (SystemExit, KeyboardInterrupt):
        return _has_failed(waiting, f"the job that was to build it was ended; what was said until then: {build.log}")
    return 0


def _read(order: Path) -> tuple[Stash, Build, list[Path]]:
    data = typed.loads(files.read_regular(order))
    given: dict[str, Any] = dict(data["build"])
    given |= {name: Path(typed.path(given[name], name)) for name in _PATHS if given[name] is not None}
    given |= {name: tuple(tuple(map(str, each)) for each in given[name]) for name in _COMMANDS}
    given |= {name: tuple(map(str, given[name])) for name in ("shared", "modules")}
    build = Build(**given)
    runs = [Path(typed.path(each, "runs")) for each in data["runs"]]
    return Stash(Path(typed.path(data["stash"], "stash"))), build, runs


def _has_failed(waiting: Sequence[Path], why: str) -> int:
    """End the records of those runs that wait, of which none begins before we have ended; return the exit code."""
    for directory in waiting:
        try:
            run = records.read(directory)
            if run.attempt.state in (State.FROZEN, State.QUEUED):
                transitions.end(run, State.FAILED, f"its tool could not be built: {why}", 1)
                records.write(run)
        except (StashError, OSError) as error:
            complain(f"{directory}: {error}")
    return 1
