"""What a name on the command line stands for: a run, or a sweep with all its runs."""

from __future__ import annotations

import functools
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import kind_at
from experimentstash.base.output import say
from experimentstash.base.text import listed
from experimentstash.record import archives, records, run_places
from experimentstash.record.records import FILE_NAME
from experimentstash.record.run import Run
from experimentstash.runs import done_before, listing, reconcile
from experimentstash.runs.facts import Facts
from experimentstash.stash.layout import Stash, known_id, token_of

# Names that an error lists at most.
_LISTED = 10
# Characters of an id that are enough to act on what it begins, as in git: fewer are a slip, unique as they may be.
_LEAST = 4
# Directories that a remark names at most.
_NAMED = 5


class Placed(Protocol):
    """A run, or what is known of one."""

    @property
    def id(self) -> str: ...

    @property
    def directory(self) -> str: ...


_Some = TypeVar("_Some", bound=Placed)


@dataclass(frozen=True)
class Sweep:
    """A sweep: its directory, and what it is called."""

    directory: Path
    name: str


def find(stash: Stash, name: str, *, acts: bool = False) -> Run | Sweep:
    """Return the run or sweep called ``name``: `latest`, its directory, its id, or a unique beginning of that.

    Raises StashError if there is none, or more than one; or, for who ``acts`` on it, if the beginning is a short one.
    """
    if not name.strip():  # an empty variable of a shell's, say: every id begins so
        raise StashError("The name of a run is empty.", "experimentstash runs")
    as_path = Path(name)
    if kind_at(as_path / FILE_NAME) not in (None, "a directory"):
        return reconcile.load_reconciled(stash, as_path.absolute())
    if as_path.name == FILE_NAME and as_path.is_file():
        return reconcile.load_reconciled(stash, as_path.parent.absolute())
    if name == "latest":
        everything = listing.all_runs(stash)
        if not everything:
            raise StashError("There are no runs yet.", "python -m experimentstash +exp=NAME")
        return everything[0]
    if (archived := _archived(stash, Path(os.path.abspath(name)))) is not None:
        return archived
    if os.path.isdir(name) and (_counts_others(as_path) or next(records.directories(as_path), None) is not None):
        return sweep_at(stash, Path(os.path.abspath(as_path)))
    return _by_id(stash, name, acts=acts)


def _by_id(stash: Stash, name: str, *, acts: bool) -> Run | Sweep:
    """Return the run or sweep with this id, or the only one whose id begins so; StashError as of ``find``."""
    matching: dict[str, list[Path]] = defaultdict(list)
    places: dict[str, dict[Path, None]] = defaultdict(dict)
    unread = ""
    for directory in listing.directories(stash):
        sweep = run_places.sweep_above(directory)
        if sweep is not None and (token := token_of(sweep.name)) is not None and token.startswith(name):
            places[token][sweep] = None
            continue
        try:
            run_id = known_id(directory) or records.read(directory).id
        except StashError as error:  # it may have been meant
            if not unread or name in directory.name:
                unread = f"\n{error.message}"
            continue
        if _begins(name, run_id):
            matching[run_id].append(directory)
    if name in matching:
        return reconcile.load_reconciled(stash, _original(stash, name, matching[name]))
    sweeps = {token: list(each) for token, each in places.items()}
    if not sweeps and not matching:
        sweeps = {token: [directory] for token, directory in _counting_others(stash, name)}
    several = [*(f"the sweep {token}" for token in sorted(sweeps)), *sorted(matching)]
    if acts and len(name) < _LEAST and name not in sweeps and several:
        raise StashError(
            f"{name!r} is too little of an id to act on what begins so: {listed(several, _LISTED)}.",
            f"give {_LEAST} characters of it, or more",
        )
    if name in sweeps or len(several) == 1:
        token = name if name in sweeps else next(iter(sweeps), None)
        if token is not None:
            return Sweep(_original(stash, token, sweeps[token]), token)
        ((run_id, directories),) = matching.items()
        return reconcile.load_reconciled(stash, _original(stash, run_id, directories))
    if several:
        kinds = "runs and sweeps" if sweeps and matching else "sweeps" if sweeps else "runs"
        raise StashError(
            f"{name!r} may be any of {len(several)} {kinds}: {listed(several, _LISTED)}.", "give more of the id"
        )
    sweep_id, _, number = name.rpartition("-")
    for _, directory in _counting_others(stash, sweep_id) if number.isdecimal() else ():
        if (other := done_before.of_sweep(stash, directory).get(int(number))) is not None:
            raise StashError(
                f"Job {number} of the sweep {sweep_id} was not run, because the same had completed before: {other.id}.",
                f"experimentstash show {other.id}",
            )
    raise StashError(f"There is no run {name!r}, and no sweep of that name.{unread}", "experimentstash runs")


