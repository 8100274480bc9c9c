"""``experimentstash tool sync TOOL…``: make the environments of tools now, and build them."""

from __future__ import annotations

import argparse

from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, say
from experimentstash.cli.commands.tool.edge import try_to_put_in_order
from experimentstash.stash.layout import find_stash
from experimentstash.tools import syncing

EXAMPLES = (
    ("tool sync umap", "that of one tool"),
    ("tool sync --all --offline", "all, without the internet"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="TOOL")
    parser.add_argument("--all", action="store_true", help="of all tools")
    parser.add_argument("--offline", action="store_true", help="from uv's cache alone")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
    is_well = try_to_put_in_order(stash)
    if not given.names and not given.all:
        raise StashError("Which tools?", "experimentstash tool sync NAME…, or --all")
    synced = syncing.sync(stash, stash.tools() if given.all else given.names, offline=given.offline, report=say)
    for each in synced:
        if each.problem:
            complain(each.problem)
        elif each.environment is None and not each.is_built:
            print(f"{each.name}: needs no environment of ours")
        else:
            print(f"{each.name}: {'was ready' if each.was_ready else 'made'}")
    return 0 if is_well and not any(each.problem for each in synced) else 1
