"""A sweep that SLURM has begun goes on: what is queued or at work is left alone, nothing is executed twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.adapters.slurm import job as asked
from experimentstash.base.errors import EXIT_TIMED_OUT
from experimentstash.record import records
from experimentstash.record.run import State, Supervisor
from experimentstash.runs import reconcile
from tests.slurm.test_launcher import OPTIONS, Submission, slurm, start_now, submit
from tests.testing.faults import is_alive, looking_away
from tests.testing.slurm import eventually, instead_of, unreachable
from tests.testing.stash import PATIENCE, StashUnderTest

# Leaves a line for each time that it is started. Held (--hold n01: the runs 0 and 1), it goes on until there is a file
# `go` in its directory.
TOOL = """\
import os, sys, time
given = dict(zip(sys.argv[1:], sys.argv[2:]))
here, n = given["--out"], given["-n"]
with open(os.path.join(here, "tries"), "a") as stream:
    stream.write("resumed\\n" if "--resumed" in sys.argv else "begun\\n")
while n in given["--hold"] and not os.path.exists(os.path.join(here, "go")):
    time.sleep(0.02)
sys.exit(5 if n == given["--fail"] else 0)
"""
HELD = "+resources.extra.hold=true"


@pytest.fixture
def tools(stash: StashUnderTest) -> StashUnderTest:
    for name, registration in (("plain", OPTIONS), ("able", f"{OPTIONS}resume: [--resumed]\n")):
        stash.add_tool(name, None, registration)
        stash.write(f"tools/{name}/main.py", TOOL)
        stash.add_experiment(name, name, "params: {n: 0, hold: none, fail: none}\nestimated_runtime: 5m\n")
    stash.commit()
    return stash


def resume(sweep: Submission, *changes: str, code: int = 0, **environment: str) -> str:
    done = sweep.stash.cli("resume", str(sweep.directory), *changes, **environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def states(sweep: Submission) -> list[str]:
    return [one["attempt"]["state"] for one in sweep.records()]


def tries(sweep: Submission) -> list[str]:
    """Return how each run's tool was started, in its directory."""
    paths = [Path(one["directory"]) / "tries" for one in sweep.records()]
    return [" ".join(path.read_text().split()) if path.exists() else "" for path in paths]


def at_work(sweep: Submission, number: int, attempt: int = 1) -> Path:
    eventually(lambda: len(tries(sweep)[number].split()) == attempt and sweep.records()[number]["attempt"]["process"])
    return sweep.directory / str(number)


class Listener:
    """What a program says on its stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        assert process.stderr is not None
        threading.Thread(
            target=lambda stream: [self.lines.append(line) for line in stream], args=(process.stderr,), daemon=True
        ).start()

    def hears(self, words: str) -> None:
        eventually(lambda: any(words in line for line in self.lines))


def ends_untold(sweep: Submission, number: int) -> None:
    """Have a held tool end by itself, and its supervisor learn of that together with SLURM's signal."""
    directory = at_work(sweep, number)
    one = sweep.records()[number]
    with looking_away(one["attempt"]["supervisor"]["pid"]):
        (directory / "go").touch()
        eventually(lambda: not is_alive(one["attempt"]["process"]["pid"]))
        os.kill(one["attempt"]["supervisor"]["pid"], signal.SIGTERM)


def is_over(sweep: Submission) -> bool:
    return all(slurm("squeue", "-h", "-j", job, "-t", "RUNNING,PENDING,COMPLETING") == "" for job in sweep.jobs)


