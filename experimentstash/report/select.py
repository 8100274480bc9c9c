"""Which runs are compared: those that have completed and are as they are to be. What isn't among them is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from experimentstash.base.errors import StashError
from experimentstash.base.text import counted
from experimentstash.record import sweep_list
from experimentstash.record.run import State
from experimentstash.report import metrics
from experimentstash.report.compare import Asked, Comparison, compare
from experimentstash.report.differences import Test
from experimentstash.report.groups import named, settings_by_directory
from experimentstash.runs import done_before, naming
from experimentstash.runs.facts import Facts
from experimentstash.runs.naming import Sweep
from experimentstash.runs.numbers import REFRESH
from experimentstash.runs.selection import Selected, Selection, choose
from experimentstash.runs.summary import LACKING, count, lost_line, words
from experimentstash.stash.layout import Stash


def comparison(
    stash: Stash,
    selection: Selection,
    asked: Asked,
    test: Test | None = None,
) -> tuple[Comparison, bool]:
    """Compare the runs that are meant; tell whether there are runs among them whose records can't be read.

    StashError as of ``compare``, and if none of them has completed.
    """
    selected = choose(stash, selection, with_earlier=True)
    chosen, remarks = completed(selected, selection)
    remarks += _lacking(stash, selection)
    if not chosen:
        raise StashError("\n".join(["There are no completed runs to compare.", *remarks]), "experimentstash runs")
    declared = metrics.of_runs(stash, chosen)
    settings = settings_by_directory(chosen)
    found = compare(
        chosen,
        declared,
        asked.way,
        by=asked.by,
        over=asked.over,
        metrics=asked.metrics,
        test=test,
        remarks=remarks,
        settings=settings,
    )
    return found, bool(selected.unread)


def completed(selected: Selected, selection: Selection) -> tuple[list[Facts], list[str]]:
    """Return the runs that count, and what there is to say of the others that were meant by the selection."""
    meant = [*selected.found, *selected.untold]
    kept, copied = naming.without_copies([facts for facts in selected.found if facts.state is State.COMPLETED])
    unended: dict[State, list[Facts]] = defaultdict(list)
    for facts in meant:
        if facts.state is not State.COMPLETED:
            unended[facts.state].append(facts)
    told = [f"{count(len(several))} {words(state)}: {named(several)}" for state, several in unended.items()]
    told += _untold([facts for facts in selected.untold if facts.state is State.COMPLETED], selection)
    told += naming.about_copies(copied)
    if selected.unread:
        told.append(f"{len(selected.unread)} whose records can't be read")
    completed = [facts for facts in meant if facts.state is State.COMPLETED]
    return kept, [*_unbegun(selected, selection), *(f"left out: {each}" for each in told), *without_numbers(completed)]


def _lacking(stash: Stash, selection: Selection) -> list[str]:
    """Return what there is to say of jobs of the sweeps that are meant which have no runs."""
    named = [found for name in selection.names if isinstance(found := naming.find(stash, name), Sweep)]
    named += [naming.find_sweep(stash, name) for name in selection.sweeps]
    told = []
    for sweep in {each.directory.resolve(): each for each in named}.values():
        own = choose(stash, Selection(sweeps=(str(sweep.directory),)), closes=False)
        numbers = {facts.plain.job for facts in own.found}
        gone = done_before.gone(stash, sweep.directory, numbers)
        counting = set(done_before.of_sweep(stash, sweep.directory)) - numbers
        unread = sum(path.is_relative_to(sweep.directory) for path in own.unread)
        lacking = sweep_list.unbegun(sweep.directory, len(own.found) + unread + len(counting) + len(gone))
        if gone:
            told.append(f"left out: of the sweep {sweep.name}, {lost_line(gone)}")
        if lacking:
            told.append(f"left out: of the sweep {sweep.name}, {counted(lacking, 'job')} {LACKING}")
    return told


def left_out(selected: Selected, selection: Selection) -> list[str]:
    """Return what there is to say of runs that were meant, and aren't there, or can't be told to fit."""
    return [*_unbegun(selected, selection), *(f"left out: {each}" for each in _untold(selected.untold, selection))]


def without_numbers(runs: Sequence[Facts]) -> list[str]:
    """Return what there is to say of runs whose numbers nobody has read."""
    never = [facts for facts in runs if facts.plain.is_unread]
    return [f"nobody has read the numbers of {count(len(never))}: {named(never)} ({REFRESH})"] if never else []


def _unbegun(selected: Selected, selection: Selection) -> list[str]:
    where = "among them" if selection.names else "yet"
    return [f"of the experiment {glob!r} there are no runs {where}" for glob in selected.unbegun]


def _untold(runs: Sequence[Facts], selection: Selection) -> list[str]:
    unknown: dict[str, list[Facts]] = defaultdict(list)
    for facts in runs:
        missing = [] if selection.where is None else selection.where.missing(facts.look_up)
        unknown[f"they have no {', '.join(missing)}" if missing else "it compares what can't be"].append(facts)
    return [
        f"{count(len(several))} for which --where can't be told, for {why}: {named(several)}"
        for why, several in unknown.items()
    ]
