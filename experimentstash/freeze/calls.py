"""How a tool is called: what its registration says, and where that says nothing, what the tool itself declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.base.errors import StashError
from experimentstash.freeze.calling import command_line, ways, words
from experimentstash.freeze.calling.arguments import style_of
from experimentstash.freeze.declared import kinds, program
from experimentstash.freeze.declared.kinds import Kind, Reading
from experimentstash.freeze.declared.program import Program
from experimentstash.stash.schema import CallConfig, CallStyle


@dataclass(frozen=True)
class Calling:
    """What is known of a tool's command line."""

    call: CallConfig  # completed
    program: Program
    has_words: bool  # the entrypoint itself ends in words, such as a subcommand
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # the types of options, by canonical name


def complete(call: CallConfig, directory: Path, entrypoint: Sequence[str]) -> Calling:
    """Return how a tool is called, with the ways that its source declares where the registration says nothing."""
    has_words = len(entrypoint) > (2 if entrypoint[0] == "-m" else 1)
    style = style_of(call.style)
    if not style.asks_the_source:
        return Calling(call, program.NOTHING, has_words)
    found = program.read(directory, entrypoint)
    if found.style not in (call.style, *style.also_reads):
        return Calling(call, found, has_words)
    declared = {**{option.name: option.ways for option in found.declared.of_library}, **found.declared.ways}
    said = {command_line.canonical(str(key)): _names(way) for key, way in call.ways.items()}
    # Who says another way than the source says that it is read wrongly there.
    of_options = {
        key: kind
        for key, kind in found.declared.kinds.items()
        if said.get(command_line.canonical(key)) in (None, [*declared.get(key, ())])
    }
    more = {key: _left(call, way) for key, way in declared.items() if command_line.canonical(key) not in said}
    given = {**{key: way for key, way in more.items() if way}, **call.ways}
    # Of a list whose elements have a known type, the texts are known to be such.
    lists = {key for key in of_options if key in given and {*_names(given[key])} & {*ways.LIST}}
    given |= {key: [*_names(given[key]), *ways.WORD] for key in lists}
    return Calling(
        replace(call, ways=given), found, has_words, {_by(call.style, key): kind for key, kind in of_options.items()}
    )


def _by(style: CallStyle, key: str) -> str:
    """Return the name under which a parameter is given for an option."""
    return command_line.canonical(key) if style_of(style).is_of_options else key


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


def refuse_other_type(calling: Calling, params: Mapping[str, Any]) -> None:
    """Refuse values that the tool would read as something else than they are, by the types that it declares."""
    reading = style_of(calling.call.style).reading
    for key, value in _nodes(words.nested(params), ""):
        kind = calling.kinds.get(_by(calling.call.style, key))
        if kind is None or _is_said(calling.call, key, value):
            continue
        sort = "a list" if isinstance(value, (list, tuple)) else "a mapping" if isinstance(value, Mapping) else None
        name, shown = f"params.{key}", sort or words.yaml_text(value, key)
        if kinds.arrives(kind, value, reading):
            if _can_be_said(_way(calling.call, key), value):
                continue
            raise StashError(
                f"{name} is {shown}, which can't be said to the tool: its option takes {kind}, but not so.",
                "leave it out, or change the tool",
            )
        if any(kinds.arrives(each, value, Reading.exact) for each in kind.members):
            raise StashError(
                f"{name} is {shown}, which the tool would take for something else: its option takes {kind}.",
                "give what can't be taken for another, or change the tool's declaration",
            )
        raise StashError(
            f"{name} is {shown}, which isn't what the tool takes there: its option takes {kind}.",
            _suggested(kind, key, value, reading),
        )


def _is_said(call: CallConfig, key: str, value: Any) -> bool:
    """Tell whether the registration says for all parameters how such a value is written, or null by leaving it out."""
    sort = "null" if value is None else {bool: "boolean", list: "list", dict: "mapping"}.get(type(value), "")
    own = _way(call, key)
    return sort in ways.settings(call) or (value is None and "omit" in own) or (value == [] and "omit_empty" in own)


def _way(call: CallConfig, key: str) -> list[Any]:
    """Return the ways that a parameter has."""
    return next(
        (_names(way) for name, way in call.ways.items() if _by(call.style, str(name)) == _by(call.style, key)), []
    )


