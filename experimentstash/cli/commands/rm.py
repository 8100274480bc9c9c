"""``experimentstash rm RUN…``: removes runs, or all of them but their records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from experimentstash.base import tables
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, paper_of, say
from experimentstash.base.tables import Column
from experimentstash.base.text import counted, listed, size
from experimentstash.cli.asking import agrees
from experimentstash.cli.commands import choosing
from experimentstash.code import frozen_names
from experimentstash.runs import naming, removing
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.runs.removing import Refused, Removable
from experimentstash.runs.summary import count, state_cell, title
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("rm k3f9a2b", "a run, or all of a sweep"),
    ("rm k3f9a2b --keep-record", "keep what it was"),
    ("rm --state failed --until 2026-10-01", "old failed ones"),
)
# Rows that are shown at a terminal, and names in a line.
_SHOWN, _NAMED = 30, 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=choosing.NAME)
    choosing.add_filters(parser)
    parser.add_argument(
        "--keep-record", action="store_true", help="keep the records and the patches they name, remove all else"
    )
    parser.add_argument("--unsynced", action="store_true", help="also those with W&B runs that were not sent yet")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def main(given: argparse.Namespace) -> int:
    """Remove the runs that were named; 1 if one of them stays."""
    stash = find_stash()
    selected = choosing.meant(stash, given, "experimentstash rm RUN, or --exp, --state, --since …")
    found, refused = removing.look(stash, [facts.run for facts in selected.found])
    stays = {each.run.directory: why for each in found if (why := _why_not(each, given)) is not None}
    going = [each for each in found if each.run.directory not in stays]
    refused += stays.values()
    for each in refused:
        complain(str(StashError(f"{each.run.id} stays: {each.why}.", each.hint)))
    if not going:
        say("nothing was removed")
        return 1 if refused or selected.unread else 0
    _show(stash, going)
    what = f"all but the records of {count(len(going))}" if given.keep_record else count(len(going))
    total = size(sum(each.size for each in going))
    if not given.yes and not agrees(f"Remove {what} ({total})?"):
        say("nothing was removed")
        return 1
    failed = _remove(stash, going, given.keep_record)
    return 1 if refused or selected.unread or failed else 0


def _remove(stash: Stash, going: Sequence[Removable], keep_record: bool) -> int:
    """Remove runs, the rest too if one can't be; return how many that were."""
    failed, freed = 0, 0
    for each in going:
        try:
            removing.remove(stash, each, keep_record=keep_record)
            freed += each.size
        except StashError as error:
            complain(str(error))
            failed += 1
    kept = "; their records are kept" if keep_record else ""
    say(f"removed {count(len(going) - failed)} ({size(freed)}){kept}")
    return failed


def _show(stash: Stash, going: Sequence[Removable]) -> None:
    paper = paper_of(sys.stdout)
    shown = going if paper.width is None else going[:_SHOWN]
    columns = [
        Column("run"),
        Column("state", rank=1),
        Column("experiment", rank=2, least=12),
        Column("size"),
        Column("directory", rank=3, least=20, keeps_end=True),
    ]
    rows = [
        (each.run.id, state_cell(each.run), title(each.run), size(each.size), stash.relative(each.run.path))
        for each in shown
    ]
    print(tables.draw(columns, rows, paper))
    if len(shown) < len(going):
        print(f"… and {len(going) - len(shown)} more")
    for each in going:
        for folder in each.wandb:
            print(f"with its W&B run {stash.relative(folder)}")
    for sweep, ids in naming.counted_by_others(stash, [each.run for each in going]).items():
        them = "it" if len(ids) == 1 else "them"
        print(f"the sweep {sweep} counts {listed(ids, _NAMED)} as its own, and will lack {them}")
    for name, kept in frozen_names.with_runs(stash).items():
        if ids := [each.run.id for each in going if each.run.id in kept]:
            print(
                f"{listed(ids, _NAMED)} {'is' if len(ids) == 1 else 'are'} frozen as {name}: what is kept there stays"
            )
    unsynced = [name for each in going for name in each.unsynced]
    if unsynced:
        print(
            f"{counted(len(unsynced), 'W&B run')} that {'was' if len(unsynced) == 1 else 'were'} never sent"
            f" will be lost: {listed(unsynced, _NAMED)}"
        )
    sys.stdout.flush()


def _why_not(each: Removable, given: argparse.Namespace) -> Refused | None:
    """Return what would be lost with a run that nobody has said may be."""
    if each.unsynced and not given.unsynced:
        several = len(each.unsynced) > 1
        names = listed(each.unsynced, _NAMED)
        return Refused(
            each.run,
            f"{'W&B runs of it were' if several else 'a W&B run of it was'} not sent yet ({names})",
            f"experimentstash sync {each.run.id}, or --unsynced if they may be lost",
        )
    if given.keep_record and each.run.removed is None and is_unread(each.run):
        return Refused(each.run, "its numbers are not in its record yet", f"{REFRESH} {each.run.id}")
    return None
