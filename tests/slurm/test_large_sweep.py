"""A sweep larger than the cluster's job arrays may be: several arrays, and each run executed once.

On two cores SLURM gets through some ten such jobs a second: most of what they take is starting a Python each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash import slurm as questions
from tests.conftest import StashUnderTest, wait_until
from tests.slurm.test_launcher import cancelled, slurm, submit


@pytest.fixture
def nothing(stash: StashUnderTest) -> Iterator[StashUnderTest]:
    stash.add_tool("nothing", None, "entrypoint: 'true'\nenvironment: {kind: none}\n")
    stash.write("tools/nothing/readme", "It does nothing.\n")
    stash.add_experiment("nothing", "nothing", "params: {n: 0}\nresources: {time: 5m}\n")
    stash.commit()
    yield stash
    cancelled(stash.root)


def accounted(jobs: list[str]) -> dict[str, str]:
    """Return SLURM's word on each task."""
    shown = slurm("sacct", "-nPX", "--jobs", ",".join(jobs), "--format", "JobID,State")
    return dict(line.split("|") for line in shown.splitlines())


@pytest.mark.parametrize("number", [1010, pytest.param(1500, marks=pytest.mark.slow)])
def test_each_run_of_two_arrays_is_executed_once(nothing: StashUnderTest, number: int) -> None:
    largest = questions.cluster().max_array_size
    if not largest < number <= 2 * largest:
        pytest.skip(f"this cluster's job arrays have up to {largest} tasks")
    sweep = submit(nothing, "+exp=nothing", f"params.n=range({number})")
    first, second = sweep.jobs
    is_at_work = slurm("squeue", "-h", "-j", f"{first},{second}")
    assert is_at_work, "the command has waited"
    assert f"submitted {number} runs to SLURM: {first}_[0-{largest - 1}], {second}_[0-{number - largest - 1}]" in (
        sweep.done.stderr
    )
    deadline = time.monotonic() + 600
    while slurm("squeue", "-h", "-j", f"{first},{second}"):
        assert time.monotonic() < deadline
        time.sleep(1)
    tasks = [f"{first}_{task}" for task in range(largest)] + [f"{second}_{task}" for task in range(number - largest)]
    records = sweep.records()
    assert [(one["state"], one["attempt"], one["supervisor"]["slurm_job"]) for one in records] == [
        ("completed", 1, task) for task in tasks
    ]
    assert [one["command"]["argv"][-1] for one in records] == [str(n) for n in range(number)]
    for one in records:
        assert (Path(one["directory"]) / "supervisor.log").read_text().count("started process") == 1
    listed = json.loads(nothing.cli("runs", "--state", "completed", "--json").stdout)
    assert len(listed) == number
    wait_until(lambda: accounted([first, second]) == dict.fromkeys(tasks, "COMPLETED"), 30)
