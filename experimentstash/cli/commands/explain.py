"""``experimentstash explain [SETTING…]``: what a setting means, from the same source as the reference in docs/."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from fnmatch import fnmatchcase

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.stash import settings
from experimentstash.stash.settings import Section, Setting

# Wider lines are hard to read.
_WIDTH = 80

EXAMPLES = (
    ("explain timeout", "one setting"),
    ("explain tool.call", "a mapping, with all that is in it"),
    ("explain '*time*'", "those whose keys match"),
    ("explain", "the keys of all"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument(
        "setting", nargs="*", metavar="SETTING", help="its key, as in a file or on the command line (default: all)"
    )


def main(given: argparse.Namespace) -> int:
    """Print what is known of settings."""
    if not given.setting:
        print("\n\n".join(_listed(section) for section in settings.SECTIONS))
        return 0
    width = min(shutil.get_terminal_size().columns, _WIDTH)
    print(*dict.fromkeys(told(*each, width) for key in given.setting for each in find(key)), sep="\n\n")
    return 0


def find(key: str) -> list[tuple[Section, Setting]]:
    """Return the settings that are meant by a key: in full, as it stands in a file, its last words, or a pattern."""
    everything = [(section, setting) for section in settings.SECTIONS for setting in settings.of(section)]
    for is_meant in (_is_full, _is_in_file, _is_end):
        found = [(section, setting) for section, setting in everything if is_meant(key, section, setting)]
        if found:
            return found
    known = [f"{section.prefix}{setting.key}" for section, setting in everything]
    meant = did_you_mean(key, [*known, *(setting.key for _, setting in everything)])
    raise StashError(f"There is no setting {key!r}.{meant}", "experimentstash explain lists them all")


def told(section: Section, setting: Setting, width: int = _WIDTH) -> str:
    """Return what is known of a setting, in lines of so many characters."""
    full = f"{section.prefix}{setting.key}"
    head = f"{full}: {setting.type}{'' if setting.is_needed else f' (default: {setting.default_text})'}"
    where = f"in {section.file}{'' if full == setting.key else f' as {setting.key}'}"
    lines = [*_wrapped(head, width, "    "), f"  {where}", "", *_wrapped(setting.text, width)]
    lines += _columns(setting.choices, width)
    if settings.inner_kind(setting.hint) is not None:
        keys = [each for each in settings.of(section) if each.key.startswith(f"{setting.key}.")]
        lines += _columns({f"{section.prefix}{each.key}": each.text.partition(". ")[0] for each in keys}, width)
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def _columns(texts: dict[str, str], width: int) -> list[str]:
    """Return names and texts in two columns, or a text below its name where that leaves it too little room."""
    if not texts:
        return []
    column = max(map(len, texts)) + 4
    is_below = column > width // 2
    lines = [""]
    for name, text in texts.items():
        indent = " " * (6 if is_below else column)
        body = _wrapped(text, width - len(indent)) or [""]
        first = [f"  {name}", f"{indent}{body[0]}"] if is_below else [f"{f'  {name}':<{column}}{body[0]}".rstrip()]
        lines += [*first, *(f"{indent}{line}" for line in body[1:])]
    return lines


def _listed(section: Section) -> str:
    keys: Sequence[str] = [f"  {section.prefix}{setting.key}" for setting in settings.of(section)]
    return "\n".join([f"{section.title.replace('`', '')}, in {section.file}:", *keys])


def _is_full(key: str, section: Section, setting: Setting) -> bool:
    return _matches(key, f"{section.prefix}{setting.key}")


def _is_in_file(key: str, section: Section, setting: Setting) -> bool:
    return _matches(key, setting.key)


def _is_end(key: str, section: Section, setting: Setting) -> bool:
    return f".{section.prefix}{setting.key}".endswith(f".{key}")


def _matches(key: str, known: str) -> bool:
    """Tell whether a key is a setting's, whatever names of the user's own are in it; or a pattern that it matches."""
    words, parts = key.split("."), known.split(".")
    is_same = len(words) == len(parts) and all(map(_is_part, words, parts))
    return is_same or ("*" in key and fnmatchcase(known, key))


def _is_part(word: str, part: str) -> bool:
    return part in (word, settings.ANY)
