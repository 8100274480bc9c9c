"""A sweep larger than the cluster's job arrays may be: several arrays, and each run executed once.

On two cores SLURM gets through some ten such jobs a second, so that the quick one has ten runs in each.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from experimentstash.adapters.slurm import query as questions
from tests.slurm.test_launcher import slurm, submit
from tests.testing.slurm import eventually
from tests.testing.stash import PATIENCE, StashUnderTest

RUNS = 1500


@pytest.fixture
def nothing(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("nothing", None, "entrypoint: 'true'\nenvironment: {kind: none}\n")
    stash.write("tools/nothing/readme", "It does nothing.\n")
    stash.add_experiment("nothing", "nothing", "params: {n: 0}\nresources: {time: 5m}\n")
    stash.commit()
    return stash


def accounted(jobs: list[str]) -> dict[str, str]:
    """Return SLURM's word on each task."""
    shown = slurm("sacct", "-nPX", "--jobs", ",".join(jobs), "--format", "JobID,State")
    return dict(line.split("|") for line in shown.splitlines())


@pytest.mark.parametrize("per_job", [10, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_each_run_of_a_sweep_over_the_largest_array_is_executed_once(nothing: StashUnderTest, per_job: int) -> None:
    largest = questions.cluster().max_array_size
    jobs = RUNS // per_job
    if jobs <= largest:
        pytest.skip(f"this cluster's job arrays have up to {largest} tasks")
    sweep = submit(nothing, "+exp=nothing", f"params.n=range({RUNS})", f"hydra.launcher.runs_per_job={per_job}")
    sizes = [min(largest, jobs - first) for first in range(0, jobs, largest)]
    arrays = sorted(sweep.jobs, key=int)
    assert len(arrays) == len(sizes) > 1
    listed = ",".join(arrays)
    assert slurm("squeue", "-h", "-j", listed), "the command has waited"
    named = ", ".join(f"{job}_[0-{size - 1}]" for job, size in zip(arrays, sizes, strict=True))
    assert f"submitted {RUNS} runs to SLURM: {named}" in sweep.done.stderr
    deadline = time.monotonic() + PATIENCE
    while slurm("squeue", "-h", "-j", listed):
        assert time.monotonic() < deadline
        time.sleep(1)
    tasks = [f"{job}_{task}" for job, size in zip(arrays, sizes, strict=True) for task in range(size)]
    records = sweep.records()
    assert [
        (one["attempt"]["state"], one["attempt"]["number"], one["attempt"]["supervisor"]["job"]) for one in records
    ] == [("completed", 1, tasks[number // per_job]) for number in range(RUNS)]
    assert [one["spec"]["command"]["argv"][-1] for one in records] == [str(n) for n in range(RUNS)]
    for one in records:
        assert (Path(one["directory"]) / "supervisor.log").read_text().count("started process") == 1
    assert len(json.loads(nothing.cli("runs", "--state", "completed", "--json").stdout)) == RUNS
    eventually(lambda: accounted(arrays) == dict.fromkeys(tasks, "COMPLETED"))
