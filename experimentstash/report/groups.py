"""Runs in groups: by whatever differs between them, except what is only averaged over, such as seeds."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.text import listed
from experimentstash.runs.compact import Compactor
from experimentstash.runs.differing import (
    ABSENT,
    EXPERIMENT,
    ID,
    NOTHING,
    PARAMS,
    follows,
    heading,
    identity,
    is_seed,
    order,
    said,
    settings_of,
    short,
    varies,
)
from experimentstash.runs.expression import alike
from experimentstash.runs.facts import Facts, kept_small

# Values and runs that a remark names at most.
_NAMED = 5

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """What tells groups from each other: `params.lr`, and how that is headed."""

    key: str
    heading: str


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but what is averaged over, by the values of that."""

    values: tuple[Any, ...]  # of the columns; ABSENT is what it is shown as
    runs: Mapping[Key, Facts]


@dataclass(frozen=True)
class Grouped:
    columns: tuple[Column, ...]
    over: tuple[str, ...]  # what is averaged over
    groups: tuple[Group, ...]
    remarks: tuple[str, ...]


def settings_by_directory(runs: Iterable[Facts]) -> Mapping[str, Mapping[str, Any]]:
    """Return what makes runs what they are, for who groups the same runs several times; they are kept small for it."""
    compactor = Compactor(unlike=ID)
    return {facts.directory: compactor.compact(settings_of(facts)) for facts in kept_small(runs)}


def group(
    runs: Sequence[Facts],
    by: Sequence[str],
    over: Sequence[str],
    settings: Mapping[str, Mapping[str, Any]],
) -> Grouped:
    """Return runs in groups, the newest of those that are repeated.

    ``by``: exactly these names tell groups apart; ``over``: these and no others are what runs are repeated with.
    ``settings`` are those of ``settings_by_directory``. StashError for names that no run has.
    """
    of = [settings[facts.directory] for facts in runs]
    known = list(dict.fromkeys(name for each in of for name in each))
    seeds = _found(over, known, runs) if over else [name for name in known if is_seed(name.removeprefix(PARAMS))]
    varying = [name for name in known if name not in seeds and name != ID and varies(name, of)]
    if by:
        keys = _found(by, known, runs)
        seeds = [name for name in seeds if name not in keys]
    else:
        keys = [name for name in varying if name == EXPERIMENT or not follows(name, of)] or [EXPERIMENT]
    # What else differs inside a group is averaged over, too.
    groups: dict[Key, list[Facts]] = defaultdict(list)
    for facts, own in zip(runs, of, strict=True):
        groups[_key(own, keys)].append(facts)
    others = [
        name
        for name in varying
        if name not in keys
        and any(
            len({identity(settings[facts.directory].get(name)) for facts in members}) > 1 for members in groups.values()
        )
    ]
    repeated = [*seeds, *others]
    remarks = [f"averaged over {short(name)} as well: {_values(name, of)}" for name in others]
    found = []
    older: list[tuple[Facts, Facts]] = []  # the first, each with the newest of the same
    differ = False
    for members in groups.values():
        first = settings[members[0].directory]
        kept: dict[Key, Facts] = {}
        for facts in sorted(members, key=lambda facts: facts.plain.created or "", reverse=True):
            newest = kept.setdefault(_key(settings[facts.directory], repeated), facts)
            if newest is not facts:
                differ = differ or facts.command != newest.command
                if len(older) <= _NAMED:
                    older.append((facts, newest))
        found.append(Group(tuple(first.get(name, NOTHING) for name in keys), kept))
    if older:
        remarks.append(_about_older(older, differ=differ, has_seeds=bool(repeated)))
    found.sort(key=lambda group: [order(value) for value in group.values])
    names = tuple(Column(name, heading(name, keys)) for name in keys)
    return Grouped(names, tuple(repeated), tuple(found), (*remarks, *itertools.islice(_mixed(found), _NAMED)))


def named(runs: Sequence[Facts]) -> str:
    """Return the ids of some runs, not too many."""
    return listed([facts.id for facts in runs], _NAMED)


def _found(names: Sequence[str], known: Sequence[str], runs: Sequence[Facts]) -> list[str]:
    """Return names as we have them; StashError for one that there isn't, or that is a number's."""
    found = []
    for name in names:
        wanted = (f"{PARAMS}{alike(name).removeprefix(PARAMS)}", name)
        match = next((each for each in wanted if each in known), None)
        if match is None:
            valid = [each.removeprefix(PARAMS) for each in known]
            number = alike(name).removeprefix("metrics.")
            if number in {alike(each) for facts in runs for each in facts.numbers}:
                raise StashError(
                    f"{name!r} is a number that runs come to: runs are told apart by what goes into them.\n"
                    f"There are: {', '.join(valid)}",
                    f"--where 'metrics.{number} > …' chooses by it",
                )
            raise StashError(
                f"None of these runs has {name!r}.{did_you_mean(name, valid)}\nThere are: {', '.join(valid)}",
                "a parameter's name, exp, tool, experiment (in the tool) or id",
            )
        found.append(match)
    return list(dict.fromkeys(found))


def _key(own: Mapping[str, Any], names: Sequence[str]) -> Key:
    return tuple(identity(own.get(name, NOTHING)) for name in names)


def _about_older(older: Sequence[tuple[Facts, Facts]], *, differ: bool, has_seeds: bool) -> str:
    """Say which runs don't count, because there are newer ones."""
    pairs = listed([f"{newest.id} for {facts.id}" for facts, newest in older], _NAMED)
    return (
        f"of runs with the same parameters the newest counts: {pairs}"
        f"{'; some were called otherwise than the newest' if differ else ''}"
        f"{'' if has_seeds else '; they have no seed: --over id averages over them all'}"
    )


def _mixed(groups: Sequence[Group]) -> Iterator[str]:
    """Say where a group's runs are of different code."""
    for each in groups:
        versions = dict.fromkeys(facts.version for facts in each.runs.values() if facts.version is not None)
        if len(versions) > 1:
            yield (
                f"{title(each.values)}: its runs are of {len(versions)} commits of the tool's repository"
                f" ({listed(list(versions), _NAMED)})"
            )


def title(values: Sequence[Any]) -> str:
    """Return what a group is called in a sentence."""
    return " ".join(text for value in values if (text := said(value)) != ABSENT) or ABSENT


def _values(name: str, settings: Sequence[Mapping[str, Any]]) -> str:
    values = sorted({identity(own[name]): own[name] for own in settings if name in own}.values(), key=order)
    return listed([said(value) for value in values], _NAMED)
