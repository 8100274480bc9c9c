"""README.md: what is in the archive, and the two commands by which it is had again."""

from __future__ import annotations

from collections.abc import Iterator

from experimentstash import __version__
from experimentstash.base.text import counted, listed, size
from experimentstash.publish.export.documents import effort, software
from experimentstash.publish.export.documents.tolerances import alike, experiment_of, notes
from experimentstash.publish.export.facts import Facts
from experimentstash.publish.frozen import Frozen
from experimentstash.publish.markdown import cell, code, plain, table

# Rows of a table here: frozen.json has all of a thousand runs.
_ROWS, _NAMED = 40, 5
VERDICTS = (
    ("identical", "the same bytes, or the same in all that is compared", "yes"),
    ("equivalent within …", "within the tolerance that was declared for it beforehand (ARTIFACT.md)", "yes"),
    ("different: …", "something else came out; it says what, and where", "no"),
    ("missing", "the run has not written it", "no"),
    ("not comparable: …", "it can't be read, or what was kept of it isn't what was frozen", "no"),
    ("not run: …", "there is no run that has completed, and why", "no"),
)


def text(frozen: Frozen, facts: Facts) -> str:
    """Return the document."""
    lines = [*_about(frozen, facts), *_again(frozen, facts), *_takes(frozen), *_verdicts(frozen)]
    return "\n".join([*lines, *_contents(frozen, facts), *_licences(facts), *_people(frozen, facts)]).rstrip() + "\n"


def commands(frozen: Frozen, facts: Facts) -> list[str]:
    """Return the commands of a shell, in the archive's folder, by which all is had again."""
    return [
        f"uv venv --python {facts.python} .venv && uv pip install --python .venv -r {software.REQUIREMENTS}",
        f".venv/bin/experimentstash reproduce {frozen.name}",
    ]


def _about(frozen: Frozen, facts: Facts) -> Iterator[str]:
    held = "" if facts.has_outputs else "the hashes of "
    sizes = [output.content.size for run in frozen.runs for output in run.outputs]
    yield f"# {plain(frozen.name)}"
    yield ""
    if frozen.message:
        yield from (plain(frozen.message), "")
    what = f" of *{plain(facts.title)}*" if facts.title != frozen.name else ""
    yield (
        f"{counted(len(frozen.runs), 'run')}{what}, as they were frozen on {frozen.created[:10]}: code, environments,"
        f" parameters, and {held}{counted(len(sizes), 'output')} ({size(sum(sizes))})."
    )
    yield "One command has them again, and says of each output whether it is the same."
    yield ""


def _again(frozen: Frozen, facts: Facts) -> Iterator[str]:
    first, second = commands(frozen, facts)
    yield "## Have it again"
    yield ""
    yield (
        "You need Linux, git, [uv](https://docs.astral.sh/uv/) (`pip install uv`)"
        + (", the programs that build the tools (`ARTIFACT.md` names them)" if facts.builds else "")
        + ", and a network to the registries of packages"
        + ". In the folder with this file:"
    )
    yield ""
    yield from ("```bash", first, second, "```", "")
    yield (
        f"The first installs ExperimentStash {__version__}, of which a copy is in `{software.FOLDER}/`, into"
        f" `.venv`. Without uv, with Python {facts.python}: `python3 -m venv .venv && .venv/bin/pip install -r"
        f" {software.REQUIREMENTS}`."
    )
    yield ""
    yield (
        "The second takes the code from the git bundles in this archive, makes the environments, runs everything, and"
        " compares what comes out. It exits with 0 only if all of it was reproduced."
    )
    yield ""
    yield from (
        f"- `.venv/bin/experimentstash reproduce {frozen.name} --check`: is everything there? Nothing is run.",
        f"- `… reproduce {frozen.name} --run {frozen.runs[0].id}`: one of the runs.",
        f"- `… reproduce {frozen.name} hydra/launcher=slurm`: on a SLURM cluster.",
        f"- `… reproduce {frozen.name} -o report.md`: with a report of all verdicts.",
        "",
    )


