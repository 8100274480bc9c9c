"""Where the runs of a stash are: in its two usual directories, where its root config says, and wherever else runs went.

The records are all there is of a run. What is kept here is only where to look for them: a small file for each place
outside the usual ones, made when a run goes there, and never changed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.files import make_private, read_regular, read_text, write_atomically
from experimentstash.base.output import say
from experimentstash.base.patterns import regex
from experimentstash.record import archives, records
from experimentstash.record.records import Passing
from experimentstash.stash.layout import ROOT_VARIABLE, Stash, as_kept, token_of

_NAME_LENGTH = 16
_LONGEST = 8192
# What the environment decides in a path; all else that is interpolated differs from run to run, or is not known here.
_VARIABLE = regex(r"\$\{oc\.env:\s*(?P<name>\w+)\s*(?:,(?P<default>[^{}]*))?\}")
# Of a path outside the stash so many parts, or one after a variable, are somebody's runs; fewer are a whole disk.
_FEWEST_PARTS = 4


def roots(stash: Stash) -> list[Path]:
    """Return the directories below which runs are, and those that are runs; none of them inside another."""
    found = dict.fromkeys([*stash.run_roots, *_configured(stash), *_remembered(stash)])
    holding = [path for path in found if not (path / records.FILE_NAME).exists()]
    return [path for path in found if not any(other in path.parents for other in holding)]


def are_usual(stash: Stash) -> bool:
    """Tell whether the root config leaves it to us where runs are, and no sweep went to where single runs are."""
    return not _configured(stash) and not any(
        place.is_relative_to(root) for place in _remembered(stash) for root in stash.run_roots
    )


def directories(stash: Stash, *, superseded: bool = False, passing: Passing | None = None) -> Iterator[Path]:
    """Yield the directories of all runs, in no order, each once, but for those that are ``passing``: see `records`."""
    seen: set[tuple[int, int]] = set()  # a place may have two paths
    several = roots(stash)
    has_two_paths = _overlap(several)
    if has_two_paths:
        passing = None
    for root in several:
        _say_if_away(root)
        for directory in records.directories(
            root, superseded=superseded, within=root in stash.run_roots, passing=passing
        ):
            if has_two_paths or len(several) > len(stash.run_roots):
                with contextlib.suppress(OSError):
                    stat = os.stat(directory)
                    if (stat.st_dev, stat.st_ino) in seen:
                        continue
                    seen.add((stat.st_dev, stat.st_ino))
            yield directory


def _overlap(places: Sequence[Path]) -> bool:
    """Tell whether links lead from some of these places into others."""
    real = [place.resolve() for place in places]
    return any(one == other or other in one.parents for one, other in itertools.permutations(real, 2))


@functools.cache  # once is enough
def _say_if_away(root: Path) -> None:
    """Say that a place for runs is away, as a disk that isn't mounted: there may be runs that nobody sees."""
    if root.is_symlink() and not root.exists():
        say(f"the runs in {root.name} can't be seen: it is a link to {os.readlink(root)}, where nothing is")


def sweep_above(directory: Path) -> Path | None:
    """Return the directory of the sweep that the run in a directory is one of, if paths tell: it has an id then."""
    for above in directory.parents:
        if token_of(above.name) is not None:
            is_numbered = directory.parent == above and directory.name.isdecimal()
            if is_numbered or archives.exists(above / records.SWEEP_FILE):
                return above
    return None


def remember(stash: Stash, directory: Path, sweep: Path | None = None) -> None:
    """Note where a run goes, so that it is found there, if that isn't one of the usual places."""
    single, several = stash.run_roots
    if directory.is_relative_to(several) or (sweep is None and directory.is_relative_to(single)):
        return
    place = sweep if sweep is not None and directory.is_relative_to(sweep) else directory
    # What the config says today it may not say tomorrow. One note is enough for all runs that it sends there.
    place = next((root for root in _configured(stash) if place.is_relative_to(root)), place)
    note = stash.places / _name(stash, place)
    if not note.exists():
        make_private(stash.private)
        note.parent.mkdir(exist_ok=True)
        write_atomically(note, as_kept(stash.root, place) + "\n")


