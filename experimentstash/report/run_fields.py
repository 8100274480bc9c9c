"""What runs have, by the names that columns and orders are asked for with: `state`, `params.lr`, `loss`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.text import listed
from experimentstash.runs.differing import PARAMS, order, settings_of
from experimentstash.runs.expression import alike
from experimentstash.runs.facts import ROOTS, Facts, one_by_one

METRICS = "metrics."
# Names that an error lists at most.
_LISTED = 40
_DIRECTORY = "directory"


@dataclass(frozen=True)
class Field:
    """Something that runs have, by the name that options, CSV and JSON have for it."""

    name: str
    of: Callable[[Facts], Any]  # returns plain data; None for what a run doesn't have


def named(
    names: Sequence[str], runs: Sequence[Facts], others: Callable[[], Iterable[Facts]] = lambda: ()
) -> list[Field]:
    """Return what names stand for; `params.` and `metrics.` may be left out. StashError for what none of the runs has.

    Nor any of the ``others``, which are only asked for then. If there are no runs, nothing is known of what they might
    have.
    """
    known = {field.name: field for field in every(runs)} if runs and names else {}
    found = []
    for name in names:
        field = _called(name, known)
        if field is None and runs:
            field = next((one for facts in others() if (one := _called(name, _of_one(facts))) is not None), None)
        if field is None and runs:
            short = [each.removeprefix(PARAMS).removeprefix(METRICS) for each in known]
            raise StashError(
                f"None of these runs has {name!r}.{did_you_mean(name, [*known, *short])}\n"
                f"There are: {listed(list(known), _LISTED)}"
            )
        found.append(field or Field(name, lambda facts: None))
    return found


def _called(name: str, known: Mapping[str, Field]) -> Field | None:
    wanted = (name, alike(name), f"{METRICS}{name}", f"{METRICS}{alike(name)}", f"{PARAMS}{alike(name)}")
    return next((known[each] for each in wanted if each in known), None)


def _of_one(facts: Facts) -> dict[str, Field]:
    return {field.name: field for field in every([facts])}


def every(runs: Sequence[Facts]) -> list[Field]:
    """Return all that these runs have."""
    settings: dict[str, None] = {}
    numbers: dict[str, None] = {}
    for facts in one_by_one(runs):
        settings |= dict.fromkeys(settings_of(facts))
        numbers |= dict.fromkeys(facts.numbers)
    plain = [name for name in ROOTS if not ROOTS[name]]
    return [
        *(Field(name, _plain(name)) for name in plain),
        Field(_DIRECTORY, lambda facts: facts.directory),
        *(setting(name) for name in settings if name not in plain),
        *map(number, numbers),
    ]


def setting(name: str) -> Field:
    """Return what makes runs what they are by a name as `differing` has it: a parameter, an override."""
    if name.startswith(PARAMS):
        return Field(name, lambda facts: facts.look_up("params", name.removeprefix(PARAMS)))
    return Field(name, lambda facts: settings_of(facts).get(name))


def number(name: str) -> Field:
    """Return a number that runs have come to, by its own name."""
    return Field(f"{METRICS}{name}", lambda facts: facts.numbers.get(name))


def results(runs: Sequence[Facts]) -> list[str]:
    """Return the names of the numbers that runs have come to, without those that only repeat a parameter."""
    known = dict.fromkeys(name for facts in runs for name in facts.numbers)
    return beside(known, {name for facts in runs for name in facts.params})


def beside(numbers: Iterable[str], params: Iterable[str]) -> list[str]:
    """Return the names of numbers that don't only repeat one of these parameters."""
    repeated = {alike(name.rpartition(".")[2]) for name in params}
    return [name for name in numbers if alike(name.rpartition(".")[2]) not in repeated]


def in_order(runs: Sequence[Facts], field: Field, *, is_reversed: bool) -> list[Facts]:
    """Return runs sorted by what they have; those that lack it, or have no number where there should be one, last."""
    having = [(value, facts) for facts in one_by_one(runs) if (value := field.of(facts)) is not None and value == value]
    having.sort(key=lambda pair: order(pair[0]), reverse=is_reversed)
    has = {id(facts) for _, facts in having}
    return [*(facts for _, facts in having), *(facts for facts in runs if id(facts) not in has)]


def _plain(name: str) -> Callable[[Facts], Any]:
    return lambda facts: facts.look_up(name, "")
