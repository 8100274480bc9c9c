"""What a user means by a command line, put so that Hydra does it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser

from experimentstash.redaction import contains_secret, find_secret, is_secret_name, literal_secret
from experimentstash.workspace import Stash

# The options that make a sweep of a command line.
MULTIRUN = ("-m", "--multirun")
_EXP_GLOB = re.compile(r"\+?exp=['\"]?glob\(([^()]*)\)['\"]?")
_SWEPT_EXP = re.compile(r"\+?exp=(.*,|choice\(|glob\()")


def meant(stash: Stash, argv: Sequence[str]) -> list[str]:
    """Return the arguments as Hydra must get them to do what they say.

    Hydra silently launches nothing for `+exp=glob(figure1/*)`, and ignores a launcher without -m.
    """
    arguments = [_expanded(stash, word) for word in argv if word not in MULTIRUN]
    launches = any(word.startswith("hydra/launcher=") and word != "hydra/launcher=basic" for word in arguments)
    is_plain = not any(word.startswith(("-", "hydra.mode=")) for word in arguments)
    if len(arguments) == len(argv) and not (launches and is_plain):
        return arguments
    if any(_SWEPT_EXP.match(word) for word in arguments):
        arguments = [_per_job(word) for word in arguments]
    return ["--multirun", *arguments]  # in front: argparse accepts no options between overrides


def _expanded(stash: Stash, word: str) -> str:
    pattern = _EXP_GLOB.fullmatch(word)
    return f"+exp={','.join(stash.matching_experiments(pattern[1]))}" if pattern else word


def _per_job(word: str) -> str:
    """Return an override of a parameter so that it is applied after each job's experiment has been chosen.

    Hydra applies what isn't swept to the configuration without any swept experiment: there the key doesn't exist yet.
    """
    if not word.startswith("params."):
        return word
    override = OverridesParser.create().parse_override(word)
    value = override.get_value_string()
    return word if override.is_sweep_override() or not value else f"{override.key_or_group}=choice({value})"


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuse a secret on the command line, before Hydra writes what it was given to disk."""
    variable = find_secret(arguments, os.environ)
    if variable is not None:
        raise contains_secret(variable)
    for word in arguments:
        literal = re.match(r"\+{0,2}tool\.env\.(\w+)=(?!['\"]?\$\{|null$)", word)
        if literal and is_secret_name(literal[1]):
            raise literal_secret(literal[1], "the command line")