def forget(stash: Stash, place: Path) -> None:
    """Forget a place where runs went, which was removed with them."""
    with contextlib.suppress(OSError):
        if not os.path.lexists(place):
            (stash.places / _name(stash, place)).unlink(missing_ok=True)


def away(stash: Stash) -> dict[Path, Path]:
    """Return places for runs that aren't there, a disk that isn't mounted, say; each with the note that names it."""
    found = {root: root for root in stash.run_roots if root.is_symlink() and not root.exists()}
    return found | {place: note for note, place in _noted(stash) if not _is_there(place)}


def _name(stash: Stash, place: Path) -> str:
    return hashlib.sha256(os.fsencode(as_kept(stash.root, place))).hexdigest()[:_NAME_LENGTH]


def _remembered(stash: Stash) -> list[Path]:
    return [place for _, place in _noted(stash) if _is_there(place)]


def _is_there(place: Path) -> bool:
    return os.path.isdir(place) or archives.of_sweep(place) is not None


def _noted(stash: Stash) -> list[tuple[Path, Path]]:
    """Return the notes of places, each with the place."""
    found = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(stash.places)):
            with contextlib.suppress(OSError, ValueError):
                if not name.startswith("."):
                    note = read_regular(stash.places / name, _LONGEST)
                    place = Path(os.path.normpath(stash.root / os.fsdecode(note).removesuffix("\n")))
                    found.append((stash.places / name, place))
    return found


def _configured(stash: Stash) -> list[Path]:
    """Return where the root config sends runs, as far as that is the same for all of them."""
    path = stash.conf / "config.yaml"
    try:
        stat = path.stat()
    except OSError:
        return []
    return _read(stash.root, path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _read(root: Path, path: Path, *mark: int) -> list[Path]:
    try:
        text = read_text(path, errors="replace")
    except OSError:
        return []
    if not re.search(r"(?m)^\s*['\"]?hydra\b", text) or "dir" not in text:
        return []
    from experimentstash.base import yaml_files  # here, because few root configs say anything of it

    try:
        content = yaml_files.parse(text, path)
        settings = content["hydra"]
        given = [settings[which]["dir"] for which in ("run", "sweep") if "dir" in (settings.get(which) or {})]
    except (StashError, KeyError, TypeError, AttributeError):
        return []
    found = (_same_for_all(root, text) for text in given if isinstance(text, str))
    return [place for place in found if place is not None]


def _same_for_all(root: Path, template: str) -> Path | None:
    """Return the directory that all paths made from a template have in common; None if that is no place for runs."""
    known = 0  # so much of it is known without composing
    resolved = ""
    after_variable = 0
    for match in re.finditer(r"\$\{|\Z", template):
        if match.start() < known:
            continue
        resolved += template[known : match.start()]
        known = match.start()
        variable = _VARIABLE.match(template, known)
        value = None if variable is None else _value(root, variable)
        if variable is None or value is None:
            break
        resolved += value
        known = variable.end()
        after_variable = len(resolved)
    if known < len(template):
        resolved = resolved[: resolved.rfind("/") + 1]
    place = Path(os.path.normpath(root / resolved))
    if root in place.parents:
        return place
    is_own = resolved[after_variable:].strip("/") if after_variable else len(place.parts) >= _FEWEST_PARTS
    return place if is_own and not root.is_relative_to(place) else None


def _value(root: Path, variable: re.Match[str]) -> str | None:
    if variable["name"] == ROOT_VARIABLE:
        return str(root)
    default = variable["default"]
    return os.environ.get(variable["name"], None if default is None else default.strip().strip("'\""))
