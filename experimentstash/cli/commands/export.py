"""``experimentstash export NAME -o FILE.zip``: one file of what is frozen, in which others have it again."""

from __future__ import annotations

import argparse
from pathlib import Path

from experimentstash.base.output import say
from experimentstash.base.text import counted, size
from experimentstash.publish import frozen
from experimentstash.publish.export import exporting, gathering
from experimentstash.publish.frozen import Frozen
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (("export figure1 -o figure1.zip", "all of it, with its code"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME", help="what is frozen: figure1")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.zip", help="what is written")


def main(given: argparse.Namespace) -> int:
    """Write an archive."""
    stash = find_stash()
    kept, place = frozen.read(stash, given.name), frozen.folder_of(stash, given.name)
    made = exporting.export(stash, kept, place, given.output, _results(stash, kept, place))
    say(*made.facts.warnings)
    say(f"{given.output}: {counted(len(made.contents), 'file')}, {size(given.output.stat().st_size)}")
    return 0


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
