"""``experimentstash compare``: what runs differ by, and what their numbers come to over seeds, of whatever tools."""

from __future__ import annotations

import argparse
import sys

from experimentstash.base.errors import StashError
from experimentstash.base.files import kind_at, write_atomically
from experimentstash.base.output import paper_of, say
from experimentstash.cli.commands import choosing
from experimentstash.report.differences import TESTS
from experimentstash.report.render import formats, to_terminal
from experimentstash.report.select import comparison
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("compare --exp 'figure1/*'", "experiments, over seeds"),
    ("compare k3f9a2b --by lr", "a sweep, by a parameter"),
    ("compare --where 'metrics.loss < 1'", "some runs"),
    ("compare --exp 'figure1/*' --test t", "whether they differ"),
    ("compare k3f9a2b --output table.tex", "for the paper"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_comparison(parser)
    parser.add_argument("--test", choices=list(TESTS), help="test whether rows differ, in pairs of the same seed")
    form = parser.add_mutually_exclusive_group()
    for name in formats.FORMS:
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=f"print it as {name}")
    parser.add_argument(
        "--output", action="append", metavar="FILE", help="write it into a file, in the form that its name says"
    )


def main(given: argparse.Namespace) -> int:
    """Print a comparison, or write it into files."""
    stash = find_stash()
    forms = {path: given.form or formats.of_file(path) for path in given.output or ()}
    test = None if given.test is None else TESTS[given.test]
    found, has_unread = comparison(stash, choosing.selection(given), choosing.comparison(given), test)
    for path, form in forms.items():
        _write(path, f"{formats.render(form, found)}\n")
        say(f"{path} is written")
    if not forms:
        print(formats.render(given.form, found) if given.form else to_terminal.render(found, paper_of(sys.stdout)))
    if "csv" in (given.form, *forms.values()):  # which has no place for it
        say(*found.remarks)
    return 1 if has_unread else 0


def _write(path: str, text: str) -> None:
    """Write into a file, all or nothing, or into whatever else stands there, such as a link."""
    try:
        if kind_at(path) not in (None, "a file"):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        else:
            write_atomically(path, text)
    except OSError as error:
        raise StashError(f"--output {path} can't be written: {error.strerror}.") from error
