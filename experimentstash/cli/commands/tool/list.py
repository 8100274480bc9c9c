"""``experimentstash tool list``: the tools of the stash."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from experimentstash.base import tables
from experimentstash.base.output import paper_of, say
from experimentstash.base.tables import Column
from experimentstash.cli.commands.tool.edge import try_to_put_in_order
from experimentstash.stash.layout import find_stash
from experimentstash.tools import status

EXAMPLES = (("tool list", "with their commits and environments"), ("tool list --json", "all that is known of them"))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the facts")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
    try_to_put_in_order(stash)
    found = status.tools(stash)
    if given.json:
        print(json.dumps([dataclasses.asdict(tool) for tool in found], indent=2))
        return 0
    if not found:
        say("there are no tools yet: experimentstash tool add NAME URL")
        return 0
    columns = [
        Column("tool", least=20),
        Column("commit", rank=1),
        Column("environment", rank=3),
        Column("experiments", rank=4),
        Column("description", rank=2, least=20),
    ]
    rows = []
    for tool in found:
        commit = (tool.commit or tool.pinned or "-")[:10] + ("*" if tool.work else "")
        ready = "problem" if tool.problem else f"{tool.environment}{'' if tool.is_ready else ', not made'}"
        rows.append((tool.name, commit, ready, str(len(tool.experiments)), tool.description))
    print(tables.draw(columns, rows, paper_of(sys.stdout)))
    for tool in found:
        for problem in filter(None, (tool.problem, tool.pin_problem)):
            say(problem)
    return 0
