"""Verdicts as a page: whether it is reproduced first, and then, of each output, pictures or lines of then and now.

Plain HTML: it has no script, so that it can be read wherever pages are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experimentstash import __version__
from experimentstash.base.text import counted, size, tame
from experimentstash.pages import made
from experimentstash.publish import outputs, verdicts
from experimentstash.publish.frozen import Frozen, Output
from experimentstash.publish.render import facts, lines, pictures, words
from experimentstash.publish.render.facts import Fact
from experimentstash.publish.render.lines import Line
from experimentstash.publish.render.pictures import Pair
from experimentstash.publish.repeating import Variation
from experimentstash.publish.verdicts import Judged, JudgedRun, Verdict, are_reproduced
from experimentstash.record import times

_HERE = Path(__file__).parent / "page"
# What pictures and lines may take in a page, in characters.
_ROOM = 16 << 20
_THE_SAME = "the same bytes"
# What comes first where there isn't room for all.
_ORDER = (Verdict.DIFFERENT, Verdict.NOT_COMPARABLE, Verdict.MISSING, Verdict.EQUIVALENT, Verdict.IDENTICAL)


class _Shown(NamedTuple):
    """What a page shows of an output besides its verdict."""

    pair: Pair | None = None
    lines: Sequence[Line] = ()

    @property
    def size(self) -> int:
        return (self.pair.size if self.pair is not None else 0) + sum(len(each.text) for each in self.lines)


def report(
    kept: Frozen, tries: Sequence[Sequence[JudgedRun]], varying: Sequence[Variation], place: Path, command: str
) -> bytes:
    """Return the page; ``place`` is where the runs are kept."""
    shown, count_left = _within_room(tries, place)
    known = [[facts.of(judged) for judged in every] for every in tries]
    common = _common([each for every in known for each in every])
    today = times.now()
    styles = made.together([made.STYLE, _HERE / "reproduction.css"])
    return made.rendered(
        _HERE / "reproduction.html.j2",
        csp=made.policy(styles),
        styles=styles,
        version=__version__,
        name=kept.name,
        message=tame(kept.message),
        command=tame(command),
        frozen=(kept.created, facts.moment(kept.created)),
        digest=kept.digest,
        today=(today, facts.moment(today)),
        is_reproduced=are_reproduced(tries),
        verdict=_sentence(tries),
        counts=words.counts(tries),
        rest=words.left(kept, tries),
        steady=words.steady(tries, varying),
        others=list(_others(tries)),
        runs=_runs(tries, known, common, shown),
        common=common,
        varying=[_varying(each) for each in varying],
        left=counted(count_left, "output") if count_left else None,
        room=size(_ROOM),
    )


def _sentence(tries: Sequence[Sequence[JudgedRun]]) -> str:
    """Return what a reader sees first."""
    judged = [each for every in tries for run in every for each in run.outputs]
    runs = counted(sum(map(len, tries)), "run")
    other = sum(not each.verdict.is_same for each in judged)
    if are_reproduced(tries):
        all_of_them = "the output" if len(judged) == 1 else f"all {len(judged):,} outputs"
        return f"Reproduced: {all_of_them} of {runs} came out the same."
    verb = "is" if other == 1 else "are"
    return f"Not reproduced: {other:,} of {counted(len(judged), 'output')} of {runs} {verb} not the same."


def _within_room(tries: Sequence[Sequence[JudgedRun]], place: Path) -> tuple[dict[tuple[int, int, int], _Shown], int]:
    """Return what is shown of each output, by try, run and number, as far as there is room; and of how many nothing is.

    Those that aren't the same come first.
    """
    every = [
        ((attempt, number, position), judged, each, output)
        for attempt, several in enumerate(tries)
        for number, judged in enumerate(several)
        for position, (each, output) in enumerate(zip(judged.outputs, judged.kept.outputs, strict=True))
        if each.verdict in _ORDER
    ]
    every.sort(key=lambda each: _ORDER.index(each[2].verdict))
    found: dict[tuple[int, int, int], _Shown] = {}
    room, count_left = _ROOM, 0
    for key, judged, each, output in every:
        if room <= 0:
            count_left += pictures.is_one(output.path) or each.verdict is not Verdict.IDENTICAL
            continue
        shown = _shown(judged, each, output, place)
        if shown is None:
            continue
        room -= shown.size
        if room > 0:
            found[key] = shown
        else:
            count_left += 1
    return found, count_left


def _shown(judged: JudgedRun, each: Judged, output: Output, place: Path) -> _Shown | None:
    """Return what is shown of an output; None for nothing."""
    kept = None if output.kept is None else place / judged.kept.folder / output.kept
    then = kept if kept is not None and verdicts.is_as_kept(kept, output.content) else None
    now = None if judged.run is None or not each.verdict.is_compared else outputs.place(judged.run, output.path)
    is_picture = pictures.is_one(output.path)
    if each.verdict is Verdict.IDENTICAL and not each.why:
        path = then or now
        return _Shown(pictures.pair(path, None, output.how)) if is_picture and path is not None else None
    differing = lines.differing(then, now) if then is not None and now is not None else []
    if not is_picture:
        return _Shown(None, differing) if differing else None
    return _Shown(pictures.pair(then or "no copy of it was kept", now or each.words, output.how), differing)


def _common(known: Sequence[Sequence[Fact]]) -> list[Fact]:
    """Return what is the same for all runs."""
    first, *others = known
    return [each for each in first if all(each in other for other in others)]


def _others(tries: Sequence[Sequence[JudgedRun]]) -> Iterator[tuple[str, str, str]]:
    """Yield each output that isn't the same: where it stands in the page, what it is called, and why."""
    for attempt, every in enumerate(tries):
        for number, judged in enumerate(every):
            for position, each in enumerate(judged.outputs):
                if not each.verdict.is_same:
                    name = f"{tame(each.path)} of {judged.kept.id}{_of_try(attempt, tries)}"
                    yield _anchor(attempt, number, position), name, tame(each.words)


