"""ARTIFACT.md: an appendix for who evaluates artifacts: what it needs, what is claimed, and how that is checked."""

from __future__ import annotations

from collections.abc import Iterator

from experimentstash import __version__
from experimentstash.base.text import counted, listed, size
from experimentstash.publish.export.documents import effort, readme
from experimentstash.publish.export.documents.tolerances import alike, by_experiment
from experimentstash.publish.export.facts import Facts
from experimentstash.publish.frozen import Frozen, FrozenRun
from experimentstash.publish.markdown import cell, code, plain, table

_ROWS, _NAMED = 1000, 20


def text(frozen: Frozen, facts: Facts) -> str:
    """Return the document."""
    lines = [f"# Artifact appendix: {plain(frozen.name)}", "", *_needs(frozen, facts), *_expected(frozen)]
    return "\n".join([*lines, *_claims(frozen, facts), *_steps(frozen, facts)]).rstrip() + "\n"


def _needs(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield from ("## What it needs", "")
    hardware = [f"{said} ({counted(count, 'run')})" for said, count in effort.machines(frozen)]
    tools = dict.fromkeys(f"{run.tool} at commit {str(run.code.commit)[:12]}" for run in frozen.runs)
    yield from table(
        ("", ""),
        [
            ("hardware that it ran on", cell("; ".join(hardware))),
            ("hardware that it needs", "not known: it ran on the above, and nobody has tried less"),
            ("software", f"Linux, git, uv or Python; ExperimentStash {__version__}, of which a copy is in it"),
            *([("built", "; ".join(map(code, facts.builds)))] if facts.builds else []),
            ("tools", cell(listed(list(tools), _NAMED))),
            ("environments", cell(listed([*dict.fromkeys(map(_environment, frozen.runs))], _NAMED))),
            ("inputs", cell(_inputs(frozen))),
            ("disk", cell(effort.disk(frozen))),
            ("network", "the registries of packages, unless uv's cache has them; the code is in the archive"),
        ],
    )


def _environment(run: FrozenRun) -> str:
    python = run.python
    if python is None:
        return f"{run.tool}: no Python of its own"
    version = f"Python {python.version}" if python.version else "Python of an unknown version"
    pinned = f"pinned by {python.locked_by}" if python.locked_by is not None else "no lock file"
    known = "packages unknown" if python.packages is None else f"{counted(len(python.packages), 'package')} known"
    return f"{run.tool}: {version}, {pinned}, {known}"


def _inputs(frozen: Frozen) -> str:
    found = {each.path: each.content.size for run in frozen.runs for each in run.inputs}
    if not found:
        return "none besides the code, as far as the runs were told of any"
    return listed([f"{path} ({size(many)})" for path, many in found.items()], _NAMED)


def _expected(frozen: Frozen) -> Iterator[str]:
    yield from ("## What it takes", "")
    rows = [
        (cell(name), str(len(runs)), effort.duration(runs), effort.processor_time(runs), effort.memory(runs))
        for name, runs in [*by_experiment(frozen).items(), ("all", frozen.runs)]
    ]
    yield from table(("experiment", "runs", "time, one after another", "CPU time", "memory of one at most"), rows)
    yield from ("Making the environments comes on top, once.", "")


def _claims(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield from ("## What is claimed, and how it is checked", "")
    yield (
        "That the runs, done again with the same code, environments, parameters and inputs, write the outputs below"
        " again. What was declared before they were frozen says how far they may deviate:"
    )
    yield ""
    every = alike(frozen)
    yield from table(
        ("output", "experiment", "of", "how it is compared"),
        [(code(each.path), cell(each.experiment), each.of, cell(each.how)) for each in every[:_ROWS]],
    )
    if len(every) > _ROWS:
        yield from (f"… and {len(every) - _ROWS:,} more: `frozen/{frozen.name}/frozen.json` has all.", "")
    left = dict.fromkeys(name for run in frozen.runs for name in run.left_out)
    if left:
        yield from (f"Not compared, though the runs have written it: {listed([*map(code, left)], _NAMED)}.", "")
    if facts.results is not None:
        yield from (
            "What their numbers came to (CHECKLIST.md) follows from these outputs.",
            "",
        )


def _steps(frozen: Frozen, facts: Facts) -> Iterator[str]:
    first, second = readme.commands(frozen, facts)
    yield from ("## Steps", "", "```bash", first, f"{second} -o report.md", "```", "")
    yield "`report.md` has the verdict of each output. What the verdicts mean stands in `README.md`."
