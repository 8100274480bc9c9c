"""The parameters that an experiment has, and their present values, as its organizer's text tells: for Tab.

What YAML usually looks like is read here, line by line: its own reader takes longer to import than a Tab may last.
Whatever is written otherwise is left to that.
"""

from __future__ import annotations

import os

from experimentstash.base.quoting import quoted
from experimentstash.stash import names, paths

TYPE_CHECKING = False  # from here, because what it guards takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# Words that YAML takes for something else than texts, in any case; two of them are Hydra's, too.
_WORDS = {"null": "null", "true": "true", "false": "false"}
_OTHER_WORDS = {"yes", "no", "on", "off", "y", "n", "inf", "nan"}
_MOST_FILES = 20


class _OtherwiseError(Exception):
    """A text is written in a way that only YAML's own reader knows."""


def of(root: str, experiment: str) -> dict[str, str]:
    """Return the parameters in an organizer, those that it builds on, and the root config, with dots.

    Each with its value as an override has it; "" for one that isn't a single value, or must be given.
    """
    found: dict[str, str] = {}
    files = [f"{paths.ORGANIZERS}/{experiment}.yaml"]
    for file in files:
        params, bases = _read(os.path.join(root, file))
        for key, value in params.items():
            found.setdefault(key, value)
        folder = file.rpartition("/")[0]
        for base in bases:
            base = f"{paths.CONF}{base}.yaml" if base.startswith("/") else f"{folder}/{base}.yaml"
            if base not in files and len(files) < _MOST_FILES:
                files.append(base)
    for key, value in _read(os.path.join(root, paths.ROOT_CONFIG))[0].items():
        found.setdefault(key, value)
    return found


def _read(path: str) -> tuple[dict[str, str], list[str]]:
    """Return the parameters that a config has, and the organizers that it builds on."""
    text = names.text(path)
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    try:
        if "\t" in text or "\r" in text:
            raise _OtherwiseError
        return dict(_scalars(_below(lines, "params"))), _organizers(_texts(_below(lines, "defaults")))
    except _OtherwiseError:
        return _by_yaml(path, text)


def _below(lines: list[str], key: str) -> list[str]:
    """Return the lines below a key at the left; a short list is as if it had a line for each entry."""
    found: list[str] = []
    is_below = False
    for line in lines:
        if line[0] not in " -" or (line[0] == "-" and key != "defaults"):
            name, colon, rest = line.partition(":")
            is_below = name == key and bool(colon)
            if name.strip("'\" ") == key and (not is_below or (rest := rest.partition(" #")[0].strip())):
                if key == "defaults" and rest[:1] == "[" and rest[-1:] == "]" and not set(rest) & set("'\"{}"):
                    found += [f"- {entry.strip()}" for entry in rest[1:-1].split(",") if entry.strip()]
                elif rest not in ("{}", "null", "[]"):
                    raise _OtherwiseError
        elif is_below:
            found.append(line)
    return found


def _texts(lines: list[str]) -> Iterator[str]:
    """Yield the entries of a defaults list that are texts."""
    for line in lines:
        entry = line.partition(" #")[0].strip()
        if not entry.startswith("- "):
            raise _OtherwiseError
        entry = entry[2:].strip().strip("'\"")
        if ":" not in entry:
            yield entry


def _organizers(entries: Iterable[str]) -> list[str]:
    """Return those of a defaults list's texts that are organizers, without what says where they go."""
    found = [each for each in entries if not each.startswith("/") or each.startswith("/exp/")]
    return [each.partition("@")[0] for each in found if each != "_self_"]


def _scalars(lines: list[str]) -> Iterator[tuple[str, str]]:
    above: list[tuple[int, str]] = []  # the mappings that a line is in, with how far they are indented
    in_list = -1  # how far a key is indented that holds a list
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip(" "))
        if in_list >= 0 and (indent > in_list or (indent == in_list and line.lstrip().startswith("- "))):
            continue
        in_list = -1
        key, colon, rest = line.strip().partition(":")
        if not colon or not _is_plain(key) or (rest and not rest.startswith(" ")):
            raise _OtherwiseError
        while above and above[-1][0] >= indent:
            above.pop()
        prefix = above[-1][1] if above else ""
        rest = rest.strip()
        if rest and not rest.startswith("#"):
            yield f"{prefix}{key}", _value(rest)
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        deeper = len(following) - len(following.lstrip(" "))
        if following.lstrip().startswith("- ") and deeper >= indent:
            yield f"{prefix}{key}", ""
            in_list = indent
        elif deeper > indent:
            above.append((indent, f"{prefix}{key}."))
        else:
            yield f"{prefix}{key}", "null"


def _is_plain(text: str) -> bool:
    return bool(text) and text.isascii() and text.replace("_", "a").replace("-", "a").replace(".", "a").isalnum()


def _value(text: str) -> str:
    if text[0] in "'\"":
        end = text.find(text[0], 1)
        rest = text[end + 1 :].strip()
        if end < 0 or "\\" in text or (rest and not rest.startswith("#")):
            raise _OtherwiseError
        return _in_override(text[1:end])
    text = text.partition(" #")[0].rstrip()
    if text[0] == "[":
        if not text.endswith("]"):
            raise _OtherwiseError
        return ""
    if "${" in text and "'" not in text:
        return ""
    lower = text.lower()
    if lower in _WORDS and text in (lower, lower.capitalize(), lower.upper()):
        return _WORDS[lower]
    if not _is_plain(text.replace("/", "a").replace("+", "a")) or lower in _OTHER_WORDS or text[0] == ".":
        raise _OtherwiseError
    if text[0].isalpha():
        return text
    try:  # a number as both languages read it
        number = float(text) if "." in text else int(text)
    except ValueError:
        raise _OtherwiseError from None
    if "_" in text or (text.lstrip("+-")[:1] == "0" and "." not in text and text != "0") or "+" in text:
        raise _OtherwiseError
    return text if number == number else ""


def _in_override(text: str) -> str:
    """Return a text as an override has it; "" for one that must be given, and for what refers to something else."""
    return "" if text == "???" or "${" in text else quoted(text)


def _by_yaml(path: str, text: str) -> tuple[dict[str, str], list[str]]:
    from experimentstash.base import yaml_files

    try:
        content = yaml_files.parse(text, path, for_omegaconf=True)
    except yaml_files.YamlError:
        return {}, []
    content = content if isinstance(content, dict) else {}
    params, entries = content.get("params"), content.get("defaults")
    texts = [each for each in entries if isinstance(each, str)] if isinstance(entries, list) else []
    return dict(_flat(params if isinstance(params, dict) else {}, "")), _organizers(texts)


def _flat(params: dict[Any, Any], prefix: str) -> Iterator[tuple[str, str]]:
    import json

    for key, value in params.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(key, str):
            is_single = value is None or isinstance(value, (bool, int, float))
            yield f"{prefix}{key}", _in_override(value) if isinstance(value, str) else json.dumps(value) * is_single