def _takes(frozen: Frozen) -> Iterator[str]:
    yield "## What it takes"
    yield ""
    rows = [
        ("time", f"{effort.duration(frozen.runs)} for all runs, one after another; environments are made before"),
        ("CPU time", effort.processor_time(frozen.runs)),
        ("memory", f"{effort.memory(frozen.runs)} at most"),
        ("disk", effort.disk(frozen)),
    ]
    rows += [
        (f"machine of {counted(count, 'run')}" if len(frozen.runs) > 1 else "machine", said)
        for said, count in effort.machines(frozen)
    ]
    yield from table(("", "as it was then"), [(name, cell(said)) for name, said in rows])


def _verdicts(frozen: Frozen) -> Iterator[str]:
    yield "## What is said of each output"
    yield ""
    yield from table(("verdict", "", "reproduced"), VERDICTS)
    yield "If something is *different* or *not run*:"
    yield ""
    yield from (
        "- What it says next to the verdict is the reason, as far as one is known; notes below a run name what else"
        " was not as it was then, such as other builds of packages.",
        f"- `.venv/bin/experimentstash reproduce {frozen.name} --times 3` tells what varies from run to run by itself.",
        "- Other processors, GPUs and their drivers may round differently: compare with the machine above.",
        "- `.venv/bin/experimentstash logs RUN` shows what a run has printed.",
        "",
    )
    if said := notes(frozen):
        yield "What was noted when it was frozen:"
        yield ""
        yield from (f"- {note} ({listed(runs, _NAMED)})" for note, runs in said.items())
        yield ""


def _contents(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield "## What is in it"
    yield ""
    rows = [
        (run.id, cell(experiment_of(run)), cell(run.tool), code(str(run.code.commit)[:12]) + _changed(run.code.dirty))
        for run in frozen.runs[:_ROWS]
    ]
    yield from table(("run", "experiment", "tool", "commit"), rows)
    if len(frozen.runs) > _ROWS:
        yield from (f"… and {len(frozen.runs) - _ROWS:,} more runs: `frozen/{frozen.name}/frozen.json` has all.", "")
    every = alike(frozen)
    yield from table(
        ("output", "experiment", "runs", "size"),
        [(code(each.path), cell(each.experiment), each.of, size(each.size)) for each in every[:_ROWS]],
    )
    if len(every) > _ROWS:
        yield from (f"… and {len(every) - _ROWS:,} more.", "")
    if not facts.has_outputs:
        yield from (
            "This archive has no copies of outputs: by their hashes it is told which are *identical*, and no more.",
            "",
        )
    if facts.missing:
        yield "Not in this archive:"
        yield ""
        yield from (f"- {code(each.path)} of {each.run}: {plain(each.why)}" for each in facts.missing[:_ROWS])
        if len(facts.missing) > _ROWS:
            yield f"- … and {len(facts.missing) - _ROWS:,} more"
        yield ""
    yield from (
        f"`frozen/{frozen.name}/` has it all; `ARTIFACT.md` says how each output is checked, `CHECKLIST.md` what"
        " checklists for reproducibility ask, `CITATION.cff` whom to cite.",
        f"The digest of `frozen.json` is `{frozen.digest}`.",
        "",
    )


def _changed(is_dirty: bool) -> str:
    return " and a patch" if is_dirty else ""


def _licences(facts: Facts) -> Iterator[str]:
    yield "## Licences"
    yield ""
    rows = [
        (cell(each.tool or "the stash"), cell(each.named), f"[{cell(each.path.rpartition('/')[2])}](<{each.path}>)")
        for each in facts.licences
    ]
    if rows:
        yield from table(("of", "licence", "text"), rows)
    if facts.unlicensed:
        names = listed([each or "the stash" for each in facts.unlicensed], _NAMED)
        yield from (f"**No licence was found of {names}**: ask its authors before you use or hand it on.", "")
    yield from ("They are those of the commits that ran. The packages that are installed have their own.", "")


def _people(frozen: Frozen, facts: Facts) -> Iterator[str]:
    yield "## Names in it"
    yield ""
    yield (
        "The git bundles have the history of the code, with the names and mail addresses of who wrote it: without them"
        " the commits would be others."
    )
    if facts.naming:
        yield ""
        yield (
            "These files name the machine that they were made on, or its user, and were taken as they are; what is said"
            " of them here and beside may repeat it:"
        )
        yield ""
        yield from (f"- {plain(each)}" for each in facts.naming)
    yield ""
