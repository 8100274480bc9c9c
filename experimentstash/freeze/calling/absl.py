"""absl.flags: `--key=value`. A word after a boolean would be a positional; a list is CSV, or repeats its flag."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle


def _negation(option: str) -> str:
    return f"--no{option.lstrip('-')}"


def comma(texts: Sequence[str], name: str) -> str:
    """Return a list as DEFINE_list reads it: one line of CSV, from whose elements it strips white space."""
    for index, text in enumerate(texts):
        if text != text.strip():
            raise StashError(
                f"{name}[{index}] is {text!r}, from which absl strips the white space.",
                "use DEFINE_multi_string in the tool",
            )
    quoted = ['"' + text.replace('"', '""') + '"' if any(each in text for each in ',"\r\n') else text for text in texts]
    return ",".join(quoted) if quoted != [""] else '""'


DIALECT = Dialect(
    style=CallStyle.absl,
    possible=frozenset(
        {"word", "value", "negatable", "comma", "repeat", "json", "yaml", "python", "dotted", "omit", "omit_empty"}
    ),
    is_joined=True,
    other_modes=frozenset({"helpfull", "helpshort", "helpxml", "only_check_args"}),
    negation=_negation,
    comma=comma,
)
STYLE = Style(CallStyle.absl, of_words(DIALECT.arguments))
