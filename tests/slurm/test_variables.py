"""The user's environment speaks to SLURM's commands too: what was asked for counts, and no answer depends on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.adapters.test_slurm_questions import NASTY
from tests.slurm.test_launcher import OPTIONS, slurm, submit
from tests.testing.slurm import eventually, setting, unreachable
from tests.testing.stash import StashUnderTest

# What sbatch would do with each of these instead of what a batch script says.
BEATING = {
    "SBATCH_PARTITION": "scavenge",
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_MEM_PER_CPU": "4000",
    "SBATCH_SIGNAL": "KILL@50",
    "SBATCH_REQUEUE": "1",
    "SBATCH_OUTPUT": "/nowhere/%j.out",
    "SBATCH_ERROR": "/nowhere/%j.err",
    "SBATCH_INPUT": "/nowhere/in",
    "SBATCH_OPEN_MODE": "truncate",
    "SBATCH_ARRAY_INX": "7-9",
    "SBATCH_JOB_NAME": "other",
    "SBATCH_EXPORT": "NONE",
    "SBATCH_WAIT": "1",
    "SBATCH_CONTAINER": "/nowhere",
    "SBATCH_GET_USER_ENV": "1",
    "SBATCH_IGNORE_PBS": "1",
    "SBATCH_DEBUG": "1",
}
ASKED = ("resources={partition:main,time:10m,mem:50M}", "grace.seconds=30")


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("plain", "plain", OPTIONS)
    stash.add_experiment("plain", "plain", "params: {fail: 0}\n")
    stash.commit()
    return stash


def shown(job: str) -> dict[str, str]:
    words = slurm("scontrol", "--oneliner", "show", "job", job).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def test_what_is_asked_for_beats_every_variable(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "params.fail=0,0", *ASKED, "+resources.extra.hold=true", **BEATING)
    (job,) = sweep.jobs
    found = shown(job)
    assert found["Partition"] == "main" and found["TimeLimit"] == "00:10:00" and found["Requeue"] == "0"
    assert found["MinMemoryNode"] == "50M" and found["ArrayTaskId"].startswith("0-1")
    assert f" StdOut={sweep.directory}/.slurm/" in slurm("scontrol", "--oneliner", "show", "job", job)
    assert found["StdIn"] == "/dev/null"
    assert "SBATCH_SIGNAL" in sweep.done.stderr and "no effect" in sweep.done.stderr
    slurm("scontrol", "release", job)
    found_records = sweep.ended()
    assert [one["attempt"]["state"] for one in found_records] == ["completed"] * 2
    assert all(one["attempt"]["terms"]["borrowed"] == {} for one in found_records)


def test_what_nobody_asks_for_may_be_filled_and_is_seen(plain: StashUnderTest) -> None:
    given = {
        "SBATCH_PARTITION": "scavenge",
        "SBATCH_TIMELIMIT": "0:20:00",
        "SBATCH_WCKEY": "mine",
        "SBATCH_QOS": "normal",
    }
    dry = plain.cli("-m", "+exp=plain", "hydra/launcher=slurm", "dry_run=true", **given)
    sweep = submit(plain, "+exp=plain", "+resources.extra.hold=true", **given)
    for text in (dry.stdout, sweep.scripts[0]):
        for line in ("--partition=scavenge\n", "--time=0:20:00\n", "--wckey=mine\n", "--qos=normal\n"):
            assert f"#SBATCH {line}" in text
    assert "SBATCH_PARTITION=scavenge" in dry.stdout and "SBATCH_PARTITION=scavenge" in sweep.done.stderr
    found = shown(sweep.jobs[0])
    assert found["Partition"] == "scavenge" and found["TimeLimit"] == "00:20:00"
    (record,) = sweep.records()
    assert record["attempt"]["terms"]["borrowed"] == given
    # The wall time is known to who watches over the run, as if it had been asked for.
    expected = {"partition": "scavenge", "time": 1200.0, "qos": "normal", "extra": {"hold": True, "wckey": "mine"}}
    assert record["attempt"]["terms"]["resources"] == expected
    assert "SBATCH_TIMELIMIT=0:20:00" in plain.cli("show", record["id"]).stdout


def test_what_is_filled_for_the_stock_launcher_is_in_the_record(plain: StashUnderTest) -> None:
    """Its jobs compose themselves, in a process that hasn't seen the variables."""
    given = {"SBATCH_TIMELIMIT": "0:20:00", "SBATCH_QOS": "normal"}
    done = plain.cli("-m", "+exp=plain", "hydra/launcher=submitit_slurm", **{**given, "SBATCH_SIGNAL": "KILL@50"})
    assert done.returncode == 0, done.stderr
    (directory,) = plain.run_directories()
    record = plain.record(directory)
    assert record["attempt"]["terms"]["borrowed"] == {
        "SBATCH_QOS": "normal"
    }  # the launcher itself says how long a job takes
    assert (
        record["attempt"]["terms"]["resources"]["qos"] == "normal"
        and "SBATCH_QOS=normal" in plain.cli("show", record["id"]).stdout
    )
    received = json.loads((directory / "result.json").read_text())["environment"]
    assert "EXPERIMENTSTASH_OF_LAUNCHER" not in received


def test_what_is_asked_to_be_left_out_is_not_filled(plain: StashUnderTest) -> None:
    dry = plain.cli(
        "-m",
        "+exp=plain",
        "hydra/launcher=slurm",
        "dry_run=true",
        "+resources.extra.account=null",
        SBATCH_ACCOUNT="lab",
    )
    assert dry.returncode == 0 and "--account" not in dry.stdout


