"""Jobs that aren't run again, because the same has completed before (skip_completed)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experimentstash.record import times
from experimentstash.record.run import Run
from experimentstash.runs import done_before
from experimentstash.stash.layout import Stash


class DoneBefore:
    """What has completed when a launch first asks; records are looked through once, however many jobs there are."""

    def __init__(self) -> None:
        self._known: Mapping[str, list[Path]] | None = None
        self._met: dict[str, str] = {}  # the ids of the runs that aren't spared, by their signatures

    def find(self, stash: Stash, wanted: Run) -> Run | None:
        """Return the last completed run that is the same as this one, with a value of the same objective."""
        if wanted.spec.signature is None:
            return None
        if self._known is None:
            self._known = done_before.by_signature(stash)
        read = (done_before.completed(path) for path in self._known.get(wanted.spec.signature, ()))
        same = [run for run in read if run is not None and run.spec.signature == wanted.spec.signature]
        if wanted.spec.objective is not None:
            same = [
                run for run in same if run.spec.objective == wanted.spec.objective and run.attempt.result is not None
            ]
        return max(same, key=_age, default=None)

    def meet(self, run: Run) -> str | None:
        """Take note of a run that isn't spared; return the id of an earlier one that is the same, if there is one."""
        if run.spec.signature is None:
            return None
        first = self._met.setdefault(run.spec.signature, run.id)
        return None if first == run.id else first


def _age(run: Run) -> tuple[float, str]:
    return times.moment(run.created) if run.created else 0.0, run.directory
