"""``experimentstash report``: a page to look at, of runs of whatever tools, that needs no server and no network."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import re
import signal
import time
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.files import Stamp, stamp
from experimentstash.base.interrupts import signals_as_exceptions
from experimentstash.base.output import heard, say
from experimentstash.base.text import counted, size
from experimentstash.cli import watching
from experimentstash.cli.commands import choosing
from experimentstash.record import archives
from experimentstash.report.page import forms, picture_files
from experimentstash.report.page.collect import Request
from experimentstash.report.page.forms import Written
from experimentstash.runs.selection import choose
from experimentstash.stash.layout import Stash, find_stash

# Seconds between two looks of --watch: schedulers are asked, too. A look is followed by a pause so many times as long.
_INTERVAL, _SHARE = 15.0, 5
# What of a run tells that it has changed: files that come and go, its record, its log.
_CHANGING = (".", archives.RECORD, "output.log")
# Of a run that is at work, too: what may be a picture or a history, among so many files.
_ENDINGS = (*picture_files.ENDINGS, ".csv", ".jsonl", ".wandb")
_DRAWN = re.compile(rf"(?i)(?:{'|'.join(map(re.escape, _ENDINGS))})$|tfevents")
_MOST_FILES = 5_000

EXAMPLES = (
    ("report --exp 'figure1/*'", "all of a figure"),
    ("report k3f9a2b -o sweep.html", "a sweep"),
    ("report --where 'params.lr < 1' -o docs", "for GitHub Pages"),
    ("report --tag paper --zip paper.zip", "for a reviewer"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_comparison(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o",
        "--output",
        metavar="FILE.html|DIR",
        help=f"one file, below 1 MB, that links to what is large (default: {forms.USUAL}); or a directory with copies"
        " of what is needed",
    )
    where.add_argument("--zip", metavar="FILE.zip", help="the directory as one file")
    parser.add_argument("--embed", action="store_true", help="everything in the one file, however large it becomes")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=watching.seconds,
        const=_INTERVAL,
        metavar="SECONDS",
        help="make it anew whenever runs have changed, until Ctrl-C; it is looked at so many seconds apart (default:"
        f" {_INTERVAL:g})",
    )
    parser.add_argument("--title", metavar="TEXT", help="what stands above it (default: the stash's name)")


def main(given: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    stash = find_stash()
    seen = None if given.watch is None else _seen(stash, given)
    made = write(stash, given)
    say(told(made), *made.left_out)
    if not made.runs:
        say(choosing.NONE)
    if seen is not None:
        say("it is made anew whenever runs change, until Ctrl-C")
        _watch(stash, given, seen)
    return 1 if made.has_unread else 0


def _watch(stash: Stash, given: argparse.Namespace, seen: str) -> None:
    """Make the page anew whenever something has changed, until Ctrl-C."""
    is_over = False

    def end(number: int, frame: object) -> None:
        nonlocal is_over
        is_over = True  # an exception is lost where an object is given up
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    try:
        with signals_as_exceptions(), contextlib.suppress(KeyboardInterrupt):
            said: list[str] = []
            pause = given.watch
            while not is_over:
                time.sleep(pause)
                began = time.monotonic()
                try:
                    with heard() as messages:
                        if (now := _seen(stash, given)) != seen:
                            seen = now
                            write(stash, given)
                except StashError as error:  # its runs may be removed, and come again
                    messages.append(str(error))
                say(*(message for message in messages if message not in said))
                said = messages or said
                pause = max(given.watch, (time.monotonic() - began) * _SHARE)
    finally:
        signal.signal(signal.SIGINT, before)


def _seen(stash: Stash, given: argparse.Namespace) -> str:
    """Return what tells whether runs have changed: which there are, their records and logs, and what they write."""
    mark = hashlib.sha256()
    with heard():
        found = choose(stash, choosing.selection(given), closes=False, with_earlier=True)
    for facts in found.found:
        stamps = [_stamp(f"{facts.directory}/{name}") for name in _CHANGING]
        drawn = [] if facts.state.is_final else _drawn(facts.directory)
        mark.update(repr((facts.directory, facts.state.value, stamps, drawn)).encode())
    return mark.hexdigest()


def _drawn(directory: str) -> list[str]:
    """Return what tells whether a run that is at work has changed a picture or a history in its place."""
    few = itertools.islice(picture_files.regular_files(directory), _MOST_FILES)
    return [repr(each) for each in few if each is not None and _DRAWN.search(each.name)]


def _stamp(path: str) -> Stamp | None:
    try:
        return stamp(os.lstat(path))
    except OSError:
        return None


def write(stash: Stash, given: argparse.Namespace) -> Written:
    """Write the page as it was asked for."""
    command = ["experimentstash", "report", *given.words]
    request = Request(choosing.selection(given), choosing.comparison(given), given.title, command)
    path = Path(given.zip or given.output or forms.USUAL)
    return forms.make(stash, request, path, embeds=given.embed, is_zip=given.zip is not None)


def told(made: Written) -> str:
    """Say what was written, and how large it is."""
    beside = f", and {counted(made.files, 'file')} with {size(made.total - made.size)}" if made.files else ""
    return f"{os.path.relpath(made.path)} is written: {size(made.size)}{beside}"
