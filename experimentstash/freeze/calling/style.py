"""What a style of calling a tool is: how it writes parameters, and what of a registration and a source it minds.

Each style is a file beside this one, called by its name in `CallStyle`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.freeze.declared.kinds import Reading
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallConfig, CallStyle

if TYPE_CHECKING:
    from experimentstash.freeze.notebooks.source import Notebook

OF_OPTIONS = ("subcommand", "experiment", "output", "ways", "lists", "booleans", "mappings", "nulls", "joined")


@dataclass(frozen=True)
class Given:
    """What is handed over, and between which places."""

    call: CallConfig
    experiment: str | None
    params: Mapping[str, Any]  # plain Python values
    extra: Sequence[str]  # comes last, as it is
    run_directory: Path
    tool_directory: Path
    stash_root: Path
    notebook: Notebook | None = None  # that is its entrypoint


@dataclass(frozen=True)
class Arguments:
    """What a tool is called with."""

    argv: tuple[str, ...]  # after the entrypoint
    files: Mapping[str, str] = field(default_factory=dict)  # name in the run directory → text
    variables: Mapping[str, str] = field(default_factory=dict)  # of its environment
    unset: Sequence[str] = ()  # variables that it must not inherit
    # What of its parameters a template has read, as `params.a.b`; None: all that there are.
    read: frozenset[str] | None = None
    tells_experiment: bool = False  # a template has read its experiment


@dataclass(frozen=True)
class Style:
    """A style: ``write`` raises StashError for what it can't express."""

    name: CallStyle
    write: Callable[[Given], Arguments]
    settings: Sequence[str] = OF_OPTIONS  # of `call`, those that it heeds
    asks_the_source: bool = True  # what the tool declares says how values are written
    also_reads: Sequence[CallStyle] = ()  # whose declarations say it, too
    is_of_options: bool = (
        True  # its parameters are the options that the tool declares; else they are in a configuration
    )
    knows_types: bool = True  # where a value is no text, that is to be seen
    has_marks: bool = False  # a key may have + or ~ in front
    reading: Reading = Reading.words  # how the tool reads a value


Writer = Callable[[CallConfig, "str | None", Mapping[str, Any], Sequence[str], Path], "list[str]"]


def of_words(arguments: Writer) -> Callable[[Given], Arguments]:
    """Return the ``write`` of a style that hands over words alone, and knows no more than where the tool writes."""

    def write(given: Given) -> Arguments:
        params = parameters.apart(given.params)
        return Arguments(tuple(arguments(given.call, given.experiment, params, given.extra, given.run_directory)))

    return write
