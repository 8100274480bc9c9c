"""`experimentstash cancel` on a real cluster: what leaves the queue is what was named, and nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from experimentstash.record import records
from experimentstash.record.run import State
from experimentstash.runs import cancelling
from experimentstash.stash.layout import find_stash
from tests.slurm.test_launcher import LINKED, OPTIONS, Submission, slurm, start_now, submit
from tests.testing.slurm import eventually
from tests.testing.stash import StashUnderTest, bare_stash

EIGHT = "params.fail=0,0,0,0,0,0,0,0"
HELD = "+resources.extra.hold=true"
PACKED = ("hydra.launcher.runs_per_job=4", "hydra.launcher.runs_at_once=2")


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("plain", "plain", OPTIONS)
    stash.add_tool("saver", "saver", OPTIONS)
    stash.add_experiment("plain", "plain", "params: {fail: 0}\nestimated_runtime: 10m\n")
    stash.add_experiment("save", "saver")
    stash.add_tool("linked", None, f"{OPTIONS}resume: [--resumed]")
    stash.write("tools/linked/main.py", LINKED)
    stash.add_experiment("linked", "linked")
    stash.commit()
    return stash


def queue() -> set[str]:
    """Return all tasks, of whomever, that are queued or at work."""
    listed = slurm("squeue", "--noheader", "--array", "--format=%i|%T").split()
    return {job for job, _, state in (line.partition("|") for line in listed) if state in ("PENDING", "RUNNING")}


def ids(sweep: Submission, *numbers: int) -> list[str]:
    found = [one["id"] for one in sweep.records()]
    return [found[number] for number in numbers]


def states(sweep: Submission) -> list[str]:
    return [one["attempt"]["state"] for one in sweep.records()]


@pytest.mark.parametrize("parallelism", [[], ["hydra.launcher.array_parallelism=2"]])
@pytest.mark.parametrize("named", [[3], [0], [7], [1, 2, 6], [0, 1, 2, 3, 4, 5, 6, 7]])
def test_only_what_was_named_leaves_the_queue(plain: StashUnderTest, parallelism: list[str], named: list[int]) -> None:
    sweep = submit(plain, "+exp=plain", EIGHT, HELD, *parallelism)
    other = submit(plain, "+exp=plain", EIGHT, HELD)
    foreign = slurm("sbatch", "--parsable", "--hold", "--array=0-3", "--output=/dev/null", "--wrap=true").strip()
    before = queue()
    assert {f"{sweep.jobs[0]}_3", f"{other.jobs[0]}_3", f"{foreign}_3"} <= before
    done = plain.cli("cancel", *ids(sweep, *named))
    assert done.returncode == 0, done.stderr
    assert before - queue() == {f"{sweep.jobs[0]}_{number}" for number in named}
    assert done.stderr.count("✗ cancelled") == len(named)
    plain.cli("runs")
    assert states(sweep) == ["cancelled" if number in named else "queued" for number in range(8)]
    assert states(other) == ["queued"] * 8


@pytest.mark.parametrize("which", ["--sweep", "--all"])
def test_a_sweep_or_a_stash_is_all_that_leaves_the_queue(plain: StashUnderTest, tmp_path: Path, which: str) -> None:
    (tmp_path / "other").mkdir()
    neighbour = bare_stash(tmp_path / "other")
    neighbour.add_tool("plain", "plain", OPTIONS)
    neighbour.add_experiment("plain", "plain", "params: {fail: 0}\n")
    neighbour.commit()
    of_the_neighbour = submit(neighbour, "+exp=plain", EIGHT, HELD)
    sweeps = [submit(plain, "+exp=plain", EIGHT, HELD) for _ in range(2)]
    before = queue()
    given = ["--sweep", str(sweeps[0].directory)] if which == "--sweep" else ["--all"]
    assert plain.cli("cancel", *given).returncode == 0
    meant = sweeps if which == "--all" else sweeps[:1]
    assert before - queue() == {f"{sweep.jobs[0]}_{number}" for sweep in meant for number in range(8)}
    assert states(of_the_neighbour) == ["queued"] * 8


def test_of_a_packed_job_that_is_queued(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", EIGHT, HELD, *PACKED)
    (job,) = sweep.jobs
    before = queue()
    assert plain.cli("cancel", *ids(sweep, 5)).returncode == 0
    assert queue() == before and states(sweep) == ["queued"] * 5 + ["cancelled"] + ["queued"] * 2
    assert plain.cli("cancel", *ids(sweep, 0, 1, 2, 3, 4)).returncode == 0
    assert before - queue() == {f"{job}_0"}
    assert states(sweep) == ["cancelled"] * 6 + ["queued"] * 2
    slurm("scontrol", "release", job)
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["cancelled"] * 6 + ["completed"] * 2
    assert all(one["attempt"]["started"] is None for one in sweep.records()[:6])


def test_a_job_that_has_just_started_ends_without_its_tool(plain: StashUnderTest, tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = f"while [ ! -e '{go}' ]; do sleep 0.05; done"
    sweep = submit(plain, "+exp=plain", "params.fail=0,0", f'resources.setup=["{wait}"]')
    first = f"{sweep.jobs[0]}_0"
    eventually(lambda: slurm("squeue", "-h", "-r", "-j", first, "-o", "%T").strip() == "RUNNING")
    assert states(sweep) == ["queued"] * 2  # SLURM has started it, and we haven't
    assert plain.cli("cancel", *ids(sweep, 0)).returncode == 0
    go.touch()
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["cancelled", "completed"]
    assert sweep.records()[0]["attempt"]["started"] is None


def test_one_that_begins_while_it_is_cancelled_is_told_gently(
    plain: StashUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = submit(plain, "+exp=save", "resources.time=30m")
    directory = sweep.started()
    as_it_was = records.read(directory)
    as_it_was.attempt.state, as_it_was.attempt.supervisor = State.QUEUED, None  # what somebody saw a moment ago
    monkeypatch.chdir(plain.root)
    done = cancelling.cancel(find_stash(), [as_it_was], lambda _: None, whole_sweeps=False)
    assert done.failed == [] and [run.attempt.state for run in done.runs] == [State.CANCELLED]
    assert json.loads((directory / "saved.json").read_text()) == {"signals": 1}


def test_in_the_moment_after_a_requeue(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=linked", "resources.time=30m")
    sweep.started()
    job = f"{sweep.jobs[0]}_0"
    slurm("scontrol", "requeue", job)
    eventually(lambda: sweep.records()[0]["attempt"]["number"] == 2)
    done = plain.cli("cancel", sweep.records()[0]["id"])
    assert done.returncode == 0, done.stderr
    assert "scancel" not in done.stderr and "✗ cancelled" in done.stderr
    (record,) = sweep.records()
    assert (record["attempt"]["state"], record["attempt"]["number"]) == ("cancelled", 2) and record["attempt"][
        "started"
    ] is None
    eventually(
        lambda: "PENDING" not in (said := slurm("squeue", "-h", "-r", "-j", job, "-o", "%T")) and not said.strip()
    )


def test_a_request_that_comes_before_a_requeue_holds_for_the_next_attempt(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=linked", "resources.time=30m")
    directory = sweep.started()
    job = f"{sweep.jobs[0]}_0"
    slurm("scontrol", "requeue", job)
    (directory / "cancel").touch()  # as `cancel` does first
    eventually(lambda: start_now(job))
    record = sweep.ended()[0]
    assert record["attempt"]["state"] == "cancelled"
    assert not (directory / "output.2.log").exists()


def test_with_a_queue_that_cannot_be_asked_it_says_so_and_ends(plain: StashUnderTest, tmp_path: Path) -> None:
    """Neither what SLURM doesn't answer nor what it refuses is waited for without an end."""
    sweep = submit(plain, "+exp=plain", "params.fail=0,0", HELD)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("squeue", "sacct", "scancel"):
        (programs / name).write_text(
            f"#!/bin/sh\necho '{name}: error: Unable to contact slurm controller' >&2\nexit 1\n"
        )
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = plain.cli("cancel", *ids(sweep, 0), PATH=path)
    assert done.returncode == 1
    assert "Unable to contact slurm controller" in done.stderr and f"scancel {sweep.jobs[0]}_0" in done.stderr
    assert "Traceback" not in done.stderr
    assert states(sweep) == ["queued"] * 2
    # Nothing of it begins, though: it is cancelled, and says so.
    slurm("scontrol", "release", sweep.jobs[0])
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["cancelled", "completed"]
    assert sweep.records()[0]["attempt"]["started"] is None or not (sweep.directory / "0" / "output.log").exists()


