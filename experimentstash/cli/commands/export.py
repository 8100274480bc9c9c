"""``experimentstash export NAME -o FILE.zip``: one file of what is frozen, in which others have it again."""

from __future__ import annotations

import argparse
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.base.text import counted, size
from experimentstash.cli.asking import agrees
from experimentstash.code.frozen_names import BUNDLES
from experimentstash.publish import frozen
from experimentstash.publish.export import exporting, gathering
from experimentstash.publish.export.exporting import Exported, Wish
from experimentstash.publish.frozen import Frozen
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash, find_stash

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
    results = _results(stash, kept, place)
    wish = Wish(results, outputs=not given.no_outputs, inputs=given.inputs, names=given.with_names)
    _tell(kept, exporting.export(stash, kept, place, given.output, wish, say), given.output)
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


def _results(stash: Stash, kept: Frozen, place: Path) -> str | None:
    """Return what the numbers of runs come to, as `compare` says it; None: they have none."""
    from experimentstash.report import metrics  # here, because publish has nothing to do with it
    from experimentstash.report.compare import compare
    from experimentstash.report.render import formats
    from experimentstash.report.summaries import WAYS
    from experimentstash.runs.facts import Facts

    runs = [Facts(run) for run in gathering.runs(stash, kept, place)]
    if not any(facts.numbers for facts in runs):
        return None
    return formats.render("markdown", compare(runs, metrics.of_runs(stash, runs), WAYS["std"]))


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
