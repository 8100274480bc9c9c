"""``experimentstash export NAME -o FILE.zip``: one file of what is frozen, in which others have it again."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.base.patterns import regex
from experimentstash.base.text import counted, size
from experimentstash.cli.asking import agrees
from experimentstash.code.frozen_names import BUNDLES
from experimentstash.publish import frozen, kept_records
from experimentstash.publish.export import exporting
from experimentstash.publish.export.exporting import Exported, Wish
from experimentstash.publish.export.facts import Tried
from experimentstash.publish.frozen import Frozen
from experimentstash.record.run import Run
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash, find_stash

# What a text among the parameters of other runs may be to be told: no path, which only means something here.
_CHOICE = regex(r"[\w.+-]{1,40}")
EXAMPLES = (
    ("export figure1 -o a.zip", "with its code and outputs"),
    ("export figure1 -o a.zip --inputs", "… and what it reads"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME", help="what is frozen: figure1")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.zip", help="what is written")
    parser.add_argument("--no-outputs", action="store_true", help="leave outputs out: only their hashes are in it")
    parser.add_argument(
        "--inputs", action="store_true", help="take all inputs along, too; those that are committed always are"
    )
    parser.add_argument(
        "--with-names", action="store_true", help="also if something in it names this machine, its places or its user"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: replace FILE.zip if it is there")


def main(given: argparse.Namespace) -> int:
    """Write an archive; 1 if that wasn't wanted after all."""
    stash = find_stash()
    kept, place = frozen.read(stash, given.name), frozen.folder_of(stash, given.name)
    if not _is_wanted(given.output, is_sure=given.yes):
        say("nothing was exported")
        return 1
    runs = [kept_records.run_of(stash, each, place, place / each.folder) for each in kept.runs]
    wish = Wish(
        _results(stash, runs),
        _tried(stash, runs),
        outputs=not given.no_outputs,
        inputs=given.inputs,
        names=given.with_names,
    )
    _tell(kept, exporting.export(stash, kept, place, runs, given.output, wish, say), given.output)
    return 0


def _is_wanted(path: Path, *, is_sure: bool) -> bool:
    """Tell whether an archive may be written at a path; StashError if it can't be."""
    if path.suffix.lower() != ".zip":
        raise StashError(f"{path}: an archive is a file .zip.", f"-o {path.name}.zip")
    if not path.parent.is_dir():
        raise StashError(f"{path} can't be written: there is no directory {path.parent}.")
    kind = files.kind_at(path)
    if kind not in (None, "a file"):
        raise StashError(f"{path} can't be written: it is {kind}.")
    return kind is None or is_sure or agrees(f"{path} is there. Replace it?")


def _results(stash: Stash, runs: Sequence[Run]) -> str | None:
    """Return what the numbers of runs come to, as `compare` says it; None: they have none."""
    from experimentstash.report import metrics  # here, because publish has nothing to do with it
    from experimentstash.report.compare import compare
    from experimentstash.report.render import formats
    from experimentstash.report.summaries import WAYS
    from experimentstash.runs.facts import Facts

    found = [Facts(run) for run in runs]
    if not any(facts.numbers for facts in found):
        return None
    return formats.render("markdown", compare(found, metrics.of_runs(stash, found), WAYS["std"]))


def _tried(stash: Stash, runs: Sequence[Run]) -> Tried:
    """Return what the stash knows of other runs of the same experiments."""
    from experimentstash.adapters.numbers import objective
    from experimentstash.runs.selection import Selection, choose
    from experimentstash.runs.summary import words

    own = {run.id for run in runs}
    meant = {(run.spec.tool, run.spec.organizer, run.spec.experiment) for run in runs}
    states: collections.Counter[str] = collections.Counter()
    values: dict[str, dict[str, Any]] = {}
    duration = 0.0
    for facts in choose(stash, Selection(), closes=False).found:
        if facts.id in own or (facts.tool, facts.organizer, facts.plain.inner) not in meant:
            continue
        states[words(facts.state)] += 1
        duration += facts.plain.duration or 0.0
        for name, value in facts.params.items():
            if not isinstance(value, str) or _CHOICE.fullmatch(value):
                values.setdefault(name, {})[repr(value)] = value
        facts.forget()
    objectives = dict.fromkeys(objective.words(run.spec.objective) for run in runs if run.spec.objective is not None)
    return Tried(dict(states), {name: [*each.values()] for name, each in values.items()}, duration, [*objectives])


def _tell(kept: Frozen, made: Exported, path: Path) -> None:
    """Say what is in an archive, and what isn't."""
    front = f"{paths.FROZEN}/{kept.name}"

    def told(folder: str) -> tuple[int, str]:
        found = [content.size for name, content in made.contents.items() if name.startswith(f"{front}/{folder}/")]
        return len(found), size(sum(found))

    for run in kept.runs:
        count, total = told(f"{run.folder}/{frozen.OUTPUTS}")
        print(f"{run.id}  {run.organizer or run.tool}: {count} of {counted(len(run.outputs), 'output')} ({total})")
    for folder, noun in ((BUNDLES, "bundle"), (frozen.INPUTS, "input")):
        count, total = told(folder)
        if count:
            print(f"{counted(count, noun)} ({total})")
    say(*made.facts.warnings)
    say(*(f"it tells of this machine, or of you: {each}" for each in made.facts.naming))
    for each in made.facts.missing:
        say(f"{each.run}: {each.path} isn't in it: {each.why}")
    say(f"{path}: {counted(len(made.contents), 'file')}, {size(path.stat().st_size)}")
