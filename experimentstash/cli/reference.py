"""The reference in docs/, made from what it tells of: ``python -m experimentstash.cli.reference docs/reference``.

settings.md is made from the schema, commands.md from the parsers of the verbs; docs/reference/ holds both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from experimentstash.base import files
from experimentstash.cli import parsing, verbs
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
    return f"- `{', '.join(names) or value}`: {_escaped(action.help or '')}"


def _escaped(text: str) -> str:
    """Return a plain text as Markdown shows it, what stands between backticks left as it is."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        for character in "\\*_<[|":
            parts[index] = parts[index].replace(character, f"\\{character}")
    return "`".join(parts)


if __name__ == "__main__":
    for page, make in PAGES.items():
        files.write(Path(sys.argv[1]) / page, make().encode())
