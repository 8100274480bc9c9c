"""Which runs are meant: the filters that all verbs, and Python, have in common. Nothing is said here, and nothing done.

    selected = choose(stash, of_words(states=["failed"], experiments=["figure1/*"], since="2d"))
    for facts in selected.found: ...

Filters narrow: a run must fit all of them. Of several values of one filter it must fit one; of tags it must have all.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base import moments
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.text import listed
from experimentstash.record import records
from experimentstash.record.run import State
from experimentstash.runs import done_before, expression, index, listing, naming, newest, reconcile
from experimentstash.runs.expression import Expression, Name
from experimentstash.runs.facts import ROOTS, Facts, one_by_one
from experimentstash.runs.index import Found, Narrow
from experimentstash.stash.layout import Stash

# One word, or several.
Words = str | Sequence[str]

# Names that an error lists at most.
_LISTED = 20
# What has names that are anybody's.
_OPEN: Mapping[str, Callable[[Facts], Iterable[str]]] = {
    "params": lambda facts: facts.params,
    "metrics": lambda facts: facts.numbers,
}


@dataclass(frozen=True)
class Selection:
    """Which runs are meant; all of the stash if it says nothing."""

    names: tuple[str, ...] = ()  # of runs and sweeps, as everywhere: ids, the beginnings of ids, directories, `latest`
    states: tuple[State, ...] = ()
    experiments: tuple[str, ...] = ()  # globs: figure1/*
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # a run has all of them
    sweeps: tuple[str, ...] = ()  # ids, or directories
    since: float | None = None  # seconds since the epoch: it was started then or later, or made, if it never was
    until: float | None = None  # … or before that
    where: Expression | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all runs are meant. Whoever removes things asks first."""
        return self == Selection()

    @property
    def has_filters(self) -> bool:
        """Whether it narrows what the names stand for."""
        return self != Selection(self.names)


@dataclass(frozen=True)
class Selected:
    """The runs that are meant, the newest first, with their records put right where a supervisor was gone."""

    found: list[Facts]
    untold: list[Facts]  # that fit but for `where`, of which it can't be told: they lack what it asks for
    unread: list[Path]  # directories of runs whose records can't be read: each was said
    unbegun: list[str]  # names and globs of experiments of which there is no run, whatever else was asked for
    has_more: bool = False  # there are others that are meant, and weren't looked at


def of_words(
    names: Sequence[str] = (),
    *,
    states: Words = (),
    experiments: Words = (),
    tools: Words = (),
    tags: Words = (),
    sweeps: Words = (),
    since: str | None = None,
    until: str | None = None,
    where: str | None = None,
) -> Selection:
    """Return what words mean, as they are written on a command line; StashError for one without a meaning.

    Of ``states``, ``tools``, ``tags`` and ``sweeps`` one word may be several with commas between them.
    """
    return Selection(
        tuple(names),
        tuple(map(_state, split(states, "--state"))),
        tuple(_unempty(several(experiments), "--exp")),
        tuple(split(tools, "--tool")),
        tuple(split(tags, "--tag")),
        tuple(split(sweeps, "--sweep")),
        None if since is None else moments.parse(since, "--since"),
        None if until is None else moments.parse(until, "--until", is_end=True),
        None if where is None else expression.parse(where, ROOTS, {"state": [state.value for state in State]}),
    )


