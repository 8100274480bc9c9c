"""What a user means by a command line, put so that Hydra does it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from experimentstash.parameters import CHOICE
from experimentstash.redaction import contains_secret, find_secret, is_named_secret, is_secret_name, literal_secret
from experimentstash.workspace import Stash

# The options that make a sweep of a command line.
MULTIRUN = ("-m", "--multirun")
_EXP_GLOB = re.compile(r"\+?exp=['\"]?glob\(([^()]*)\)['\"]?")
_PARAMETER = re.compile(r"(?:\+\+?|~)?params[./]")


def meant(stash: Stash, argv: Sequence[str]) -> list[str]:
    """Return the arguments as Hydra must get them to do what they say.

    Hydra silently launches nothing for `+exp=glob(figure1/*)`, and ignores a launcher without -m.
    """
    arguments = [_dotted(_expanded(stash, word)) for word in argv if word not in MULTIRUN]
    launches = any(word.startswith("hydra/launcher=") and word != "hydra/launcher=basic" for word in arguments)
    is_plain = not any(word.startswith(("-", "hydra.mode=")) for word in arguments)
    if len(arguments) == len(argv) and not (launches and is_plain):
        return arguments
    return ["--multirun", *arguments]  # in front: argparse accepts no options between overrides


def _expanded(stash: Stash, word: str) -> str:
    pattern = _EXP_GLOB.fullmatch(word)
    return f"+exp={','.join(stash.matching_experiments(pattern[1]))}" if pattern else word


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
        key, _, value = word.partition("=")
        if _PARAMETER.match(key) and is_named_secret(key, value.strip("'\"")):
            raise contains_secret("a secret", key.lstrip("+"))
