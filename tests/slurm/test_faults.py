"""Jobs that are ended at random moments in every way: each record says what was done, and nothing is left.

``EXPERIMENTSTASH_FAULTS=300 pytest tests/slurm/test_faults.py`` does it to so many runs, EXPERIMENTSTASH_SEED chooses.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.test_ends import is_gone, with_tools
from tests.slurm.test_launcher import Submission, slurm, start_now, submit
from tests.testing.faults import is_alive
from tests.testing.slurm import eventually
from tests.testing.stash import StashUnderTest

RUNS = int(os.environ.get("EXPERIMENTSTASH_FAULTS", "14"))
SEED = int(os.environ.get("EXPERIMENTSTASH_SEED", "0"))
# What is done to a run, and the state in which that is to be recorded.
EXPECTED = {
    "scancel": "cancelled",
    "cancel": "cancelled",
    "warning": "cancelled",
    "other warning": "cancelled",
    "kill supervisor": "lost",
    "kill tool": "killed",
    "tell tool": "killed",
    "requeue": "completed",
}


@pytest.fixture
def tools(stash: StashUnderTest) -> StashUnderTest:
    return with_tools(stash)


def act(what: str, stash: StashUnderTest, record: dict[str, Any]) -> None:
    job = record["attempt"]["supervisor"]["job"]
    if what == "scancel":
        slurm("scancel", job)
    elif what == "cancel":
        assert stash.cli("cancel", record["id"]).returncode == 0
    elif what in ("warning", "other warning"):
        name = "TERM" if what == "warning" else "USR2"
        # It may fail though the signal has come: the job has ended before scancel hears of it.
        subprocess.run(["scancel", f"--signal={name}", "--batch", job], check=False, capture_output=True)
    elif what == "requeue":
        slurm("scontrol", "requeue", job)
    else:
        role = "supervisor" if what == "kill supervisor" else "process"
        os.kill(record["attempt"][role]["pid"], signal.SIGTERM if what == "tell tool" else signal.SIGKILL)


def started(sweep: Submission, number: int) -> dict[str, Any]:
    return eventually(lambda: (one := sweep.records()[number])["attempt"]["process"] and one)


def processes_of(directory: str) -> list[int]:
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"EXPERIMENTSTASH_RUN_DIR={directory}".encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_whatever_is_done_to_jobs_their_records_say_so(tools: StashUnderTest, packed: bool) -> None:
    chance = random.Random(SEED)
    # Where a job is shared, what is done to it is done to all: there only what is one run's own.
    choices = ["cancel", "kill tool", "tell tool"] if packed else sorted(EXPECTED)
    done = [choices[number % len(choices)] for number in range(RUNS)]
    chance.shuffle(done)
    how = ("hydra.launcher.runs_per_job=7", "hydra.launcher.runs_at_once=7") if packed else ()
    # A tool that doesn't catch SIGTERM: one that does would end with 0 when it is told by somebody else.
    words = ",".join(str(number) for number in range(RUNS))
    sweep = submit(tools, "+exp=able", f"params.take={words}", "params.catch=USR1", "resources.mem=10M", *how)
    for number, what in enumerate(done):
        record = started(sweep, number)
        time.sleep(chance.uniform(0, 0.3))  # a moment like any other
        act(what, tools, record)
    jobs = {record["attempt"]["supervisor"]["job"] for record in sweep.records()}
    for number in (number for number, what in enumerate(done) if what == "requeue"):
        eventually(lambda number=number: sweep.records()[number]["attempt"]["number"] == 2)
        eventually(lambda number=number: start_now(sweep.records()[number]["attempt"]["supervisor"]["job"]))

    def are_over() -> list[dict[str, Any]] | None:
        assert tools.cli("runs").returncode == 0
        records = sweep.records()
        return (
            records if all(one["attempt"]["state"] not in ("queued", "running", "frozen") for one in records) else None
        )

    records = eventually(are_over)
    seen = [(what, one["attempt"]["state"], one["attempt"]["reason"]) for what, one in zip(done, records, strict=True)]
    wrong = [each for each in seen if each[1] != EXPECTED[each[0]]]
    assert not wrong, wrong
    for what, one in zip(done, records, strict=True):
        assert [attempt["state"] for attempt in one["earlier"]] == (["preempted"] if what == "requeue" else [])
        assert processes_of(one["directory"]) == []
        assert not is_alive(one["attempt"]["process"]["pid"])
    for job in jobs:
        eventually(lambda job=job: is_gone(job))
