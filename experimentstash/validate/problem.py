"""What isn't in order, and how it is told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.stash.layout import Stash

_FILE_IN_FRONT = regex(
    r"(?P<where>conf/[^\n]+?\.yaml)(?:(?:, line (?P<line>\d+))?:| (?=adds|chooses|is)) ?(?P<what>.*)", re.DOTALL
)


class Severity(Enum):
    """Whether a problem keeps something from working."""

    error = "error"  # something can't run, or would not run what the stash says
    warning = "warning"  # all can run, but not quite as it should be


@dataclass(frozen=True)
class Problem:
    """One thing that isn't in order."""

    check: str
    what: str
    where: str  # a file or directory, relative to the stash's root
    hint: str | None = None  # a command or an edit
    severity: Severity = Severity.error
    line: int | None = None  # of the file


def explained(check: str, error: Exception, where: str) -> Problem:
    """Return the problem that an error is. ``where`` is the file at hand; a file that the message names wins."""
    if not isinstance(error, StashError):
        return Problem(check, f"{type(error).__name__}: {error}", where)
    named = _FILE_IN_FRONT.fullmatch(error.message)
    if named is None:
        return Problem(check, error.message, where, error.hint)
    line = int(named["line"]) if named["line"] else None
    return Problem(check, named["what"], named["where"], error.hint, line=line)


def warning(check: str, what: str, where: str, hint: str | None = None) -> Problem:
    return Problem(check, what, where, hint, Severity.warning)


def found_by(name: str, where: str, check: Callable[..., list[Problem]], *given: Any) -> list[Problem]:
    """Return what a check finds: what it stumbles over is a problem like others, and the next check has its turn."""
    try:
        return check(*given)
    except (StashError, OSError) as error:
        return [explained(name, error, where)]


def organizer_file(stash: Stash, name: str) -> str:
    return os.path.relpath(stash.organizer(name), stash.root)


def registration_file(stash: Stash, name: str) -> str:
    return os.path.relpath(stash.registration(name), stash.root)
