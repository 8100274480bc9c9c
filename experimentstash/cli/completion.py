"""Tab completion of verbs, experiments, tools, runs and sweeps; what else there is, Hydra's own completion knows.

Hydra's shell functions (``eval "$(experimentstash -sc install=bash)"``) ask ``experimentstash -sc query=SHELL`` with
the line so far in ``COMP_LINE``. Hydra itself doesn't complete a group that is added with a plus sign.
"""

from __future__ import annotations

from collections.abc import Iterable

from experimentstash.base.patterns import regex
from experimentstash.base.quoting import quoted
from experimentstash.stash.layout import Stash, known_id, token_of

_TAKING_RUNS = ("runs", "show", "logs", "cancel", "resume", "sync")
_GROUPS = regex(r"(?P<before>\+?(?P<group>exp|tool)=(?:[^,]*,)*)[^,]*")


def candidates(line: str, stash: Stash, verbs: Iterable[str]) -> list[str] | None:
    """Return what the last word of ``line`` may become; None if that is for Hydra to say."""
    words = line.split()
    current = "" if not words or line[-1:].isspace() else words.pop()
    match = _GROUPS.fullmatch(current)
    if match:
        names = stash.experiments() if match["group"] == "exp" else stash.known_tools()
        found = [match["before"] + quoted(name) for name in names]
    elif len(words) == 1:
        found = [*verbs, *(f"+exp={quoted(name)}" for name in stash.experiments())]
    elif words[1:2] and words[1] in _TAKING_RUNS and not current.startswith("-"):
        found = _runs(stash, current)
    elif words[1:2] == ["run"] and "=" not in current:
        found = stash.experiments()
    else:
        return None
    found = [candidate for candidate in found if candidate.startswith(current)]
    return found or None


def _runs(stash: Stash, current: str) -> list[str]:
    """Return the ids of runs and sweeps, as far as paths tell them; a sweep's runs once its own id is there."""
    from experimentstash.record import (
        run_places,  # here, because who waits for a name of anything else needs no records
    )

    found = {"latest"}
    for directory in run_places.directories(stash):
        sweep = run_places.sweep_above(directory)
        token = None if sweep is None else token_of(sweep.name)
        found |= {name for name in (token, known_id(directory)) if name is not None}
        if token is not None and not current.startswith(token):
            found.discard(known_id(directory) or "")
    return sorted(found)
