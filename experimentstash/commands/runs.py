"""``experimentstash runs``: the runs of the stash, newest first."""

from __future__ import annotations

import argparse
import fnmatch
import json

from experimentstash.errors import StashError, did_you_mean
from experimentstash.output import say
from experimentstash.records import Run, State
from experimentstash.runs import all_runs
from experimentstash.summary import runs_table
from experimentstash.workspace import Stash, find_stash


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--state", help="only those in this state: completed, failed, running …")
    parser.add_argument("--exp", metavar="GLOB", help="only those of these experiments: 'figure1/*'")
    parser.add_argument("-n", "--most", type=int, metavar="N", help="at most so many")
    parser.add_argument("--json", action="store_true", help="print the records")


def main(given: argparse.Namespace) -> int:
    """Print the runs as a table or as JSON."""
    found = runs(find_stash(), state=given.state, experiment=given.exp, most=given.most)
    if given.json:
        print(json.dumps(found, indent=2, default=vars))
    elif found:
        print(runs_table(find_stash(), found))
    else:
        say("there are no such runs" if given.state or given.exp else "there are no runs yet")
    return 0


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
