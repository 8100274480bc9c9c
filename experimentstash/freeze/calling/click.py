"""click: an option takes a fixed number of words; whether a boolean is a flag, a pair or a word is declared."""

from __future__ import annotations

from experimentstash.freeze.calling import ways
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(style=CallStyle.click, possible=frozenset(ways.EVERY) - {"nonempty"}, has_short=True)
STYLE = Style(CallStyle.click, of_words(DIALECT.arguments))
