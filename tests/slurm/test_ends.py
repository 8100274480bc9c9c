"""How a run in a job ends when SLURM ends the job: in time, truly, and without an answer from SLURM if need be."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.test_launcher import OPTIONS, Submission, slurm, start_now, submit
from tests.testing.slurm import eventually, instead_of, withdraw
from tests.testing.stash import PATIENCE, StashUnderTest, bare_stash

# Says in its directory when it is at work, and what it saved, which takes --take seconds; continued, it completes.
TOOL = """\
import os, signal, sys, time
given = dict(zip(sys.argv[1:], sys.argv[2:]))
here = given["--out"]
print("resumed" if "--resumed" in sys.argv else "first", flush=True)
if "--resumed" in sys.argv:
    sys.exit(0)
class Told(Exception):
    pass
def tell(number, frame):
    signal.signal(number, signal.SIG_IGN)
    raise Told(signal.Signals(number).name)
for name in given.get("--catch", "TERM").split("+"):
    signal.signal(signal.Signals["SIG" + name], tell)
open(os.path.join(here, "started.json"), "w").close()
try:
    time.sleep(600)
except Told as told:
    began = time.monotonic()
    while time.monotonic() < began + float(given.get("--take", 0)):
        time.sleep(0.05)
    with open(os.path.join(here, "saved"), "w") as stream:
        stream.write(str(told))
"""
# What SLURM doesn't answer while there is a file `silent`.
SILENT = '[[ ! -e "{silent}" || ! "$*" =~ (show.job|requeue) ]] || sleep 600; exec "$real" "$@"'


@pytest.fixture
def tools(stash: StashUnderTest) -> StashUnderTest:
    return with_tools(stash)


def with_tools(stash: StashUnderTest) -> StashUnderTest:
    for name, registration in (("plain", OPTIONS), ("able", f"{OPTIONS}resume: [--resumed]\n")):
        stash.add_tool(name, None, registration)
        stash.write(f"tools/{name}/main.py", TOOL)
        stash.add_experiment(name, name, "params: {take: 0, catch: TERM}\nestimated_runtime: 20m\n")
    stash.commit()
    return stash


def silent(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a job to which SLURM doesn't answer, as long as there is the file `silent`."""
    (tmp_path / "silent").touch()
    return instead_of(tmp_path, "scontrol", SILENT.format(silent=tmp_path / "silent"))


def at_work(sweep: Submission, count: int = 1) -> list[dict[str, Any]]:
    eventually(lambda: len(list(sweep.directory.glob("*/started.json"))) == count)
    return eventually(lambda: (found := sweep.records()) and all(one["attempt"]["process"] for one in found) and found)


def saved(record: dict[str, Any]) -> str | None:
    path = Path(record["directory"]) / "saved"
    return path.read_text() if path.exists() else None


def promised(record: dict[str, Any]) -> float:
    """Return how many seconds a tool was first given to save its work."""
    said = (Path(record["directory"]) / "supervisor.log").read_text()
    found = re.search(r"the tool has ([\d.]+) s to end", said)
    assert found is not None, said
    return float(found[1])


@contextlib.contextmanager
def preempting(cpus: int = 8) -> Iterator[None]:
    """Take the node for a more important job."""
    job = slurm("sbatch", "--parsable", "-p", "main", f"--cpus-per-task={cpus}", "-o", "/dev/null", "--wrap=sleep 600")
    try:
        yield
    finally:
        slurm("scancel", job.strip())


def is_gone(job: str) -> bool:
    states = ("CANCELLED", "COMPLETED", "FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT")
    return slurm("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T").strip() in states


@dataclass
class Day:
    """What takes as long as a job may, all of it going on at the same time while the other tests run."""

    warned: Submission
    unwarned: Submission
    unanswered: Submission
    stock: subprocess.Popen[str]
    silence: Path


@pytest.fixture(scope="module", autouse=True)
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    tools = with_tools(bare_stash(folder))
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    # SLURM's warning may come up to a minute early, but not before there is anybody to hear it.
    grace = ("grace.seconds=30", "grace.signal=USR1")
    stock = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=2", *grace)
    warned = submit(tools, "+exp=plain", "resources.time=2m", *grace, **home)
    unwarned = submit(tools, "+exp=plain", "resources.time=1m", "grace.seconds=0", **home)
    unanswered = submit(tools, "+exp=able", "resources.time=2m", *grace, **home, **silent(folder))
    process = tools.start("-m", "+exp=plain", "params.catch=USR1", *stock, **home)
    yield Day(warned, unwarned, unanswered, process, folder / "silent")
    process.kill()
    process.communicate()
    withdraw(tools.root)


SCAVENGING = ("resources.partition=scavenge", "resources.cpus=8")


