"""Which runs are compared: those that have completed and are as they are to be. What isn't among them is said."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable

from experimentstash.record.run import Run, State
from experimentstash.report.groups import named
from experimentstash.runs.expression import Expression
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.runs.summary import count, words


def select(
    runs: Iterable[Run], experiment: str | None = None, where: Expression | None = None
) -> tuple[list[Facts], list[str]]:
    """Return the runs that count, and what there is to say of the others that were meant.

    ``experiment`` is a glob. StashError for a name in the expression that no run has.
    """
    asked = [facts for facts in map(Facts, runs) if experiment is None or _fits(facts, experiment)]
    if where is not None and asked:
        known = {
            "params": {name for facts in asked for name in facts.params},
            "metrics": {name for facts in asked for name in facts.numbers},
        }
        where.check({root: known[root] for root in {name.root for name in where.names} & set(known)})
    kept: list[Facts] = []
    unended: dict[State, list[Facts]] = defaultdict(list)
    unknown: dict[str, list[Facts]] = defaultdict(list)
    for facts in asked:
        holds = True if where is None else where.holds(facts.look_up)
        if holds is False:
            continue
        if facts.run.attempt.state is not State.COMPLETED:
            unended[facts.run.attempt.state].append(facts)
        elif holds or where is None:
            kept.append(facts)
        else:
            missing = where.missing(facts.look_up)
            unknown[f"they have no {', '.join(missing)}" if missing else "it compares what can't be"].append(facts)
    left_out = [f"{count(len(several))} {words(state)}: {named(several)}" for state, several in unended.items()]
    left_out += [
        f"{count(len(several))} for which --where can't be told, for {why}: {named(several)}"
        for why, several in unknown.items()
    ]
    remarks = [f"left out: {each}" for each in left_out]
    if never := [facts for facts in asked if facts.run.attempt.state is State.COMPLETED and is_unread(facts.run)]:
        remarks.append(f"nobody has read the numbers of {count(len(never))}: {named(never)} ({REFRESH})")
    return kept, remarks


def _fits(facts: Facts, pattern: str) -> bool:
    return fnmatch.fnmatchcase(facts.experiment, pattern)