def test_one_run_of_a_local_sweep_inside_a_job(plain: StashUnderTest) -> None:
    """A sweep that somebody runs in a job of their own: its other runs, and the job's script, go on."""
    script = plain.root / "job.sh"
    script.write_text(
        "#!/bin/bash\n"
        "python=$1; shift\n"
        '"$python" -m experimentstash -m +exp=save,plain hydra/launcher=local hydra.launcher.n_jobs=1\n'
        "touch after\n"
    )
    slurm("sbatch", f"--chdir={plain.root}", "--output=job.out", str(script), sys.executable)
    started = eventually(lambda: next(plain.root.glob("multirun/*/*/*/started.json"), None))
    record = plain.record(started.parent)
    done = plain.cli("cancel", record["id"])
    assert done.returncode == 0, done.stderr
    assert json.loads((started.parent / "saved.json").read_text()) == {"signals": 1}
    eventually((plain.root / "after").exists)
    found = [plain.record(directory)["attempt"]["state"] for directory in plain.run_directories()]
    assert sorted(found) == ["cancelled", "completed"], (plain.root / "job.out").read_text()


def test_a_job_that_is_suspended_ends_when_it_goes_on(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=save", "resources.time=30m")
    directory = sweep.started()
    job = f"{sweep.jobs[0]}_0"
    slurm("scontrol", "suspend", job)
    assert f"SLURM has suspended its job {job}" in plain.cli("runs").stdout
    done = plain.cli("cancel", "latest")
    assert done.returncode == 1 and "it ends as soon as it goes on" in done.stderr
    assert f"scancel {job}" in done.stderr and "scancel:" not in done.stderr
    slurm("scontrol", "resume", job)
    (record,) = sweep.ended()
    assert record["attempt"]["state"] == "cancelled" and json.loads((directory / "saved.json").read_text()) == {
        "signals": 1
    }
