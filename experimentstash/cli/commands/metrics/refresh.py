"""``experimentstash metrics refresh [RUN…]``: reads the numbers of runs once more."""

from __future__ import annotations

import argparse
from collections import Counter

from experimentstash.base.text import counted, tame
from experimentstash.cli.commands import choosing
from experimentstash.runs import selection
from experimentstash.runs.refreshing import Refreshed, refresh
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("metrics refresh", "of all runs"),
    ("metrics refresh k3f9a2b", "of a run, or a sweep"),
    ("metrics refresh --tool umap", "after its registration changed"),
)
# Lines of notes that are shown.
_MOST = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"only these: {choosing.NAME}; default: all")
    choosing.add_filters(parser)


def main(given: argparse.Namespace) -> int:
    """Read the numbers of runs that are over; 1 if some of them can't be looked at."""
    stash = find_stash()
    asked = choosing.selection(given)
    chosen = selection.choose(stash, asked, acts=True)
    choosing.say_what_is_missing(chosen, asked)
    found = list(refresh(stash, [facts.run for facts in chosen.found]))
    lines = [f"{each.run.id}: {each.failed}" for each in found if each.failed is not None]
    lines += [f"{each.run.id}: {note}" for each in found for note in each.notes]
    for line in lines[:_MOST]:
        print(tame(line.partition("\n")[0]))
    if len(lines) > _MOST:
        print(f"… and {len(lines) - _MOST:,} more lines (experimentstash show RUN has a run's)")
    if found:
        print(summary(found))
    return 1 if chosen.unread or any(each.failed is not None for each in found) else 0


def summary(found: list[Refreshed]) -> str:
    """Return in one line what became of all."""
    left = Counter(each.left_alone for each in found if each.left_alone is not None)
    failed = sum(each.failed is not None for each in found)
    read = len(found) - left.total() - failed
    changed = sum(each.has_changed for each in found)
    parts = [f"read the numbers of {counted(read, 'run')}: {changed or 'none'} changed"]
    parts += [f"{failed} can't be read"] if failed else []
    parts += [f"left alone: {counted(number, 'run')} ({why})" for why, number in left.items()]
    return "; ".join(parts)