def _can_be_said(way: Sequence[Any], value: Any) -> bool:
    """Tell whether a value that an option takes can be written for it, with the ways that its declaration says."""
    if value is None:
        return bool({*way} & {*ways.WHOLE})
    if isinstance(value, Mapping):
        return bool({*way} & {*ways.WHOLE, *ways.MAPPING})
    return value != [] or "repeat" not in way


def _nodes(params: Mapping[Any, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values, those that are mappings included."""
    for key, value in params.items():
        text = path + words.word(key, "a key of params")
        yield text, value
        if isinstance(value, Mapping):
            yield from _nodes(value, f"{text}.")


def _suggested(kind: Kind, key: str, value: Any, reading: Reading) -> str:
    """Say what could be written instead."""
    if value is None or isinstance(value, (list, tuple, Mapping)):
        return f"give {kind}, or leave it out"
    read = _number(value) if isinstance(value, str) else words.word(value, key)
    for other in (read, [value], [read]):
        if kinds.arrives(kind, other, reading) and kind.rest != kinds.list_of(kinds.BOOLEAN):
            return f"`{key}: {words.yaml_text(other, key)}`"
    return f"give {kind}"


def _number(text: str) -> Any:
    """Return the number that a text says, or else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _names(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


def not_handed_over(style: CallStyle) -> str:
    """Say why parameters have no effect of which a tool isn't told."""
    if style is CallStyle.template:
        return "recorded, but neither the template nor `arguments` or the tool's `env` name it"
    return "recorded, but the style `arguments` hands over only what `arguments` or the tool's `env` name"


def refuse_unused(unused: Sequence[str], asked: Sequence[str], style: CallStyle) -> None:
    """Refuse parameters that a command line gives, and that nothing hands over: a sweep would run the same again.

    ``unused``: such parameters, as `params.x.y`; ``asked``: the overrides. What an organizer alone has is only noted.
    """
    keys = [override.lstrip("+").partition("=")[0] for override in asked if not override.startswith("~")]
    for name in unused:
        if any(name == key or name.startswith(f"{key}.") for key in keys):
            raise StashError(
                f"{name}: nothing hands it to the tool, which is called in the style `{style.value}`: it would have no"
                " effect.",
                f"use {{{{ {name} }}}} in the template, or leave it out"
                if style is CallStyle.template
                else f"use ${{{name}}} in `arguments` or the tool's `env`, or leave it out",
            )


def refuse_no_texts(found: Sequence[tuple[str, str, Any]]) -> None:
    """Refuse values of which an interpolation would make a text: there are several for one, and the tool reads one."""
    for where, key, value in found:
        if value is None or isinstance(value, bool):
            shown = words.word(value, key) if value is not None else "null"
            hint = f"write the text that the tool reads: `{key}: '{value}'`, or `'{shown}'`"
        else:
            shown = "a list" if isinstance(value, Sequence) else "a mapping"
            hint = (
                f"name what is in it: `${{{key}.{0 if isinstance(value, Sequence) else 'KEY'}}}`, or write a text there"
            )
        raise StashError(f"{where}: {key} is {shown}, which isn't a text, and could be written as several.", hint)


def is_asked_for(asked: Sequence[str]) -> bool:
    """Tell whether overrides ask for an experiment of the tool's."""
    return any(override.lstrip("+").startswith("experiment=") for override in asked)


def doubtful(calling: Calling, params: Mapping[str, Any]) -> list[str]:
    """Say of each parameter that the tool may have passed over, because it doesn't know it, that nobody can tell."""
    if not calling.program.declared.takes_unknown:
        return []
    if calling.call.style is CallStyle.notebook:
        return [
            f"params.{key}: the notebook's tagged cell doesn't assign it, so it may have had no effect"
            for key in undeclared(calling, params)
        ]
    return [
        f"params.{key}: the tool's source doesn't declare it, and passes over what it doesn't know: it may have had no"
        f" effect (if the tool takes it: `call: {{ways: {{{key}: word}}}}`)"
        for key in undeclared(calling, params)
    ]


def untyped(call: CallConfig, params: Mapping[str, Any]) -> list[str]:
    """Say which parameters the tool's own configuration file gives their type, which isn't read here."""
    if style_of(call.style).knows_types:
        return []
    keys = [key for key, value in words.flat(params) if isinstance(value, (bool, list)) and not key.startswith("-")]
    unsure = [key for key in keys if key not in call.ways]
    if not unsure:
        return []
    return [
        f"params.{', params.'.join(unsure)}: the tool's configuration file says of what type that is, which isn't known"
        " here; what is a text there has got the text of the value"
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
