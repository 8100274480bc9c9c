"""``experimentstash tag RUN… +NAME -NAME``: gives runs tags, and takes others away."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from experimentstash.base.errors import StashError
from experimentstash.base.output import complain
from experimentstash.base.patterns import regex
from experimentstash.base.redaction import contains_secret, find_secret
from experimentstash.cli.commands import choosing
from experimentstash.record import added
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("tag k3f9a2b +paper", "all runs of a sweep get a tag"),
    ("tag latest +good -draft", "another one goes"),
    ("tag --exp 'figure1/*' +paper", "whatever fits"),
)
_TAKEN = regex("-(?!h$)[^-].*")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=choosing.NAME)
    parser.add_argument("more", nargs="*", metavar="NAME", help="+NAME: a tag that they get")
    parser.add_argument("--remove", action="append", default=[], metavar="NAME", help="or -NAME: one that goes")
    choosing.add_filters(parser)


def rewritten(words: Sequence[str]) -> list[str]:
    """Return the words as argparse can read them: for it -NAME is an option, and ends the list of runs."""
    taken = [word for word in words if _TAKEN.fullmatch(word)]
    return [*(f"--remove={word[1:]}" for word in taken), *(word for word in words if word not in taken)]


def main(given: argparse.Namespace) -> int:
    """Change the tags of runs and print what they are then."""
    stash = find_stash()
    more = [word[1:] for word in given.runs if word.startswith("+")]
    given.runs = [word for word in given.runs if not word.startswith("+")]
    if not more and not given.remove:
        raise StashError("Which tags?", "experimentstash tag RUN +NAME -OTHER")
    for name in (*more, *given.remove):
        if (why := added.why_no_tag(name)) is not None:
            raise StashError(f"{name!r} can't be a tag: {why}.")
        if (secret := find_secret([name], os.environ)) is not None:
            raise contains_secret(secret, "The tag")
    selected = choosing.meant(stash, given, "experimentstash tag RUN +NAME")
    failed = False
    for facts in selected.found:
        try:
            added.change_tags(facts.run, stash.lock(added.LOCK), more, given.remove)
        except StashError as error:
            complain(str(error))
            failed = True
        else:
            print(f"{facts.run.id}: {', '.join(added.tags_of(facts.run)) or 'no tags'}")
    return 1 if failed or selected.unread else 0
