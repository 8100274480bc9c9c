"""A run as filters, `--where`, tables and comparisons see it: plain values by their names.

They come from the run's record, or from what an index has kept of it (see `index`), which is the same: `plain_of` and
`texts_of` say what that is.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from experimentstash.base.dotted import leaves
from experimentstash.record import added, records, times
from experimentstash.record.run import Run, State
from experimentstash.runs.compact import Compactor
from experimentstash.runs.expression import alike
from experimentstash.runs.numbers import is_unread, numbers_of
from experimentstash.stash.layout import token_of
from experimentstash.stash.parameters import from_json

# Runs of which the texts are asked for at once: the index's SQLite takes a thousand numbers at least.
_AT_ONCE = 500


class Plain(NamedTuple):
    """What is looked at of each run."""

    id: str
    directory: str
    state: str
    organizer: str | None
    inner: str | None  # the experiment in the tool
    tool: str
    sweep: str | None  # its directory
    job: int | None
    created: str | None
    started: str | None
    ended: str | None
    duration: float | None
    exit_code: int | None
    host: str | None
    commit: str | None
    is_dirty: bool | None
    is_unread: bool
    age: float  # seconds since the epoch: when it was made
    moment: float | None  # the same: when it was started, or made if it never was
    attempt: int  # its number


class Texts(NamedTuple):
    """What is looked at of some runs, as JSON."""

    params: str
    numbers: str
    said: str


class Said(NamedTuple):
    """What is kept as one text; another field is another version of the index."""

    tags: list[str]
    overrides: list[str]
    warnings: list[str]
    result: float | list[float] | None
    command: str


class Keeper(Protocol):
    """Who has kept texts."""

    def texts(self, numbers: Sequence[int]) -> dict[int, Texts]:
        """Return those that have these numbers, as far as they aren't gone."""


def plain_of(run: Run) -> Plain:
    """Return what is looked at of a run."""
    attempt, code = run.attempt, run.spec.code
    moment = attempt.started or run.created
    return Plain(
        run.id,
        run.directory,
        attempt.state.value,
        run.spec.organizer,
        run.spec.experiment,
        run.spec.tool,
        run.sweep,
        run.spec.job,
        run.created,
        attempt.started,
        attempt.ended,
        attempt.duration,
        attempt.exit_code,
        attempt.host,
        None if code is None else code.commit,
        None if code is None else code.dirty,
        is_unread(run),
        times.moment(run.created) if run.created else 0.0,
        times.moment(moment) if moment else None,
        attempt.number,
    )


def _command(run: Run) -> str:
    """Return what tells whether two runs were called in the same way, wherever they are."""
    words = "\0".join(word.replace(run.directory, "") for word in run.spec.command.argv)
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def texts_of(run: Run) -> Texts:
    """Return what is looked at of a run now and then."""
    return Texts(*map(json.dumps, (_params_of(run), dict(numbers_of(run)), _said_of(run))))


def _params_of(run: Run) -> dict[str, Any]:
    return dict(leaves(from_json(run.spec.params)))


def _said_of(run: Run) -> Said:
    attempt = run.attempt
    return Said(added.tags_of(run), run.spec.overrides, attempt.warnings, attempt.result, _command(run))


