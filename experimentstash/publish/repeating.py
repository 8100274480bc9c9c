"""What varies from run to run by itself, by how much, and which tolerances would allow that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.publish import outputs, verdicts
from experimentstash.publish.comparators.comparator import Deviation, How
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Output
from experimentstash.publish.verdicts import Judged, JudgedRun, Verdict

# By how much more than was seen is proposed: the next runs may vary by a little more.
_MARGIN = 2.0


@dataclass(frozen=True)
class Variation:
    """An output that isn't the same in all runs; ``proposed`` is what `outputs` could say of it."""

    run: str
    path: str
    seen: list[Judged]  # what each pair of runs is to each other, where it isn't the same
    largest: Deviation | None
    proposed: dict[str, str] = field(default_factory=dict)


def variations(tries: Sequence[Sequence[JudgedRun]], place: Path) -> list[Variation]:
    """Return the outputs that vary between the frozen run and its tries, and between these; each pair is compared."""
    if len(tries) < 2:
        return []
    found = []
    for every in zip(*tries, strict=True):
        kept = every[0].kept
        for number, output in enumerate(kept.outputs):
            folder = place / kept.folder
            seen = [each.outputs[number] for each in every]
            seen += [
                _between(output, one, two)
                for position, one in enumerate(every)
                for two in every[position + 1 :]
                if _has(one, number) and _has(two, number)
            ]
            varying = [each for each in seen if each.verdict is not Verdict.IDENTICAL]
            if varying and any(_has(each, number) for each in every):
                deviations = [each.deviation for each in varying if each.deviation is not None]
                largest = max(deviations, key=lambda each: each.absolute, default=None)
                proposed = _proposed(output.how, deviations, varying) if folder.is_dir() else {}
                found.append(Variation(kept.id, output.path, varying, largest, proposed))
    return found


def _has(judged: JudgedRun, number: int) -> bool:
    return judged.run is not None and judged.outputs[number].verdict.is_compared


def _between(output: Output, one: JudgedRun, two: JudgedRun) -> Judged:
    """Compare what two runs have written."""
    assert one.run is not None and two.run is not None
    first, second = outputs.place(one.run, output.path), outputs.place(two.run, output.path)
    kept = replace(output, content=content_of(first), kept=first.name)
    return verdicts.compare(kept, first.parent, second, content_of(second))


def _proposed(how: How, deviations: Sequence[Deviation], varying: Sequence[Judged]) -> dict[str, str]:
    """Return tolerances with which all that was seen would have been equivalent; nothing if none would do."""
    if how.compare not in ("numbers", "embedding") or len(deviations) < len(varying):
        return {}
    if not all(math.isfinite(each.absolute) for each in deviations):
        return {}
    relative = [each.relative for each in deviations]
    if all(each is not None and each < 1 for each in relative):
        return {"rtol": _rounded(max(each for each in relative if each is not None))}
    return {"atol": _rounded(max(each.absolute for each in deviations))}


def _rounded(value: float) -> str:
    """Return a number a little larger, of one digit."""
    larger = value * _MARGIN
    exponent = math.floor(math.log10(larger))
    return f"{math.ceil(larger / 10**exponent)}e{exponent}"
