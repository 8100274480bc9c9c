"""The commands of a registration's `build:`, checked; and `{build}`, which stands for a directory of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.stash.schema import ToolConfig

PLACEHOLDER = "{build}"
# The word of a command that is for a shell: {shell: "make && make install"}.
_SHELL = "shell"
_SH = ("sh", "-e", "-c")
# Where the commands find the place of the build, too.
VARIABLE = "EXPERIMENTSTASH_BUILD"
_FORM = 'write each command as a list of its words, build: [[make, -j4]], or for a shell build: [{shell: "make -j4"}]'

Command = tuple[str, ...]


def read(tool: ToolConfig, where: str) -> tuple[Command, ...]:
    """Return the commands that make a tool ready, without a shell unless one was asked for.

    StashError for what is none; ``where`` is the registration.
    """
    return tuple(_command(each, where) for each in tool.build)


def _command(given: Any, where: str) -> Command:
    if isinstance(given, dict) and [*given] == [_SHELL] and isinstance(given[_SHELL], str) and given[_SHELL].strip():
        return (*_SH, given[_SHELL])
    if not isinstance(given, (list, tuple)) or not given:
        raise StashError(f"{where}: build: {_shown(given)} is no command.", _FORM)
    words = [each if isinstance(each, str) else str(each) for each in given if _is_word(each)]
    if len(words) < len(given) or not words[0] or any("\0" in word for word in words):
        raise StashError(f"{where}: build: {_shown(given)} is no command: its words are texts or numbers.", _FORM)
    return tuple(words)


def _is_word(given: Any) -> bool:
    return isinstance(given, (str, int, float)) and not isinstance(given, bool)


def _shown(given: Any) -> str:
    try:
        text = json.dumps(given, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(given)
    return text if len(text) <= 80 else f"{text[:79]}…"


def at(command: Command, place: str) -> Command:
    """Return a command for which `{build}` is this place; a shell is told by a variable, which it can quote."""
    if is_for_shell(command):
        return (*_SH, command[3].replace(PLACEHOLDER, f"${{{VARIABLE}}}"))
    return tuple(word.replace(PLACEHOLDER, place) for word in command)


def is_for_shell(command: Command) -> bool:
    """Tell whether a command is a text for a shell, its last word."""
    return len(command) == len(_SH) + 1 and command[:-1] == _SH


def names_place(commands: Iterable[Command]) -> bool:
    """Tell whether one of these commands speaks of the directory that the build has for itself."""
    return any(PLACEHOLDER in word for command in commands for word in command)
