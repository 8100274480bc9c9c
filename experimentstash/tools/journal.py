"""The journal of a tool command that was killed, read again: trusted no more than anything else on a disk."""

from __future__ import annotations

import base64
import binascii
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experimentstash.adapters.git.gitindex import MODES
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files, typed
from experimentstash.base.errors import StashError
from experimentstash.base.names import check_tool_name, inner_path_problem
from experimentstash.base.patterns import regex
from experimentstash.stash import paths

FORMAT = 1
FILE_NAME = "journal.json"
_MOST_BYTES = 64 << 20
_VERBS = ("add", "remove", "restore", "update")
_OBJECT = regex(r"[0-9a-f]{40}|[0-9a-f]{64}")


def read(project: Superproject, folder: Path) -> dict[str, Any]:
    """Return what the journal in ``folder`` says, all of it understood; StashError otherwise.

    Whatever it has undone or finished then lies in the stash's repository, with no link on the way.
    """
    path = folder / FILE_NAME
    try:
        data = typed.loads(files.read_regular(path, _MOST_BYTES))
        _take(data, Places(project, folder))
    except (OSError, ValueError, TypeError, KeyError, RecursionError, StashError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StashError(
            f"{path} can't be read: {reason}",
            f"look into {folder}; what a killed `experimentstash tool` has begun is undone by hand, and it moved away",
        ) from error
    checked: dict[str, Any] = data
    return checked


def check(step: dict[str, Any], places: Places) -> None:
    """Raise StashError unless a step that is to be made can be undone by what its journal will say."""
    try:
        _STEPS[step["op"]](step, places)
    except (OSError, ValueError) as error:
        raise StashError(
            f"Nothing is changed outside the stash: {error}.", "look what it is, and move it away"
        ) from error


def as_text(content: bytes | None) -> str | None:
    """Return a file's content as a journal keeps it."""
    return None if content is None else base64.b64encode(content).decode()


def as_bytes(text: str | None) -> bytes | None:
    """Return the content that a journal keeps."""
    return None if text is None else base64.b64decode(text, validate=True)


class Places:
    """Where a tool command changes something."""

    def __init__(self, project: Superproject, folder: Path) -> None:
        stash = project.root / project.prefix
        # What is private may as a whole be elsewhere, and so may the repository.
        self._roots = (folder, project.git_directory / "modules", stash / paths.PRIVATE, project.root)

    def known(self, text: object) -> str:
        """Return a path by its present name; ValueError or OSError unless it is in one of these places."""
        path = Path(_text(text))
        for root in self._roots:
            real = os.path.realpath(root)  # a stash may have several absolute paths
            base = next((each for each in path.parents if each == root or os.path.realpath(each) == real), None)
            if base is not None:
                relative = files.inside(base, path).relative_to(base)
                if root is self._roots[-1] and (problem := inner_path_problem(relative.as_posix())):
                    raise ValueError(f"{path}: {problem}")
                return str(root / relative)
        raise ValueError(f"{path} does not belong to this stash")


def _take(data: Any, places: Places) -> None:
    """Check all that a journal says, and call its places by their present names."""
    if data["format"] != FORMAT:
        raise ValueError(f"its format is {data['format']!r:.20}")
    if data["verb"] not in _VERBS:
        raise ValueError(f"its verb is {data['verb']!r:.40}")
    check_tool_name(_text(data["tool"]))
    for name in ("pid", "start_time"):
        _expect(type(data[name]) is int and data[name] >= 0, name)
    for name in ("host", "boot_id"):
        _text(data[name])
    _expect(type(data["started"]) in (int, float) and math.isfinite(data["started"]), "started")
    _expect(type(data["committed"]) is bool, "committed")
    for name in ("discard", "prune"):
        data[name] = [places.known(path) for path in _list(data[name])]
    for step in _list(data["steps"]):
        _STEPS[step["op"]](step, places)


def _move(step: dict[str, Any], places: Places) -> None:
    step["source"], step["target"] = places.known(step["source"]), places.known(step["target"])
    _text(step["print"])


def _file(step: dict[str, Any], places: Places) -> None:
    step["path"] = places.known(step["path"])
    for name in ("before", "after"):
        try:
            as_bytes(step[name])
        except binascii.Error as error:
            raise ValueError(f"{name}: {error}") from error


def _section(step: dict[str, Any], places: Places) -> None:
    _text(step["name"])
    for key, value in _list(step["before"]):
        _expect(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", _text(key)) is not None, "before")
        _text(value)


def _index(step: dict[str, Any], places: Places) -> None:
    for path, mode, name in _list(step["before"]):
        _expect(inner_path_problem(_text(path)) is None, "before")
        _expect(mode is None or mode in MODES, "before")
        _expect(name is None or _OBJECT.fullmatch(_text(name)) is not None, "before")


def _create(step: dict[str, Any], places: Places) -> None:
    step["path"] = places.known(step["path"])


def _checkout(step: dict[str, Any], places: Places) -> None:
    step["tree"] = places.known(step["tree"])
    for name in ("commit", "new"):
        _expect(_OBJECT.fullmatch(_text(step[name])) is not None, name)
    if step["branch"] is not None:
        branch = _text(step["branch"])
        _expect(branch.isprintable() and " " not in branch and not branch.startswith("-"), "branch")


_STEPS: dict[str, Callable[[dict[str, Any], Places], None]] = {
    "move": _move,
    "file": _file,
    "section": _section,
    "index": _index,
    "create": _create,
    "checkout": _checkout,
}


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r:.80} is no text")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.80} is no list")
    return value


def _expect(is_so: bool, name: str) -> None:
    if not is_so:
        raise ValueError(f"{name} makes no sense")
