"""``experimentstash export NAME -o FILE.zip``: one file of what is frozen, in which others have it again."""

from __future__ import annotations

import argparse
from pathlib import Path

from experimentstash.base.output import say
from experimentstash.base.text import counted, size
from experimentstash.cli import installation
from experimentstash.publish import frozen
from experimentstash.publish.export import exporting
from experimentstash.stash.layout import find_stash

EXAMPLES = (("export figure1 -o figure1.zip", "all of it, with its code"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME", help="what is frozen: figure1")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.zip", help="what is written")


def main(given: argparse.Namespace) -> int:
    """Write an archive."""
    stash = find_stash()
    kept, place = frozen.read(stash, given.name), frozen.folder_of(stash, given.name)
    made = exporting.export(stash, kept, place, given.output, installation.here().requirement)
    say(f"{given.output}: {counted(len(made.contents), 'file')}, {size(given.output.stat().st_size)}")
    return 0
