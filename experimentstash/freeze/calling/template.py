"""The tool's own input file, rendered from a template: Fortran namelists, LAMMPS' scripts, XML, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import literals, rendering, words
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallStyle

INPUT = "EXPERIMENTSTASH_INPUT"  # tells the tool the path of what was rendered, too
_NAME = regex(r"[^/\0.][^/\0]*")
_OURS = regex(r"wandb|run\.json.*|output.*\.log|packages\.txt|.*\.patch")


def _write(given: Given) -> Arguments:
    call = given.call
    literals.refuse_settings(call)
    literals.refuse_ways(call)
    params = words.nested(parameters.apart(given.params))
    path = _place(given)
    name = call.file if call.file is not None else path.name.removesuffix(".j2").removesuffix(".jinja")
    if not _NAME.fullmatch(name) or not name.isprintable() or _OURS.fullmatch(name):
        raise StashError(
            f"call.file: {name!r} can't be the name of the input in the run directory.", "write `input.in`"
        )
    text, read = rendering.render(path, params, given.experiment, given.run_directory)
    target = str(given.run_directory / name)
    said = ["{file}"] if call.words is None else call.words
    if said and not any("{file}" in word for word in said):
        raise StashError("call.words: none of them is the path of the input.", "write `words: ['-in', '{file}']`, say")
    told = [word.replace("{file}", target) for word in said]
    return Arguments(
        (*subcommand(call), *told, *given.extra),
        {name: text},
        {INPUT: target},
        read=frozenset(read),
        tells_experiment="experiment" in read,
    )


def _place(given: Given) -> Path:
    """Return the template: of the tool's own, as of the code that runs, or of the stash's."""
    name = given.call.template
    if not name:
        raise StashError("call.template: the style `template` needs one.", "write `template: input.in.j2`")
    places = [Path(os.path.normpath(base / name)) for base in (given.tool_directory, given.stash_root)]
    for base, place in zip((given.tool_directory, given.stash_root), places, strict=True):
        if not place.is_relative_to(base):
            raise StashError(f"call.template: {name} leads out of the tool and the stash.", "keep it in one of them")
    found = list(dict.fromkeys(place for place in places if place.is_file()))
    if not found:
        raise StashError(f"call.template: there is no {name}, neither in the tool nor in the stash.", "fix its path")
    if len(found) > 1:
        raise StashError(f"call.template: {name} is in the tool and in the stash.", "rename one of them")
    return found[0]


STYLE = Style(CallStyle.template, _write, settings=("subcommand", "template", "file", "words"), asks_the_source=False)
