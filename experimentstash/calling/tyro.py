"""tyro: types say it all. `None` is null to whatever may be null; the negation of a nested option stands inside it."""

from __future__ import annotations

from experimentstash.calling.command_line import Dialect
from experimentstash.errors import StashError
from experimentstash.schema import CallStyle


def _negation(option: str) -> str:
    *outer, last = option.lstrip("-").split(".")
    return "--" + ".".join([*outer, f"no-{last}"])


def _check_text(text: str, name: str) -> None:
    if text == "None":
        raise StashError(
            f"{name} is the string 'None', which tyro takes for null where that may be.",
            "give null, or say that it may not: `call: {ways: {KEY: word}}`",
        )


DIALECT = Dialect(
    style=CallStyle.tyro,
    possible=frozenset({"word", "flag", "negatable", "python", "spread", "repeat", "dotted", "omit", "omit_empty"}),
    usual={"boolean": "negatable", "list": "spread", "null": "python", "mapping": "dotted"},
    boolean_elements="python",
    is_greedy=True,
    separator="-",
    negation=_negation,
    check_text=_check_text,
)
arguments = DIALECT.arguments
