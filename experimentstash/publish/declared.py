"""``outputs:`` and ``inputs:`` in experiments, registrations and the root config, as they are now."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from enum import Enum
from typing import Any

from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError, refuse_unknown_key, refuse_unknown_word
from experimentstash.publish.comparators import choose
from experimentstash.publish.comparators.comparator import How, Tolerance
from experimentstash.stash import paths
from experimentstash.stash.organizers import Organizers
from experimentstash.stash.schema import Compare, OutputConfig, ToleranceConfig, UpTo

_FORM = "outputs: {results.csv: {rtol: 1e-6}, 'log_*.txt': {compare: nothing}}"
_KEYS = tuple(OutputConfig.__annotations__)
# What runs leave beside their results; who declares it has it compared.
_NO_RESULTS = (
    "*.ipynb",
    "*.log",
    "wandb/*",
    ".*",
    "*/.*",
    "__pycache__/*",
    "*/__pycache__/*",
    "*events.out.tfevents.*",
)


@dataclass(frozen=True)
class Declared:
    """What is said of the outputs of an experiment, by patterns: what an experiment says comes first."""

    said: list[tuple[str, How | None]]  # None: it is no result
    own: tuple[str, ...] = ()  # what the experiment speaks of
    near: tuple[str, ...] = ()  # … and the tool's registration: what the root config says is about all

    def how(self, path: str) -> How | None:
        """Return how an output is compared; None if it is no result.

        A name counts before patterns, and of these the one that is said first.
        """
        if (found := self._found(path)) is not None:
            how = found[1]
            return how if how is None or how.compare else _of_kind(how, path)
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in _NO_RESULTS):
            return None
        return How(choose.usual(path))

    def entry(self, path: str) -> str | None:
        """Return the name or pattern by which something is said of an output; None: nothing is."""
        found = self._found(path)
        return None if found is None else found[0]

    def _found(self, path: str) -> tuple[str, How | None] | None:
        by_name = [each for each in self.said if each[0] == path]
        fitting = [each for each in self.said if _fits(path, each[0])]
        return next(iter([*by_name, *fitting]), None)


def _of_kind(how: How, path: str) -> How:
    """Return how a file is compared of which nobody says by what."""
    return replace(how, compare="embedding" if how.up_to else choose.usual(path))


def _fits(path: str, pattern: str) -> bool:
    """Tell whether a pattern means a file: one without / means files in all directories."""
    return fnmatch.fnmatchcase(path, pattern) or (
        "/" not in pattern and fnmatch.fnmatchcase(path.rpartition("/")[2], pattern)
    )


def outputs(organizers: Organizers, experiment: str | None, tool: str) -> Declared:
    """Return what is said of an experiment's outputs; StashError for what makes no sense."""
    files = [
        (paths.organizer(experiment), organizers.of(experiment, "outputs")) if experiment else ("", None),
        (paths.registration(tool), organizers.of_tool(tool, "outputs")),
        (paths.ROOT_CONFIG, organizers.of_root("outputs")),
    ]
    said = [_read(content, where) for where, content in files]
    spoken_of = [[name for name, how in part if how is not None] for part in said]
    return Declared([each for part in said for each in part], (*spoken_of[0],), (*spoken_of[0], *spoken_of[1]))


def inputs(organizers: Organizers, experiment: str | None) -> list[str]:
    """Return what an experiment says that it reads."""
    own = organizers.of(experiment, "inputs") if experiment else None
    found: list[str] = []
    for where, content in ((paths.organizer(experiment or ""), own), (paths.ROOT_CONFIG, organizers.of_root("inputs"))):
        if content is not None and not (isinstance(content, list) and all(isinstance(each, str) for each in content)):
            raise StashError(f"{where}: inputs is no list of paths.", "inputs: [data/swissroll.csv]")
        found += content or []
    if unclear := next((each for each in found if "${" in each), None):
        raise StashError(f"inputs: {unclear} can't be frozen: what it stands for may change.", "write the path itself")
    return found


def _read(content: Any, where: str) -> list[tuple[str, How | None]]:
    if content is None:
        return []
    if not isinstance(content, Mapping):
        raise StashError(f"{where}: outputs is no mapping of names.", _FORM)
    said = [(str(name), _how(given or {}, f"{where}: outputs.{name}")) for name, given in content.items()]
    for name, how in said:
        if how is not None and how.up_to and not how.coordinates and not name.lower().endswith((".npy", ".npz")):
            what = f"{where}: outputs.{name}: nothing says which columns have the embedding's coordinates."
            raise StashError(what, f"outputs: {{{name}: {{up_to: {how.up_to}, coordinates: [x, y]}}}}")
    return said


def _how(given: Any, where: str) -> How | None:
    _refuse_unknown(given, where, _KEYS)
    compare = _one_of(given.get("compare"), Compare, f"{where}.compare")
    if compare == Compare.nothing.value:
        return None
    columns = given.get("columns") or {}
    if not isinstance(columns, Mapping):
        raise StashError(f"{where}.columns is no mapping of names.", "columns: {loss: {rtol: 1e-6}}")
    share = _number(given, "share", where)
    if share > 1:
        raise StashError(f"{where}.share: {share:g} is no share: 0.001 is one pixel of a thousand.")
    return How(
        compare=compare or "",
        rtol=_number(given, "rtol", where),
        atol=_number(given, "atol", where),
        columns={str(name): _tolerance(each or {}, f"{where}.columns.{name}") for name, each in columns.items()},
        key=_texts(given, "key", where),
        ignore=_texts(given, "ignore", where),
        up_to=_one_of(given.get("up_to"), UpTo, f"{where}.up_to"),
        coordinates=_texts(given, "coordinates", where),
        share=share,
    )


def _tolerance(given: Any, where: str) -> Tolerance:
    _refuse_unknown(given, where, tuple(ToleranceConfig.__annotations__))
    return Tolerance(_number(given, "rtol", where), _number(given, "atol", where))


def _refuse_unknown(given: Any, where: str, keys: tuple[str, ...]) -> None:
    if not isinstance(given, Mapping):
        raise StashError(f"{where}: {given!r} is no mapping.", _FORM)
    refuse_unknown_key(given, keys, where, _FORM)


def _one_of(value: Any, kind: type[Enum], where: str) -> str | None:
    if value is None:
        return None
    refuse_unknown_word(value, [str(each.value) for each in kind], where, _FORM)
    return str(value)


def _number(given: Mapping[Any, Any], key: str, where: str) -> float:
    """Return a number that isn't negative; YAML takes 1e-6 for a text."""
    value = given.get(key) or 0.0
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise StashError(f"{where}.{key}: {value!r} is no number from 0 on.", _FORM)
    return number


def _texts(given: Mapping[Any, Any], key: str, where: str) -> list[str]:
    value = given.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise StashError(f"{where}.{key}: {value!r} is no list of texts.", _FORM)
    return list(value)