def find_other(stash: Stash, name: str | None, run: Run) -> Run:
    """Return the run that another one is held against: the one before it of the same experiment, or one by its name.

    `latest` is the latest other one of that experiment. StashError if there is none, or it is a sweep.
    """
    if name not in (None, "latest"):
        found = find(stash, name)
        if isinstance(found, Sweep):
            raise StashError(f"{found.name} is a sweep: one run is compared with another.", "experimentstash compare")
        return found
    experiment, here = Facts(run).experiment, run.path.resolve()
    runs = listing.all_runs(stash)
    same = [other for other in runs if Facts(other).experiment == experiment and other.path.resolve() != here]
    if name is None:
        same = same[listing.newest_first([*same, run]).index(run) :]
    if not same:
        raise StashError(f"There is no {'earlier' if name is None else 'other'} run of {experiment}.")
    return same[0]


def _archived(stash: Stash, path: Path) -> Run | Sweep | None:
    """Return the run or sweep whose directory this was, or the sweep whose archive this is."""
    directory = archives.directory_of(path) if path.name.endswith(archives.SUFFIX) else path
    archive = archives.of_sweep(directory)
    if archive is not None:
        return sweep_at(stash, directory)
    if path == directory and archives.holding(path) is not None and archives.exists(path / FILE_NAME):
        return reconcile.load_reconciled(stash, path)
    return None


def _original(stash: Stash, name: str, directories: Sequence[Path]) -> Path:
    """Return which of the directories with the same id, of a run or a sweep, is no copy; StashError if none tells."""
    if len(directories) == 1:
        return directories[0]
    own = [each for each in directories if any(map(is_original, records.directories(each)))]
    if len(own) == 1:
        copied = [str(each) for each in directories if each != own[0]]
        _say_once("; ".join([f"{name} is {own[0]}", *about_copies(copied)]))
        return own[0]
    shown = ", ".join(stash.relative(each) for each in sorted(directories))
    raise StashError(
        f"{name} is in {len(directories)} directories, and which of them is a copy can't be told: {shown}",
        "give the directory",
    )


def is_original(directory: Path) -> bool:
    """Tell whether a run's record was made in that very directory: in one that was copied it was not."""
    try:
        return records.read(directory).inode == os.stat(directory).st_ino
    except (StashError, OSError):
        return False


def without_copies(runs: Sequence[_Some], sweep: Path | None = None) -> tuple[list[_Some], list[str]]:
    """Return runs, of those with the same id the one that is no copy; and where the others are.

    Where nothing else tells, that is one in the directory of its ``sweep``.
    """
    often = {name for name, times in Counter(run.id for run in runs).items() if times > 1}
    if not often:
        return list(runs), []
    by_id: dict[str, list[_Some]] = defaultdict(list)
    for run in runs:
        if run.id in often:
            by_id[run.id].append(run)

    def counts(run: _Some) -> tuple[bool, bool]:
        directory = Path(run.directory)
        return is_original(directory), sweep is not None and directory.resolve().is_relative_to(sweep)

    counting = {max(several, key=counts).directory for several in by_id.values()}
    copied = {run.directory: None for run in runs if run.id in often and run.directory not in counting}
    return [run for run in runs if run.directory not in copied], list(copied)


def copies(runs: Sequence[Placed]) -> list[str]:
    """Return what there is to say of runs that were copied: by an id the original is meant."""
    return about_copies(without_copies(runs)[1])


def about_copies(copied: Sequence[str]) -> list[str]:
    """Return what there is to say of directories that are copies of runs, or of sweeps."""
    return [f"{len(copied)} with the same id as another, copied: {listed(copied, _NAMED)}"] if copied else []


@functools.cache  # a command may ask for the same name more than once
def _say_once(message: str) -> None:
    say(message)


