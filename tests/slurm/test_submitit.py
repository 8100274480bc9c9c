"""Hydra's stock submitit_slurm launcher with our task: jobs are warned, and end in their true state."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.test_launcher import failed_job, slurm
from tests.testing.faults import is_alive, looking_away
from tests.testing.slurm import eventually, withdraw
from tests.testing.stash import PATIENCE, StashUnderTest, bare_stash

SAVER = "entrypoint: main.py\ncall: {style: options, output: --out}"


@pytest.fixture
def saver(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a tool that saves when it is told."""
    return with_saver(stash)


def with_saver(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("saver", "saver", SAVER)
    stash.add_experiment("save", "saver")
    stash.commit()
    return stash


def submit(stash: StashUnderTest, *overrides: str, **environment: str) -> subprocess.Popen[str]:
    options = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=60")
    return stash.start("-m", "+exp=save", *options, *overrides, **environment)


@dataclass
class Day:
    """A job that goes on to its wall time, which takes as long as all the other tests."""

    stash: StashUnderTest
    process: subprocess.Popen[str]


@pytest.fixture(scope="module", autouse=True)
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    stash = with_saver(bare_stash(tmp_path_factory.mktemp("day")))
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    # SLURM's warning may come up to a minute early, but not before the job has begun.
    process = submit(stash, "hydra.launcher.timeout_min=2", "grace.seconds=30", **home)
    yield Day(stash, process)
    process.kill()
    process.communicate()
    withdraw(stash.root)


def started(stash: StashUnderTest) -> Path:
    """Return the directory of the run, once its tool is at work."""
    found: Path = eventually(lambda: next(stash.root.glob("multirun/*/*/*/started.json"), None))
    return found.parent


def job_of(stash: StashUnderTest, directory: Path) -> str:
    return str(stash.record(directory)["attempt"]["supervisor"]["job"])


def finished(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in stdout + stderr
    return stdout


def final(stash: StashUnderTest, directory: Path) -> dict[str, Any]:
    """Return the record as a look at the runs leaves it."""
    assert stash.cli("runs").returncode == 0
    return stash.record(directory)


def test_a_sweep_completes_and_is_warned_before_its_end(stash: StashUnderTest) -> None:
    stash.add_tool("plain", "plain", "entrypoint: main.py\ncall: {style: options, output: --out}")
    stash.add_experiment("plain", "plain", "params: {fail: 0}\n")
    done = stash.cli("-m", "+exp=plain", "params.fail=0,0,5", "hydra/launcher=submitit_slurm")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert re.search(r"-2 .*failed", done.stdout)
    (script,) = stash.root.glob("multirun/*/*/.submitit/*/*_submission.sh")
    assert "#SBATCH --signal=TERM@90\n" in script.read_text()
    records = [stash.record(directory) for directory in sorted(stash.run_directories())]
    assert [record["attempt"]["state"] for record in records] == ["completed", "completed", "failed"]
    assert len({record["attempt"]["supervisor"]["job"] for record in records}) == 3
    environment = json.loads((Path(records[0]["directory"]) / "result.json").read_text())["environment"]
    assert environment["WANDB_MODE"] == "offline"
    assert "SLURM_JOB_ID" in environment


def test_the_warning_is_configurable(saver: StashUnderTest) -> None:
    process = submit(saver, "grace.seconds=30", "grace.signal=TERM")
    directory = started(saver)
    (script,) = saver.root.glob("multirun/*/*/.submitit/*/*_submission.sh")
    assert "#SBATCH --signal=TERM@30\n" in script.read_text()
    slurm("scancel", "--signal=TERM", job_of(saver, directory))
    finished(process)


def test_a_warned_tool_saves_and_is_told_once(saver: StashUnderTest) -> None:
    process = submit(saver)
    directory = started(saver)
    done = saver.cli("cancel", "latest")
    assert done.returncode == 0, done.stderr
    finished(process)
    assert json.loads((directory / "saved.json").read_text()) == {"signals": 1}
    record = final(saver, directory)
    assert record["attempt"]["state"] == "cancelled"
    assert "saved" in (directory / "output.log").read_text()


def test_in_a_step_the_tool_is_told_too(stash: StashUnderTest) -> None:
    stash.add_tool("plain", "plain", SAVER)
    go = stash.root / "go"
    stash.add_experiment("save", "plain", f"params: {{until: '{str(go).replace(chr(39), chr(39) * 2)}'}}\n")
    stash.commit()
    process = submit(stash, "hydra.launcher.timeout_min=2", "grace.seconds=46")
    directory = eventually(lambda: next(iter(stash.run_directories()), None))
    pid = eventually(lambda: stash.record(directory)["attempt"]["process"])["pid"]
    supervisor = stash.record(directory)["attempt"]["supervisor"]["pid"]
    with looking_away(supervisor):
        go.touch()
        eventually(lambda: not is_alive(pid))
        os.kill(supervisor, signal.SIGTERM)
    finished(process)
    record = final(stash, directory)
    assert (
        record["attempt"]["state"] == "timed_out"
        and "the tool ended by itself with exit code 0" in record["attempt"]["reason"]
    )


def test_a_job_that_ignores_its_end_is_killed_and_its_record_closed(stash: StashUnderTest) -> None:
    stash.add_tool("deaf", None, SAVER)
    stash.write(
        "tools/deaf/main.py",
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[2] + '/started.json', 'w').write('{}')\ntime.sleep(600)\n",
    )
    stash.add_experiment("save", "deaf")
    process = submit(stash)
    directory = started(stash)
    job = job_of(stash, directory)
    slurm("scancel", job)
    finished(process)
    assert process.returncode == 1
    record = eventually(lambda: (found := final(stash, directory))["attempt"]["state"] != "running" and found)
    assert record["attempt"]["state"] == "cancelled"
    marker = f"EXPERIMENTSTASH_RUN_DIR={directory}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert marker not in environ.read_bytes().split(b"\0")
        except OSError:
            continue


def test_a_preempted_job_is_preempted(saver: StashUnderTest) -> None:
    process = submit(saver, "hydra.launcher.partition=scavenge", "hydra.launcher.cpus_per_task=7")
    directory = started(saver)
    slurm("sbatch", "--partition=main", "--cpus-per-task=7", "--output=/dev/null", "--wrap=true")
    finished(process)
    record = eventually(lambda: (found := final(saver, directory))["attempt"]["state"] != "running" and found)
    assert record["attempt"]["state"] == "preempted"
    assert (directory / "saved.json").exists()


# --- what goes wrong with one of them --------------------------------------------------------------------------------


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a tool that comes to its end by itself, once there is a file `go`, if it is given one."""
    stash.add_tool("plain", "plain", SAVER)
    stash.add_experiment("plain", "plain", "params: {fail: 0}\n")
    stash.commit()
    return stash


def by_number(stash: StashUnderTest) -> list[dict[str, Any]]:
    directories = sorted(stash.run_directories(), key=lambda path: int(path.name))
    return [stash.record(directory) for directory in directories]


def array_of(stash: StashUnderTest) -> str:
    """Return SLURM's id of the array that submitit has submitted."""
    script = eventually(lambda: next(stash.root.glob("multirun/*/*/.submitit/*/*_submission.sh"), None))
    return str(script.name.partition("_")[0])


def test_a_refused_submission_is_the_failure_of_its_runs(plain: StashUnderTest) -> None:
    done = plain.cli(
        "-m", "+exp=plain", "params.fail=0,0", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=nowhere"
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr and "bug" not in done.stderr
    assert [one["attempt"]["state"] for one in by_number(plain)] == ["failed"] * 2
    assert all("invalid partition" in one["attempt"]["reason"] for one in by_number(plain))
    assert done.stdout.count("✗ failed") == 2


def test_settings_without_sense_are_a_mistake(plain: StashUnderTest) -> None:
    done = plain.cli("-m", "+exp=plain", "hydra/launcher=submitit_slurm", "+hydra.launcher.nonsense=1")
    assert done.returncode == 2
    assert "nonsense" in done.stderr and "Traceback" not in done.stderr


def test_cancelled_tasks_do_not_keep_it_from_the_others(plain: StashUnderTest) -> None:
    held = ("hydra/launcher=submitit_slurm", "+hydra.launcher.additional_parameters.hold=true")
    process = plain.start("-m", "+exp=plain", "params.fail=0,0,5,0", *held)
    job = array_of(plain)
    slurm("scancel", f"{job}_0", f"{job}_3")
    slurm("scontrol", "release", job)
    stdout = finished(process)
    assert process.returncode == 1
    found = by_number(plain)
    assert [one["attempt"]["state"] for one in found] == ["cancelled", "completed", "failed", "cancelled"]
    assert f"its SLURM job {job}_0 ended before it had started the tool" in found[0]["attempt"]["reason"]
    assert found[0]["attempt"]["started"] is None and stdout.count("✗ cancelled") == 2


def test_a_job_that_dies_does_not_keep_it_from_the_others(saver: StashUnderTest) -> None:
    saver.add_tool("plain", "plain", SAVER)
    saver.add_experiment("plain", "plain", "params: {fail: 0}\n")
    process = saver.start("-m", "+exp=save,plain", "hydra/launcher=submitit_slurm")
    directory = started(saver)
    os.kill(eventually(lambda: saver.record(directory)["attempt"]["supervisor"])["pid"], signal.SIGKILL)
    finished(process)
    assert process.returncode == 1
    states = {one["spec"]["organizer"]: one["attempt"]["state"] for one in by_number(saver)}
    assert states == {"save": "lost", "plain": "completed"}


def test_one_that_dies_before_its_tool_starts_has_a_record(plain: StashUnderTest) -> None:
    setup = 'hydra.launcher.setup=["if [ $SLURM_ARRAY_TASK_ID = 1 ]; then exit 3; fi"]'
    done = plain.cli("-m", "+exp=plain", "params.fail=0,0,0", "hydra/launcher=submitit_slurm", setup)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert [one["attempt"]["state"] for one in by_number(plain)] == ["completed", "failed", "completed"]
    reason = by_number(plain)[1]["attempt"]["reason"]
    assert "SLURM says FAILED" in reason and "with exit code 3, at or after: exit 3; see " in reason


def test_what_is_asked_for_beats_the_environment(plain: StashUnderTest) -> None:
    nasty = {
        "SBATCH_PARTITION": "nowhere",
        "SBATCH_TIMELIMIT": "1",
        "SBATCH_SIGNAL": "KILL@50",
        "SBATCH_OUTPUT": "/nowhere/out",
        "SBATCH_ARRAY_INX": "7",
        "SBATCH_WAIT": "1",
        "SBATCH_ACCOUNT": "root",
        "SACCT_FORMAT": "User",
        "SQUEUE_PARTITION": "scavenge",
    }
    options = ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=main")
    done = plain.cli("-m", "+exp=plain", "params.fail=0,0", *options, **nasty)
    assert done.returncode == 0, done.stderr
    assert "SBATCH_ACCOUNT=root" in done.stderr and "SBATCH_SIGNAL" in done.stderr
    (script,) = plain.root.glob("multirun/*/*/.submitit/*/*_submission.sh")
    text = script.read_text()
    for line in ("--partition=main\n", "--time=60\n", "--signal=TERM@90\n", "--account=root\n"):
        assert f"#SBATCH {line}" in text
    job = script.name.partition("_")[0]
    asking = ("sacct", "-n", "-X", "-P", "-j", job, "-o", "Partition,Timelimit,Account")
    # Its database hears of a job's end before it hears of all that the job was.
    eventually(lambda: set(slurm(*asking).split()) == {"main|01:00:00|root"})


def test_what_is_recorded_is_what_its_jobs_ask_for(plain: StashUnderTest) -> None:
    options = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=7", "hydra.launcher.partition=main")
    done = plain.cli("-m", "+exp=plain", "params.fail=0", *options, "resources.time=9m", "resources.gpus=2")
    assert done.returncode == 0, done.stderr
    said = "resources.time, resources.gpus: no effect with submitit_slurm"
    (record,) = by_number(plain)
    assert said in done.stderr and said in record["attempt"]["notes"][0]
    assert record["attempt"]["terms"]["resources"] == {"time": "7m", "nodes": 1, "partition": "main"}
    asked = ("sacct", "-n", "-X", "-P", "-j", record["attempt"]["supervisor"]["job"], "-o", "Partition,Timelimit")
    eventually(lambda: slurm(*asked).split() == ["main|00:07:00"])  # accounting hears of it a moment later


def test_a_line_of_setup_that_fails_ends_the_job(plain: StashUnderTest) -> None:
    lines = "hydra.launcher.setup=[echo made ready,module load nosuch]"
    done = plain.cli("-m", "+exp=plain", "hydra/launcher=submitit_slurm", lines)
    assert done.returncode == 1, done.stderr
    (record,) = by_number(plain)
    assert record["attempt"]["state"] == "failed"
    assert "in hydra.launcher.setup, failed with exit code 127: module load nosuch" in record["attempt"]["reason"]
    assert "slurm_script" not in record["attempt"]["reason"]  # which is a copy on the node, and gone


def test_who_waits_hears_of_what_will_not_begin(plain: StashUnderTest) -> None:
    waits_for = f"+hydra.launcher.additional_parameters.dependency='afterok:{failed_job()}'"
    process = plain.start("-m", "+exp=plain", "params.fail=0,0", "hydra/launcher=submitit_slurm", waits_for)
    job = array_of(plain)
    assert process.stderr is not None
    line = next(line for line in process.stderr if "DependencyNeverSatisfied" in line)
    assert f"SLURM's job {job}_0, SLURM's job {job}_1 wait: the job that it waits for has not ended" in line
    slurm("scancel", job)
    finished(process)
    assert [one["attempt"]["state"] for one in by_number(plain)] == ["cancelled"] * 2


def test_the_wall_time_is_a_time_out(day: Day) -> None:
    directory = started(day.stash)
    finished(day.process)
    record = final(day.stash, directory)
    assert record["attempt"]["state"] == "timed_out"
    assert "wall time" in record["attempt"]["reason"]
    assert (directory / "saved.json").exists()
