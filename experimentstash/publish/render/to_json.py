"""Verdicts as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from experimentstash.base import json_floats
from experimentstash.publish.comparators.comparator import Deviation
from experimentstash.publish.frozen import Frozen, plain
from experimentstash.publish.repeating import Variation
from experimentstash.publish.verdicts import Judged, JudgedRun, are_reproduced


def report(kept: Frozen, tries: Sequence[Sequence[JudgedRun]], varying: Sequence[Variation]) -> str:
    """Return all that is said."""
    said = {
        "name": kept.name,
        "message": kept.message,
        "frozen": kept.created,
        "digest": kept.digest,
        "reproduced": are_reproduced(tries),
        "runs_not_asked_for": [run.id for run in kept.runs if run.id not in {each.kept.id for each in tries[0]}],
        "tries": [[_run(judged) for judged in every] for every in tries],
        "variations": [
            {
                "run": each.run,
                "output": each.path,
                "seen": [_output(judged) for judged in each.seen],
                "largest": _deviation(each.largest),
                "proposed": each.proposed,
                "why": each.why,
            }
            for each in varying
        ],
    }
    return f"{json.dumps(said, indent=2, allow_nan=False)}\n"


def _run(judged: JudgedRun) -> dict[str, Any]:
    kept = judged.kept
    return {
        "frozen": kept.id,
        "experiment": kept.organizer,
        "tool": kept.tool,
        "commit": kept.code.commit,
        "run": None if judged.run is None else judged.run.id,
        "state": None if judged.run is None else judged.run.attempt.state.value,
        "reproduced": judged.is_reproduced,
        "outputs": [
            {**_output(each), "compared": plain(output.how), "sha256": output.content.sha256}
            for each, output in zip(judged.outputs, kept.outputs, strict=True)
        ],
        "notes": judged.notes,
        "notes_when_frozen": kept.notes,
    }


def _output(each: Judged) -> dict[str, Any]:
    return {
        "output": each.path,
        "verdict": each.verdict.value,
        "why": each.why,
        "deviation": _deviation(each.deviation),
    }


def _deviation(found: Deviation | None) -> dict[str, Any] | None:
    if found is None:
        return None
    relative = None if found.relative is None else json_floats.as_json(found.relative)
    return {"absolute": json_floats.as_json(found.absolute), "relative": relative, "place": found.place}
