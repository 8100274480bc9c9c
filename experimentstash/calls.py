"""How a tool is called: what its registration says, and where that says nothing, what the tool itself declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experimentstash.calling import command_line, ways, words
from experimentstash.declared import program
from experimentstash.declared.program import Program
from experimentstash.errors import StashError
from experimentstash.schema import CallConfig, CallStyle

# Styles in which nothing of the tool's declarations is needed.
_OWN_WORDS = (CallStyle.hydra, CallStyle.file, CallStyle.arguments)
# What `options` writes is read by these, too.
_ALIKE = (CallStyle.argparse, CallStyle.click)


@dataclass(frozen=True)
class Calling:
    """What is known of a tool's command line."""

    call: CallConfig  # completed
    program: Program
    has_words: bool  # the entrypoint itself ends in words, such as a subcommand


def complete(call: CallConfig, directory: Path, entrypoint: Sequence[str]) -> Calling:
    """Return how a tool is called, with the ways that its source declares where the registration says nothing."""
    has_words = len(entrypoint) > (2 if entrypoint[0] == "-m" else 1)
    if call.style in _OWN_WORDS:
        return Calling(call, program.NOTHING, has_words)
    found = program.read(directory, entrypoint)
    if found.style is call.style or (call.style is CallStyle.options and found.style in _ALIKE):
        known = {command_line.canonical(str(key)) for key in call.ways}
        more = {key: _left(call, said) for key, said in found.declared.ways.items()}
        more = {key: said for key, said in more.items() if said and command_line.canonical(key) not in known}
        call = replace(call, ways={**more, **call.ways})
    return Calling(call, found, has_words)


def _left(call: CallConfig, said: Sequence[str]) -> list[str]:
    """Return what a declaration says that the registration doesn't say for all parameters."""
    taken = {*(ways.BOOLEAN if call.booleans else ()), *(ways.LIST if call.lists else ())}
    return [way for way in said if way not in taken and not ("/" in way and call.booleans)]


def refuse_lack_of_subcommand(calling: Calling, arguments: Sequence[str], where: str) -> None:
    """Refuse a call with which a tool would print its help and end, as if it had done its work."""
    declared = calling.program.declared
    if declared.needs_subcommand and calling.call.subcommand is None and not calling.has_words and not arguments:
        names = declared.subcommands
        raise StashError(
            f"{where}: the tool has subcommands ({', '.join(names)}), and none is given.",
            f"`call: {{subcommand: {names[0]}}}` there",
        )


def refuse_other_names(calling: Calling, params: Mapping[str, Any]) -> None:
    """Refuse parameters that are names of one option."""
    keys = {command_line.canonical(key): key for key, _ in words.flat(params)}
    for option in calling.program.declared.options:
        given = [keys[name] for name in map(command_line.canonical, (option.name, *option.aliases)) if name in keys]
        if len(set(given)) > 1:
            both = " and ".join(f"params.{key}" for key in dict.fromkeys(given))
            raise StashError(f"{both} are one option to the tool.", "keep one of them")


def refuse_other_number(calling: Calling, params: Mapping[str, Any]) -> None:
    """Refuse values that are more or fewer words than an option takes: the tool would read the others elsewhere."""
    numbers = {command_line.canonical(name): number for name, number in calling.program.declared.numbers.items()}
    spread = {command_line.canonical(str(key)) for key, said in calling.call.ways.items() if "spread" in _names(said)}
    for key, value in words.flat(params):
        number = numbers.get(command_line.canonical(key))
        if number is None or value is None or command_line.canonical(key) not in spread:
            continue
        given = len(value) if isinstance(value, (list, tuple)) else 1
        if given != number:
            raise StashError(
                f"params.{key}: {given} value{'s' if given != 1 else ''}, and the tool's option takes {number}.",
                f"give as many; if it does take others: `call: {{ways: {{{key}: filled}}}}`",
            )


def _names(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


def refuse_unused(unused: Sequence[str], asked: Sequence[str]) -> None:
    """Refuse parameters that a command line gives, and that nothing hands over: a sweep would run the same again.

    ``unused``: such parameters, as `params.x.y`; ``asked``: the overrides. What an organizer alone has is only noted.
    """
    keys = [override.lstrip("+").partition("=")[0] for override in asked if not override.startswith("~")]
    for name in unused:
        if any(name == key or name.startswith(f"{key}.") for key in keys):
            raise StashError(
                f"{name}: nothing hands it to the tool, which is called in the style `arguments`: it would have no"
                " effect.",
                f"use ${{{name}}} in `arguments` or the tool's `env`, or leave it out",
            )


def refuse_unheard(experiment: str | None, asked: Sequence[str], reaching: Sequence[str]) -> None:
    """Refuse an experiment that a sweep asks for and of which nothing reaches the tool: it would run the same again.

    ``asked``: the overrides; ``reaching``: all texts that the tool gets.
    """
    is_asked = any(override.lstrip("+").startswith("experiment=") for override in asked)
    if experiment and is_asked and not any(experiment in text for text in reaching):
        raise StashError(
            "experiment=…: the tool isn't told of it, since `call.experiment` isn't set.",
            "say in the tool's registration how it is: `call: {experiment: --name}`, say, or leave it out",
        )


def doubtful(calling: Calling, params: Mapping[str, Any]) -> list[str]:
    """Say of each parameter that the tool may have passed over, because it doesn't know it, that nobody can tell."""
    if not calling.program.declared.takes_unknown:
        return []
    return [
        f"params.{key}: the tool's source doesn't declare it, and passes over what it doesn't know: it may have had no"
        f" effect (if the tool takes it: `call: {{ways: {{{key}: word}}}}`)"
        for key in undeclared(calling, params)
    ]


def undeclared(calling: Calling, params: Mapping[str, Any]) -> list[str]:
    """Return the parameters that aren't among what the tool declares, if it declares anything."""
    options = [option for option in calling.program.declared.options if not option.is_positional]
    if not options or calling.program.style is not calling.call.style:
        return []
    known = {
        command_line.canonical(name)
        for name in (*(name for option in options for name in (option.name, *option.aliases)), *calling.call.ways)
    }
    keys = [key for key, _ in words.flat(params)]
    return [key for key in keys if not _prefixes(command_line.canonical(key)) & known]


def _prefixes(key: str) -> set[str]:
    """Return a dotted key and those that it lies in."""
    parts = key.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
