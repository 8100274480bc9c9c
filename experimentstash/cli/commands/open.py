"""``experimentstash open RUN [FILE]``: shows a run's directory, or a file of it, as this desktop opens such things."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.base.process import run
from experimentstash.cli.commands import choosing
from experimentstash.runs import inside, naming
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("open latest", "its directory"),
    ("open k3f9a2b-7 figure.png", "a file of it"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_one(parser)
    parser.add_argument("file", nargs="?", metavar="FILE", help="a file in its directory")


def main(given: argparse.Namespace) -> int:
    """Open the directory of a run or a sweep, or a file in it; without a desktop its path is printed."""
    path = inside.path_of(naming.find(find_stash(), given.run), given.file)
    opener = _opener()
    if opener is None:
        print(path)
        say("there is nothing here to open it with (no display, or no xdg-open)")
        return 0
    done = run([*opener, str(path)], check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StashError(f"{path} can't be opened: {shlex.join(opener)}: {why}")
    return 0


def _opener() -> list[str] | None:
    """Return the command that opens files here; None if there is none."""
    if sys.platform == "darwin":
        return ["open"]
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return None
    for words in (["xdg-open"], ["gio", "open"], shlex.split(os.environ.get("BROWSER", "").partition(os.pathsep)[0])):
        if words and shutil.which(words[0]) is not None:
            return words
    return None
