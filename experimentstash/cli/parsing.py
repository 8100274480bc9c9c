"""Each verb's own part of the command line, as its file in `commands` describes it."""

from __future__ import annotations

import argparse
import importlib
import shutil
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.interrupts import ending_at_once
from experimentstash.cli.verbs import VERBS

# Wider lines are hard to read.
_WIDTH = 80


class Parser(argparse.ArgumentParser):
    """A verb's parser, which says what is wrong as everything else here does."""

    def error(self, message: str) -> NoReturn:
        raise StashError(f"{self.prog}: {message}.", f"{self.prog} --help")

    @property
    def options(self) -> dict[str, argparse.Action]:
        """What each option does, by each of its names."""
        return self._option_string_actions


def command(verb: str) -> ModuleType:
    """Return a verb's file, imported."""
    with ending_at_once():
        return importlib.import_module(f"experimentstash.cli.commands.{verb.replace(' ', '.').replace('-', '_')}")


def parser(verb: str) -> Parser:
    """Return the parser of what follows a verb."""
    module = command(verb)
    _, line = VERBS[verb]
    columns = min(shutil.get_terminal_size().columns, _WIDTH)
    made = Parser(
        prog=f"experimentstash {verb}",
        description=f"{line[0].upper()}{line[1:]}.",
        epilog=f"examples:\n{_laid_out(module.EXAMPLES)}",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=columns),
    )
    vars(made)["color"] = False  # Python 3.14 paints help by itself, whatever --color says
    module.configure(made)
    return made


def read(verb: str, words: Sequence[str]) -> argparse.Namespace:
    """Return what follows a verb, parsed, and as it was written in `words`. StashError if it has no meaning."""
    made = parser(verb)
    rewritten = getattr(command(verb), "rewritten", list)
    given, unknown = made.parse_known_args(_with_dashes(rewritten(words)))
    if unknown:
        raise StashError(
            f"{made.prog}: unrecognized arguments: {' '.join(unknown)}.{did_you_mean(unknown[0], made.options)}",
            f"{made.prog} --help",
        )
    given.words = list(words)
    return given


def _laid_out(examples: Sequence[tuple[str, str]]) -> str:
    """Return commands, and what they do, in two columns."""
    column = max(len(words) for words, _ in examples)
    return "\n".join(f"  experimentstash {words:<{column}}  {what}" for words, what in examples)


def _with_dashes(words: Sequence[str]) -> list[str]:
    """Join options with values that argparse would take for others: `--entrypoint -m a.b`, `--sort -loss`."""
    joined: list[str] = []
    for word in words:
        is_module = word.startswith("-m ") and joined and joined[-1].startswith("--") and "=" not in joined[-1]
        if is_module or (word.startswith("-") and joined[-1:] == ["--sort"]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
