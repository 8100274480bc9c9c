"""What the parts of one launch know of it: one frozen object, that goes through Hydra in a context variable.

Hydra makes sweepers and launchers itself, from the configuration, gives the task function a configuration and nothing
else, and other packages' sweepers drop what their launchers return. So neither an argument nor a returned value comes
all the way through. What is known of a launch is set twice: when it is asked for, and when the run or the sweep is
about to begin. What comes of its jobs is told to its account, from which the result is made at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.compose import config_store
from experimentstash.compose.hydra_files import Before
from experimentstash.freeze.plan import OF_LAUNCHER_VARIABLE
from experimentstash.launch.account import Account
from experimentstash.launch.shared import SharedByRuns
from experimentstash.stash.layout import ROOT_VARIABLE, Stash, find_stash

if TYPE_CHECKING:
    from experimentstash.launch.again import Again
    from experimentstash.launch.continuation import Continuation


@dataclass(frozen=True)
class Begun:
    """What was there when a run, or a sweep, was about to begin."""

    before: Before  # what was where Hydra writes
    sweep: Path | None = None  # its directory; None: it is a single run
    sweeper: str | None = None
    lock: int | None = None  # keeps others from going on with the sweep


@dataclass(frozen=True)
class LauncherTerms:
    """What a launcher asks a scheduler for, for all jobs alike, whatever the experiments say."""

    asked: Mapping[str, Any] | None = None
    borrowed: Mapping[str, str] = field(default_factory=dict)  # variables that have filled gaps in that

    def to_tell(self) -> str:
        """Return the line of bash with which a launcher's jobs are told."""
        told = {"of_launcher": self.asked, "borrowed": self.borrowed}
        return f"export {OF_LAUNCHER_VARIABLE}={shlex.quote(json.dumps(told))}"

    @classmethod
    def told(cls) -> LauncherTerms:
        """Return what the job of another process was told."""
        try:
            told = json.loads(os.environ.get(OF_LAUNCHER_VARIABLE, "{}"))
            asked, borrowed = told.get("of_launcher"), told.get("borrowed")
            return cls(None if asked is None else dict(asked), dict(borrowed or {}))
        except (ValueError, TypeError, AttributeError):
            return cls()


@dataclass(frozen=True)
class LaunchContext:
    """What one launch is."""

    stash: Stash
    continuation: Continuation | None = None  # the earlier tries of the sweep that goes on; None: it is a new one
    again: Again | None = None  # the run that is to be had once more, exactly
    begun: Begun | None = None
    terms: LauncherTerms = field(default_factory=LauncherTerms)
    account: Account = field(default_factory=Account)
    shared: SharedByRuns = field(default_factory=SharedByRuns)

    @property
    def sweep(self) -> Path | None:
        """The directory of the sweep that has begun."""
        return None if self.begun is None else self.begun.sweep


_present: ContextVar[LaunchContext | None] = ContextVar("launch", default=None)


def here() -> LaunchContext:
    """Return what is known in this process; where a launcher has started another one, what that was told."""
    found = _present.get()
    return found or LaunchContext(find_stash(Path(os.environ[ROOT_VARIABLE])), terms=LauncherTerms.told())


def set_begun(begun: Begun) -> None:
    """Note what was there when the launch was about to begin."""
    _present.set(replace(here(), begun=begun))


def set_terms(terms: LauncherTerms) -> None:
    """Note what the launcher asks a scheduler for."""
    _present.set(replace(here(), terms=terms))


@contextlib.contextmanager
def entered(context: LaunchContext) -> Iterator[None]:
    """Make it what is known in this process."""
    token = _present.set(context)
    try:
        with config_store.variables(context.stash):
            yield
    finally:
        _present.reset(token)
