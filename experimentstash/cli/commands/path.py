"""``experimentstash path RUN [FILE]``: where a run is, or a file of it."""

from __future__ import annotations

import argparse

from experimentstash.cli.commands import choosing
from experimentstash.runs import inside, naming
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("path latest", "the latest run's directory"),
    ("path k3f9a2b-7 metrics.json", "a file, if it is there"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_one(parser)
    parser.add_argument("file", nargs="?", metavar="FILE", help="a file in its directory")


def main(given: argparse.Namespace) -> int:
    """Print the directory of a run or a sweep, or a file in it."""
    print(inside.path_of(naming.find(find_stash(), given.run), given.file))
    return 0
