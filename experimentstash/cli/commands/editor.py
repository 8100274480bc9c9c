"""``experimentstash editor``: JSON schemas of the configuration, by which editors check and complete it."""

from __future__ import annotations

import argparse

from experimentstash.stash.layout import find_stash
from experimentstash.tools import editor_files

EXAMPLES = (("editor", "after an upgrade, or a tool's update"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options: it has none."""


def main(_: argparse.Namespace) -> int:
    """Write what has changed, and say so."""
    stash = find_stash()
    written = editor_files.write(stash)
    for path in written:
        print(path)
    print(f"{len(written)} files are written; commit them." if written else "All is as this version makes it.")
    return 0
