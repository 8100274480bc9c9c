"""The jobs in which tools are built before their runs: one for each build, held until runs that wait are submitted."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.adapters.slurm import job as slurm
from experimentstash.base.files import write_atomically
from experimentstash.base.output import complain, say
from experimentstash.freeze.build.builds import Build
from experimentstash.launch.slurm import batch, building
from experimentstash.launch.slurm.batch import JobArray
from experimentstash.record import job_array, records
from experimentstash.record.job_array import FOLDER
from experimentstash.record.job_array import Job as SlurmJob
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash


class BuildJobs:
    """The builds that runs of a submission wait for, by their runs' directories."""

    def __init__(self, stash: Stash, sweep: Path, unbuilt: Mapping[str, Build], runs: Sequence[Run]) -> None:
        self._stash = stash
        self._sweep = sweep
        self._unbuilt = dict(unbuilt)
        self._runs = runs
        self._submitted: dict[str, SlurmJob] = {}
        self._held: list[SlurmJob] = []

    def before(self, jobs: JobArray, usual_cluster: str | None) -> list[str]:
        """Return SLURM's ids of the jobs that must have succeeded before an array begins: submitted by then, and held.

        Raises CommandError with SLURM's words if it takes one of them not.
        """
        needed = {
            self._unbuilt[run.directory].key: self._unbuilt[run.directory]
            for run in jobs.runs
            if self._waits(run) and not run.attempt.state.is_final
        }
        for key, build in needed.items():
            if key not in self._submitted:
                self._submitted[key] = self._submit(build, jobs, usual_cluster)
        return [self._submitted[key].id for key in needed]

    def settle(self, runs: Sequence[Run]) -> None:
        """Look what has become of the builds of runs that are to be submitted only now.

        One that is done need not be waited for; what one that has failed has told its runs, they have failed by.
        """
        for run in runs:
            if not self._waits(run) or self._unbuilt[run.directory].key not in self._submitted or self._held:
                continue
            if self._unbuilt[run.directory].is_ready():
                del self._unbuilt[run.directory]
            elif (known := records.read(run.path)).attempt.state.is_final:
                run.attempt = known.attempt

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Have those begin in the end, which are held until then: while they build, nobody else writes the records."""
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Have those begin that are held."""
        while self._held:
            job = self._held.pop()
            answer = slurm_client.order("scontrol", "release", job.id, cluster=job.cluster)
            if answer.silence is not None:
                complain(f"SLURM doesn't let the build begin: {answer.error}; scontrol release {job.id} does")

    def _waits(self, run: Run) -> bool:
        return run.directory in self._unbuilt

    def _submit(self, build: Build, jobs: JobArray, usual_cluster: str | None) -> SlurmJob:
        order = self._sweep / FOLDER / f"build-{build.name}-{build.key}.json"
        waiting = [run for run in self._runs if self._waits(run) and self._unbuilt[run.directory].key == build.key]
        order.parent.mkdir(exist_ok=True)
        building.write(order, self._stash, build, waiting)
        script = order.with_suffix(".sh")
        order_file = f"{FOLDER}/{order.name}"
        write_atomically(
            script, batch.build_script(jobs.request, name=build.name, python=sys.executable, order=order_file)
        )
        job = slurm.submit(script, {}, usual_cluster=usual_cluster)
        job_array.note_submitted(order, job)
        self._held.append(job)
        say(f"{build.name!r} is built in the job {job.id}, which its runs wait for; its log: {build.log}")
        return job