def test_a_time_limit_that_is_all_grace_is_a_mistake(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", code=1, SBATCH_TIMELIMIT="1")
    assert "SBATCH_TIMELIMIT=1: 1m00s is all grace" in sweep.records()[0]["attempt"]["reason"]


def test_what_a_variable_gives_is_not_multiplied(plain: StashUnderTest) -> None:
    packed = ("hydra.launcher.runs_per_job=4", "hydra.launcher.runs_at_once=2")
    dry = plain.cli(
        "-m",
        "+exp=plain",
        "params.fail=0,0,0,0",
        "hydra/launcher=slurm",
        "dry_run=true",
        *packed,
        SBATCH_TIMELIMIT="30",
        SBATCH_MEM_PER_NODE="100M",
    )
    assert "#SBATCH --time=30\n" in dry.stdout and "#SBATCH --mem=100M\n" in dry.stdout


@pytest.mark.parametrize("verb", [["runs"], ["show"], ["list"]])
def test_looking_changes_nothing_whatever_the_environment(plain: StashUnderTest, verb: list[str]) -> None:
    sweep = submit(plain, "+exp=plain", "params.fail=0,0,0", "+resources.extra.hold=true")
    before = [(sweep.directory / str(number) / "run.json").read_bytes() for number in range(3)]
    alone = [{name: value} for name, value in NASTY.items() if name.startswith(("SQUEUE_PART", "SQUEUE_STATES"))]
    for variables in [*alone, {**NASTY, **BEATING}]:
        assert plain.cli(*verb, **variables).returncode == 0
        assert [(sweep.directory / str(number) / "run.json").read_bytes() for number in range(3)] == before
    slurm("scontrol", "release", sweep.jobs[0])
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed"] * 3


def test_everything_works_in_a_nasty_environment(plain: StashUnderTest) -> None:
    nasty = {name: value for name, value in {**NASTY, **BEATING}.items() if name != "SLURM_CLUSTERS"}
    plain.add_tool("saver", "saver", OPTIONS)
    plain.add_experiment("save", "saver")
    waited = submit(plain, "+exp=plain", "params.fail=0,5", *ASKED, "hydra.launcher.wait=true", code=1, **nasty)
    assert [one["attempt"]["state"] for one in waited.records()] == ["completed", "failed"]
    queued = submit(plain, "+exp=plain", "params.fail=0,0,0", *ASKED, "+resources.extra.hold=true", **nasty)
    running = submit(plain, "+exp=save", *ASKED, **nasty)
    directory = running.started()
    first, at_work = queued.records()[1]["id"], running.records()[0]["id"]
    done = plain.cli("cancel", first, at_work, **nasty)
    assert done.returncode == 0, done.stderr
    assert [one["attempt"]["state"] for one in queued.records()] == ["queued", "cancelled", "queued"]
    eventually(lambda: running.records()[0]["attempt"]["state"] == "cancelled")
    assert Path(directory, "saved.json").exists()


def test_another_cluster_is_named_wherever_it_is_asked(plain: StashUnderTest) -> None:
    name = setting("ClusterName")
    sweep = submit(plain, "+exp=plain", "+resources.extra.hold=true", SLURM_CLUSTERS=name)
    assert f"#SBATCH --clusters={name}\n" in sweep.scripts[0]
    assert next(sweep.directory.glob(".slurm/*.job")).read_text().split() == [sweep.jobs[0], name]
    refused = submit(plain, "+exp=plain", code=1, SBATCH_CLUSTERS="nowhere")
    assert refused.records()[0]["attempt"]["state"] == "failed"
    # One that doesn't answer changes nothing.
    note = next(sweep.directory.glob(".slurm/*.job"))
    note.write_text(f"{sweep.jobs[0]} far-away\n")
    looked = plain.cli("runs")
    assert "SLURM doesn't answer" in looked.stderr and sweep.records()[0]["attempt"]["state"] == "queued"
    assert plain.cli("cancel", sweep.records()[0]["id"]).returncode == 1
    assert sweep.records()[0]["attempt"]["state"] == "queued"
    assert shown(f"{sweep.jobs[0]}_0")["JobState"] == "PENDING"


def test_while_the_controller_is_away_nothing_changes_and_that_is_said(plain: StashUnderTest, tmp_path: Path) -> None:
    nobody = unreachable(tmp_path)
    sweep = submit(plain, "+exp=plain", "params.fail=0,0", "+resources.extra.hold=true")
    before = [(sweep.directory / str(number) / "run.json").read_bytes() for number in range(2)]
    looked = plain.cli("runs", **nobody)
    assert looked.returncode == 0 and "SLURM doesn't answer" in looked.stderr
    assert looked.stdout.count("queued") == 2
    done = plain.cli("cancel", sweep.records()[0]["id"], **nobody)
    assert done.returncode == 1 and f"scancel {sweep.jobs[0]}_0" in done.stderr
    assert "Traceback" not in done.stderr
    assert [(sweep.directory / str(number) / "run.json").read_bytes() for number in range(2)] == before
    refused = submit(plain, "+exp=plain", code=1, **nobody)
    assert (
        refused.records()[0]["attempt"]["state"] == "failed"
        and "Unable to contact" in refused.records()[0]["attempt"]["reason"]
    )
