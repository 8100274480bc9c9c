"""A backup of a tool, read again: all of it may have been made to mislead, so nothing is believed.

Before anything is changed its manifest is typed, and whatever lies in it is looked at: names, kinds, sizes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experimentstash.adapters.git.gitindex import MODES
from experimentstash.base import files, typed
from experimentstash.base.errors import StashError
from experimentstash.base.names import (
    check_tool_name,
    inner_path_problem,
    is_git_directory,
    remote_problem,
)
from experimentstash.base.patterns import regex
from experimentstash.stash import paths
from experimentstash.tools.backup.manifest import FORMAT, MANIFEST, Backup, Repository

_MOST_BYTES = 256 << 20  # of a manifest
_DEEPEST = 256
_OBJECT = regex(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Where a backup may hold links: what the tool's own directory had, and organizers.
_WITH_LINKS = ("files", "tree", "stash")


def load(folder: Path) -> Backup:
    """Return what a backup's manifest says. StashError if it isn't one, or would reach out of its places."""
    path = folder / MANIFEST
    try:
        data = typed.loads(files.read_regular(path, _MOST_BYTES))
        repositories = [Repository(**each) for each in data.pop("repositories")]
        backup = Backup(**data, repositories=repositories)
        if backup.format != FORMAT:
            raise StashError(f"{path} has the format {backup.format!r:.20}, which this version doesn't know.")
        _check(backup)
        _survey(folder, backup)
    except FileNotFoundError as error:
        raise StashError(f"{folder} is no backup of a tool (no {MANIFEST}).", "experimentstash tool list") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StashError(f"{path} can't be understood: {error}") from error
    except OSError as error:
        raise StashError(f"{error.filename or path} can't be read: {error.strerror}.") from error
    return backup


def _check(backup: Backup) -> None:
    """Raise ValueError or StashError unless each field is what it must be."""
    check_tool_name(_text(backup.tool, "tool"))
    _text(backup.created, "created")
    for name, value in (("path", backup.path), ("module", backup.module)):
        _inner(value, name)
    for name, optional in (("url", backup.url), ("commit", backup.commit), ("branch", backup.branch)):
        _expect(optional is None or _text(optional, name).isprintable(), name)
    _expect(backup.commit is None or _OBJECT.fullmatch(backup.commit), "commit")
    for name in ("registered", "has_checkout", "is_registration_alone", "is_installed"):
        _expect(type(getattr(backup, name)) is bool, name)
    has_checkout = backup.registered or backup.has_checkout or backup.repositories or backup.section
    _expect(not (backup.is_registration_alone and has_checkout), "is_registration_alone")
    for key, value in _listed(backup.section, "section"):
        _expect(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", _text(key, "section")), "section")
        _text(value, "section")
    for path, mode, name in _listed(backup.index, "index"):
        _inner(path, "index")
        _expect(mode in MODES and _OBJECT.fullmatch(_text(name, "index")), "index")
    for name, text in (("gitmodules", backup.gitmodules_before), ("gitmodules", backup.gitmodules_after)):
        _expect(text is None or isinstance(text, str), name)
    for path in _listed(backup.stash_files, "stash_files"):
        _inner(path, "stash_files")
        is_ours = path == paths.registration(backup.tool) or re.fullmatch(
            rf"{paths.ORGANIZERS}/.+\.yaml", path, re.DOTALL
        )
        _expect(is_ours, f"stash_files: {path!a}")
    for name in ("absent", "directories"):
        for path in _listed(getattr(backup, name), name):
            _inner(path, name)
    for path in _listed(backup.skipped, "skipped"):
        _text(path, "skipped")
    _check_repositories(backup)


def _check_repositories(backup: Backup) -> None:
    for number, each in enumerate(backup.repositories):
        for name in ("has_bundle", "is_complete"):
            _expect(type(getattr(each, name)) is bool, name)
        _expect(each.url is None or _text(each.url, "url"), "url")
        _expect(each.commit is None or _OBJECT.fullmatch(_text(each.commit, "commit")), "commit")
        if number == 0:
            _expect(each.path == each.module == "", "repositories: the tool itself must come first")
            continue
        _inner(each.path, "repositories")
        _inner(each.module, "repositories")
        _expect(each.module.startswith("modules/"), f"repositories: {each.module!a}")
        is_whole = each.has_bundle and each.is_complete
        if each.url is not None and not is_whole and (problem := remote_problem(each.url)):
            raise ValueError(f"{each.path} has the URL {each.url!a}: {problem}")
    for name in ("path", "module"):
        values = [getattr(each, name) for each in backup.repositories]
        _expect(len({*values}) == len(values), f"repositories: a {name} appears twice")
    _expect(not backup.has_checkout or backup.repositories, "has_checkout")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{name}: {value!r:.80} is no text")
    return value


def _listed(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: {value!r:.80} is no list")
    return value


def _inner(value: object, name: str) -> None:
    if problem := inner_path_problem(_text(value, name)):
        raise ValueError(f"{name}: the path {value!a} leads elsewhere ({problem})")


def _expect(is_so: object, name: str) -> None:
    if not is_so:
        raise ValueError(f"{name} makes no sense")


def _survey(folder: Path, backup: Backup) -> None:
    """Refuse a backup with anything in it that can't be restored, or more than there is room for."""
    size = 0
    for path, kind, found in _entries(folder):
        parts = Path(path).parts
        if kind == "a file":
            size += found
            if parts[0] in ("files", "tree") and parts[-1] == ".git":
                _check_git_file(folder / path, list(parts[1:-1]))
        elif kind == "a symbolic link":
            is_git = parts[0] in ("files", "tree") and any(map(is_git_directory, parts))
            if parts[0] not in _WITH_LINKS or path in ("files", "stash") or is_git:
                raise StashError(f"{folder / path} is a symbolic link, where none can be.")
            if parts[0] == "stash":
                _check_link(folder, path)
        elif kind != "a directory":
            raise StashError(f"{folder / path} is {kind}: no backup holds one.")
        # Repositories of the user's own may lie in a tool. Whatever else is one to some file system may not.
        if parts[0] in ("files", "tree") and any(part != ".git" and is_git_directory(part) for part in parts):
            raise StashError(f"{folder / path} is refused: some file systems take it for a .git directory.")
    for number, _ in enumerate(backup.repositories):
        if files.kind_at(folder / "repositories" / str(number) / "state") != "a directory":
            raise StashError(f"{folder} is not complete: repositories/{number}/state is missing.")
    for name in backup.stash_files:
        if files.kind_at(folder / "stash" / name) is None:
            raise StashError(f"{folder} is not complete: stash/{name} is missing.")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StashError(f"{folder} holds {size >> 20} MB, and there is room for {free >> 20} MB.", "make room")


