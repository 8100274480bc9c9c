"""What is to be added as a tool, and who is asked where the files don't tell."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters.git.nested import LeftOut
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.names import Url
from experimentstash.stash.layout import Stash
from experimentstash.tools.detect.detection import Detection

# Asks for one of several entrypoints; the second function says what is wrong with an answer.
Choose = Callable[[Detection, Callable[[str], StashError | None]], str]
# Asks for one of several subcommands.
ChooseSubcommand = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Request:
    """What is to be added."""

    stash: Stash
    project: Superproject
    name: str
    source: Url
    branch: str | None
    commit: str | None
    inner: str  # the subdirectory; "": the repository itself
    without: LeftOut
    entrypoint: str | None
    choose: Choose | None
    interpreter: Path | None  # one that is there already; None: an environment is made
    subcommand: str | None
    choose_subcommand: ChooseSubcommand | None

    def again(self, words: str) -> str:
        """Return the command that adds it with further words, for a shell."""
        where = f" --subdirectory {shlex.quote(self.inner)}" if self.inner else ""
        return f"experimentstash tool add {self.name} {shlex.quote(self.source.text)}{where} {words}"
