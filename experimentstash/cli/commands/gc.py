"""``experimentstash gc``: removes environments, frozen code and caches that nothing needs any more."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from experimentstash.base import tables
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, paper_of, say
from experimentstash.base.tables import Column
from experimentstash.base.text import size
from experimentstash.cli.asking import agrees
from experimentstash.stash.layout import Stash, find_stash
from experimentstash.tools import unused
from experimentstash.tools.unused import Unused

EXAMPLES = (
    ("gc --dry-run", "what could go, and what it takes"),
    ("gc", "remove it, after asking"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--dry-run", action="store_true", help="only show what could go")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def main(given: argparse.Namespace) -> int:
    """List what nothing needs, ask, and remove it; 1 if some of it can't be removed."""
    stash = find_stash()
    found = unused.look(stash)
    say(*found.remarks)
    if not found.unused:
        say("there is nothing that nothing needs")
        return 0
    _show(stash, found.unused)
    total, freed = (sum(getattr(each, what) for each in found.unused) for what in ("size", "freed"))
    shared = f"; {size(total - freed)} of it is shared with others, such as uv's cache" if freed < total else ""
    print(f"{size(total)}{shared}", flush=True)
    if given.dry_run:
        return 0
    if not given.yes and not agrees(f"Remove {'it' if len(found.unused) == 1 else 'them'}?"):
        say("nothing was removed")
        return 1
    return _remove(stash, found.unused)


def _remove(stash: Stash, going: Sequence[Unused]) -> int:
    # While somebody was asked, somebody else may have begun what needs it.
    still = {each.path for each in unused.look(stash).unused}
    freed, has_failed = 0, False
    for each in going:
        try:
            if each.path in still and unused.remove(stash, each):
                freed += each.freed
            else:
                say(f"{stash.relative(each.path)} stays: it is needed by now")
        except (StashError, OSError) as error:
            complain(f"{stash.relative(each.path)} could not be removed: {error}")
            has_failed = True
    say(f"freed {size(freed)}")
    return 1 if has_failed else 0


def _show(stash: Stash, found: Sequence[Unused]) -> None:
    columns = [Column("what"), Column("tool", rank=2), Column("size"), Column("path", rank=1, least=20, keeps_end=True)]
    rows = [(each.kind, each.tool, size(each.size), stash.relative(each.path)) for each in found]
    print(tables.draw(columns, rows, paper_of(sys.stdout)))
