"""simple_parsing: argparse for dataclasses; every boolean takes a word, every list all that follow."""

from __future__ import annotations

from experimentstash.freeze.calling.command_line import Dialect, only_text
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle


def _negation(option: str) -> str:
    return f"--no{option.lstrip('-')}"


DIALECT = Dialect(
    style=CallStyle.simple_parsing,
    possible=frozenset({"word", "value", "flag", "negatable", "spread", "json", "yaml", "dotted", "omit"}),
    is_greedy=True,
    loses_dashes=True,
    abbreviates=True,
    separator="_",
    check_text=only_text,
    negation=_negation,
)
STYLE = Style(CallStyle.simple_parsing, of_words(DIALECT.arguments))
