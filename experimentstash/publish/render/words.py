"""What is said of verdicts in all reports: whether it is reproduced, and how an output was to be compared."""

from __future__ import annotations

import collections
from collections.abc import Sequence

from experimentstash.base.text import counted
from experimentstash.publish.comparators.comparator import How, Tolerance
from experimentstash.publish.frozen import Frozen
from experimentstash.publish.repeating import Variation
from experimentstash.publish.verdicts import JudgedRun, Verdict, are_reproduced


def verdict(tries: Sequence[Sequence[JudgedRun]]) -> str:
    """Return whether it is reproduced."""
    return "reproduced" if are_reproduced(tries) else "NOT reproduced"


def counts(tries: Sequence[Sequence[JudgedRun]]) -> str:
    """Return how many outputs got which verdict."""
    found = collections.Counter(each.verdict for every in tries for judged in every for each in judged.outputs)
    parts = [f"{found[each]} {each.value}" for each in Verdict if found[each]]
    return f"{counted(sum(found.values()), 'output')}, {', '.join(parts)}"


def left(kept: Frozen, tries: Sequence[Sequence[JudgedRun]]) -> str | None:
    """Return that only some of what is frozen was to be had again; None: all was."""
    chosen = {judged.kept.id for every in tries for judged in every}
    others = len(kept.runs) - len(chosen)
    return (
        f"{others} of its {len(kept.runs)} frozen runs {'was' if others == 1 else 'were'} not asked for"
        if others
        else None
    )


def summary(kept: Frozen, tries: Sequence[Sequence[JudgedRun]]) -> str:
    """Return in one line what all came to."""
    rest = left(kept, tries)
    return f"{verdict(tries)}: {counts(tries)}{f'; {rest}' if rest else ''}"


def steady(tries: Sequence[Sequence[JudgedRun]], varying: Sequence[Variation]) -> list[str]:
    """Return what is said of outputs that didn't vary: no more than was seen."""
    vary = {(each.run, each.path) for each in varying}
    same = [
        each.path
        for judged in tries[0]
        for each in judged.outputs
        if each.verdict is Verdict.IDENTICAL and (judged.kept.id, each.path) not in vary
    ]
    if len(tries) < 2 or not same:
        return []
    return [f"{counted(len(same), 'output')} the same in all {len(tries) + 1} runs; more than that isn't known"]


def notes(judged: JudgedRun) -> list[str]:
    """Return what a reader has to know of a run: what was noted when it was frozen, and now."""
    return [*(f"when it was frozen: {each}" for each in judged.kept.notes), *judged.notes]


def compared(how: How) -> str:
    """Return how an output was to be compared, in words."""
    said = [] if how.compare == "embedding" else [how.compare]
    said += [f"up to {'the signs of axes' if how.up_to == 'sign' else 'a rotation'}"] if how.up_to else []
    if how.compare == "picture":
        said += [f"{how.atol:g} of 255 a channel"] if how.atol else []
        said += [f"{100 * how.share:g} % of the pixels"] if how.share else []
    elif how.compare != "hash":
        overall = Tolerance(how.rtol, how.atol)
        said += [] if overall.is_none else [str(overall)]
    said += [f"{name}: {each}" for name, each in how.columns.items()]
    said += [f"rows by {', '.join(how.key)}"] if how.key else []
    said += [f"without {', '.join(how.ignore)}"] if how.ignore else []
    return "; ".join(said)