class Facts:
    """What is known of a run."""

    def __init__(self, run: Run) -> None:
        self._run: Run | None = run
        self.plain = plain_of(run)
        self.number: int | None = None  # by which its texts are kept
        self._keeper: Keeper | None = None

    @classmethod
    def kept(cls, plain: Plain, number: int, keeper: Keeper) -> Facts:
        """Return what was kept of a run; its texts are asked for when they are needed."""
        made = cls.__new__(cls)
        made._run, made.plain, made.number, made._keeper = None, plain, number, keeper
        return made

    @property
    def run(self) -> Run:
        """The record as a whole. StashError if it is gone by now."""
        if self._run is None:
            self._run = self.read()
        return self._run

    def read(self) -> Run:
        """Return the record, without keeping it here: of thousands that would be too much."""
        return self._run if self._run is not None else records.read(Path(self.plain.directory))

    def forget(self) -> None:
        """Give up what can be read again."""
        if self._run is None:
            for name in ("_texts", "_said", "params", "numbers", "command", "_params_alike", "_numbers_alike"):
                self.__dict__.pop(name, None)

    # What there is, by name ------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.plain.id

    @property
    def directory(self) -> str:
        return self.plain.directory

    @property
    def state(self) -> State:
        return State(self.plain.state)

    @property
    def organizer(self) -> str | None:
        return self.plain.organizer

    @property
    def tool(self) -> str:
        return self.plain.tool

    @functools.cached_property
    def params(self) -> Mapping[str, Any]:
        """Its parameters, dotted where they are nested."""
        return _params_of(self._run) if self._run is not None else self._loaded("params")

    @functools.cached_property
    def numbers(self) -> Mapping[str, float]:
        """What it has come to; NaN and infinities are among it."""
        return numbers_of(self._run) if self._run is not None else self._loaded("numbers")

    @property
    def tags(self) -> list[str]:
        """Its tags, those that were added later among them."""
        return self._said.tags

    @property
    def overrides(self) -> list[str]:
        return self._said.overrides

    @property
    def warnings(self) -> list[str]:
        return self._said.warnings

    @property
    def result(self) -> float | list[float] | None:
        """The value of its objective."""
        return self._said.result

    @functools.cached_property
    def command(self) -> str:
        """What tells whether it was called in the same way as another run."""
        return self._said.command

    @property
    def experiment(self) -> str:
        """What it is called: its experiment organizer, else what it is in the tool, else the tool."""
        return self.plain.organizer or self.plain.inner or self.plain.tool

    @property
    def sweep(self) -> str | None:
        """The id of its sweep."""
        return None if self.plain.sweep is None else token_of(self.plain.sweep.rpartition("/")[2])

    @property
    def version(self) -> str | None:
        """Which code of the tool's has run, in short; None if that isn't known."""
        if self.plain.commit is None:
            return None
        return self.plain.commit[:7] + (" with changes" if self.plain.is_dirty else "")

    def look_up(self, root: str, rest: str) -> Any:
        """Return what stands at a name that an expression has; None if nothing does."""
        if root == "params":
            return self.params[rest] if rest in self.params else _at(self._params_alike, rest)
        if root == "metrics":
            return self.numbers[rest] if rest in self.numbers else self._numbers_alike.get(rest)
        return _PLAIN[root](self)

    @functools.cached_property
    def _params_alike(self) -> Mapping[str, Any]:
        return {alike(name): value for name, value in self.params.items()}

    @functools.cached_property
    def _numbers_alike(self) -> Mapping[str, float]:
        return {alike(name): number for name, number in self.numbers.items()}

    @functools.cached_property
    def _said(self) -> Said:
        return _said_of(self._run) if self._run is not None else Said(*self._loaded("said"))

    @functools.cached_property
    def _texts(self) -> Texts:
        found = {} if self._keeper is None or self.number is None else self._keeper.texts([self.number])
        return next(iter(found.values()), None) or texts_of(self.read())

    def _loaded(self, name: str) -> Any:
        try:
            return json.loads(getattr(self._texts, name))
        except (ValueError, TypeError):  # what was kept is broken
            return json.loads(getattr(texts_of(self.read()), name))


def _filled(several: Iterable[Facts]) -> Iterator[Facts]:
    """Yield runs with their texts at hand, which are asked for at once for many."""
    remaining = iter(several)
    while some := list(itertools.islice(remaining, _AT_ONCE)):
        lacking: dict[Keeper, dict[int, Facts]] = {}
        for facts in some:
            if facts._keeper is not None and facts.number is not None and "_texts" not in vars(facts):
                lacking.setdefault(facts._keeper, {})[facts.number] = facts
        for keeper, by_number in lacking.items():
            for number, texts in keeper.texts(list(by_number)).items():
                vars(by_number[number])["_texts"] = texts
        yield from some


def one_by_one(several: Iterable[Facts]) -> Iterator[Facts]:
    """Yield runs with their texts at hand, which are given up again: of a hundred thousand they would be too much."""
    for facts in _filled(several):
        yield facts
        facts.forget()


def kept_small(several: Iterable[Facts]) -> Iterator[Facts]:
    """Yield runs with their texts at hand, of which then only what comparisons need is kept, as small as it can be."""
    compactor = Compactor()
    for facts in _filled(several):
        yield facts
        numbers, command = compactor.compact(facts.numbers), compactor.text(facts.command)
        facts.forget()
        facts.numbers, facts.command = numbers, command


_PLAIN: Mapping[str, Callable[[Facts], Any]] = {
    "id": lambda facts: facts.plain.id,
    "state": lambda facts: facts.plain.state,
    "exp": lambda facts: facts.experiment,
    "tool": lambda facts: facts.plain.tool,
    "experiment": lambda facts: facts.plain.inner,
    "tags": lambda facts: facts.tags,
    "sweep": lambda facts: facts.sweep,
    "job": lambda facts: facts.plain.job,
    "created": lambda facts: facts.plain.created,
    "started": lambda facts: facts.plain.started,
    "ended": lambda facts: facts.plain.ended,
    "duration": lambda facts: facts.plain.duration,
    "exit_code": lambda facts: facts.plain.exit_code,
    "host": lambda facts: facts.plain.host,
    "commit": lambda facts: facts.plain.commit,
}
# The names that there are, and whether they have others below.
ROOTS = {**dict.fromkeys(_PLAIN, False), "params": True, "metrics": True}


def _at(params: Mapping[str, Any], name: str) -> Any:
    if name in params:
        return params[name]
    below = {key: value for key, value in params.items() if key.startswith(f"{name}.")}
    return below or None
