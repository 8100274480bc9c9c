"""``experimentstash tool remove TOOL``: take a tool out, with a backup."""

from __future__ import annotations

import argparse
import shlex

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.cli.asking import ask, can_ask
from experimentstash.cli.commands.tool.edge import commit_command
from experimentstash.stash import paths
from experimentstash.stash.layout import find_stash
from experimentstash.tools import removing
from experimentstash.tools.removing import Removal

EXAMPLES = (
    ("tool remove umap", "if nothing of it is lost"),
    ("tool remove umap --force --yes", "whatever it has"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="TOOL")
    parser.add_argument("--force", action="store_true", help="even if it has work that exists only here")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
    agree = None if given.yes else _ask
    removed = removing.remove(stash, given.name, force=given.force, agree=agree, report=say)
    if removed is None:
        say("nothing was removed")
        return 1
    print(f"{given.name} is removed; its backup is {stash.relative(removed.backup)}")
    if removed.removal.others:
        print(f"  the checkout {removed.removal.checkout} stays: {', '.join(removed.removal.others)} lies in it too")
    if removed.removal.experiments:
        print(f"  with it went {', '.join(removed.removal.experiments)}")
    if removed.removal.runs:
        print(f"  what it has run ({removed.removal.runs}) stays")
    if given.yes:  # else it was said before
        for line in removed.removal.frozen:
            print(f"  {line}")
    print(f"Bring it back: experimentstash tool restore {shlex.quote(removed.backup.name)}")
    if removed.to_add:
        print(f"Keep that:     git add {shlex.join(f':/{path}' for path in removed.to_add)}, and commit it")
    print(f"Commit it:     {commit_command(f'Remove the tool {given.name}', removed.to_commit)}")
    return 0


def _ask(removal: Removal) -> bool:
    if removal.others:
        say(f"its checkout {removal.checkout} stays, because {', '.join(removal.others)} lies in it too")
    if removal.experiments:
        say(f"these organizers depend on {removal.name} and go into the backup: {', '.join(removal.experiments)}")
    if removal.runs:
        say(f"runs made with it: {removal.runs}; they stay, but their code can no longer be looked at here")
    for line in removal.frozen:
        say(line)
    for line in removal.work:
        say(f"only here, and in the backup then: {line}")
    if not can_ask():
        raise StashError(f"Removing {removal.name!r} needs a confirmation, and there is no terminal.", "--yes")
    return ask(f"Remove {removal.name} (it can be restored from {paths.BACKUPS}/) [y/N]?").lower() in ("y", "yes")
