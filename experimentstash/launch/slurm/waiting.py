"""Waits for runs that are SLURM's to start, and shows how they are getting on, as for runs on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.output import can_redraw, say
from experimentstash.launch.progress import Progress
from experimentstash.launch.slurm.hopeless import Hopeless
from experimentstash.record.job_array import Job
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile, whereabouts
from experimentstash.runs.summary import count
from experimentstash.stash.layout import Stash

# Seconds between two looks, each of which asks SLURM once for every array: a share of the time waited so far, so that
# short runs are not waited for much longer than they take, and long ones don't keep SLURM busy.
_SHARE = 0.1
_SHORTEST_INTERVAL = 1.0
_LONGEST_INTERVAL = 15.0


def wait(stash: Stash, awaited: Sequence[Run], *, must: bool) -> None:
    """Return when all runs have ended; Ctrl-C ends the waiting, and with ``must`` the sweep, but not the runs."""
    if not awaited:
        return
    say(f"waiting for {count(len(awaited))}; Ctrl-C leaves them to SLURM")
    progress = Progress(stash, total=len(awaited), slots=None, is_live=can_redraw(sys.stderr))
    watch = _Watch(stash, awaited, progress)
    began = time.monotonic()
    try:
        while not watch.is_over():
            time.sleep(min(max(_SHORTEST_INTERVAL, _SHARE * (time.monotonic() - began)), _LONGEST_INTERVAL))
    except KeyboardInterrupt:
        progress.say(f"{count(watch.left)} left to SLURM")
        if must:
            raise
    finally:
        progress.close()


class _Watch:
    """What was seen of the runs, and those that haven't ended."""

    def __init__(self, stash: Stash, awaited: Sequence[Run], progress: Progress) -> None:
        self._stash = stash
        self._progress = progress
        self._unfinished = [run.path for run in awaited]
        self._at_work: set[Path] = set()
        self._is_silence_told = False
        self._queued: dict[str, Job] = {}  # by the ids of the runs, as it was seen last
        self._hopeless = Hopeless()

    @property
    def left(self) -> int:
        return len(self._unfinished)

    def is_over(self) -> bool:
        """Look at all that have not ended; tell whether that is none."""
        queries = JobQueries()
        self._queued.clear()
        self._unfinished = [path for path in self._unfinished if not self._has_ended(path, queries)]
        for silence in queries.silences if not self._is_silence_told else ():
            self._progress.say(f"{silence}; waiting for what the runs themselves record")
        self._is_silence_told = bool(queries.silences)
        for line in self._hopeless.lines(self._queued):
            self._progress.say(line)
        return not self._unfinished

    def _has_ended(self, path: Path, queries: JobQueries) -> bool:
        try:
            run = reconcile.load_reconciled(self._stash, path, queries)
        except StashError as error:  # whatever has become of its record, the others are waited for
            self._progress.say(error.message)
            return True
        if run.attempt.state.is_final:
            if reconcile.may_go_back(run, queries):
                return False
            self._progress.ended(run)
            return True
        if run.attempt.state is State.QUEUED and (job := whereabouts.job_of(run)) is not None:
            self._queued[run.id] = job
        if run.attempt.state is State.RUNNING and path not in self._at_work:
            self._at_work.add(path)
            self._progress.started(run)
        elif run.attempt.state is State.QUEUED and path in self._at_work:
            self._at_work.remove(path)
            self._progress.went_back(run)
        return False