def choose(
    stash: Stash,
    selection: Selection,
    *,
    closes: bool = True,
    with_earlier: bool = False,
    acts: bool = False,
    most: int | None = None,
) -> Selected:
    """Return the runs that are meant. StashError for a name that there isn't: of a run, a tool, a tag, a sweep …

    Unless it ``closes`` records, runs that weren't named are as their records say: no scheduler is asked.
    ``with_earlier``: with a sweep are meant those earlier runs, too, that count as jobs of it. For looking only.
    ``acts``: for who acts on them, a short beginning of an id is refused.
    ``most``: so many of the newest are enough, where all are meant and there are very many.
    """
    if most is not None and selection.is_empty and (found_by_name := _newest(stash, most)) is not None:
        return Selected(found_by_name, [], [], [], has_more=True)
    if selection.names:
        meant = _named(stash, selection, with_earlier=with_earlier, acts=acts)
    else:
        meant = _all(stash, selection, closes=closes)
    unbegun = _unbegun(stash, selection.experiments, meant.experiments)
    fitting = _fitting(stash, selection, meant, with_earlier=with_earlier, acts=acts)
    if selection.where is None:
        return Selected(fitting, [], meant.unread, unbegun)
    found, untold, unseen = _sorted_out(selection.where, fitting)
    if unseen and selection.where.bounds and not selection.names:  # not all were looked at
        wider = replace(selection, where=None)
        meant = _all(stash, wider, closes=closes)
        fitting = _fitting(stash, wider, meant, with_earlier=with_earlier, acts=acts)
    if fitting and unseen:  # perhaps a mistake
        _check(selection.where, fitting)
    return Selected(found, untold, meant.unread, unbegun)


def all_of(stash: Stash) -> Iterator[Facts]:
    """Yield all runs of a stash, one after the other, as their records say they are."""
    yield from one_by_one(index.look(stash, records.read_ended).facts)


def _newest(stash: Stash, most: int) -> list[Facts] | None:
    """Return so many of the newest runs; None if these can't be told without a look at all."""
    directories, queries = newest.newest(stash, most), JobQueries()
    try:
        runs = [reconcile.load_reconciled(stash, path, queries) for path in directories or ()]
    except StashError:  # one has just been removed
        return None
    reconcile.tell(queries)
    return None if directories is None else list(map(Facts, listing.newest_first(runs)))


def _named(stash: Stash, selection: Selection, *, with_earlier: bool, acts: bool) -> Found:
    unread: list[Path] = []
    runs = naming.of_names(stash, selection.names, unread, with_earlier=with_earlier, acts=acts)
    facts = list(map(Facts, listing.newest_first(runs)))
    return Found(facts, {each.tool for each in facts}, {each.experiment for each in facts}, unread)


def _all(stash: Stash, selection: Selection, *, closes: bool) -> Found:
    queries = JobQueries()
    narrow = Narrow(
        [state.value for state in selection.states],
        selection.tools,
        selection.since,
        selection.until,
        functools.cache(lambda name: _has_name(selection, name)) if selection.experiments else None,
        () if selection.where is None else selection.where.bounds,
    )
    try:
        return index.look(
            stash,
            lambda path: reconcile.load_reconciled(stash, path, queries) if closes else records.read_ended(path),
            narrow,
        )
    finally:
        reconcile.tell(queries)


def _fitting(stash: Stash, selection: Selection, meant: Found, *, with_earlier: bool, acts: bool) -> list[Facts]:
    """Return what fits but for `where`."""
    if meant.tools and set(selection.tools) - meant.tools:
        _refuse_unknown(selection.tools, meant.tools | set(stash.known_tools()), "tool")
    sweeps = {naming.find_sweep(stash, name, acts=acts).directory.resolve() for name in selection.sweeps}
    earlier = {
        run.path.resolve()
        for sweep in (sweeps if with_earlier else ())
        for run in done_before.of_sweep(stash, sweep).values()
    }

    def is_of_one(facts: Facts) -> bool:
        sweep = facts.plain.sweep
        is_own = sweep is not None and _resolved(sweep) in sweeps
        return is_own or (bool(earlier) and Path(facts.directory).resolve() in earlier)

    def fits(facts: Facts) -> bool:
        return (
            (not selection.states or facts.state in selection.states)
            and (not selection.tools or facts.tool in selection.tools)
            and (not sweeps or is_of_one(facts))
            and (not selection.experiments or _has_name(selection, facts.experiment))
            and _is_between(selection, facts.plain.moment)
        )

    fitting = list(filter(fits, meant.facts))
    if not selection.tags:
        return fitting
    kept = []
    seen: set[str] = set()
    for facts in one_by_one(fitting):
        tags = set(facts.tags)
        seen |= tags
        if tags.issuperset(selection.tags):
            kept.append(facts)
    if meant.facts and not seen.issuperset(selection.tags):
        seen = {tag for facts in one_by_one(meant.facts) for tag in facts.tags}
        _refuse_unknown(selection.tags, seen, "tag")
    return kept


