"""``experimentstash tool show TOOL``: everything that is known about a tool."""

from __future__ import annotations

import argparse
import dataclasses
import json

from experimentstash.cli.commands.tool.edge import try_to_put_in_order
from experimentstash.stash.layout import find_stash
from experimentstash.tools import status
from experimentstash.tools.status import Tool

EXAMPLES = (("tool show umap", "its commit, environment, experiments …"), ("tool show umap --json", "the same as JSON"))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="TOOL")
    parser.add_argument("--json", action="store_true", help="print the facts")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
    try_to_put_in_order(stash)
    tool = status.show(stash, given.name)
    if given.json:
        print(json.dumps(dataclasses.asdict(tool), indent=2))
        return 0
    for label, text in _rows(tool):
        if text:
            print(f"{label:<12}  {text}")
    return 0


def _rows(tool: Tool) -> list[tuple[str, str | None]]:
    state = None if tool.environment is None else f"{tool.environment}, {'ready' if tool.is_ready else 'not made yet'}"
    at = None if tool.commit is None else f"{tool.commit} ({f'on {tool.branch}' if tool.branch else 'detached'})"
    return [
        ("tool", tool.name),
        ("problem", tool.problem),
        ("problem", tool.pin_problem),
        ("description", tool.description),
        ("path", tool.path),
        ("checkout", tool.checkout),
        ("shares it", f"with {', '.join(tool.shares_with)}" if tool.shares_with else None),
        ("URL", tool.url),
        ("pinned to", tool.pinned),
        ("checked out", at),
        *(("only here", line) for line in tool.work),
        ("entrypoint", f"{tool.entrypoint}, called in the style `{tool.style}`"),
        ("environment", state),
        ("Python", tool.python),
        *(("experiment", name) for name in tool.experiments),
    ]
