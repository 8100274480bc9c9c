"""argparse: how an option is written depends on its `add_argument` alone."""

from __future__ import annotations

from experimentstash.freeze.calling import ways
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.argparse,
    possible=frozenset(ways.EVERY),
    is_greedy=True,
    loses_dashes=True,
    abbreviates=True,
    has_short=True,
)
STYLE = Style(CallStyle.argparse, of_words(DIALECT.arguments))
