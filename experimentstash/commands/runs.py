"""``experimentstash runs``: the runs of the stash, newest first."""

from __future__ import annotations

import fnmatch

from experimentstash.errors import StashError, did_you_mean
from experimentstash.records import Run, State
from experimentstash.runs import all_runs
from experimentstash.workspace import Stash


def runs(
    stash: Stash, *, state: str | None = None, experiment: str | None = None, most: int | None = None
) -> list[Run]:
    """Return the runs in ``state`` whose experiment organizer matches the glob ``experiment``, newest first.

    Raises StashError for a state that doesn't exist.
    """
    wanted = None if state is None else _state(state)
    found = [
        run
        for run in all_runs(stash)
        if (wanted is None or run.state is wanted)
        and (experiment is None or fnmatch.fnmatchcase(run.organizer or run.experiment or run.tool, experiment))
    ]
    return found[:most]


def _state(word: str) -> State:
    valid = [state.value for state in State]
    cleaned = word.lower().replace(" ", "_").replace("-", "_")
    if cleaned not in valid:
        raise StashError(f"There is no state {word!r}.{did_you_mean(cleaned, valid)}\nValid: {', '.join(valid)}")
    return State(cleaned)
