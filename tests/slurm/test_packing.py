"""Runs that share a job of SLURM's: in turn or at once, warned, cancelled one by one, killed, and brought back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.test_launcher import OPTIONS, Submission, slurm, start_now, submit
from tests.testing.slurm import eventually, withdraw
from tests.testing.stash import StashUnderTest, bare_stash

# Held (--hold n01: the runs 0 and 1) it goes on until it is told to stop, or there is a file `go`.
HELD = """\
import os, signal, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
here, n, start = given["--out"], given["-n"], time.time()
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
def note(name, text=""):
    with open(os.path.join(here, name), "a") as stream:
        stream.write(text + "\\n")
note("started.json")
while n in given["--hold"] and "--resumed" not in sys.argv and not os.path.exists(os.path.join(here, "go")):
    if told:
        note("saved")
        sys.exit(1)
    time.sleep(0.02)
time.sleep(float(given["--sleep"]))
note("done", f"{start} {time.time()}")
sys.exit(5 if n == given["--fail"] else 0)
"""
PACKED = ("hydra.launcher.runs_per_job=4", "+exp=held")
EIGHT = "params.n=0,1,2,3,4,5,6,7"


def add_tools(stash: StashUnderTest) -> None:
    for name, registration in (("held", OPTIONS), ("resumable", f"{OPTIONS}resume: [--resumed]\n")):
        stash.add_tool(name, None, registration)
        stash.write(f"tools/{name}/main.py", HELD)
        stash.add_experiment(name, name, "params: {n: 0, hold: none, sleep: 0, fail: none}\n")


@pytest.fixture
def packs(stash: StashUnderTest) -> StashUnderTest:
    add_tools(stash)
    stash.commit()
    return stash


@dataclass
class Day:
    """What takes minutes, all of it going on at the same time while the other tests run."""

    resumable: Submission
    not_resumable: Submission


@pytest.fixture(scope="module", autouse=True)
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    stash = bare_stash(tmp_path_factory.mktemp("day"))
    add_tools(stash)
    stash.commit()
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    # The first completes, the second is at work until it is told, two more wait for their turn.
    common = ("params.n=0,1,2,3", "params.hold=n1", "hydra.launcher.runs_per_job=4")
    # SLURM's warning may come up to a minute early, but not before the second has begun.
    short = ("resources.time=46s", "grace.seconds=30")
    submissions = Day(
        resumable=submit(stash, "+exp=resumable", *common, *short, **home),
        not_resumable=submit(stash, "+exp=held", *common, *short, **home),
    )
    yield submissions
    withdraw(stash.root)


def states(submission: Submission) -> list[str]:
    return [one["attempt"]["state"] for one in submission.records()]


def at_work(submission: Submission, number: int) -> Path:
    """Wait until the tool of a run is at work; return the run's directory."""
    directory = submission.directory / str(number)
    eventually((directory / "started.json").exists)
    eventually(lambda: submission.records()[number]["attempt"]["process"])
    return directory


def spans(submission: Submission) -> list[tuple[float, float]]:
    """Return when each run's tool started and ended; each must have done so once."""
    found = []
    for path in sorted(submission.directory.glob("*/done")):
        (line,) = path.read_text().splitlines()
        start, end = map(float, line.split())
        found.append((start, end))
    return found


def is_over(job: str) -> bool:
    return slurm("squeue", "-h", "-j", job, "-t", "RUNNING,PENDING,COMPLETING") == ""


def test_eight_runs_in_two_jobs_in_turn(packs: StashUnderTest) -> None:
    sweep = submit(packs, *PACKED, EIGHT, "params.fail=2", "params.sleep=0.05", "resources.time=5m")
    found = sweep.ended()
    assert [one["attempt"]["state"] for one in found] == ["completed"] * 2 + ["failed"] + ["completed"] * 5
    (script,), (job,) = sweep.scripts, sweep.jobs
    assert "#SBATCH --array=0-1\n" in script and "#SBATCH --time=16\n" in script  # 4 · 210 s + 90 s
    assert "--cpus-per-task" not in script and f"{job}_[0-1]" in sweep.done.stderr
    assert [one["attempt"]["supervisor"]["job"] for one in found] == [f"{job}_{number // 4}" for number in range(8)]
    assert len({one["attempt"]["supervisor"]["pid"] for one in found[:4]}) == 1
    for pack in (spans(sweep)[:4], spans(sweep)[4:]):
        assert all(one[1] <= other[0] for one, other in pairwise(pack))
    assert [(sweep.directory / str(n) / "output.log").exists() for n in range(8)] == [True] * 8
    # The job with the failed run ends with its exit code, the other one well.
    codes = [f"{job}_0|5:0", f"{job}_1|0:0"]
    accounted = ("sacct", "-n", "-X", "-P", "-j", job, "-s", "COMPLETED,FAILED", "-o", "JobID,ExitCode")
    eventually(lambda: sorted(slurm(*accounted).splitlines()) == codes)