def _of_try(attempt: int, tries: Sequence[object]) -> str:
    return f", try {attempt + 1}" if len(tries) > 1 else ""


def _anchor(*numbers: int) -> str:
    return "-".join(["o", *map(str, numbers)])


def _runs(
    tries: Sequence[Sequence[JudgedRun]],
    known: Sequence[Sequence[Sequence[Fact]]],
    common: Sequence[Fact],
    shown: Mapping[tuple[int, int, int], _Shown],
) -> list[dict[str, Any]]:
    """Return what the page has of each run, and of each try at it."""
    return [
        {
            "name": f"{judged.kept.id}{_of_try(attempt, tries)}",
            "anchor": f"r-{attempt}-{number}",
            "title": tame(judged.kept.organizer or judged.kept.tool),
            "is_reproduced": judged.is_reproduced,
            "counts": words.counts([[judged]]),
            "facts": [each for each in known[attempt][number] if each not in common],
            "about": [(name, tame(value)) for name, value in facts.about(judged.kept)],
            "notes": [tame(note) for note in words.notes(judged)],
            "outputs": [
                _output(each, output, _anchor(attempt, number, position), shown.get((attempt, number, position)))
                for position, (each, output) in enumerate(zip(judged.outputs, judged.kept.outputs, strict=True))
            ],
        }
        for attempt, every in enumerate(tries)
        for number, judged in enumerate(every)
    ]


def _output(each: Judged, output: Output, anchor: str, shown: _Shown | None) -> dict[str, Any]:
    return {
        "path": tame(each.path),
        "anchor": anchor,
        "verdict": each.verdict.value,
        "is_same": each.verdict.is_same,
        "why": tame(each.words.removeprefix(each.verdict.value).strip(": ")) or _THE_SAME,
        "compared": tame(words.compared(output.how)),
        "size": size(output.content.size),
        "shown": shown,
    }


def _varying(each: Variation) -> tuple[str, str, str, str]:
    proposed = each.proposal or tame(each.why)
    return each.run, tame(each.path), "" if each.largest is None else tame(str(each.largest)), proposed
