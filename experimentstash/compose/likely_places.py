"""Which of a stash's files a mistake is likely to stand in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from experimentstash.base import yaml_files
from experimentstash.base.yaml_files import YamlError
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash


def who_says(word: str, stash: Stash, overrides: Sequence[str]) -> str:
    for path in _organizer_files(stash, overrides):
        if re.search(rf"\btool\s*:\s*['\"]?{re.escape(word)}\b", _text(path)):
            return shown_in(stash, path)
    return "the command line"


def likely_file(stash: Stash, overrides: Sequence[str], key: str) -> str:
    organizers = [shown_in(stash, path) for path in _organizer_files(stash, overrides)]
    if key.startswith("tool."):
        chosen = {match[1] for path in _organizer_files(stash, overrides) for match in _tool_choices(path)}
        chosen |= {word.partition("=")[2] for word in overrides if word.startswith("tool=")}
        files = [shown_in(stash, stash.registration(tool)) for tool in sorted(chosen)]
        return " or ".join(files) or paths.REGISTRATIONS
    return " or ".join(organizers) or paths.CONF


def _tool_choices(path: Path) -> Iterator[re.Match[str]]:
    return re.finditer(r"\btool\s*:\s*['\"]?([\w./-]+)", _text(path))


def _text(path: Path) -> str:
    try:
        return yaml_files.text_of(path)
    except YamlError:
        return ""


def _organizer_files(stash: Stash, overrides: Sequence[str]) -> list[Path]:
    chosen = [word.partition("=")[2] for word in overrides if word.partition("=")[0].lstrip("+") == "exp"]
    paths = [stash.organizer(name.strip("'\" ")) for names in chosen for name in names.strip("[]").split(",")]
    return [path for path in paths if os.path.isfile(path)]


def shown_in(stash: Stash, path: Path | str) -> str:
    return os.path.relpath(path, stash.root)
