"""Verdicts as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.output import Paper, Style
from experimentstash.base.text import tame
from experimentstash.publish.frozen import Frozen
from experimentstash.publish.render import words
from experimentstash.publish.repeating import Variation
from experimentstash.publish.verdicts import JudgedRun, Verdict

_STYLES = {Verdict.IDENTICAL: Style.GOOD, Verdict.EQUIVALENT: Style.GOOD}


def report(kept: Frozen, tries: Sequence[Sequence[JudgedRun]], varying: Sequence[Variation], paper: Paper) -> str:
    """Return what is said of all outputs, and the sum of it."""
    lines: list[str] = []
    for every in tries:
        for judged in every:
            lines += _of_run(judged, paper)
    for each in varying:
        lines.append(_of_variation(each))
    lines += words.steady(tries, varying)
    lines.append(words.summary(kept, tries))
    return "\n".join(lines)


def _of_run(judged: JudgedRun, paper: Paper) -> list[str]:
    kept = judged.kept
    again = "" if judged.run is None else f" → {judged.run.id}"
    lines = [f"{kept.id}{again}  {kept.organizer or kept.tool}"]
    before = None
    for each in judged.outputs:
        word = each.verdict.value
        is_told = each.verdict is Verdict.NOT_RUN and each.words == before
        rest = ", for the same reason" if is_told else each.words.removeprefix(word)
        before = each.words
        lines.append(f"  {tame(each.path)}: {paper.paint(word, _STYLES.get(each.verdict, Style.BAD))}{tame(rest)}")
    return lines + [f"  note: {tame(note)}" for note in words.notes(judged)]


def _of_variation(each: Variation) -> str:
    said = f"{each.run} {tame(each.path)} varies by itself"
    if each.largest is not None:
        said += f", by up to {each.largest}"
    if each.proposed:
        return f"{said}\n  outputs: {{{each.path}: {{{each.proposal}}}}} would allow that"
    return f"{said}\n  {tame(each.why)}" if each.why else said
