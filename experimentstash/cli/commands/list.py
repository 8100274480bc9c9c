"""``experimentstash list [--tool T] [--tag T] [--json]``: the experiment organizers, read from their YAML alone."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from experimentstash.base import tables
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.output import paper_of, say
from experimentstash.base.tables import Column
from experimentstash.stash.layout import Stash, find_stash
from experimentstash.stash.organizers import Organizer, Organizers

EXAMPLES = (
    ("list", "all of them"),
    ("list --tool umap --tag baseline", "those of a tool, with a tag"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tool", metavar="TOOL", help="only the experiments of this tool")
    parser.add_argument("--tag", metavar="TAG", help="only those with this tag")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(given: argparse.Namespace) -> int:
    found = list_experiments(find_stash(), tool=given.tool, tag=given.tag)
    if given.json:
        print(json.dumps([_as_data(organizer) for organizer in found], indent=2))
    elif found:
        print(_table(found))
    else:
        say("there are no such experiments" if given.tool or given.tag else "there are no experiments yet")
    return 0


def list_experiments(stash: Stash, *, tool: str | None = None, tag: str | None = None) -> list[Organizer]:
    """Return the experiment organizers of a tool and with a tag, by name; one that can't be read has a ``problem``.

    Raises StashError for a tool that isn't registered.
    """
    if tool is not None and tool not in (valid := stash.known_tools()):
        raise StashError(
            f"There is no tool {tool!r}.{did_you_mean(tool, valid)}\nTools: {', '.join(valid) or 'none yet'}"
        )
    organizers = Organizers(stash)
    return [each for each in map(organizers.read, stash.experiments()) if each.belongs_to(tool, tag)]


def _as_data(organizer: Organizer) -> dict[str, object]:
    data = dataclasses.asdict(organizer)
    del data["settings"]
    return data


def _table(found: list[Organizer]) -> str:
    columns = [
        Column("experiment", least=28, keeps_end=True),
        Column("tool", rank=1),
        Column("runtime", rank=3),
        Column("tags", rank=4, least=8),
        Column("description", rank=2, least=20),
    ]
    return tables.draw(columns, [_row(each) for each in found], paper_of(sys.stdout))


def _row(organizer: Organizer) -> tuple[str, str, str, str, str]:
    said = organizer.description.partition("\n")[0] if organizer.problem is None else f"({organizer.problem})"
    return organizer.name, organizer.tool or "-", organizer.estimated_runtime or "-", ",".join(organizer.tags), said