def preempted(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which SLURM says of each job that it has preempted it."""
    answer = "JobState=RUNNING Restarts=0 PreemptTime=2026-01-01T00:00:00"
    return instead_of(tmp_path, "scontrol", f'[[ "$*" == *"show job"* ]] && echo "{answer}" || exec "$real" "$@"')


@pytest.mark.parametrize("packed", [False, True])
def test_only_what_has_ended_without_success_runs_again(tools: StashUnderTest, packed: bool) -> None:
    how = ("hydra.launcher.runs_per_job=2",) if packed else ("hydra.launcher.array_parallelism=1",)
    sweep = submit(tools, "+exp=plain", "params.n=0,1,2,3", "params.hold=n2", "params.fail=1", *how)
    third = at_work(sweep, 2)
    eventually(lambda: states(sweep) == ["completed", "failed", "running", "queued"])
    before = sweep.records()
    resume(sweep)
    eventually(lambda: states(sweep)[1] == "failed" and sweep.records()[1]["created"] != before[1]["created"])
    assert sweep.records()[2:] == before[2:]
    assert len(sweep.jobs) == 2 and "--array=0-0\n" in sweep.scripts[0]
    (third / "go").touch()
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed", "failed", "completed", "completed"]
    assert tries(sweep) == ["begun"] * 4
    assert [path.name for path in (sweep.directory / ".superseded").iterdir()] == ["1-1"]
    eventually(lambda: is_over(sweep))


def test_a_further_attempt_asks_for_the_new_time_and_may_be_put_back_again(tools: StashUnderTest) -> None:
    given = ("+exp=able", "params.n=0,1", "params.hold=n0", "hydra.launcher.max_requeues=1")
    sweep = submit(tools, *given)
    first = at_work(sweep, 0)
    assert tools.cli("cancel", sweep.records()[0]["id"]).returncode == 0
    process = tools.start("resume", str(sweep.directory), "resources.time=17m", "hydra.launcher.wait=true")
    listener = Listener(process)
    listener.hears("▶ running")
    at_work(sweep, 0, attempt=2)
    last = sorted(sweep.directory.glob(".slurm/*.sh"), key=lambda path: path.stat().st_mtime)[-1]
    assert "#SBATCH --time=17\n" in last.read_text() and "#SBATCH --array=0-0\n" in last.read_text()
    job = sweep.records()[0]["attempt"]["supervisor"]["job"]
    slurm("scontrol", "requeue", job)
    eventually(lambda: sweep.records()[0]["attempt"]["number"] == 3)
    eventually(lambda: slurm("squeue", "-h", "-r", "-j", job, "-o", "%T").strip() == "PENDING")
    listener.hears("· queued for attempt 3")
    (first / "go").touch()
    eventually(lambda: start_now(job) and states(sweep)[0] != "queued")
    listener.hears("(1 of 1)")
    assert process.wait(PATIENCE) == 0
    assert tries(sweep) == ["begun resumed resumed", "begun"]
    assert [attempt["state"] for attempt in sweep.records()[0]["earlier"]] == ["cancelled", "preempted"]


def test_an_attempt_that_slurm_refuses_costs_nothing(tools: StashUnderTest) -> None:
    sweep = submit(tools, "+exp=able", "params.hold=n0", "params.n=0")
    first = at_work(sweep, 0)
    assert tools.cli("cancel", "latest").returncode == 0
    resume(sweep, "resources.partition=nowhere", code=1)
    assert states(sweep) == ["failed"]
    (first / "go").touch()
    resume(sweep, "resources.partition=null", "hydra.launcher.wait=true")
    assert states(sweep) == ["completed"] and tries(sweep) == ["begun resumed"]


def test_what_failed_gets_the_code_of_now(tools: StashUnderTest) -> None:
    sweep = submit(tools, "+exp=able", "params.n=0,1", "params.hold=n0", "params.fail=1")
    first = at_work(sweep, 0)
    eventually(lambda: states(sweep)[1] == "failed")
    assert tools.cli("cancel", sweep.records()[0]["id"]).returncode == 0
    tools.write("tools/able/main.py", TOOL.replace("sys.exit(5", "sys.exit(0"))  # fixed
    (first / "go").touch()
    resume(sweep, "hydra.launcher.wait=true")
    assert states(sweep) == ["completed"] * 2 and tries(sweep) == ["begun resumed", "begun"]
    one, other = (each["spec"]["code"] for each in sweep.records())
    assert one["snapshot"] != other["snapshot"] and "sys.exit(5" in Path(one["path"], "main.py").read_text()


def test_a_tool_that_dies_of_slurms_signal_before_its_supervisor_is_told(tools: StashUnderTest, tmp_path: Path) -> None:
    sweep = submit(tools, "+exp=able,plain", "params.n=0", "params.hold=n0", **preempted(tmp_path))
    first, second = at_work(sweep, 0), at_work(sweep, 1)
    for one in sweep.records():
        os.kill(one["attempt"]["process"]["pid"], signal.SIGTERM)
    eventually(
        lambda: (
            [one["attempt"]["number"] for one in sweep.records()] == [2, 1] and states(sweep) == ["queued", "preempted"]
        )
    )
    job = f"{sweep.jobs[0]}_0"
    eventually(lambda: slurm("squeue", "-h", "-r", "-j", job, "-o", "%T").strip() == "PENDING")
    (first / "go").touch()
    eventually(lambda: start_now(job) and states(sweep)[0] != "queued")
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed", "preempted"]
    assert tries(sweep) == ["begun resumed", "begun"] and not (second / "output.2.log").exists()


@pytest.mark.parametrize("fail", ["none", "0"])
def test_a_tool_that_ends_before_its_supervisor_is_told(tools: StashUnderTest, tmp_path: Path, fail: str) -> None:
    given = ("params.n=0", "params.hold=n0", f"params.fail={fail}")
    own = "completed" if fail == "none" else "failed"
    # Of the end of the wall time SLURM tells only our supervisor. Its warning may come a minute early: not yet.
    warned = submit(tools, "+exp=able", *given, "resources.time=2m", "grace.seconds=46")
    ends_untold(warned, 0)
    assert [one["attempt"]["state"] for one in warned.ended()] == [own] and tries(warned) == ["begun"]
    # A job that it preempts is told as a whole.
    sweep = submit(tools, "+exp=able,plain", *given, **preempted(tmp_path))
    ends_untold(sweep, 0), ends_untold(sweep, 1)
    job = f"{sweep.jobs[0]}_0"
    eventually(lambda: sweep.records()[0]["attempt"]["number"] == 2 and start_now(job) and states(sweep)[0] != "queued")
    assert [one["attempt"]["state"] for one in sweep.ended()] == [own, "preempted"]
    assert [one["state"] for one in sweep.records()[0]["earlier"]] == ["preempted"]
    assert "the tool ended by itself with exit code" in sweep.records()[1]["attempt"]["reason"]


def test_from_slurm_to_here_and_back(tools: StashUnderTest) -> None:
    sweep = submit(tools, "+exp=able,plain", "params.n=0,1", "params.hold=n0", f"+hydra.launcher.{HELD[1:]}")
    assert tools.cli("cancel", "--all").returncode == 0
    here = tools.start("resume", str(sweep.directory), "hydra/launcher=local", "hydra.launcher.n_jobs=4")
    at_work(sweep, 0), at_work(sweep, 2)
    eventually(lambda: states(sweep) == ["running", "completed", "running", "completed"])
    assert tools.cli("cancel", "--all").returncode == 0
    assert here.wait(PATIENCE) == 143
    process = tools.start("resume", str(sweep.directory), "hydra/launcher=slurm", "hydra.launcher.wait=true")
    at_work(sweep, 0, attempt=2)
    (sweep.directory / "0" / "go").touch()
    eventually(lambda: (sweep.directory / ".superseded" / "2-2").exists())
    at_work(sweep, 2)
    (sweep.directory / "2" / "go").touch()
    assert process.wait(PATIENCE) == 0
    assert states(sweep) == ["completed"] * 4 and tries(sweep) == ["begun resumed", "begun", "begun", "begun"]
    assert all(one["attempt"]["supervisor"]["job"] for one in sweep.records()[::2])


def test_killed_right_after_sbatch(tools: StashUnderTest, tmp_path: Path) -> None:
    killing = instead_of(tmp_path, "sbatch", f'"$real" "$@" > "{tmp_path}/job"', "kill -9 $PPID")
    sweep = submit(tools, "+exp=plain", "params.n=0,1", HELD, code=-9, **killing)
    job = (tmp_path / "job").read_text().strip()
    assert states(sweep) == ["queued"] * 2 and sweep.jobs == []
    resume(sweep)
    slurm("scontrol", "release", job)
    eventually(lambda: slurm("squeue", "-h", "-j", job, "-t", "RUNNING,PENDING,COMPLETING") == "")
    assert states(sweep) == ["queued"] * 2 and tries(sweep) == ["", ""]
    said = [path.read_text() for path in sweep.directory.glob(f".slurm/slurm-{job}_*.out")]
    assert len(said) == 2 and all("submitted once more since" in text for text in said)
    slurm("scontrol", "release", *sweep.jobs)
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed"] * 2 and tries(sweep) == ["begun"] * 2


@pytest.mark.parametrize("number", ["INT", "TERM", "HUP"])
def test_interrupted_while_it_submits(tools: StashUnderTest, tmp_path: Path, number: str) -> None:
    interrupting = instead_of(tmp_path, "sbatch", f"kill -{number} $PPID", "sleep 0.2", 'exec "$real" "$@"')
    given = ("+exp=plain", "params.n=0,1", "params.fail=none", HELD, "hydra.launcher.submit_limit=2")
    code = {"INT": 130, "TERM": 143, "HUP": 129}[number]
    sweep = submit(tools, *given, code=code, **interrupting)
    assert states(sweep) == ["queued", "cancelled"] and len(sweep.jobs) == 1
    assert "interrupted before it was submitted" in sweep.records()[1]["attempt"]["reason"]


def test_nobody_answers(tools: StashUnderTest, tmp_path: Path) -> None:
    nobody = unreachable(tmp_path)
    sweep = submit(tools, "+exp=plain", "params.n=0,1", HELD)
    before = sweep.records()
    assert "· queued" in tools.cli("runs", **nobody).stdout
    resume(sweep, **nobody)
    assert sweep.records() == before and len(sweep.jobs) == 1
    refused = submit(tools, "+exp=plain", "params.n=0", code=1, **nobody)
    assert "SLURM did not take it" in refused.records()[0]["attempt"]["reason"]
    resume(refused, "hydra.launcher.wait=true")
    assert states(refused) == ["completed"]
    done = tools.cli("cancel", "--sweep", str(sweep.directory), **nobody)
    assert done.returncode == 1 and "scancel" in done.stderr and "Traceback" not in done.stderr
    slurm("scontrol", "release", sweep.jobs[0])
    assert [one["attempt"]["state"] for one in sweep.ended()] == [
        "cancelled"
    ] * 2  # it was asked for, and they have seen it
    assert tries(sweep) == [""] * 2


def test_nobody_says_that_there_is_room(tools: StashUnderTest, tmp_path: Path) -> None:
    fails_once = f'[ -e "{tmp_path}/failed" ] || {{ touch "{tmp_path}/failed"; echo busy >&2; exit 1; }}'
    busy = instead_of(tmp_path, "squeue", fails_once, 'exec "$real" "$@"')
    sweep = submit(tools, "+exp=plain", "params.n=0", "params.fail=0", HELD, "hydra.launcher.submit_limit=9999", **busy)
    assert "waiting to submit 1 more: SLURM doesn't say how many jobs of yours are queued" in sweep.done.stderr
    assert states(sweep) == ["queued"]


def test_one_that_has_ended_does_not_keep_others_from_their_end() -> None:
    submitted = ["sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap=true"]
    job = slurm(*submitted).strip()
    asked.withdraw(["1", job], None)
    eventually(lambda: "CANCELLED" in slurm("squeue", "-h", "-j", job, "--states=all", "-o", "%T"))
    asked.warn(["1", job], None, in_step=False)


def test_what_may_go_back_into_the_queue_has_not_ended(tools: StashUnderTest) -> None:
    job = slurm("sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap=true").strip()
    sweep = submit(tools, "+exp=able", "params.n=0", "params.fail=0", "hydra.launcher.wait=true", code=1)
    run = records.read(sweep.directory / "0")
    run.attempt.state, run.attempt.exit_code, run.attempt.supervisor = (
        State.TIMED_OUT,
        143,
        Supervisor("host", 1, 2, "boot", job),
    )
    records.write(run)  # as its supervisor leaves it while it brings the W&B run to its end
    assert reconcile.may_go_back(run, JobQueries())
    resume(sweep, "hydra.launcher.wait=false", code=1)
    refused = tools.cli("resume", run.id)
    assert refused.returncode == 2 and "has not ended" in refused.stderr
    assert records.read(run.path) == run and len(sweep.jobs) == 1
    run.attempt.exit_code = EXIT_TIMED_OUT  # of our own timeout
    assert not reconcile.may_go_back(run, JobQueries())
    slurm("scancel", job)
    run.attempt.exit_code = 143
    eventually(lambda: not reconcile.may_go_back(run, JobQueries()))


def test_secrets_are_in_the_jobs_environment_alone(tools: StashUnderTest) -> None:
    key = "sk-1234567890"
    tools.write("tools/plain/main.py", "import os\nassert os.environ['MY_API_KEY'] == '" + key[::-1] + "'[::-1]\n")
    with (tools.root / "conf/tool/plain.yaml").open("a") as stream:
        stream.write("env: {MY_API_KEY: '${oc.env:OTHER_API_KEY}'}\n")
    sweep = submit(tools, "+exp=plain", "params.n=0", "hydra.launcher.wait=true", OTHER_API_KEY=key)
    setup = 'resources.setup=["export X=${oc.env:OTHER_API_KEY}"]'
    for override in (setup, f"hydra.launcher.{setup}"):
        refused = submit(tools, "+exp=plain", "params.n=0", override, code=1, OTHER_API_KEY=key)
        assert "_API_KEY" in refused.records()[0]["attempt"]["reason"] and not refused.jobs
    assert subprocess.run(["grep", "-r", key, str(tools.root)], stdout=subprocess.DEVNULL, check=False).returncode == 1
    resume(sweep, OTHER_API_KEY=key)


def test_what_a_login_shell_sets_reaches_the_tool(tools: StashUnderTest) -> None:
    tools.write("tools/plain/main.py", "import json, os\nprint(json.dumps(dict(os.environ)))\n")
    given = {"LD_LIBRARY_PATH": "/opt/lib", "BASH_FUNC_module%%": "() {  echo module\n}"}
    sweep = submit(tools, "+exp=plain", "params.n=0", "hydra.launcher.wait=true", SLURM_PROCID="7", **given)
    seen = json.loads((sweep.directory / "0" / "output.log").read_text())
    assert given.items() <= seen.items() and seen["SLURM_JOB_ID"] and "SLURM_PROCID" not in seen
