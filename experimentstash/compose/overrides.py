"""What a user means by a command line, put so that Hydra does it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from experimentstash.base.errors import CommandLineError, StashError
from experimentstash.base.patterns import regex
from experimentstash.base.quoting import quoted, why_unusable
from experimentstash.base.redaction import (
    contains_secret,
    find_named_secret,
    find_secret,
    is_secret_name,
    literal_secret,
)
from experimentstash.compose.command_line import CommandLine
from experimentstash.stash.layout import Stash, usable
from experimentstash.stash.parameters import CHOICE

_CHOICE = regex(r"(?P<key>\+{0,2}(?P<group>exp|tool)(?:@[^=]*)?)=(?P<value>.+)", re.DOTALL)
_PARAMETER = regex(r"(?:\+\+?|~)?params[./]")
_WHAT = {"exp": "experiment", "tool": "tool"}
# What opens something in Hydra's grammar that isn't a name.
_NO_NAME = regex(r"[\[\](){}'\"$]")


def normalized(stash: Stash, line: CommandLine) -> CommandLine:
    """Return a command line as Hydra must get it to do what it says.

    Hydra silently launches nothing for `+exp=glob(figure1/*)`, and ignores a launcher without -m.
    """
    overrides = tuple(_dotted(named(stash, word)) for word in line.overrides)
    launches = any(word.startswith("hydra/launcher=") and word != "hydra/launcher=basic" for word in overrides)
    return CommandLine(
        line.options, overrides, line.is_sweep or (launches and line.only_runs), line.only_runs, line.config_dir
    )


def named(stash: Stash, word: str) -> str:
    """Return a choice of experiments or tools with globs expanded, and with each name so that Hydra reads that name.

    What looks like a number, or like null, is a name here: of an experiment, nothing else can be meant.
    """
    match = _CHOICE.fullmatch(word)
    if match is None:
        return word
    pieces = list(_pieces(match["value"]))
    if "" in pieces and len(pieces) > 1:
        listed = ",".join(filter(None, pieces))
        raise CommandLineError(
            f"command line: {word} has a comma too many: there is no {_WHAT[match['group']]} without a name.",
            f"{match['key']}={listed}" if listed else None,
        )
    known = stash.experiments() if match["group"] == "exp" else stash.known_tools()
    value = match["value"]
    names = [value] if value in known else _names(stash, value, known, match["group"])
    if names is None:
        return word
    for name in names:
        if name in known and (why := why_unusable(name)) is not None:
            raise StashError(f"{match['group']}={name}: {why}.", "rename the file")
    return f"{match['key']}={','.join(map(quoted, names))}"


def _names(stash: Stash, value: str, known: Sequence[str], group: str) -> list[str] | None:
    """Return the names that a value stands for; None if it is something else, for Hydra to say or to do."""
    found: list[str] = []
    for piece in _pieces(value):
        parsed = _parsed(piece)
        if piece in known:
            found.append(piece)
        elif isinstance(parsed, Glob):
            found += _matching(stash, parsed, known, group)
        elif isinstance(parsed, str):
            found.append(parsed)
        elif piece and not _NO_NAME.search(piece):
            found.append(piece)
        else:
            return None
    return list(dict.fromkeys(found)) if any("glob(" in piece for piece in _pieces(value)) else found


def _matching(stash: Stash, pattern: Glob, known: Sequence[str], group: str) -> list[str]:
    found = usable(pattern.filter(list(known)), group)
    if not found:
        what, listed = ("experiment", stash.inventory()) if group == "exp" else ("tool", f"Tools: {', '.join(known)}")
        besides = f" but {', '.join(map(repr, pattern.exclude))}" if pattern.exclude else ""
        raise StashError(f"No {what} matches {', '.join(map(repr, pattern.include))}{besides}.\n{listed}")
    return found


def _pieces(value: str) -> Iterator[str]:
    """Yield what is between the commas of a value that aren't inside quotes or brackets."""
    depth, quote, begin = 0, "", 0
    escaped = False
    for at, character in enumerate(value):
        if quote:
            quote = "" if character == quote and not escaped else quote
        elif character in "'\"" and not escaped:
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and not depth:
            yield value[begin:at].strip()
            begin = at + 1
        escaped = character == "\\" and not escaped
    yield value[begin:].strip()


def _parsed(text: str) -> Any:
    """Return what Hydra reads in a value; None for nothing."""
    try:
        return OverridesParser.create().parse_override(f"key={text}").value()
    except (HydraException, ValueError, RecursionError):
        return None


def _dotted(word: str) -> str:
    """Return an override of a parameter as Hydra can read it, which knows no slash after a dot: that is a choice."""
    key, equals, value = word.partition("=")
    if "/" not in key or not _PARAMETER.match(key):
        return word
    choice = "" if "@" in key or key.startswith("~") else f".{CHOICE}"
    return key.replace("/", ".") + choice + equals + value


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuse a secret on the command line, before Hydra writes what it was given to disk."""
    variable = find_secret(arguments, os.environ)
    if variable is not None:
        raise contains_secret(variable)
    for word in arguments:
        literal = re.match(r"\+{0,2}tool\.env\.(\w+)=(?!['\"]?\$\{|null$)", word)
        if literal and is_secret_name(literal[1]):
            raise literal_secret(literal[1], "the command line")
        if (name := find_named_secret([word])) is not None:
            raise contains_secret("a secret", name)
