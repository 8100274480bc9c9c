"""The reference in docs/, made from what it tells of: ``python -m experimentstash.cli.reference docs/reference``.

settings.md is made from the schema, commands.md from the parsers of the verbs; docs/reference/ holds both. What Tab
has to know of them is made with it, as a module that is quick to import.
"""

from __future__ import annotations

import argparse
import pprint
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from experimentstash.base import files
from experimentstash.cli import parsing, verbs
from experimentstash.record.run import State
from experimentstash.stash import settings

_SETTINGS = """\
# Settings

Every setting, by where it stands in a file. On the command line a registration's settings begin with `tool.`, those of
a launcher with `hydra.launcher.`, and `experimentstash explain SETTING` prints what is said here. NAME stands for a
name of your own.
"""
_COMMANDS = """\
# Commands

All verbs, as `experimentstash VERB --help` tells of them. What isn't a verb is a command line of Hydra's:
`experimentstash +exp=NAME KEY=VALUE` is the same as `python -m experimentstash +exp=NAME KEY=VALUE`.
"""


def settings_page() -> str:
    """Return the reference of all settings, as Markdown."""
    return _page(_SETTINGS, (part for section in settings.SECTIONS for part in _section(section)))


def commands_page() -> str:
    """Return the reference of all verbs, as Markdown."""
    return _page(
        _COMMANDS,
        (part for group, those in verbs.GROUPS.items() for part in (f"## {group}", *map(_verb, those))),
    )


PAGES: Mapping[str, Callable[[], str]] = {"settings.md": settings_page, "commands.md": commands_page}


def _page(head: str, parts: Iterator[str]) -> str:
    return "\n\n".join([head.rstrip("\n"), *parts]) + "\n"


def _section(section: settings.Section) -> Iterator[str]:
    yield f"## {section.title}\n\nIn {section.file}."
    for setting in settings.of(section):
        about = f"### `{setting.key}`\n\n*{_escaped(setting.type)}*"
        about += "" if setting.is_needed else f", default `{setting.default_text}`"
        yield f"{about}\n\n{_escaped(setting.text)}"
        if setting.choices:
            said = (f"- `{value}`{f': {_escaped(text)}' if text else ''}" for value, text in setting.choices.items())
            yield "\n".join(said)


def _verb(verb: str) -> str:
    given, line = verbs.VERBS[verb]
    parser = parsing.parser(verb)
    parts = [f"### `experimentstash {f'{verb} {given}'.strip()}`", f"{line[0].upper()}{line[1:]}."]
    options = [_option(action) for action in vars(parser)["_actions"] if action.help != argparse.SUPPRESS]
    parts.append("\n".join(options))
    examples = [f"experimentstash {words}  # {what}" for words, what in parsing.command(verb).EXAMPLES]
    parts.append("\n".join(["```bash", *examples, "```"]))
    return "\n\n".join(parts)


def _option(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    if action.choices and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    names = [f"{name} {value}".strip() if name.startswith("--") else name for name in action.option_strings]
    return f"- `{', '.join(names) or value}`: {_escaped(_help(action))}"


def _help(action: argparse.Action) -> str:
    """Return an option's help as a parser prints it, which takes two percent signs for one."""
    return (action.help or "") % vars(action)


def _escaped(text: str) -> str:
    """Return a plain text as Markdown shows it, what stands between backticks left as it is."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        for character in "\\*_<[|":
            parts[index] = parts[index].replace(character, f"\\{character}")
    return "`".join(parts)


KNOWN_WORDS = Path(__file__).with_name("known_words.py")
_KNOWN_WORDS = '''"""What Tab knows of verbs and settings: made from these by cli/reference.py."""

# ruff: noqa
# fmt: off

from __future__ import annotations
'''


def known_words() -> str:
    """Return a module with all options, settings and states, each with what it takes and what is said of it."""
    options = {verb: dict(_known_options(verb)) for verb in verbs.VERBS}
    found = ((section.prefix, each) for section in settings.SECTIONS for each in settings.of(section))
    known = {f"{prefix}{each.key}": _known(each) for prefix, each in found}
    states = {state.value: "" for state in State}
    parts = (
        ("OPTIONS: dict[str, dict[str, tuple[str | None, tuple[str, ...], str]]]", options),
        ("SETTINGS: dict[str, tuple[str, tuple[str, ...], str]]", known),
        ("STATES: dict[str, str]", states),
    )
    laid_out = ((name, pprint.pformat(value, width=150, sort_dicts=False)) for name, value in parts)
    return _KNOWN_WORDS + "".join(f"\n{name} = {text}\n" for name, text in laid_out)


def _known_options(verb: str) -> Iterator[tuple[str, tuple[str | None, tuple[str, ...], str]]]:
    for action in vars(parsing.parser(verb))["_actions"]:
        if action.help == argparse.SUPPRESS:
            continue
        kind = None if action.nargs == 0 else str(action.metavar or action.dest.upper())
        for name in action.option_strings:
            yield name, (kind, tuple(map(str, action.choices or ())), _first_words(_help(action)))


def _known(setting: settings.Setting) -> tuple[str, tuple[str, ...], str]:
    is_truth = settings.optional(setting.hint)[0] is bool
    choices = ("true", "false") if is_truth else tuple(setting.choices)
    is_mapping = settings.words_for(setting.hint).startswith("mapping")
    is_told = not setting.is_needed and setting.default not in (None, "", [], {})
    default = "{}" if is_mapping else setting.default_text.strip('"') if is_told else ""
    return default, choices, _first_words(setting.text)


def _first_words(text: str) -> str:
    return textwrap.shorten(text.partition(". ")[0].rstrip("."), 70, placeholder=" …")


if __name__ == "__main__":
    files.write(KNOWN_WORDS, known_words().encode())
    for page, make in PAGES.items():
        files.write(Path(sys.argv[1]) / page, make().encode())
