"""A run as Python has it."""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from experimentstash.api.telling import tell, telling
from experimentstash.base.durations import describe
from experimentstash.base.text import clean
from experimentstash.record import added
from experimentstash.record.run import Run as Record
from experimentstash.record.run import State
from experimentstash.runs import inside, last_words, log, reconcile, usage
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH, is_unread
from experimentstash.stash.layout import Stash
from experimentstash.stash.parameters import from_json


class Run:
    """A run, as it was when it was looked at; ``refresh`` looks again.

    Everything is read from its record; nothing here changes it.
    """

    def __init__(self, stash: Stash, record: Record) -> None:
        self._stash, self._record = stash, record

    @property
    def id(self) -> str:
        """Its id: ``k3f9a2b``; of a run of a sweep ``k3f9a2b-7``."""
        return self._record.id

    @property
    def state(self) -> str:
        """Where it stands: ``queued``, ``running``, ``completed``, ``failed`` … (docs/records.md)."""
        return self._record.attempt.state.value

    @property
    def is_completed(self) -> bool:
        """Whether its tool has ended well."""
        return self._record.attempt.state is State.COMPLETED

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._record.attempt.state.is_final

    @property
    def experiment(self) -> str:
        """Its experiment: ``figure1/pca_swissroll``."""
        return Facts(self._record).experiment

    @property
    def tool(self) -> str:
        """The tool that it is of."""
        return self._record.spec.tool

    @property
    def tags(self) -> list[str]:
        """Its tags: those of its experiment, and those that were added to it later."""
        return added.tags_of(self._record)

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters, nested as they were handed to the tool."""
        return dict(from_json(self._record.spec.params))

    @property
    def overrides(self) -> list[str]:
        """What was given on its command line."""
        return list(self._record.spec.overrides)

    @property
    def metrics(self) -> dict[str, float]:
        """Its numbers, by dotted names; NaN and infinities are among them, what is missing isn't."""
        if is_unread(self._record):
            tell(f"nobody has read the numbers of {self.id} yet: {REFRESH}")
        return dict(Facts(self._record).numbers)

    @property
    def created(self) -> datetime.datetime | None:
        """When it was made."""
        return as_time(self._record.created)

    @property
    def started(self) -> datetime.datetime | None:
        """When its tool was started; None if it never was."""
        return as_time(self._record.attempt.started)

    @property
    def ended(self) -> datetime.datetime | None:
        """When it ended."""
        return as_time(self._record.attempt.ended)

    @property
    def duration(self) -> float | None:
        """How many seconds its tool took."""
        return self._record.attempt.duration

    @property
    def exit_code(self) -> int | None:
        """The exit code, as a shell has it."""
        return self._record.attempt.exit_code

    @property
    def reason(self) -> str | None:
        """Why it has ended as it did, unless it went well."""
        return self._record.attempt.reason

    @property
    def error(self) -> str | None:
        """The line of the exception by which its tool failed, or the last line that it wrote; None if it hasn't."""
        said = last_words.of_run(self._record)
        return None if said is None else said.text

    @property
    def warnings(self) -> list[str]:
        """What a person has to look at, though it has completed."""
        return list(self._record.attempt.warnings)

    @property
    def used(self) -> str:
        """What it used of what it asked for: ``1.3 of 4 CPUs, 2.1 of 16 GiB, 18m02s of 2h00m``."""
        return usage.of_run(self._record).words

    @property
    def directory(self) -> Path:
        """Its directory."""
        return self._record.path

    def path(self, name: str) -> Path:
        """Return the path of a file, or a folder, in its directory; StashError for none, or a link that leads out."""
        return inside.path_of(self._record, name)

    def log(self, attempt: int | None = None) -> str:
        """Return what its tool has written so far, the secrets that we know of masked; StashError if there is none.

        ``attempt``: of the so-manieth attempt, not of the latest.
        """
        content = io.BytesIO()
        log.copy(self._record, content, attempt)
        return content.getvalue().decode(errors="replace")

    def refresh(self) -> Run:
        """Look again how it stands, and return it."""
        with telling():
            self._record = reconcile.load_reconciled(self._stash, self.directory)
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.directory == other.directory

    def __hash__(self) -> int:
        return hash(self.directory)

    def __repr__(self) -> str:
        took = "" if self.duration is None else f" in {describe(self.duration)}"
        return f"<Run {self.id}: {self.experiment}, {self.state}{took}>"

    def _repr_html_(self) -> str:
        return rows_as_html(self._rows())

    def _rows(self) -> Mapping[str, str | None]:
        numbers = Facts(self._record).numbers
        return {
            "run": self.id,
            "state": self.state,
            "why": self.reason,
            "error": self.error,
            "experiment": self.experiment,
            "params": in_line(Facts(self._record).params),
            "metrics": in_line({name: f"{number:.6g}" for name, number in numbers.items()}),
            "used": self.used or None,
            "directory": self._stash.relative(self.directory),
        }


def of_run(run: Run) -> Record:
    """Return the record of a run."""
    return run._record


def stash_of(run: Run) -> Stash:
    """Return the stash that a run is of."""
    return run._stash


def as_time(moment: str | None) -> datetime.datetime | None:
    """Return a time of a record."""
    return None if moment is None else datetime.datetime.fromisoformat(moment)


def in_line(named: Mapping[str, Any]) -> str | None:
    """Return names and values as one line."""
    return ", ".join(f"{name}={value}" for name, value in named.items()) or None


def rows_as_html(rows: Mapping[str, str | None]) -> str:
    """Return names and texts as a table; those that are None are left out."""
    lines = (
        f"<tr><th style='text-align: left'>{escape(name)}</th>"
        f"<td style='text-align: left'>{escape(clean(text))}</td></tr>"
        for name, text in rows.items()
        if text is not None
    )
    return f"<table>{''.join(lines)}</table>"