def test_two_at_once(packs: StashUnderTest) -> None:
    sweep = submit(
        packs,
        *PACKED,
        "params.n=0,1,2,3",
        "params.sleep=0.5",
        "hydra.launcher.runs_at_once=2",
        "resources={cpus:1,mem:50M,time:5m}",
    )
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed"] * 4
    (script,) = sweep.scripts
    for line in ("--array=0-0\n", "--cpus-per-task=2\n", "--mem=100M\n", "--time=9\n"):  # 2 · 210 s + 90 s
        assert f"#SBATCH {line}" in script
    first, second, third, fourth = spans(sweep)
    assert second[0] < first[1] and third[0] < fourth[1] and fourth[0] < third[1]
    assert max(third[0], fourth[0]) > min(first[1], second[1])
    moments = sorted(moment for one in spans(sweep) for moment in one)
    at_once = [sum(start <= moment < end for start, end in spans(sweep)) for moment in moments]
    assert max(at_once) == 2


def test_one_that_waits_is_cancelled(packs: StashUnderTest) -> None:
    sweep = submit(packs, *PACKED, "params.n=0,1,2", "params.hold=n0")
    first = at_work(sweep, 0)
    done = packs.cli("cancel", sweep.records()[1]["id"])
    assert done.returncode == 0, done.stderr
    assert "cancelled before its turn had come" in done.stderr
    assert states(sweep) == ["running", "cancelled", "queued"]
    (first / "go").touch()
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed", "cancelled", "completed"]
    assert not (sweep.directory / "1" / "output.log").exists()


def test_one_at_work_is_cancelled(packs: StashUnderTest) -> None:
    sweep = submit(packs, *PACKED, "params.n=0,1,2", "params.hold=n01", "hydra.launcher.runs_at_once=2")
    first, second = at_work(sweep, 0), at_work(sweep, 1)
    done = packs.cli("cancel", sweep.records()[0]["id"])
    assert done.returncode == 0, done.stderr
    assert (first / "saved").exists()
    one = sweep.records()[0]
    assert (one["attempt"]["state"], one["attempt"]["exit_code"]) == (
        "cancelled",
        143,
    ) and "experimentstash cancel" in one["attempt"]["reason"]
    at_work(sweep, 2)  # its place is free
    eventually(lambda: sweep.records()[2]["attempt"]["state"] == "completed")
    assert sweep.records()[1]["attempt"]["state"] == "running" and not (second / "saved").exists()
    (second / "go").touch()
    assert [each["attempt"]["state"] for each in sweep.ended()] == ["cancelled", "completed", "completed"]


def test_the_job_is_withdrawn_with_the_last_of_its_runs(packs: StashUnderTest) -> None:
    sweep = submit(packs, *PACKED, "params.n=0,1,2", "+resources.extra.hold=true")
    (job,) = sweep.jobs
    one, two, three = (each["id"] for each in sweep.records())
    assert packs.cli("cancel", one, two).returncode == 0
    assert states(sweep) == ["cancelled", "cancelled", "queued"]
    assert not is_over(job)
    assert packs.cli("cancel", three).returncode == 0
    assert states(sweep) == ["cancelled"] * 3
    assert is_over(job)


def test_a_sweep_is_cancelled_at_once(packs: StashUnderTest) -> None:
    sweep = submit(packs, *PACKED, "params.n=0,1,2,3,4", "params.hold=n024")
    first, fifth = at_work(sweep, 0), at_work(sweep, 4)
    done = packs.cli("cancel", "--sweep", str(sweep.directory))
    assert done.returncode == 0, done.stderr
    assert states(sweep) == ["cancelled"] * 5
    assert (first / "saved").exists() and (fifth / "saved").exists()
    eventually(lambda: is_over(sweep.jobs[0]))


def test_scancel_ends_all_of_them(packs: StashUnderTest) -> None:
    sweep = submit(
        packs,
        *PACKED,
        "params.n=0,1,2,3",
        "params.hold=n12",
        "resources.time=2h",
        "hydra.launcher.runs_at_once=2",
    )
    second, third = at_work(sweep, 1), at_work(sweep, 2)
    slurm("scancel", sweep.jobs[0])
    eventually(lambda: is_over(sweep.jobs[0]))
    packs.cli("runs")
    assert states(sweep) == ["completed", "cancelled", "cancelled", "cancelled"]
    assert (second / "saved").exists() and (third / "saved").exists()
    waiting = sweep.records()[3]
    assert "its turn had not come when its SLURM job was cancelled" in waiting["attempt"]["reason"]
    assert waiting["attempt"]["started"] is None


