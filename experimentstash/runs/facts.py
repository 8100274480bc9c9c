"""A run as `--where` and comparisons see it: plain values by their names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from experimentstash.base.dotted import leaves
from experimentstash.record import added
from experimentstash.record.run import Run
from experimentstash.runs.expression import alike
from experimentstash.runs.numbers import numbers_of
from experimentstash.stash.layout import token_of
from experimentstash.stash.parameters import from_json


class Facts:
    """What is known of a run. Its numbers are read when somebody asks for them."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @functools.cached_property
    def params(self) -> Mapping[str, Any]:
        """Its parameters, dotted where they are nested."""
        return dict(leaves(from_json(self.run.spec.params)))

    @functools.cached_property
    def numbers(self) -> Mapping[str, float]:
        return numbers_of(self.run)

    @functools.cached_property
    def tags(self) -> list[str]:
        """Its tags, those that were added later among them."""
        return added.tags_of(self.run)

    @property
    def experiment(self) -> str:
        """What it is called: its experiment organizer, else what it is in the tool, else the tool."""
        return self.run.spec.organizer or self.run.spec.experiment or self.run.spec.tool

    @property
    def sweep(self) -> str | None:
        """The id of its sweep."""
        return None if self.run.sweep is None else token_of(self.run.sweep.rpartition("/")[2])

    @property
    def version(self) -> str | None:
        """Which code of the tool's has run, in short; None if that isn't known."""
        code = self.run.spec.code
        if code is None or code.commit is None:
            return None
        return code.commit[:7] + (" with changes" if code.dirty else "")

    def look_up(self, root: str, rest: str) -> Any:
        """Return what stands at a name that an expression has; None if nothing does."""
        if root == "params":
            return _at(self._params_alike, rest)
        if root == "metrics":
            return self._numbers_alike.get(rest)
        return _PLAIN[root](self)

    @functools.cached_property
    def _params_alike(self) -> Mapping[str, Any]:
        return {alike(name): value for name, value in self.params.items()}

    @functools.cached_property
    def _numbers_alike(self) -> Mapping[str, float]:
        return {alike(name): number for name, number in self.numbers.items()}


_PLAIN: Mapping[str, Callable[[Facts], Any]] = {
    "id": lambda facts: facts.run.id,
    "state": lambda facts: facts.run.attempt.state.value,
    "exp": lambda facts: facts.experiment,
    "tool": lambda facts: facts.run.spec.tool,
    "experiment": lambda facts: facts.run.spec.experiment,
    "tags": lambda facts: facts.tags,
    "sweep": lambda facts: facts.sweep,
    "job": lambda facts: facts.run.spec.job,
    "created": lambda facts: facts.run.created,
    "started": lambda facts: facts.run.attempt.started,
    "ended": lambda facts: facts.run.attempt.ended,
    "duration": lambda facts: facts.run.attempt.duration,
    "exit_code": lambda facts: facts.run.attempt.exit_code,
    "host": lambda facts: facts.run.attempt.host,
    "commit": lambda facts: None if facts.run.spec.code is None else facts.run.spec.code.commit,
}
# The names that there are, and whether they have others below.
ROOTS = {**dict.fromkeys(_PLAIN, False), "params": True, "metrics": True}


def _at(params: Mapping[str, Any], name: str) -> Any:
    if name in params:
        return params[name]
    below = {key: value for key, value in params.items() if key.startswith(f"{name}.")}
    return below or None
