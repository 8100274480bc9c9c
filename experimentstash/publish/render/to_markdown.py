"""Verdicts as Markdown, for an appendix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experimentstash.base.durations import describe
from experimentstash.base.text import size
from experimentstash.publish.frozen import Frozen, FrozenRun
from experimentstash.publish.markdown import cell, plain, table
from experimentstash.publish.render import words
from experimentstash.publish.repeating import Variation
from experimentstash.publish.verdicts import JudgedRun


def report(kept: Frozen, tries: Sequence[Sequence[JudgedRun]], varying: Sequence[Variation]) -> str:
    """Return all that is said."""
    lines = [f"# Reproduction of {plain(kept.name)}", "", f"**{plain(words.summary(kept, tries))}**", ""]
    if kept.message:
        lines += [plain(kept.message), ""]
    lines += [f"Frozen {kept.created}, digest of `frozen.json` `{kept.digest}`.", ""]
    for number, every in enumerate(tries, 1):
        if len(tries) > 1:
            lines += [f"## Try {number}", ""]
        for judged in every:
            lines += [*_of_run(judged), ""]
    if varying:
        rows = [
            (
                each.run,
                cell(each.path),
                cell("" if each.largest is None else str(each.largest)),
                cell(each.proposal or each.why),
            )
            for each in varying
        ]
        lines += ["## What varies by itself", "", *table(("Run", "Output", "Largest deviation", "Proposed"), rows)]
    lines += [line for each in words.steady(tries, varying) for line in (f"{each}.", "")]
    return "\n".join(lines)


def _of_run(judged: JudgedRun) -> Iterator[str]:
    kept = judged.kept
    yield f"### {plain(kept.organizer or kept.tool)} ({kept.id})"
    yield ""
    yield from (f"- {each}" for each in _facts(kept))
    if judged.run is not None:
        yield f"- run again as {judged.run.id}, {judged.run.attempt.state.value}"
    yield from (f"- {plain(note)}" for note in words.notes(judged))
    yield ""
    yield "| Output | Compared by | Verdict | |"
    yield "|---|---|---|---|"
    for each, output in zip(judged.outputs, kept.outputs, strict=True):
        why = each.words.removeprefix(each.verdict.value).strip(": ")
        yield f"| {cell(each.path)} | {cell(words.compared(output.how))} | {each.verdict.value} | {cell(why)} |"


def _facts(kept: FrozenRun) -> Iterator[str]:
    where = f" of {kept.code.url}" if kept.code.url else ""
    yield f"code: commit {kept.code.commit}{where}{', with changes (its patch is kept)' if kept.code.dirty else ''}"
    if kept.python is not None and kept.python.version is not None:
        pinned = f", pinned by {kept.python.locked_by}" if kept.python.locked_by else ""
        yield f"environment: Python {kept.python.version}{pinned}"
    if kept.machine is not None:
        gpus = "".join(f", {each.name} (driver {each.driver})" for each in kept.machine.gpus)
        yield f"machine: {kept.machine.cpu or kept.machine.architecture}, {kept.machine.platform}{gpus}"
    took = [describe(kept.took.duration)] if kept.took.duration is not None else []
    took += [size(kept.took.peak_memory)] if kept.took.peak_memory else []
    if took:
        yield f"took: {', '.join(took)}"
