"""``experimentstash import FILE.zip``: brings frozen runs of another stash into this one, as they are."""

from __future__ import annotations

import argparse
from pathlib import Path

from experimentstash.adapters.git.root import toplevel
from experimentstash.base.output import say
from experimentstash.base.text import counted, size
from experimentstash.publish import frozen, importing, tagging
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("import figure1.zip", "then: reproduce figure1"),
    ("import figure1.zip --as theirs", "under another name"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("archive", type=Path, metavar="FILE.zip", help="what `experimentstash export` has made")
    parser.add_argument("--as", dest="name", metavar="NAME", help="what it is kept as here (default: as it was frozen)")


def main(given: argparse.Namespace) -> int:
    """Import frozen runs; all of an archive, or nothing."""
    stash = find_stash()
    if given.name is not None:
        frozen.folder_of(stash, given.name)
    kept, place = importing.import_(stash, given.archive, given.name)
    for run in kept.runs:
        total = sum(each.content.size for each in run.outputs)
        print(f"{run.id}  {run.organizer or run.tool}: {counted(len(run.outputs), 'output')} ({size(total)})")
    if hidden := tagging.unseen(stash, place):
        say(f"git ignores {counted(hidden, 'file')} of it: git add --force {stash.relative(place)}")
    where, top = stash.relative(place), toplevel(stash.root)
    if top != stash.root:
        what = (
            "in no repository: git init" if top is None else f"a directory of the repository {top}: unpack it instead"
        )
        say(f"to reproduce it a stash is a repository of its own, and this one is {what}")
    say(f"{counted(len(kept.runs), 'run')} in {where}; experimentstash reproduce {place.name}")
    return 0