_resolved = functools.lru_cache(maxsize=1024)(lambda path: Path(path).resolve())


def _has_name(selection: Selection, experiment: str) -> bool:
    return any(fnmatch.fnmatchcase(experiment, glob) for glob in selection.experiments)


def _is_between(selection: Selection, moment: float | None) -> bool:
    if selection.since is None and selection.until is None:
        return True
    if moment is None:
        return False
    return (selection.since is None or selection.since <= moment) and (
        selection.until is None or moment < selection.until
    )


def _sorted_out(where: Expression, runs: Iterable[Facts]) -> tuple[list[Facts], list[Facts], set[Name]]:
    """Return the runs of which it is true, those of which that can't be told, and the names that none of all has."""
    found: list[Facts] = []
    untold: list[Facts] = []
    unseen = {name for name in where.names if name.root in _OPEN and not name.may_be_missing}
    for facts in one_by_one(runs):
        holds = where.holds(facts.look_up)
        if holds is not False:
            (found if holds else untold).append(facts)
        if unseen:
            unseen = {name for name in unseen if facts.look_up(name.root, name.rest) is None}
    return found, untold, unseen


def _check(where: Expression, fitting: Sequence[Facts]) -> None:
    """Raise StashError if it asks for a parameter or a number that none of these runs has."""
    asked = {name.root for name in where.names} & set(_OPEN)
    where.check({root: {name for facts in one_by_one(fitting) for name in _OPEN[root](facts)} for root in asked})


def _refuse_unknown(wanted: Iterable[str], known: Iterable[str], what: str) -> None:
    valid = sorted(known)
    for name in wanted:
        if name not in valid:
            raise StashError(
                f"None of these runs has the {what} {name!r}.{did_you_mean(name, valid)}\n"
                f"{what.capitalize()}s that there are: {listed(valid, _LISTED) or 'none'}",
                f"--{what} NAME",
            )


def _unbegun(stash: Stash, globs: Sequence[str], known: set[str]) -> list[str]:
    """Return those names and globs of experiments of which there is no run, but an experiment organizer.

    StashError for one of which there is neither.
    """
    missing = [glob for glob in globs if not _fits_any(glob, known)] if known else []
    valid = known.union(stash.experiments()) if missing else known
    for glob in missing:
        if not _fits_any(glob, valid):
            folders = {f"{name.rpartition('/')[0]}/*" for name in valid if "/" in name}
            raise StashError(
                f"None of these runs is of an experiment {glob!r}.{did_you_mean(glob, sorted(valid | folders))}\n"
                f"Experiments that there are: {listed(sorted(valid), _LISTED)}",
                "--exp GLOB",
            )
    return missing


def _fits_any(glob: str, names: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for name in names)


def _state(word: str) -> State:
    valid = [state.value for state in State]
    cleaned = word.lower().replace(" ", "_").replace("-", "_")
    if cleaned not in valid:
        raise StashError(f"There is no state {word!r}.{did_you_mean(cleaned, valid)}\nValid: {', '.join(valid)}")
    return State(cleaned)


def several(words: Words) -> list[str]:
    """Return one word, or several, as a list."""
    return [words] if isinstance(words, str) else list(words)


def split(words: Words, option: str) -> list[str]:
    """Return words that were given one by one, or with commas between them; StashError if one is empty."""
    return _unempty([part.strip() for word in several(words) for part in word.split(",")], option)


def _unempty(words: Sequence[str], option: str) -> list[str]:
    if not all(word.strip() for word in words):  # a variable of a shell's, say: as no filter it would let all through
        raise StashError(f"{option}: a value is empty.", f"{option} NAME, or leave it out")
    return list(words)
