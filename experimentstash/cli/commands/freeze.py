"""``experimentstash freeze NAME RUN…``: keeps runs under a name, with all that it takes to have them again."""

from __future__ import annotations

import argparse

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.base.text import counted, listed, size
from experimentstash.cli.commands import choosing
from experimentstash.publish import freezing, frozen, kept_code, tagging
from experimentstash.publish.frozen import Frozen
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("freeze figure1 k3f9a2b", "a run, or all of a sweep"),
    ("freeze figure1 --exp 'figure1/*'", "those of these experiments"),
    ("freeze figure1 k3f9a2b --tag", "and commit and tag that"),
)
_NAMED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME", help="what they are kept as: figure1")
    parser.add_argument("runs", nargs="*", metavar="RUN", help=choosing.NAME)
    choosing.add_filters(parser, tag="--tagged")
    parser.add_argument("--tag", dest="is_tagged", action="store_true", help="commit that, and tag it frozen/NAME")
    parser.add_argument(
        "-m", "--message", default="", metavar="MESSAGE", help="what is said of them, and of the commit"
    )
    parser.add_argument(
        "--dirty", action="store_true", help="take runs of code that isn't committed, too, with its patch"
    )


def main(given: argparse.Namespace) -> int:
    """Keep runs; 1 if there are none, or some of those that were meant can't be read."""
    stash = find_stash()
    frozen.folder_of(stash, given.name)
    if given.is_tagged:
        tagging.refuse(stash, given.name)
    meant = choosing.meant(stash, given, f"experimentstash freeze {given.name} RUN, or --exp, --since …")
    if meant.unread:
        raise StashError(f"The record of {listed([*map(str, meant.unread)], _NAMED)} can't be read.")
    if not meant.found:
        return 1
    runs = [facts.run for facts in meant.found]
    kept, place = freezing.freeze(stash, given.name, runs, message=given.message, may_be_dirty=given.dirty)
    if given.is_tagged:
        commit = tagging.commit_or_undo(stash, place, given.name, given.message)
        say(f"commit {commit[:12]}, tag {tagging.tag_of(given.name)}")
    elif hidden := tagging.unseen(stash, place):
        say(f"git ignores {counted(hidden, 'file')} of it: git add --force {stash.relative(place)}")
    if not given.is_tagged and (lonely := kept_code.only_in_history(stash, kept)):
        say(f"only the stash's own history has commit {listed(lonely, _NAMED)}: push it before that is rewritten")
    _tell(kept)
    say(f"{counted(len(runs), 'run')} in {stash.relative(place)}; experimentstash reproduce {given.name}")
    return 0


def _tell(kept: Frozen) -> None:
    for run in kept.runs:
        total = sum(each.content.size for each in run.outputs)
        reads = f", {counted(len(run.inputs), 'input')}" if run.inputs else ""
        print(f"{run.id}  {run.organizer or run.tool}: {counted(len(run.outputs), 'output')} ({size(total)}){reads}")
        for note in run.notes:
            say(f"{run.id}: {note}")
