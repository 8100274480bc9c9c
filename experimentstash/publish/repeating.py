"""What varies from run to run by itself, by how much, and which tolerances would allow that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.base.patterns import regex
from experimentstash.publish import outputs, proposing, verdicts
from experimentstash.publish.comparators import choose
from experimentstash.publish.comparators.comparator import Deviation
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Output
from experimentstash.publish.verdicts import Judged, JudgedRun, Verdict

# What YAML takes for a text without quotes.
_PLAIN = regex(r"[A-Za-z_][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class Variation:
    """An output that isn't the same in all runs; ``proposed`` is what `outputs` could say of it, or ``why`` nothing."""

    run: str
    path: str
    seen: list[Judged]  # what each pair of runs is to each other, where it isn't the same
    largest: Deviation | None
    proposed: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def proposal(self) -> str:
        """What is proposed, as `outputs` has it: as YAML writes it in a line."""
        return _flow(self.proposed)


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
                files = [] if output.kept is None else [folder / output.kept]
                files += [outputs.place(each.run, output.path) for each in every if each.run and _has(each, number)]
                proposed, why = _proposed(output, files, varying)
                found.append(Variation(kept.id, output.path, varying, largest, proposed, why))
    return found


def _has(judged: JudgedRun, number: int) -> bool:
    return judged.run is not None and judged.outputs[number].verdict.is_compared


def _between(output: Output, one: JudgedRun, two: JudgedRun) -> Judged:
    """Compare what two runs have written."""
    assert one.run is not None and two.run is not None
    first, second = outputs.place(one.run, output.path), outputs.place(two.run, output.path)
    kept = replace(output, content=content_of(first), kept=first.name)
    return verdicts.compare(kept, first.parent, second, content_of(second))


def _proposed(output: Output, files: Sequence[Path], varying: Sequence[Judged]) -> tuple[dict[str, Any], str]:
    """Return what `outputs` could say of an output, all that it says now included; or why there is nothing."""
    if all(each.verdict.is_same for each in varying):
        return {}, "what is declared allows that"
    if not all(each.verdict.is_compared for each in varying):
        return {}, next(each.words for each in varying if not each.verdict.is_compared)
    found = proposing.propose(output.how, files)
    return ({}, found.why) if found.how is None else (proposing.entry(found.how, choose.usual(output.path)), "")


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_word(name)}: {_nested(each)}" for name, each in value.items())
    return ", ".join(map(_word, value)) if isinstance(value, list) else str(value)


def _nested(value: Any) -> str:
    brackets = "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else ("", "")
    return f"{brackets[0]}{_flow(value)}{brackets[1]}"


def _word(text: str) -> str:
    """Return a text as YAML has it among others."""
    return text if _PLAIN.fullmatch(text) else f"'{text.replace(chr(39), chr(39) * 2)}'"
