"""Says to somebody who waits for jobs which of them will not begin by waiting, and why: each once."""

from __future__ import annotations

import time
from collections.abc import Mapping

from experimentstash.adapters.scheduler import is_hopeless
from experimentstash.adapters.slurm import query as slurm_query
from experimentstash.record.job_array import Job
from experimentstash.runs.summary import waiting_lines

# Seconds after which SLURM is first asked for its reasons, which it has once it has looked at a job, and then again.
_FIRST_QUESTION = 5.0
_INTERVAL = 60.0


class Hopeless:
    """The jobs of which that has been said."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._next_question = time.monotonic() + _FIRST_QUESTION

    def lines(self, queued: Mapping[str, Job]) -> list[str]:
        """Return what is new to say of jobs that haven't begun, given by the names by which they are known."""
        if time.monotonic() < self._next_question or not queued:
            return []
        found = slurm_query.reasons(list(queued.values()))
        self._next_question = time.monotonic() + _INTERVAL
        why = {name: found[job] for name, job in queued.items() if is_hopeless(found.get(job, ""))}
        new = {name: words for name, words in why.items() if name not in self._said}
        self._said |= set(new)
        return waiting_lines(new)