def _begins(name: str, run_id: str) -> bool:
    """Tell whether a run's id begins so. A number is never cut short: job 1 of a sweep is not job 10."""
    sweep, _, number = run_id.rpartition("-")
    return name == run_id or (run_id.startswith(name) and not (number.isdecimal() and len(name) > len(sweep) + 1))


def _counts_others(directory: Path) -> bool:
    """Tell whether a directory is that of a sweep for some of whose jobs earlier runs count."""
    return archives.exists(directory / records.EARLIER_FILE)


def _counting_others(stash: Stash, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the sweeps whose ids begin so and for some of whose jobs, or all, earlier runs count."""
    for directory in _all_counting_others(stash) if name else ():
        token = token_of(directory.name)
        if token is not None and token.startswith(name):
            yield token, directory


def _all_counting_others(stash: Stash) -> Iterator[Path]:
    for root in run_places.roots(stash):
        for depth in ("", "*/", "*/*/"):
            for found in root.glob(f"{depth}{records.EARLIER_FILE}"):
                yield found.parent


def counted_by_others(stash: Stash, runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the ids of those of these runs that count as jobs of other sweeps, by the names of these sweeps."""
    meant = {run.id for run in runs}
    found = {}
    for directory in _all_counting_others(stash):
        if ids := [run.id for run in done_before.of_sweep(stash, directory).values() if run.id in meant]:
            found[sweep_at(stash, directory).name] = list(dict.fromkeys(ids))
    return found


def find_sweep(stash: Stash, name: str, *, acts: bool = False) -> Sweep:
    """Return the sweep called ``name``: its directory, its id or a unique beginning of that (see ``find``)."""
    if os.path.isdir(name):
        return sweep_at(stash, Path(os.path.abspath(name)))
    found = find(stash, name, acts=acts)
    if isinstance(found, Sweep):
        return found
    raise StashError(f"{name} is a run, not a sweep.", "experimentstash runs")


def sweep_at(stash: Stash, directory: Path) -> Sweep:
    """Return the sweep in a directory, called by its id, if it has one, else by where it is."""
    return Sweep(directory, token_of(directory.name) or stash.relative(directory))


def runs_of(stash: Stash, sweep: Sweep, unread: list[Path] | None = None) -> list[Run]:
    """Return the runs of a sweep, reconciled, in the order of their numbers; StashError if it is no sweep.

    Those are its own: earlier ones that count as jobs of it (`done_before.of_sweep`) are not for it to act on.
    Copies of them are not. Of a record that can't be read one line is said, and its directory is added to ``unread``.
    """
    real = sweep.directory.resolve()
    found: list[Run] = []
    missed: list[Path] = []
    queries = JobQueries()
    for directory in dict.fromkeys([*records.directories(sweep.directory), *listing.directories(stash)]):
        try:
            if listing.is_of_sweep(records.read(directory), real):
                found.append(reconcile.load_reconciled(stash, directory, queries))
        except (StashError, OSError) as error:
            if directory.resolve().is_relative_to(real):
                say(str(error).partition("\n")[0])
                missed.append(directory)
    reconcile.tell(queries)
    if not found and not missed and not _counts_others(sweep.directory):
        raise StashError(f"{sweep.name} is not the directory of a sweep with runs.", "experimentstash runs")
    if unread is not None:
        unread += missed
    found, copied = without_copies(found, real)
    for told in about_copies(copied):
        _say_once(told)
    return sorted(found, key=lambda run: (len(run.path.name), run.path.name))


def of_names(
    stash: Stash, names: Sequence[str], unread: list[Path], *, with_earlier: bool = False, acts: bool = False
) -> list[Run]:
    """Return the runs that names of runs and sweeps stand for, each once.

    ``with_earlier``: and those that count as jobs of these sweeps, because they had completed before. For looking only.
    ``acts``: as of ``find``.

    The directories of those of sweeps whose records can't be read are added to ``unread``.
    """
    found: dict[Path, Run] = {}
    for name in names:
        one = find(stash, name, acts=acts)
        several = runs_of(stash, one, unread) if isinstance(one, Sweep) else [one]
        if with_earlier and isinstance(one, Sweep):
            several, _ = done_before.and_own(stash, one.directory, several)
        found.update({run.path.resolve(): run for run in several})
    return list(found.values())
