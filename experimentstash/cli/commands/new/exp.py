"""``experimentstash new exp NAME --tool TOOL``: an experiment organizer to fill in."""

from __future__ import annotations

import argparse

from experimentstash.stash.layout import find_stash
from experimentstash.tools import new_experiment

EXAMPLES = (
    ("new exp figure4/a --tool umap", "with its parameters"),
    ("new exp a --tool umap --experiment e", "of its experiment e"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME", help="its name: figure4/my_run")
    parser.add_argument("--tool", required=True, metavar="TOOL", help="the tool that it is for")
    parser.add_argument("--experiment", metavar="E", help="which experiment inside the tool")


def main(given: argparse.Namespace) -> int:
    """Write the organizer, and say what to do with it."""
    stash = find_stash()
    made = new_experiment.make(stash, given.name, given.tool, given.experiment)
    print(f"{stash.relative(made.path)} is written.")
    if not made.is_known:
        print(f"What {given.tool} can be given isn't known from its files: params are yours to fill in.")
    if made.needs:
        print(f"Fill in what the tool insists on: {', '.join(made.needs)}.")
    print(f"Next:\n  experimentstash run {given.name} validate_only=true    # its exact command")
    return 0
