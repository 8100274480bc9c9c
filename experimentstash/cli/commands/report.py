"""``experimentstash report``: a page to look at, of runs of whatever tools, that needs no server and no network."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.files import kind_at, write_atomically
from experimentstash.base.output import say
from experimentstash.cli.commands import choosing
from experimentstash.report.page import collect, write
from experimentstash.report.page.places import Beside
from experimentstash.report.page.tables import Asked
from experimentstash.report.summaries import WAYS
from experimentstash.stash.layout import find_stash

_USUAL = "report.html"

EXAMPLES = (
    ("report --exp 'figure1/*'", "all of a figure"),
    ("report k3f9a2b -o sweep.html", "a sweep"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"only these: {choosing.NAME}; default: all")
    choosing.add_filters(parser)
    choosing.add_comparison(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE.html", help=f"where it is written (default: {_USUAL} in this directory)"
    )
    parser.add_argument("--title", metavar="TEXT", help="what stands above it (default: the stash's name)")


def main(given: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    stash = find_stash()
    path = Path(given.output or _USUAL)
    if kind_at(path) not in (None, "a file"):
        raise StashError(f"--output {path} can't be written: it is {kind_at(path)}.")
    asked = Asked(
        WAYS[given.spread],
        choosing.names(given.by, "--by"),
        choosing.names(given.over, "--over"),
        choosing.names(given.metrics, "--metrics"),
    )
    found = collect.collect(
        stash,
        choosing.selection(given),
        asked,
        Beside(path.parent),
        title=given.title,
        command=shlex.join(["experimentstash", "report", *given.words]),
    )
    text = write.page(found.report)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise StashError(f"--output {path} can't be written: {error.strerror}.") from error
    say(f"{os.path.relpath(path)} is written: {len(text.encode()) / 1000:,.0f} kB")
    return 1 if found.has_unread else 0
