"""``experimentstash report``: a page to look at, of runs of whatever tools, that needs no server and no network."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.base.text import counted, size
from experimentstash.cli.commands import choosing
from experimentstash.report.page import forms
from experimentstash.report.page.collect import Request
from experimentstash.report.page.forms import Written
from experimentstash.report.page.tables import Asked
from experimentstash.report.summaries import WAYS
from experimentstash.stash.layout import Stash, find_stash

_USUAL = "report.html"
_PAGES = (".html", ".htm")

EXAMPLES = (
    ("report --exp 'figure1/*'", "all of a figure"),
    ("report k3f9a2b -o sweep.html", "a sweep"),
    ("report --where 'params.lr < 1' -o docs", "for GitHub Pages"),
    ("report --tag paper --zip paper.zip", "for a reviewer"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"only these: {choosing.NAME}; default: all")
    choosing.add_filters(parser)
    choosing.add_comparison(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o",
        "--output",
        metavar="FILE.html|DIR",
        help=f"one file, below 1 MB, that links to what is large (default: {_USUAL}); or a directory with copies"
        " of what is needed",
    )
    where.add_argument("--zip", metavar="FILE.zip", help="the directory as one file")
    parser.add_argument("--embed", action="store_true", help="everything in the one file, however large it becomes")
    parser.add_argument("--title", metavar="TEXT", help="what stands above it (default: the stash's name)")


def main(given: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    stash = find_stash()
    made = write(stash, given)
    say(told(made), *(f"left out: {each}" for each in made.left_out))
    return 1 if made.has_unread else 0


def write(stash: Stash, given: argparse.Namespace) -> Written:
    """Write the page as it was asked for."""
    asked = Asked(
        WAYS[given.spread],
        choosing.names(given.by, "--by"),
        choosing.names(given.over, "--over"),
        choosing.names(given.metrics, "--metrics"),
    )
    command = shlex.join(["experimentstash", "report", *given.words])
    request = Request(choosing.selection(given), asked, given.title, command)
    path = Path(given.zip or given.output or _USUAL)
    is_page = given.zip is None and path.suffix.lower() in _PAGES
    if given.embed and not is_page:
        raise StashError("--embed makes one file.", f"-o {path.with_suffix('.html')}")
    if given.zip is not None:
        return forms.zipped(stash, request, path)
    if not is_page:
        return forms.directory(stash, request, path)
    return (forms.embedded if given.embed else forms.one_file)(stash, request, path)


def told(made: Written) -> str:
    """Say what was written, and how large it is."""
    beside = f", and {counted(made.files, 'file')} with {size(made.total - made.size)}" if made.files else ""
    return f"{os.path.relpath(made.path)} is written: {size(made.size)}{beside}"
