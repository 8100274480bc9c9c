"""Which runs are compared: those that have completed and are as they are to be. What isn't among them is said."""

from __future__ import annotations

from collections import defaultdict

from experimentstash.record.run import State
from experimentstash.report.groups import named
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.runs.selection import Selected, Selection
from experimentstash.runs.summary import count, words


def completed(selected: Selected, selection: Selection) -> tuple[list[Facts], list[str]]:
    """Return the runs that count, and what there is to say of the others that were meant by the selection."""
    meant = [*selected.found, *selected.untold]
    kept = [facts for facts in selected.found if facts.run.attempt.state is State.COMPLETED]
    unended: dict[State, list[Facts]] = defaultdict(list)
    unknown: dict[str, list[Facts]] = defaultdict(list)
    for facts in meant:
        if facts.run.attempt.state is not State.COMPLETED:
            unended[facts.run.attempt.state].append(facts)
    for facts in selected.untold:
        if facts.run.attempt.state is State.COMPLETED and selection.where is not None:
            missing = selection.where.missing(facts.look_up)
            unknown[f"they have no {', '.join(missing)}" if missing else "it compares what can't be"].append(facts)
    left_out = [f"{count(len(several))} {words(state)}: {named(several)}" for state, several in unended.items()]
    left_out += [
        f"{count(len(several))} for which --where can't be told, for {why}: {named(several)}"
        for why, several in unknown.items()
    ]
    if selected.unread:
        left_out.append(f"{len(selected.unread)} whose records can't be read")
    remarks = [f"left out: {each}" for each in left_out]
    if never := [facts for facts in meant if facts.run.attempt.state is State.COMPLETED and is_unread(facts.run)]:
        remarks.append(f"nobody has read the numbers of {count(len(never))}: {named(never)} ({REFRESH})")
    return kept, remarks
