"""What tells one run from another: parameters, code, environment, numbers, and what they took. Only what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import read_regular
from experimentstash.base.text import listed
from experimentstash.code import patches
from experimentstash.freeze.environment.store import READY_MARK
from experimentstash.record import archives, times
from experimentstash.record.run import Run
from experimentstash.runs.differing import NOTHING, identity
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.stash.schema import EnvironmentKind

# Bytes of a patch, and of a list of packages, that are read.
_LARGEST = 64 << 20
# Files that a remark names at most.
_NAMED = 5
_CHANGED, _COMMITTED, _OTHERWISE = "changed", "as committed", "changed otherwise"


@dataclass(frozen=True)
class Change:
    """Something that one run has and the other hasn't, or has otherwise; NOTHING is what it hasn't."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Part:
    """What two runs differ by in one respect; ``unknown`` says what of it couldn't be compared."""

    name: str
    changes: tuple[Change, ...]
    unknown: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether it is known that nothing differs."""
        return not self.changes and not self.unknown


@dataclass(frozen=True)
class RunDiff:
    """What two runs differ by, by their ids."""

    first: str
    second: str
    parts: tuple[Part, ...]


def between(first: Run, second: Run) -> RunDiff:
    """Return what tells two runs from each other."""
    facts = Facts(first), Facts(second)
    return RunDiff(
        first.id,
        second.id,
        (
            Part("experiment", _differing(*map(_experiment, facts))),
            Part("parameters", _differing(*(each.params for each in facts))),
            Part("overrides", _differing(*map(_overrides, facts))),
            _code(first, second),
            _environment(first, second),
            _metrics(facts),
            Part("outcome", _differing(*map(_outcome, facts))),
        ),
    )


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Change, ...]:
    pairs = ((name, first.get(name, NOTHING), second.get(name, NOTHING)) for name in dict.fromkeys([*first, *second]))
    return tuple(Change(*pair) for pair in pairs if identity(pair[1]) != identity(pair[2]))


def _known(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _experiment(facts: Facts) -> dict[str, Any]:
    return _known(exp=facts.run.spec.organizer, tool=facts.run.spec.tool, experiment=facts.run.spec.experiment)


def _overrides(facts: Facts) -> dict[str, Any]:
    """Return a run's overrides by what they are of; one that only takes away says so by its name."""
    parts = (override.partition("=") for override in facts.run.spec.overrides)
    return {name: value if separator else "" for name, separator, value in parts}


def _metrics(facts: tuple[Facts, Facts]) -> Part:
    unread = [each.run for each in facts if is_unread(each.run)]
    if unread:
        return Part("metrics", (), tuple(f"nobody has read the numbers of {run.id} ({REFRESH})" for run in unread))
    return Part("metrics", _differing(*(each.numbers for each in facts)))


def _outcome(facts: Facts) -> dict[str, Any]:
    attempt = facts.run.attempt
    return _known(
        state=attempt.state.value,
        exit_code=attempt.exit_code,
        attempts=attempt.number,
        host=attempt.host,
        duration=attempt.duration,
        cpu_time=attempt.cpu_time,
        peak_memory=attempt.peak_memory or None,
    )


# --- code ------------------------------------------------------------------------------------------------------------


def _code(first: Run, second: Run) -> Part:
    changes: list[Change] = []
    unknown: list[str] = []
    paths = [None if run.spec.code is None else run.spec.code.path for run in (first, second)]
    if first.spec.tool != second.spec.tool and paths[0] != paths[1]:  # other code, though of the same commit perhaps
        changes.append(Change("of the tool", first.spec.tool, second.spec.tool))
    for name in ("tool", "stash"):
        codes = [_of_checkout(run, name, unknown) for run in (first, second)]
        changes += [
            Change(f"{name} {change.name}", change.first, change.second) for change in _differing(*map(_plain, codes))
        ]
        changes += _files(name, *codes)
    return Part("code", tuple(changes), tuple(dict.fromkeys(unknown)))


@dataclass(frozen=True)
class _Checkout:
    """The code of a run's as far as it is known: its commit, and what a patch changes of it, by the files."""

    commit: str | None
    is_dirty: bool | None
    files: Mapping[str, str]


def _plain(code: _Checkout) -> dict[str, Any]:
    changes = None if code.is_dirty is None else "with changes" if code.is_dirty else "as committed"
    return _known(commit=code.commit, checkout=changes)


