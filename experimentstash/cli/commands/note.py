"""``experimentstash note RUN… TEXT``: keeps what somebody notes of runs with them."""

from __future__ import annotations

import argparse
import os

from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, say
from experimentstash.base.redaction import contains_secret, find_secret
from experimentstash.cli.commands import choosing
from experimentstash.record import added
from experimentstash.runs.summary import count
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("note latest 'diverged after the warm-up'", "of a run"),
    ("note k3f9a2b 'for the appendix'", "of all of a sweep"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=choosing.NAME)
    parser.add_argument("text", metavar="TEXT", help="what to note; `show` has it, with the time")
    choosing.add_filters(parser)


def main(given: argparse.Namespace) -> int:
    """Add a note to runs."""
    stash = find_stash()
    text = given.text.strip()
    if not text or len(text) > added.LONGEST_NOTE:
        raise StashError(f"A note has some text, and at most {added.LONGEST_NOTE} characters.")
    if (secret := find_secret([text], os.environ)) is not None:
        raise contains_secret(secret, "The note")
    selected = choosing.meant(stash, given, "experimentstash note RUN TEXT")
    failed = 0
    for facts in selected.found:
        try:
            added.add_note(facts.run, stash.lock(added.LOCK), text)
        except StashError as error:
            complain(str(error))
            failed += 1
    if selected.found:
        say(f"noted of {count(len(selected.found) - failed)}")
    return 1 if failed or selected.unread else 0
