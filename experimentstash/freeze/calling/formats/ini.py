"""Parameters as INI: sections of keys with texts. It has no types: the tool makes numbers of them, or doesn't.

Readers differ in what they make of quotes, comments behind a value and percent signs: what some change is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import words

_OTHERWISE = "render it from a template: `call: {style: template, …}`"
_SECTION = regex(r"[^\s\[\]#;](?:[^\r\n\[\]]*[^\s\[\]])?")
_KEY = regex(r"[^\s\[#;=:](?:[^\r\n=:]*[^\s=:])?")
_CHANGED = regex(r"%[%(]|\$[${]|(?:^|\s)[#;]")


def text(content: Mapping[Any, Any]) -> str:
    lines = []
    for section, inside in content.items():
        name = f"params.{section}"
        if not isinstance(inside, Mapping):
            raise StashError(
                f"{name}: what stands in an INI file is in a section, and this is in none.",
                f"give it one: `SECTION: {{{section}: …}}`",
            )
        if not _is(_SECTION, section):
            raise StashError(f"{name}: {section!r} can't be the name of a section.", "use letters and digits")
        lines += ["", f"[{section}]"]
        seen: dict[str, str] = {}
        for key, each in inside.items():
            if not _is(_KEY, key):
                raise StashError(f"{name}.{key}: {key!r} can't be a key of an INI file.", "use letters and digits")
            if (other := seen.setdefault(key.lower(), key)) != key:
                raise StashError(f"{name}.{key} and {name}.{other} are one key to many readers.", "rename one of them")
            lines.append(f"{key} = {_value(each, f'{name}.{key}')}".rstrip())
    return "\n".join(lines[1:]) + "\n"


def _is(what: re.Pattern[str], name: Any) -> bool:
    return isinstance(name, str) and name.isprintable() and what.fullmatch(name) is not None


def _value(given: Any, name: str) -> str:
    if given is None or isinstance(given, (list, tuple, Mapping)):
        shown = "null" if given is None else "a mapping" if isinstance(given, Mapping) else "a list"
        raise StashError(
            f"{name} is {shown}, for which INI has no one form.", f"give the text that the tool reads, or {_OTHERWISE}"
        )
    said = words.word(given, name)
    if said != said.strip() or len(said.splitlines()) > 1 or said[:1] in ("'", '"') or _CHANGED.search(said):
        raise StashError(
            f"{name} is {said!r}, of which readers of INI make different things: spaces around it, lines, quotes,"
            " comments and `%(`, `%%`, `${`, `$$` aren't kept by all of them.",
            _OTHERWISE,
        )
    return said