@pytest.mark.parametrize("name", ["USR1", "SIGUSR2", "int", "1", "ALRM", "QUIT"])
def test_whatever_it_is_warned_by_it_is_a_warning(tools: StashUnderTest, name: str) -> None:
    sweep = submit(tools, "+exp=plain", f"grace.signal={name}", "hydra.launcher.wait=false")
    (record,) = at_work(sweep)
    (script,) = sweep.scripts
    number = {"int": "INT", "1": "HUP"}.get(name, name.removeprefix("SIG"))
    assert f"#SBATCH --signal=B:{number}@90\n" in script
    slurm("scancel", f"--signal={number}", "--batch", record["attempt"]["supervisor"]["job"])
    (record,) = sweep.ended()
    assert (
        record["attempt"]["state"] == "cancelled"
        and f"{number} came, from SLURM or by hand" in record["attempt"]["reason"]
    )
    assert saved(record) == "SIGTERM" and record["attempt"]["job_end"] is None


def test_submitits_own_signal_is_ours(tools: StashUnderTest) -> None:
    process = tools.start(
        "-m", "+exp=plain", "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=60", "grace.signal=USR2"
    )
    directory = eventually(lambda: next(tools.root.glob("multirun/*/*/*/started.json"), None)).parent
    job = eventually(lambda: tools.record(directory)["attempt"]["supervisor"]["job"])
    slurm("scancel", "--signal=USR2", job)
    process.communicate(timeout=PATIENCE)
    record = tools.record(directory)
    assert (
        record["attempt"]["state"] == "cancelled"
        and "SIGUSR2 came, from SLURM or by hand" in record["attempt"]["reason"]
    )
    assert saved(record) == "SIGTERM"


def test_a_log_is_followed_into_the_next_attempt(tools: StashUnderTest) -> None:
    sweep = submit(tools, "+exp=able", "+resources.extra.hold=true")
    (record,) = sweep.records()
    follower = tools.start("logs", record["id"], "-f")
    assert follower.stderr is not None
    assert "is queued; waiting until SLURM starts it" in follower.stderr.readline()
    slurm("scontrol", "release", sweep.jobs[0])
    (record,) = at_work(sweep)
    job = record["attempt"]["supervisor"]["job"]
    slurm("scontrol", "requeue", job)
    heard = []
    while not any("waiting until SLURM starts it for attempt 2" in line for line in heard):
        heard.append(follower.stderr.readline())
        assert heard[-1], heard
    eventually(lambda: start_now(job))
    stdout, stderr = follower.communicate(timeout=PATIENCE)
    assert follower.returncode == 0 and "Traceback" not in stderr
    assert "attempt 2\n" in stderr and stderr.endswith(f"{record['id']}: completed\n")
    assert stdout == "first\nresumed\n"


def test_a_job_that_somebody_ends(tools: StashUnderTest) -> None:
    sweep = submit(tools, "+exp=able", "params.take=0.5")
    (record,) = at_work(sweep)
    slurm("scancel", record["attempt"]["supervisor"]["job"])
    (record,) = sweep.ended()
    assert record["attempt"]["state"] == "cancelled" and "its SLURM job was cancelled" in record["attempt"]["reason"]
    assert promised(record) <= 5 and record["attempt"]["job_end"]["is_known"]
    eventually(lambda: is_gone(record["attempt"]["supervisor"]["job"]))
    assert sweep.records()[0]["attempt"]["state"] == "cancelled"


def test_at_the_wall_time(day: Day) -> None:
    """Warned by another signal, in silence, not at all, and by submitit."""
    for sweep in (day.warned, day.unwarned):
        (record,) = sweep.ended()
        assert record["attempt"]["state"] == "timed_out" and "wall time" in record["attempt"]["reason"], record[
            "attempt"
        ]["reason"]
        assert (
            record["attempt"]["exit_code"] == (138 if sweep is day.warned else 143)
            and record["attempt"]["job_end"]["is_known"]
        )
    assert saved(day.warned.records()[0]) == "SIGTERM" and promised(day.warned.records()[0]) == 22.5
    tools = day.warned.stash
    day.stock.communicate(timeout=PATIENCE)
    directory = next(tools.root.glob("multirun/*/*/.submitit")).parent / "0"
    stocks = tools.record(directory)
    assert stocks["attempt"]["state"] == "timed_out" and "wall time" in stocks["attempt"]["reason"]
    assert saved(stocks) == "SIGUSR1"  # from SLURM, as all processes of a step
    (record,) = day.unanswered.ended()
    assert record["attempt"]["state"] == "timed_out" and record["attempt"]["job_end"]["is_known"] is False
    assert saved(record) == "SIGTERM"
    eventually(lambda: is_gone(record["attempt"]["supervisor"]["job"]))
    day.silence.unlink()
    shown = tools.cli("show", record["id"]).stdout
    assert "wall time" in shown and "SLURM says TIMEOUT" in shown
    assert f"experimentstash resume {record['id']}" in shown
    assert tools.cli("resume", record["id"]).returncode == 0
    assert day.unanswered.records()[0]["attempt"]["state"] == "completed"


