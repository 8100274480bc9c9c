"""Which runs are compared: those that have completed and are as they are to be. What isn't among them is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from experimentstash.base.errors import StashError
from experimentstash.record.run import State
from experimentstash.report.compare import Comparison, compare
from experimentstash.report.differences import Test
from experimentstash.report.groups import named
from experimentstash.report.metrics import declared
from experimentstash.report.summaries import Way
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.runs.selection import Selected, Selection, choose
from experimentstash.runs.summary import count, words
from experimentstash.stash.layout import Stash


def comparison(
    stash: Stash,
    selection: Selection,
    way: Way,
    *,
    by: Sequence[str] = (),
    over: Sequence[str] = (),
    metrics: Sequence[str] = (),
    test: Test | None = None,
) -> tuple[Comparison, bool]:
    """Compare the runs that are meant; tell whether there are runs among them whose records can't be read.

    The rest is as of ``compare``. StashError also if none of them has completed.
    """
    selected = choose(stash, selection)
    chosen, remarks = completed(selected, selection)
    if not chosen:
        raise StashError("\n".join(["There are no completed runs to compare.", *remarks]), "experimentstash runs")
    organizers = {each.run.spec.organizer for each in chosen}
    known = declared(stash, (name for name in organizers if name is not None))
    found = compare(chosen, known, way, by=by, over=over, metrics=metrics, test=test, remarks=remarks)
    return found, bool(selected.unread)


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
