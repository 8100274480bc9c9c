"""Which licence code has, as its commit says it: by files of a licence, and by what pyproject.toml declares.

Identifiers are SPDX's (https://spdx.org/licenses/): named only where a text is that of one licence without doubt.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import git
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex

_FILE = regex(r"(?i)(?:licen[cs]e|copying|unlicense|copyright)(?:[.-][\w.-]+)?")
_PROJECT = "pyproject.toml"
_IDENTIFIER = regex(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_CLASSIFIER = "License :: "
# What only the text of one licence has, and how many characters that has at most: a longer one is more than it.
_TELLING = (
    ("Apache-2.0", 14_000, "apache license version 2.0"),
    ("MIT", 2_000, "permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD-3-Clause", 2_500, "redistribution and use in source and binary forms"),
    ("MPL-2.0", 18_000, "mozilla public license version 2.0"),
    (
        "ISC",
        1_500,
        "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",
    ),
    ("Unlicense", 2_000, "this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", 9_000, "cc0 1.0 universal"),
    ("CC-BY-4.0", 22_000, "attribution 4.0 international"),
    ("GPL", 0, "general public license version"),  # whether "or any later version" only the sources tell
)


@dataclass(frozen=True)
class Found:
    """What a commit says of the licence of code in it."""

    files: dict[str, str]  # the texts, by their paths in the commit; without any the pyproject.toml that declares it
    declared: str | None  # what pyproject.toml says
    spdx: str | None  # the identifier of the one that it is

    @property
    def is_none(self) -> bool:
        return not self.files


def look(root: Path, commit: str, inside: str) -> Found:
    """Return what a commit says of the licence of a directory in it: there, or else nearest above it."""
    for folder in _upwards(inside):
        words = ["ls-tree", "-z", "--full-tree", commit, *(["--", f"{folder}/"] if folder else [])]
        there = {path: name for path, _, kind, name in objects.tree_in(git(root, *words)) if kind == "blob"}
        wanted = [path for path in there if _FILE.fullmatch(path.rpartition("/")[2])]
        project = next((path for path in there if path.rpartition("/")[2] == _PROJECT), None)
        names = [*wanted, *([project] if project else [])]
        texts = dict(zip(names, objects.blobs(root, [there[path] for path in names]), strict=True))
        declared = _declared(texts[project]) if project else None
        if wanted or declared:
            spdx = _identified([texts[path] for path in wanted], declared)
            return Found({path: texts[path] for path in wanted or names}, declared, spdx)
    return Found({}, None, None)


def _upwards(inside: str) -> Iterator[str]:
    """Yield a directory and all above it, the repository's own, "", last."""
    while inside not in ("", "."):
        yield inside
        inside = inside.rpartition("/")[0]
    yield ""


def _declared(text: str) -> str | None:
    """Return what a pyproject.toml says of the licence, as it says it; None if that is nothing, or a file's name."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    try:
        data: Any = tomllib.loads(text)
    except ValueError:
        return None
    project = data.get("project")
    if not isinstance(project, dict):
        tool = data.get("tool")
        project = tool.get("poetry") if isinstance(tool, dict) else None
    if not isinstance(project, dict):
        return None
    said = project.get("license")
    said = said.get("text") if isinstance(said, dict) else said
    if isinstance(said, str) and said.strip() and "\n" not in said.strip():
        return said.strip()
    given = project.get("classifiers")
    named = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    found = [each.rpartition(" :: ")[2] for each in named if each.startswith(_CLASSIFIER)]
    return ", ".join(found) or None


def _identified(texts: Sequence[str], declared: str | None) -> str | None:
    """Return the identifier of the one licence that all texts are of; without any what is declared, if it is one."""
    if not texts:
        return declared if declared is not None and _IDENTIFIER.fullmatch(declared) else None
    found = {_of_text(text) for text in texts}
    return found.pop() if len(found) == 1 else None


def _of_text(text: str) -> str | None:
    words = " ".join(text.lower().split()).replace("license, version", "license version")
    found = [(name, most) for name, most, mark in _TELLING if mark in words]
    if "MPL-2.0" in dict(found):  # which names the GPL
        found = found[:1]
    if len(found) != 1:
        return None
    ((name, most),) = found
    if len(words) > most:
        return None
    if name == "BSD-3-Clause":
        return _of_bsd(words)
    if name == "MIT" and "the above copyright notice and this permission notice" not in words:
        return None
    if name == "CC-BY-4.0" and any(each in words for each in ("noncommercial", "sharealike", "noderivatives")):
        return None
    return name


def _of_bsd(words: str) -> str | None:
    if "all advertising materials" in words or words.count("redistribution and use in source and binary forms") > 1:
        return None
    return "BSD-3-Clause" if "neither the name" in words else "BSD-2-Clause"