def _files(name: str, first: _Checkout, second: _Checkout) -> Iterator[Change]:
    """Yield the files that differ from the commits in other ways."""
    for path in sorted({*first.files, *second.files}):
        mine, other = first.files.get(path), second.files.get(path)
        if mine != other:
            says_other = _COMMITTED if other is None else _CHANGED if mine is None else _OTHERWISE
            yield Change(f"{name} {path}", _COMMITTED if mine is None else _CHANGED, says_other)


def _of_checkout(run: Run, name: str, unknown: list[str]) -> _Checkout:
    """Return what is known of a run's code, its tool's or its stash's; what isn't is added to ``unknown``."""
    code, what = run.spec.code if name == "tool" else run.spec.stash, f"the {name}'s code"
    if code is None or code.commit is None:
        why = "" if code is None or code.unknown is None else f": {code.unknown.partition(chr(10))[0]}"
        unknown.append(f"{what} of {run.id}{why}")
        return _Checkout(None, None, {})
    found: dict[str, str] = {}
    if code.patch is not None:
        text = _read(run.path / code.patch)
        if text is None:
            unknown.append(f"{what} of {run.id}: {code.patch} can't be read")
        else:
            found = patches.parts(text)
    elif code.dirty and not code.omitted and not code.withheld:
        unknown.append(f"{what} of {run.id}: what was changed wasn't kept")
    left_out = dict.fromkeys([*code.omitted, *code.withheld])
    if left_out:
        unknown.append(f"{what} of {run.id}: its patch is without {listed(list(left_out), _NAMED)}")
    return _Checkout(code.commit, code.dirty, found)


def _read(path: Path) -> str | None:
    try:
        return archives.read(path, _LARGEST).decode("utf-8", "surrogateescape")
    except OSError:
        return None


# --- environment -----------------------------------------------------------------------------------------------------


def _environment(first: Run, second: Run) -> Part:
    changes = list(_differing(_python(first), _python(second)))
    unknown: list[str] = []
    packages = [_packages(run) for run in (first, second)]
    if packages[0] is not None and packages[1] is not None:
        changes += _differing(packages[0], packages[1])
    elif not _has_same_lock(first, second):
        unknown += [f"the packages of {run.id}" for run, own in zip((first, second), packages, strict=True) if not own]
    return Part("environment", tuple(changes), tuple(unknown))


def _python(run: Run) -> dict[str, Any]:
    environment = run.spec.environment
    if environment is None:
        return {}
    # The path of one that we have made says no more than what it was made from.
    is_foreign = environment.key is None or environment.kind == EnvironmentKind.interpreter.value
    return _known(
        kind=environment.kind,
        Python=environment.version,
        interpreter=environment.interpreter if is_foreign else None,
        lock=environment.lock,
        package=environment.package,
    )


def _has_same_lock(first: Run, second: Run) -> bool:
    environments = first.spec.environment, second.spec.environment
    locks = [None if each is None or each.lock is None else (each.key, each.lock) for each in environments]
    return locks[0] is not None and locks[0] == locks[1]


def _packages(run: Run) -> dict[str, Any] | None:
    """Return the versions of the packages that a run had beside it; None if that isn't known any more."""
    environment = run.spec.environment
    if environment is None:
        return None
    if environment.packages is not None:
        text = _read(run.path / environment.packages)
        return None if text is None else _versions(text.splitlines())
    if environment.key is None or environment.interpreter is None:
        return None
    try:
        mark = typed.loads(read_regular(Path(environment.interpreter).parents[1] / READY_MARK))
        lines, made = mark["packages"], times.moment(mark["made"])
        begun = run.attempt.started or run.created
        if begun is None or made > times.moment(begun):  # it was made anew since, perhaps with others
            return None
        return _versions([str(line) for line in lines])
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return None


def _versions(lines: list[str]) -> dict[str, Any]:
    """Return packages as `pip freeze` lists them, or conda, by their names."""
    found: dict[str, Any] = {}
    for line in filter(None, map(str.strip, lines)):
        separator = next((each for each in (" @ ", "==", "=") if each in line and not line.startswith("-e ")), None)
        name, _, version = line.partition(separator) if separator else (line, "", "is there")
        found[name] = version
    return found
