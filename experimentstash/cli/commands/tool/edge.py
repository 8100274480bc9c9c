"""What the verbs that act on tools say to the person at the terminal in the same way."""

from __future__ import annotations

import shlex

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.stash.layout import Stash
from experimentstash.tools.recovery import put_in_order


def commit_command(message: str, paths: tuple[str, ...]) -> str:
    """Return the command that commits what a verb has changed."""
    return f"git commit -m {shlex.quote(message)} -- {shlex.join(f':/{path}' for path in paths)}"


def try_to_put_in_order(stash: Stash) -> bool:
    """Put in order what a killed command left; where that can't be done all else that doesn't need it is still done."""
    try:
        put_in_order(stash, say)
    except StashError as error:
        say(f"warning: {error}")
        return False
    return True
