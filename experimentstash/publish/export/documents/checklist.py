"""CHECKLIST.md: what checklists for reproducibility ask, as far as records know it; what they don't know is said.

The questions are those that the lists of ACL (Responsible NLP), NeurIPS and of J. Pineau (machine learning) share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experimentstash.base.dotted import leaves
from experimentstash.base.durations import describe
from experimentstash.base.text import counted, listed
from experimentstash.publish.export.documents import effort
from experimentstash.publish.export.documents.tolerances import by_experiment
from experimentstash.publish.export.facts import Facts, Tried
from experimentstash.publish.frozen import FILE_NAME, Frozen, FrozenRun
from experimentstash.publish.markdown import cell, code, plain, table
from experimentstash.stash import paths

_VALUES, _NAMED = 12, 20


def text(frozen: Frozen, facts: Facts) -> str:
    """Return the document."""
    lines = [f"# For reproducibility checklists: {plain(frozen.name)}", ""]
    lines += ["Facts of the records of these runs. What they don't know is said to be unknown: fill it in.", ""]
    for part in (
        _runs(frozen, facts),
        _parameters(frozen, facts),
        _results(facts),
        _compute(frozen, facts),
        _availability(frozen, facts),
    ):
        lines += part
    return "\n".join(lines).rstrip() + "\n"


def _runs(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield from ("## Runs", "")
    yield from table(
        ("experiment", "runs", "tool"),
        [
            (cell(name), str(len(runs)), cell(listed([*dict.fromkeys(run.tool for run in runs)], _NAMED)))
            for name, runs in by_experiment(frozen).items()
        ],
    )
    yield from (
        f"- {counted(len(frozen.runs), 'run')} in all are reported here; all have completed.",
        f"- Runs of the same experiments that aren't reported here: {_others(facts.tried)}.",
        *_objectives(facts.tried),
        "- How the reported ones were chosen: unknown.",
        "",
    )


def _others(tried: Tried | None) -> str:
    if tried is None:
        return effort.UNKNOWN
    states = listed([f"{count} {state}" for state, count in tried.states.items()], _NAMED)
    known = f"{sum(tried.states.values())} in the stash that this is from{f' ({states})' if states else ''}"
    return f"{known}; removed ones, and those that were made elsewhere, are {effort.UNKNOWN}"


def _objectives(tried: Tried | None) -> Iterator[str]:
    if tried is not None and tried.objectives:
        named = listed([*map(code, tried.objectives)], _NAMED)
        yield f"- What a sweeper could optimise in them: {named}. Whether one did: {effort.UNKNOWN}."


def _parameters(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield from ("## Parameters", "")
    found: dict[str, dict[str, None]] = {}
    for run in frozen.runs:
        for name, value in leaves(run.params):
            found.setdefault(name, {})[_shown(value)] = None
    if not found:
        yield from ("None was given.", "", _of_tools(frozen), "")
        return
    other = {} if facts.tried is None else facts.tried.values
    rows = [
        (code(name), _range(list(values)), _range([*dict.fromkeys(map(_shown, other.get(name, [])))]))
        for name, values in found.items()
    ]
    yield from table(("parameter", "values in these runs", "in others of the stash that aren't reported"), rows)
    yield from (_of_tools(frozen), "")


def _of_tools(frozen: Frozen) -> str:
    """Return where all other parameters come from."""
    names = listed([*map(code, dict.fromkeys(run.experiment for run in frozen.runs if run.experiment))], _NAMED)
    meant, where = f" for {names}" if names else "", f"{paths.FROZEN}/{frozen.name}/{FILE_NAME}"
    return (
        f"All others are what the code of the tools has{meant}, unless the exact commands say more, which are in"
        f" `{where}`."
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value}"


def _range(values: list[str]) -> str:
    if not values:
        return ""
    try:
        ordered = sorted(values, key=float)
    except ValueError:
        return cell(listed(values, _VALUES))
    if len(ordered) > _VALUES:
        return cell(f"{ordered[0]} to {ordered[-1]}, {len(ordered)} values")
    return cell(", ".join(ordered))


def _results(facts: Facts) -> Iterator[str]:
    yield from ("## Results", "")
    if facts.results is None:
        yield from ("The runs have no numbers that their records know.", "")
        return
    yield from (facts.results.rstrip(), "")
    yield from ("Statistical tests: none was made here.", "")


def _compute(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield from ("## Compute", "")
    rows = [
        ("time of all runs", effort.duration(frozen.runs)),
        ("CPU time (time × cores at work)", effort.processor_time(frozen.runs)),
        ("memory of a run at most", effort.memory(frozen.runs)),
        ("GPU time", effort.UNKNOWN if any(_has_gpu(run) for run in frozen.runs) else "none was seen"),
    ]
    rows += [(f"machine of {counted(count, 'run')}", said) for said, count in effort.machines(frozen)]
    yield from table(("", ""), [(name, cell(said)) for name, said in rows])
    others = effort.UNKNOWN if facts.tried is None else f"{describe(facts.tried.duration)}, as far as it is known"
    yield from (f"Time of the other runs of these experiments in the stash: {others}.", "")


def _has_gpu(run: FrozenRun) -> bool:
    """Tell whether a run may have used a GPU: where its machine isn't known, it may."""
    return run.machine is None or bool(run.machine.gpus)


def _availability(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield from ("## Code, data, licences", "")
    changed = [run.id for run in frozen.runs if run.code.dirty or run.stash.dirty]
    locked = sum(run.python is not None and run.python.locked_by is not None for run in frozen.runs)
    listed_ones = sum(run.python is not None and run.python.packages is not None for run in frozen.runs)
    unlicensed = listed([each or "the stash" for each in facts.unlicensed], _NAMED)
    inputs = {each.path for run in frozen.runs for each in run.inputs}
    missing = {each.path for each in facts.missing}
    known = [f"{each.tool or 'the stash'}: {each.named}" for each in facts.licences]
    yield from (
        "- The code of all runs is in this archive, by commit"
        + (f"; with changes that weren't committed: {listed(changed, _NAMED)}." if changed else "; all was committed."),
        f"- A lock file pins the environment of {counted(locked, 'run')} of {len(frozen.runs)};"
        f" which version of each package was there is known of {listed_ones}.",
        f"- Inputs that runs were told of: {len(inputs)}; of these {len(inputs - missing)} are in this archive.",
        f"- Licences of the code: {plain(listed(known, _NAMED)) or 'none was found'}"
        + (f"; none was found of {unlicensed}." if unlicensed else "."),
        "- Licences of data, consent, and ethical review: unknown.",
        "- How to have it again: `README.md`; how each output is checked: `ARTIFACT.md`.",
    )
