"""``experimentstash frozen [--json]``: what is frozen, by its names."""

from __future__ import annotations

import argparse
import json
import sys

from experimentstash.base import tables
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, paper_of, say
from experimentstash.base.tables import Column
from experimentstash.base.text import listed, size
from experimentstash.publish import frozen
from experimentstash.publish.frozen import Frozen
from experimentstash.stash.layout import find_stash

EXAMPLES = (("frozen", "names, and what is kept under each"),)
_NAMED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def main(given: argparse.Namespace) -> int:
    """List what is frozen; 1 if some of it can't be read."""
    stash = find_stash()
    found, unread = {}, 0
    for name in frozen.names(stash):
        try:
            found[name] = frozen.read(stash, name)
        except StashError as error:
            complain(str(error))
            unread += 1
    if given.json:
        print(json.dumps([_as_data(name, each) for name, each in found.items()], indent=2))
    elif found:
        print(_table(found))
    elif not unread:
        say("nothing is frozen yet: experimentstash freeze NAME RUN…")
    return 1 if unread else 0


def _as_data(name: str, each: Frozen) -> dict[str, object]:
    runs = {run.id: run.organizer for run in each.runs}
    return {"name": name, "created": each.created, "message": each.message, "digest": each.digest, "runs": runs}


def _table(found: dict[str, Frozen]) -> str:
    columns = [
        Column("name"),
        Column("frozen", rank=2),
        Column("runs"),
        Column("outputs", rank=1),
        Column("tools", rank=3, least=8),
        Column("message", rank=4, least=12),
    ]
    rows = [
        (
            name,
            each.created[: len("2026-01-31")],
            str(len(each.runs)),
            size(sum(output.content.size for run in each.runs for output in run.outputs)),
            listed(sorted({run.tool for run in each.runs}), _NAMED),
            each.message.partition("\n")[0],
        )
        for name, each in found.items()  # an import may have taken another name
    ]
    return tables.draw(columns, rows, paper_of(sys.stdout))