def test_preempted_in_silence(tools: StashUnderTest, tmp_path: Path) -> None:
    sweep = submit(tools, "+exp=plain", *SCAVENGING, **silent(tmp_path))
    at_work(sweep)
    with preempting():
        (record,) = sweep.ended()
        assert (
            record["attempt"]["state"] == "killed"
            and "asked to stop by SLURM, which didn't answer why" in record["attempt"]["reason"]
        )
        assert saved(record) == "SIGTERM" and record["attempt"]["exit_code"] == 143
        assert record["attempt"]["job_end"]["is_known"] is False
    (tmp_path / "silent").unlink()
    eventually(lambda: "✗ preempted" in tools.cli("runs").stdout)
    (record,) = sweep.records()
    assert record["attempt"]["job_end"]["is_known"] and "SLURM says PREEMPTED" in record["attempt"]["reason"]


def test_no_more_is_promised_than_what_is_left(tools: StashUnderTest, tmp_path: Path) -> None:
    sweep = submit(tools, "+exp=plain", "params.take=60", *SCAVENGING, **silent(tmp_path))
    at_work(sweep)
    with preempting():
        (record,) = sweep.ended()
    assert "the tool did not end within its grace and was killed" in record["attempt"]["reason"]
    assert 3 < promised(record) <= 5  # KillWait
    assert record["attempt"]["state"] == "killed"


def test_preempted_in_silence_it_goes_on_when_slurm_answers(tools: StashUnderTest, tmp_path: Path) -> None:
    sweep = submit(tools, "+exp=able", *SCAVENGING, **silent(tmp_path))
    at_work(sweep)
    with preempting():
        eventually(lambda: sweep.records()[0]["attempt"]["state"] == "killed")
        (tmp_path / "silent").unlink()  # before SLURM kills what is left of the job
        record = eventually(lambda: (one := sweep.records()[0])["attempt"]["state"] == "queued" and one)
        assert [one["state"] for one in record["earlier"]] == ["preempted"]
    job = f"{sweep.jobs[0]}_0"
    eventually(lambda: start_now(job))
    (record,) = sweep.ended()
    assert record["attempt"]["state"] == "completed" and record["attempt"]["number"] == 2


def test_preempted_in_silence_to_the_end(tools: StashUnderTest, tmp_path: Path) -> None:
    sweep = submit(tools, "+exp=able", *SCAVENGING, **silent(tmp_path))
    (record,) = at_work(sweep)
    with preempting():
        eventually(lambda: is_gone(record["attempt"]["supervisor"]["job"]))
    (record,) = sweep.records()
    assert record["attempt"]["state"] == "killed" and record["attempt"]["number"] == 1
    assert any(f"experimentstash resume {record['id']}" in note for note in record["attempt"]["notes"])
    (tmp_path / "silent").unlink()
    assert "✗ preempted" in tools.cli("runs").stdout
    assert tools.cli("resume", record["id"]).returncode == 0
    assert sweep.records()[0]["attempt"]["state"] == "completed"


def test_also_one_whose_tool_takes_all_its_time_is_told_how_to_go_on(tools: StashUnderTest, tmp_path: Path) -> None:
    sweep = submit(tools, "+exp=able", "params.take=60", *SCAVENGING, **silent(tmp_path))
    (record,) = at_work(sweep)
    with preempting():
        eventually(lambda: is_gone(record["attempt"]["supervisor"]["job"]))
    (record,) = sweep.records()
    assert (
        record["attempt"]["state"] == "killed"
        and "the tool did not end within its grace" in record["attempt"]["reason"]
    )
    assert any(f"experimentstash resume {record['id']}" in note for note in record["attempt"]["notes"])


@contextlib.contextmanager
def node_down() -> Iterator[None]:
    node = f"nodename={slurm('sinfo', '-h', '-N', '-o', '%N').split()[0]}"
    slurm("scontrol", "update", node, "state=down", "reason=test")
    try:
        yield
    finally:
        subprocess.run(["scontrol", "update", node, "state=resume"], check=False)
        eventually(lambda: slurm("sinfo", "-h", "-o", "%T").split()[0] in ("idle", "mixed", "allocated"))


def test_a_node_that_goes_down(tools: StashUnderTest) -> None:
    sweep = submit(tools, "+exp=plain,able")
    at_work(sweep, 2)
    with node_down():
        record = eventually(lambda: (one := sweep.records()[0])["attempt"]["state"] == "killed" and one)
        assert "its node failed (SLURM says NODE_FAIL)" in record["attempt"]["reason"]
        record = eventually(lambda: (one := sweep.records()[1])["attempt"]["state"] == "queued" and one)
        (attempt,) = record["earlier"]
        assert attempt["state"] == "killed" and "its node failed" in attempt["reason"]
    assert "· queued" in tools.cli("runs").stdout
    job = f"{sweep.jobs[0] if len(sweep.jobs) == 1 else sweep.jobs[1]}_0"
    eventually(lambda: start_now(job) and sweep.records()[1]["attempt"]["state"] == "completed")
