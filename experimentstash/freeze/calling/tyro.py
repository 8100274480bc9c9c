"""tyro: types say it all. `None` is null to whatever may be null; the negation of a nested option stands inside it."""

from __future__ import annotations

from experimentstash.freeze.calling.command_line import Dialect, only_text
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle


def _negation(option: str) -> str:
    *outer, last = option.lstrip("-").split(".")
    return "--" + ".".join([*outer, f"no-{last}"])


DIALECT = Dialect(
    style=CallStyle.tyro,
    possible=frozenset({"word", "flag", "negatable", "python", "spread", "repeat", "dotted", "omit", "omit_empty"}),
    usual={"mapping": "dotted"},
    boolean_elements="python",
    is_greedy=True,
    separator="-",
    negation=_negation,
    check_text=only_text,
)
STYLE = Style(CallStyle.tyro, of_words(DIALECT.arguments))
