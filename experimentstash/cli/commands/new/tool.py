"""``experimentstash new tool NAME [DIR]``: make a directory of the stash a tool."""

from __future__ import annotations

import argparse
from pathlib import Path

from experimentstash.base.output import say
from experimentstash.cli.commands.tool.edge import commit_command
from experimentstash.stash import paths
from experimentstash.stash.layout import find_stash
from experimentstash.tools import adding_directory

EXAMPLES = (
    ("new tool plots", "what is in tools/plots"),
    ("new tool a tools/b --entrypoint c.py", "another directory"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME", help="what it shall be called here")
    parser.add_argument("directory", metavar="DIR", nargs="?", help="where it is (default: tools/NAME)")
    parser.add_argument("--entrypoint", metavar="E", help="how it is started: '-m package.module', file.py, executable")


def main(given: argparse.Namespace) -> int:
    """Register the tool, and say what was found."""
    stash = find_stash()
    directory = stash.root / paths.TOOLS / given.name if given.directory is None else Path.cwd() / given.directory
    added = adding_directory.add(stash, given.name, directory, given.entrypoint, say)
    print(f"{given.name}: {stash.relative(directory)}")
    print(f"  started by    {added.entrypoint}")
    print(f"  registration  {stash.relative(added.registration)}")
    print(f"  example       {stash.relative(added.organizer)}")
    print(f"  would execute {added.command}" if added.command else f"  needs         {', '.join(added.needs)}")
    print(f"Run it:    experimentstash run {added.experiment}")
    print(f"Commit it: {commit_command(f'Add the tool {given.name}', added.to_commit)}")
    return 0
