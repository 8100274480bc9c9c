"""Nothing but the organizer's `arguments`."""

from __future__ import annotations

from experimentstash.freeze.calling import literals
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallStyle


def _write(given: Given) -> Arguments:
    literals.refuse_settings(given.call)
    literals.refuse_ways(given.call)
    parameters.apart(given.params)  # refuses what has no one meaning
    return Arguments((*subcommand(given.call), *given.extra))


STYLE = Style(CallStyle.arguments, _write, settings=("subcommand",), asks_the_source=False)
