"""Hydra's stock submitit_slurm launcher with our task: jobs are warned, and end in their true state."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE, StashUnderTest
from tests.faults import is_alive, looking_away
from tests.slurm.conftest import eventually
from tests.slurm.test_launcher import slurm

SAVER = "entrypoint: main.py\ncall: {style: options, output: --out}"


@pytest.fixture
def saver(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a tool that saves when it is told."""
    stash.add_tool("saver", "saver", SAVER)
    stash.add_experiment("save", "saver")
    stash.commit()
    return stash


def submit(stash: StashUnderTest, *overrides: str) -> subprocess.Popen[str]:
    return stash.start("-m", "+exp=save", "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=60", *overrides)


def started(stash: StashUnderTest) -> Path:
    """Return the directory of the run, once its tool is at work."""
    found: Path = eventually(lambda: next(stash.root.glob("multirun/*/*/*/started.json"), None))
    return found.parent


def job_of(stash: StashUnderTest, directory: Path) -> str:
    return str(stash.record(directory)["supervisor"]["slurm_job"])


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
    assert [record["state"] for record in records] == ["completed", "completed", "failed"]
    assert len({record["supervisor"]["slurm_job"] for record in records}) == 3
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
    assert record["state"] == "cancelled"
    assert "saved" in (directory / "output.log").read_text()


def test_the_wall_time_is_a_time_out(saver: StashUnderTest) -> None:
    # SLURM's limits are whole minutes, and its warning may come up to a minute early.
    process = submit(saver, "hydra.launcher.timeout_min=1", "grace.seconds=30")
    directory = started(saver)
    finished(process)
    record = final(saver, directory)
    assert record["state"] == "timed_out"
    assert "wall time" in record["reason"]
    assert (directory / "saved.json").exists()


def test_in_a_step_the_tool_is_told_too(stash: StashUnderTest) -> None:
    stash.add_tool("plain", "plain", SAVER)
    go = stash.root / "go"
    stash.add_experiment("save", "plain", f"params: {{until: '{str(go).replace(chr(39), chr(39) * 2)}'}}\n")
    stash.commit()
    process = submit(stash, "hydra.launcher.timeout_min=2", "grace.seconds=46")
    directory = eventually(lambda: next(iter(stash.run_directories()), None))
    pid = eventually(lambda: stash.record(directory)["process"])["pid"]
    supervisor = stash.record(directory)["supervisor"]["pid"]
    with looking_away(supervisor):
        go.touch()
        eventually(lambda: not is_alive(pid))
        os.kill(supervisor, signal.SIGTERM)
    finished(process)
    record = final(stash, directory)
    assert record["state"] == "timed_out" and "the tool ended by itself with exit code 0" in record["reason"]


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
    # submitit raises when SLURM kills a job of its: the launching side may fail, the record must be true.
    process.communicate(timeout=PATIENCE)
    record = eventually(lambda: (found := final(stash, directory))["state"] != "running" and found)
    assert record["state"] == "cancelled"
    marker = f"EXPERIMENTSTASH_RUN_DIR={directory}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert marker not in environ.read_bytes().split(b"\0")
        except OSError:
            continue


def test_a_preempted_job_is_preempted(saver: StashUnderTest) -> None:
    process = submit(saver, "hydra.launcher.partition=scavenge", "hydra.launcher.cpus_per_task=8")
    directory = started(saver)
    slurm("sbatch", "--partition=main", "--cpus-per-task=8", "--output=/dev/null", "--wrap=true")
    process.communicate(timeout=PATIENCE)
    record = eventually(lambda: (found := final(saver, directory))["state"] != "running" and found)
    assert record["state"] == "preempted"
    assert (directory / "saved.json").exists()
