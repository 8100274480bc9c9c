"""The ids of runs and sweeps, each with what it is, as names of directories tell them: for Tab.

Where directories are called otherwise, or the configuration sends runs elsewhere, all of them are looked through.
"""

from __future__ import annotations

import os

from experimentstash.stash import names, paths

TYPE_CHECKING = False  # from here, because what it guards takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# As records, archives and states are called by modules that take longer to import.
RECORD, ARCHIVE = "run.json", ".runs.zip"
FINAL = ("completed", "failed", "timed_out", "cancelled", "preempted", "killed", "out_of_memory", "lost")
# So many of the newest are named where nothing of an id is there yet, and are told of.
_NEWEST = 30
_WIDEST = 60


def known(root: str, current: str, *, only_sweeps: bool = False) -> dict[str, str]:
    """Return the ids that begin as the current word does, the newest first; a sweep's runs once its own id is there."""
    found = {"latest": "the newest"}
    for number, (each, directory, is_sweep) in enumerate(_places(root, current)):
        if not current and number == _NEWEST:
            break
        if is_sweep or not only_sweeps:
            about = _of_sweep if is_sweep else _of_run
            found.setdefault(each, about(directory) if number < _NEWEST else "a sweep" if is_sweep else "")
    return found


def organizer(root: str, word: str) -> str | None:
    """Return the organizer of the run that a word names, as far as its record tells."""
    for each, directory, is_sweep in _places(root, word):
        if each == word:
            numbers = _numbers(directory) if is_sweep else []
            spec = _record(f"{directory}/{numbers[0]}" if numbers else directory).get("spec")
            name = spec.get("organizer") if isinstance(spec, dict) else None
            return name if isinstance(name, str) else None
    return None


def _places(root: str, current: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each id that begins like this, with its directory, and whether it is a sweep's; the newest first."""
    single, several = os.path.join(root, paths.OUTPUTS), os.path.join(root, paths.MULTIRUN)
    config = names.text(os.path.join(root, paths.ROOT_CONFIG))
    is_usual = not ("hydra" in config and "dir" in config) and not _listed(os.path.join(root, paths.PRIVATE, "places"))
    days = {*_listed(single), *_listed(several)}
    if not is_usual or not all(map(_is_day, days)):
        yield from (each for each in _looked_for(root, current) if each[0].startswith(current))
        return
    first = current.partition("-")[0]
    for day in sorted(days, reverse=True):
        of_day = [(name, place) for place in (single, several) for name in _listed(f"{place}/{day}")]
        for name, place in sorted((each for each in of_day if f"-{first}" in each[0]), reverse=True):
            is_sweep = place == several
            token = names.token_of(name[: -len(ARCHIVE)] if is_sweep and name.endswith(ARCHIVE) else name)
            if token is None or not (token.startswith(current) or first == token):
                continue
            directory = f"{place}/{day}/{name}"
            if token.startswith(current):
                yield token, directory, is_sweep
            if is_sweep and first == token:
                for number in _numbers(directory):
                    if (each := f"{token}-{number}").startswith(current):
                        yield each, f"{directory}/{number}", False


def _looked_for(root: str, current: str) -> Iterator[tuple[str, str, bool]]:
    from pathlib import Path

    from experimentstash.record import run_places
    from experimentstash.stash.layout import Stash, known_id

    for directory in run_places.directories(Stash(Path(root))):
        sweep = run_places.sweep_above(directory)
        token = None if sweep is None else names.token_of(sweep.name)
        if sweep is not None and token is not None:
            yield token, str(sweep), True
        if (own := known_id(directory)) is not None and (token is None or current.startswith(token)):
            yield own, str(directory), False


def _is_day(name: str) -> bool:
    return len(name) == 10 and name[4] == name[7] == "-" and name.replace("-", "").isdecimal()


def _numbers(sweep: str) -> list[int]:
    if sweep.endswith(ARCHIVE):
        from pathlib import Path

        from experimentstash.record import archives

        try:
            found = [os.path.dirname(name) for name in archives.members(Path(sweep)) if name.endswith(f"/{RECORD}")]
        except OSError:
            found = []
    else:
        found = _listed(sweep)
    return sorted(int(name) for name in found if name.isascii() and name.isdecimal())


def _of_sweep(directory: str) -> str:
    if directory.endswith(ARCHIVE):
        return "a sweep, archived"
    numbers = _numbers(directory)
    about = _of_run(os.path.join(directory, str(numbers[0])), is_first=True) if numbers else ""
    return f"a sweep of {len(numbers)}{f', {about}' if about else ''}"


def _of_run(directory: str, *, is_first: bool = False) -> str:
    """Return what a run is, as its record tells; a state that may have changed since isn't told."""
    record = _record(directory)
    spec, attempt = record.get("spec"), record.get("attempt")
    if not isinstance(spec, dict) or not isinstance(attempt, dict):
        return ""
    name = spec.get("organizer") or spec.get("tool") or ""
    if is_first:
        return str(name)[:_WIDEST]
    said = spec.get("overrides")
    overrides = [str(each) for each in said if "exp=" not in str(each)] if isinstance(said, list) else []
    text = " ".join([str(name), *overrides])
    text = text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
    state = attempt.get("state")
    return f"{text} · {state}" if state in FINAL else text


def _record(directory: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(names.text(os.path.join(directory, RECORD), 16 << 20) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _listed(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name[0] != "."]
    except OSError:
        return []