def _entries(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Yield path, kind and size of all below a directory; no link is followed. StashError if it is endlessly deep."""
    waiting = [""]
    while waiting:
        here = waiting.pop()
        if here.count("/") > _DEEPEST:
            raise StashError(f"{folder} has more than {_DEEPEST} directories in each other.")
        with os.scandir(folder / here) as entries:
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                kind = files.kind_at(folder / path) or "something else"
                if kind == "a directory":
                    waiting.append(path)
                yield path, kind, entry.stat(follow_symlinks=False).st_size


def _check_git_file(path: Path, below: list[str]) -> None:
    """Refuse a file that has git look for a repository outside the tool."""
    text = files.read_regular(path, 1 << 16).decode("utf-8", "surrogateescape")
    target = text.removeprefix("gitdir:").strip()
    # One that the tool itself had as a submodule doesn't come back, so it may lead where it wants: see `put_files`.
    is_own = not below and re.fullmatch(r"(\.\./)+\.git/modules/.+", target) and ".." not in target.split(".git/")[1]
    parts = [*below, *target.split("/")]
    inner: list[str] = []
    while parts and not target.startswith("/"):
        part = parts.pop(0)
        if part == ".." and not inner:
            break
        inner = inner[:-1] if part == ".." else [*inner, *([part] if part not in (".", "") else [])]
    else:
        if ".git" in inner and text.startswith("gitdir:") and not target.startswith("/"):
            return
    if not is_own:
        raise StashError(f"{path} leads to a repository outside the tool: {text.strip()!a:.200}.")


def _check_link(folder: Path, path: str) -> None:
    """Refuse a registration or an organizer that is a link to something outside conf/."""
    target = os.readlink(folder / path)
    place = os.path.normpath(os.path.join(os.path.dirname(path), target))
    if os.path.isabs(target) or not place.startswith(f"stash/{paths.CONF}/"):
        raise StashError(f"{folder / path} is a symbolic link that leads out of {paths.CONF}/, to {target!a}.")
