"""What one call of the application knows, and what it leaves behind for its caller."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError
from experimentstash.code.provenance import Checkouts
from experimentstash.compose import config_store
from experimentstash.compose.hydra_files import Before
from experimentstash.compose.variations import SweepLoader
from experimentstash.execute.execute import Executed
from experimentstash.freeze.freeze import OF_LAUNCHER_VARIABLE, Bases
from experimentstash.record.records import Run
from experimentstash.stash.layout import ROOT_VARIABLE, Stash, find_stash

if TYPE_CHECKING:
    from experimentstash.code.apart import Plot
    from experimentstash.code.worktrees import Frozen
    from experimentstash.launch.resume import Continuation


@dataclass
class Session:
    """What one call of the application leaves behind for its caller."""

    stash: Stash
    executed: Executed | None = None
    sweep: Path | None = None
    elsewhere: list[Path] = field(default_factory=list)  # runs of the sweep that aren't in its directory
    unrecorded: list[Run] = field(default_factory=list)  # of the sweep, refused, where that can't be written down
    bug: Exception | None = None  # in one job of a sweep, raised when the others have ended
    sweeper: str | None = None
    is_interrupted: bool = False
    continuation: Continuation | None = None
    before: Before | None = None  # what was where Hydra writes
    lock: int | None = None  # keeps others from going on with the sweep
    runs: Sequence[Run] = ()  # of the sweep, once it is over
    has_unread: bool = False  # and there are others, whose records can't be read
    is_dry: bool = False
    said: set[str] = field(default_factory=set)  # what need not be said of each job
    programs: dict[tuple[str, ...], StashError | None] = field(default_factory=dict)  # those that were looked for
    drafts: list[Run] = field(default_factory=list)  # what would be run
    has_begun: bool = False  # a task has started
    failure: StashError | None = None
    of_launcher: Mapping[str, Any] | None = None  # what the launcher asks a scheduler for, whatever the experiments say
    borrowed: Mapping[str, str] = field(default_factory=dict)  # variables that have filled gaps in that
    loader: SweepLoader | None = None
    checkouts: Checkouts = field(default_factory=Checkouts)
    bases: Bases = field(default_factory=Bases)
    # The tools' code that has been secured: all runs of a sweep share one state of it. None: git doesn't know the tool.
    frozen: dict[tuple[object, ...], Frozen | None] = field(default_factory=dict)
    plots: dict[tuple[object, ...], Plot | None] = field(default_factory=dict)  # how their runs are kept apart


# What PYTHONUTF8 was before others' launchers were given one for the processes that they start.
_USUAL_UTF8 = "EXPERIMENTSTASH_PYTHONUTF8"


@contextlib.contextmanager
def in_unicode_elsewhere() -> Iterator[None]:
    """Have Pythons that are started meanwhile know all letters as this one does, whatever their locale."""
    if not sys.flags.utf8_mode:
        yield
        return
    usual = os.environ.get("PYTHONUTF8")
    os.environ.update({"PYTHONUTF8": "1", _USUAL_UTF8: usual or ""})
    try:
        yield
    finally:
        as_usual()


def as_usual() -> None:
    """Take back what ``in_unicode_elsewhere`` has set, here or in the process that has started this one."""
    usual = os.environ.pop(_USUAL_UTF8, None)
    if usual:
        os.environ["PYTHONUTF8"] = usual
    elif usual is not None:
        os.environ.pop("PYTHONUTF8", None)


_present: ContextVar[Session | None] = ContextVar("session", default=None)


def present() -> Session | None:
    """Return the session of this process; None where a launcher has started another process."""
    return _present.get()


def anyway() -> Session:
    """Return the session of this process, or one that nobody looks at."""
    return _present.get() or Session(find_stash(Path(os.environ[ROOT_VARIABLE])), **_told())


def to_tell(session: Session) -> str:
    """Return the line of bash with which a launcher's jobs are told what it asks a scheduler for."""
    told = {"of_launcher": session.of_launcher, "borrowed": session.borrowed}
    return f"export {OF_LAUNCHER_VARIABLE}={shlex.quote(json.dumps(told))}"


def _told() -> dict[str, Any]:
    """Return what the job of another process was told."""
    try:
        told = json.loads(os.environ.get(OF_LAUNCHER_VARIABLE, "{}"))
        return {name: dict(told[name]) for name in ("of_launcher", "borrowed") if told.get(name) is not None}
    except (ValueError, TypeError, AttributeError):
        return {}


def continuation() -> Continuation | None:
    """Return the earlier tries of the sweep that is being continued; None: it is a new one."""
    session = present()
    return None if session is None else session.continuation


@contextlib.contextmanager
def begun(session: Session) -> Iterator[None]:
    """Make it the session of this process."""
    token = _present.set(session)
    try:
        with config_store.variables(session.stash):
            yield
    finally:
        _present.reset(token)