def test_a_preempted_job(packs: StashUnderTest) -> None:
    scavenging = ("params.n=0,1,2", "params.hold=n1", "resources={partition:scavenge,cpus:2,time:30m}")
    lost = submit(packs, *PACKED, *scavenging)
    kept = submit(packs, *PACKED[:1], "+exp=resumable", *scavenging)
    for sweep in (lost, kept):
        at_work(sweep, 1)
    used = sum(map(int, slurm("squeue", "-h", "-t", "RUNNING", "-p", "main", "-o", "%C").split()))
    slurm("sbatch", "-p", "main", f"-c{8 - used}", "-o", "/dev/null", "--wrap=true")
    found = lost.ended()
    assert [one["attempt"]["state"] for one in found] == ["completed", "preempted", "preempted"]
    assert "its turn had not come when SLURM preempted its job" in found[2]["attempt"]["reason"]
    eventually(lambda: kept.records()[1]["attempt"]["number"] == 2)
    eventually(lambda: start_now(f"{kept.jobs[0]}_0") and states(kept)[1] != "queued")
    again = kept.ended()
    assert [(one["attempt"]["state"], one["attempt"]["number"]) for one in again] == [
        ("completed", 1),
        ("completed", 2),
        ("completed", 1),
    ]
    assert len(spans(kept)) == 3


def test_a_killed_supervisor(packs: StashUnderTest) -> None:
    sweep = submit(packs, *PACKED, "params.n=0,1,2", "params.hold=n1")
    at_work(sweep, 1)
    os.kill(sweep.records()[1]["attempt"]["supervisor"]["pid"], signal.SIGKILL)
    eventually(lambda: is_over(sweep.jobs[0]))
    packs.cli("runs")
    first, at_that_time, waiting = sweep.records()
    assert first["attempt"]["state"] == "completed"
    assert at_that_time["attempt"]["state"] == "lost" and "left no word" in at_that_time["attempt"]["reason"]
    assert waiting["attempt"]["state"] == "failed"
    assert "its turn had not come when its SLURM job ended (SLURM says FAILED" in waiting["attempt"]["reason"]
    assert "it shared the job with 2 others" in waiting["attempt"]["reason"]


def test_a_packing_that_makes_no_sense_is_a_mistake(packs: StashUnderTest) -> None:
    done = packs.cli("-m", "hydra/launcher=slurm", "+exp=held", "params.n=0,1", "hydra.launcher.runs_at_once=2")
    assert done.returncode == 2
    assert "a job executes 1" in done.stderr and "hydra.launcher.runs_per_job=2, or more" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_job_at_its_wall_time_is_brought_back_for_the_rest(day: Day) -> None:
    sweep = day.resumable
    assert "#SBATCH --time=2\n" in sweep.scripts[0]  # 4 · 16 s + 30 s
    eventually(lambda: sweep.records()[1]["attempt"]["number"] == 2)
    assert states(sweep) == ["completed", "queued", "queued", "queued"]
    assert (sweep.directory / "1" / "saved").exists()
    job = f"{sweep.jobs[0]}_0"
    eventually(lambda: slurm("squeue", "-h", "-r", "-j", job, "-o", "%T").strip() == "PENDING")
    assert sweep.stash.cli("runs").returncode == 0
    assert states(sweep) == ["completed", "queued", "queued", "queued"]
    eventually(lambda: start_now(job) and states(sweep)[1] != "queued")
    found = sweep.ended()
    assert [one["attempt"]["state"] for one in found] == ["completed"] * 4
    assert [one["attempt"]["number"] for one in found] == [1, 2, 1, 1]
    assert [attempt["state"] for attempt in found[1]["earlier"]] == ["timed_out"]
    assert len(spans(sweep)) == 4  # each of them once


def test_those_whose_turn_never_comes_say_why(day: Day) -> None:
    found: list[dict[str, Any]] = day.not_resumable.ended()
    assert [one["attempt"]["state"] for one in found] == ["completed", "timed_out", "timed_out", "timed_out"]
    assert "the wall time of its SLURM job is over" in found[1]["attempt"]["reason"]
    for one in found[2:]:
        assert "its turn had not come when the wall time of its SLURM job was over" in one["attempt"]["reason"]
        assert (
            "(it shared the job with 3 others)" in one["attempt"]["reason"]
            and "resources.time" in one["attempt"]["reason"]
        )
        assert one["attempt"]["started"] is None
    assert "#SBATCH --no-requeue\n" in day.not_resumable.scripts[0]
