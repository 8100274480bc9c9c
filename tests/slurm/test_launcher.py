"""hydra/launcher=slurm on a real cluster: frozen at submission, warned, cancelled, preempted, and brought back."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.testing.foreign import make_venv
from tests.testing.slurm import eventually, withdraw
from tests.testing.stash import PATIENCE, StashUnderTest, bare_stash

OPTIONS = "entrypoint: main.py\ncall: {style: options, output: --out}\n"
# Notes whom SLURM tells to stop: itself, a child, or both. Continued, it completes.
LINKED = """\
import os, signal, subprocess, sys, time
out = sys.argv[sys.argv.index("--out") + 1]
if "--resumed" in sys.argv:
    print("resumed with", open(os.path.join(out, "saved")).read(), flush=True)
    sys.exit(0)
told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
note = "import signal, sys, time; signal.signal(15, lambda *_: open(sys.argv[1], 'w').close()); time.sleep(300)"
child = subprocess.Popen([sys.executable, "-c", note, os.path.join(out, "child-told")])
open(os.path.join(out, "started.json"), "w").close()
while not told:
    time.sleep(0.05)
time.sleep(1)
child.kill()
with open(os.path.join(out, "saved"), "w") as stream:
    stream.write(f"{len(told)} signals")
"""


@dataclass
class Submission:
    """One sweep that was submitted, and where it is."""

    stash: StashUnderTest
    directory: Path
    done: subprocess.CompletedProcess[str]

    @property
    def scripts(self) -> list[str]:
        return [path.read_text() for path in sorted(self.directory.glob(".slurm/*.sh"))]

    @property
    def jobs(self) -> list[str]:
        return [path.read_text().split()[0] for path in sorted(self.directory.glob(".slurm/*.job"))]

    def records(self) -> list[dict[str, Any]]:
        paths = sorted(self.directory.glob("*/run.json"), key=lambda path: int(path.parent.name))
        return [self.stash.record(path.parent) for path in paths]

    def ended(self) -> list[dict[str, Any]]:
        """Return the records once all runs have ended, as the runs themselves tell."""
        open_states = ("frozen", "queued", "running")
        return eventually(
            lambda: (
                (found := self.records()) and all(one["attempt"]["state"] not in open_states for one in found) and found
            )
        )

    def started(self) -> Path:
        found: Path = eventually(lambda: next(self.directory.glob("*/started.json"), None))
        return found.parent


def submit(stash: StashUnderTest, *overrides: str, code: int = 0, **environment: str) -> Submission:
    before = set(stash.root.glob("multirun/*/*"))
    done = stash.cli("-m", "hydra/launcher=slurm", *overrides, **environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (directory,) = set(stash.root.glob("multirun/*/*")) - before
    return Submission(stash, directory, done)


def slurm(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def failed_job() -> str:
    """Return SLURM's id of a job that has failed: what is to begin after its success never will."""
    argv = ["sbatch", "--parsable", "--wait", "--output=/dev/null", "--wrap=exit 1"]
    return subprocess.run(argv, check=False, capture_output=True, text=True).stdout.strip()


def start_now(job: str) -> bool:
    """Have a job that is back in the queue begin now rather than when SLURM has it begin; tell whether it has.

    But not in the second in which it has left its node, which would not take it again yet ("Job credential revoked").
    """
    shown = dict(word.split("=", 1) for word in slurm("scontrol", "-o", "show", "job", job).split() if "=" in word)
    if shown["JobState"] != "PENDING":  # while its last attempt ends, it isn't back in the queue yet
        return shown["JobState"] != "COMPLETING" and shown["Restarts"] != "0"
    if datetime.fromisoformat(shown["EligibleTime"]) > datetime.now() + timedelta(seconds=5):
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now+2"], check=False, capture_output=True)
    return False


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("plain", "plain", OPTIONS)
    stash.add_tool("saver", "saver", OPTIONS)
    stash.add_experiment("plain", "plain", "params: {fail: 0}\nestimated_runtime: 10m\n")
    stash.add_experiment("large", "plain", "params: {fail: 0}\nresources: {time: 5m, cpus: 2, mem: 100M}\n")
    stash.add_experiment("save", "saver")
    stash.commit()
    return stash


@dataclass
class Day:
    """What takes minutes, all of it going on at the same time while the other tests run."""

    at_limit: Submission
    preempted: Submission
    not_resumable: Submission


@pytest.fixture(scope="module", autouse=True)
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    stash = bare_stash(tmp_path_factory.mktemp("day"))
    for name, registration in (("linked", f"{OPTIONS}resume: [--resumed]"), ("alone", OPTIONS)):
        stash.add_tool(name, None, registration)
        stash.write(f"tools/{name}/main.py", LINKED)
        stash.add_experiment(name, name)
    stash.commit()
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    # SLURM's warning may come up to a minute early, but not before the job has begun.
    short = ("resources.time=2m", "grace.seconds=30")
    scavenging = ("resources.partition=scavenge", "resources.cpus=3", "resources.time=10m")
    submissions = Day(
        at_limit=submit(stash, "+exp=linked", *short, **home),
        preempted=submit(stash, "+exp=linked", *scavenging, **home),
        not_resumable=submit(stash, "+exp=alone", *short, "hydra.launcher.max_requeues=9", **home),
    )
    yield submissions
    withdraw(stash.root)


def started_again(submission: Submission) -> dict[str, Any]:
    """Wait until a run is back in the queue, have it begin now, and await its end."""
    eventually(lambda: submission.records()[0]["attempt"]["number"] == 2)
    job = f"{submission.jobs[0]}_0"
    eventually(lambda: slurm("squeue", "-h", "-r", "-j", job, "-o", "%T").strip() == "PENDING")
    shown = submission.stash.cli("runs", "--state", "queued").stdout
    assert submission.records()[0]["id"] in shown
    eventually(lambda: start_now(job))
    return submission.ended()[0]


def test_a_sweep_of_eight_is_submitted_as_one_array(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "params.fail=0,0,0,0,0,0,0,5", "hydra.launcher.wait=true", code=1)
    assert [one["attempt"]["state"] for one in sweep.records()] == ["completed"] * 7 + ["failed"]
    assert "✗ failed" in sweep.done.stdout
    (script,) = sweep.scripts
    for line in ("--array=0-7\n", "--signal=B:TERM@90\n", "--no-requeue\n", "--time=17\n"):  # 10 min · 1.5 + 90 s
        assert f"#SBATCH {line}" in script
    (job,) = sweep.jobs
    assert [one["attempt"]["supervisor"]["job"] for one in sweep.records()] == [f"{job}_{task}" for task in range(8)]
    environment = json.loads((sweep.directory / "0" / "result.json").read_text())["environment"]
    assert environment["WANDB_MODE"] == "offline"
    assert "SLURM_JOB_ID" in environment
    assert not {"SLURM_NTASKS", "SLURM_PROCID", "EXPERIMENTSTASH_TOKEN"} & set(environment)


def test_it_returns_at_once_and_says_how_to_follow(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "params.fail=0,5", "+resources.extra.hold=true")
    assert f"{sweep.jobs[0]}_[0-1]" in sweep.done.stderr
    assert "experimentstash logs" in sweep.done.stderr
    assert sweep.done.stdout.count("· queued") == 2
    assert plain.cli("runs", "--state", "queued").stdout.count("queued") == 2


def test_what_is_queued_is_what_was_submitted(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "+resources.extra.hold=true")
    plain.write("conf/exp/plain.yaml", "this: [is no longer YAML")
    plain.write("conf/tool/plain.yaml", "path: elsewhere\nentrypoint: nothing.py\n")
    (plain.root / "conf" / "config.yaml").unlink()
    slurm("scontrol", "release", sweep.jobs[0])
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed"]


def test_experiments_with_other_resources_are_another_array(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain,large", "params.fail=0,0", "hydra.launcher.array_parallelism=3")
    first, second = sweep.scripts
    assert "#SBATCH --array=0-1\n" in first and "--cpus-per-task" not in first
    assert "#SBATCH --array=0-1%1\n" in second
    for line in ("--cpus-per-task=2\n", "--mem=100M\n", "--time=5\n"):
        assert f"#SBATCH {line}" in second
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed"] * 4
    assert sweep.records()[3]["attempt"]["terms"]["resources"] == {"time": 300.0, "cpus": 2, "mem": "100M"}


def test_a_large_sweep_is_split(plain: StashUnderTest) -> None:
    others = len(slurm("squeue", "--noheader", "--array", "--me").splitlines())
    limit = others + 4  # so that not all parts of it have room at once
    sweep = submit(plain, "+exp=plain", "params.fail=0,0,0,0,0,0,0,0", f"hydra.launcher.submit_limit={limit}")
    assert len(sweep.jobs) == -(-8 // (limit // 2))
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["completed"] * 8


def test_a_queued_run_and_a_running_one_are_cancelled(plain: StashUnderTest) -> None:
    queued = submit(plain, "+exp=plain", "params.fail=0,0", "+resources.extra.hold=true")
    running = submit(plain, "+exp=save", "resources.time=30m")
    directory = running.started()
    done = plain.cli("cancel", "--all")
    assert done.returncode == 0, done.stderr
    assert [one["attempt"]["state"] for one in queued.records()] == ["cancelled"] * 2
    assert slurm("squeue", "-h", "-t", "PENDING", "-j", queued.jobs[0]) == ""
    (record,) = running.records()
    assert record["attempt"]["state"] == "cancelled"
    assert "experimentstash cancel" in record["attempt"]["reason"]
    assert json.loads((directory / "saved.json").read_text()) == {"signals": 1}


def test_scancel_is_noticed(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "params.fail=0,0", "+resources.extra.hold=true")
    slurm("scancel", f"{sweep.jobs[0]}_1")
    plain.cli("runs")
    assert [one["attempt"]["state"] for one in sweep.records()] == ["queued", "cancelled"]


def test_what_slurm_refuses_has_failed_in_its_words(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "resources.partition=nowhere", code=1)
    (record,) = sweep.records()
    assert record["attempt"]["state"] == "failed"
    assert "invalid partition" in record["attempt"]["reason"]


def test_a_time_that_is_all_grace_is_a_mistake(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "resources.time=1m", code=1)
    assert "is all grace" in sweep.records()[0]["attempt"]["reason"]
    assert sweep.jobs == []


def test_a_job_that_fails_before_the_tool_starts_is_noticed(plain: StashUnderTest) -> None:
    lines = "resources.setup=[echo made ready,exit 3]"
    sweep = submit(plain, "+exp=plain", lines, "hydra.launcher.wait=true", code=1)
    (record,) = sweep.records()
    assert record["attempt"]["state"] == "failed"
    assert "before it had started the tool" in record["attempt"]["reason"]
    said = "  made ready\n  stash: its setup ended the batch script with exit code 3, at or after: exit 3"
    assert record["attempt"]["reason"].endswith(said)


def test_a_line_of_setup_that_fails_is_why_nothing_began(plain: StashUnderTest) -> None:
    lines = "resources.setup=[echo made ready,module load nosuch]"
    sweep = submit(plain, "+exp=plain", "params.fail=0,0", lines, "hydra.launcher.runs_per_job=2")
    for record in sweep.ended():
        assert (record["attempt"]["state"], record["attempt"]["exit_code"], record["attempt"]["started"]) == (
            "failed",
            127,
            None,
        )
        assert "before it had started the tool: this line of its setup failed" in record["attempt"]["reason"]
        assert "exit code 127: module load nosuch\n  made ready\n" in record["attempt"]["reason"]
        assert (
            "command not found" in record["attempt"]["reason"] and "setup_may_fail=true" in record["attempt"]["advice"]
        )
    let = submit(plain, "+exp=plain", lines, "hydra.launcher.setup_may_fail=true")
    assert [record["attempt"]["state"] for record in let.ended()] == ["completed"]


def test_nothing_to_submit(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "resources.time=1m", "hydra.launcher.array_parallelism=2", code=1)
    assert "is all grace" in sweep.records()[0]["attempt"]["reason"] and "bug" not in sweep.done.stderr


def test_a_misspelled_option_is_said_by_sbatch(plain: StashUnderTest) -> None:
    sweep = submit(plain, "+exp=plain", "+resources.extra.exlusive=true", code=1)
    (record,) = sweep.records()
    assert record["attempt"]["state"] == "failed"
    assert "SLURM did not take it" in record["attempt"]["reason"] and "exlusive" in record["attempt"]["reason"]


def test_why_it_waits(plain: StashUnderTest) -> None:
    held = submit(plain, "+exp=plain", "params.fail=0,0", "+resources.extra.hold=true")
    later = submit(plain, "+exp=plain", "+resources.extra.begin=now+3600")
    # SLURM has no reason to tell before it has looked at a job.
    shown = eventually(lambda: "(BeginTime)" in (said := plain.cli("runs").stdout) and said.count("Held") and said)
    first, second = (one["id"] for one in held.records())
    assert f"{second}, {first} wait" in shown or f"{first}, {second} wait" in shown or shown.count("(JobHeldUser)") == 2
    assert f"· {later.records()[0]['id']} waits: it is to begin later (BeginTime)" in shown
    assert "scontrol release" in plain.cli("show", first).stdout


def test_what_will_not_begin_is_said_in_runs_in_show_and_to_who_waits(plain: StashUnderTest) -> None:
    waits_for = f"+resources.extra.dependency='afterok:{failed_job()}'"
    process = plain.start("-m", "hydra/launcher=slurm", "+exp=plain", waits_for, "hydra.launcher.wait=true")
    assert process.stderr is not None
    said = next(line for line in process.stderr if "DependencyNeverSatisfied" in line)
    (name,) = (plain.record(directory)["id"] for directory in plain.run_directories())
    assert f"! {name} waits: the job that it waits for has not ended as it should" in said
    assert f"! {name} waits: the job that it waits for has not ended as it should" in plain.cli("runs").stdout
    assert "(DependencyNeverSatisfied)" in plain.cli("show", name).stdout
    assert plain.cli("cancel", name).returncode == 0
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 1


def test_what_is_written_in_other_letters_arrives(plain: StashUnderTest) -> None:
    plain.write("tools/words/words.sh", 'printf "%s" "$1" > "$2/words"; printf "%s\\n" "$1"\n')
    registration = "entrypoint: sh words.sh\ncall: {style: arguments}\nenvironment: {kind: none}\n"
    plain.add_tool("words", registration=registration)
    plain.add_experiment("words", "words", "params: {a: 日本}\narguments: ['${params.a}', '${output_dir}']\n")
    plain.commit()
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    sweep = submit(plain, "+exp=words", "params.a='ümlaut','日本'", "description='Größe'", **locale)
    for record, words in zip(sweep.ended(), ("ümlaut", "日本"), strict=True):
        assert record["attempt"]["state"] == "completed" and f"params.a='{words}'" in record["spec"]["overrides"]
        assert record["spec"]["description"] == "Größe" and record["spec"]["params"] == {"a": words}
        assert Path(record["directory"], "words").read_bytes() == words.encode()
        assert Path(record["directory"], "output.log").read_bytes() == f"{words}\n".encode()


def test_without_accounting_and_from_inside_a_job(plain: StashUnderTest, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in ("/usr/local/bin", "/usr/bin", "/bin"):
        for path in Path(directory).iterdir():
            if path.name != "sacct" and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    outer = {"SLURM_JOB_ID": "999999", "SLURM_NTASKS": "4", "SLURM_MEM_PER_NODE": "1", "SLURM_ARRAY_TASK_ID": "77"}
    sweep = submit(
        plain, "+exp=plain", "params.fail=0,5", "hydra.launcher.wait=true", code=1, PATH=str(programs), **outer
    )
    assert [one["attempt"]["state"] for one in sweep.records()] == ["completed", "failed"]
    held = submit(plain, "+exp=plain", "+resources.extra.hold=true", PATH=str(programs))
    assert plain.cli("cancel", "latest", PATH=str(programs)).returncode == 0
    assert held.records()[0]["attempt"]["state"] == "cancelled"


def test_a_preempted_run_goes_on_where_it_was(day: Day) -> None:
    day.preempted.started()
    script = day.preempted.scripts[0]
    assert "#SBATCH --requeue\n" in script
    free = 8 - sum(map(int, slurm("squeue", "-h", "-t", "RUNNING", "-p", "main", "-o", "%C").split()))
    slurm("sbatch", "-p", "main", f"--cpus-per-task={free}", "-o", "/dev/null", "--wrap=true")
    record = started_again(day.preempted)
    assert [attempt["state"] for attempt in record["earlier"]] == ["preempted"]
    assert record["attempt"]["state"] == "completed"


def test_a_run_at_its_wall_time_is_warned_alone_and_goes_on(day: Day) -> None:
    record = started_again(day.at_limit)
    directory = Path(record["directory"])
    assert [attempt["state"] for attempt in record["earlier"]] == ["timed_out"]
    assert (directory / "saved").read_text() == "1 signals"
    assert not (directory / "child-told").exists()
    assert record["attempt"]["state"] == "completed" and record["attempt"]["number"] == 2
    assert "resumed with 1 signals" in (directory / "output.2.log").read_text()
    assert (directory / "output.log").exists()
    assert len(day.at_limit.jobs) == 1  # the same job again, not another


def test_what_cannot_resume_is_not_brought_back(day: Day) -> None:
    (record,) = day.not_resumable.ended()
    assert record["attempt"]["state"] == "timed_out"
    assert "wall time" in record["attempt"]["reason"]
    assert "#SBATCH --no-requeue\n" in day.not_resumable.scripts[0]


def test_a_refusal_among_several_arrays_is_of_its_runs_alone(plain: StashUnderTest) -> None:
    plain.add_experiment("nowhere", "plain", "params: {fail: 0}\nresources: {partition: nowhere, time: 5m}\n")
    plain.add_experiment("no_such_node", "plain", "params: {fail: 0}\nresources: {constraint: nonsense, time: 5m}\n")
    one_by_one = "hydra.launcher.array_parallelism=1"
    sweep = submit(plain, "+exp=plain,nowhere,no_such_node,large", "params.fail=0,0", one_by_one, code=1)
    assert len(sweep.scripts) == 4 and len(sweep.jobs) == 2
    # What was to wait for one that was refused waits for the one before it.
    assert f"#SBATCH --dependency=afterany:{sweep.jobs[0]}\n" in sweep.scripts[3]
    found = sweep.ended()
    states = [(one["spec"]["organizer"], one["attempt"]["state"]) for one in found]
    expected = {"plain": "completed", "large": "completed", "nowhere": "failed", "no_such_node": "failed"}
    assert states == [(organizer, expected[organizer]) for organizer, _ in states]
    reasons = {one["spec"]["organizer"]: one["attempt"]["reason"] for one in found}
    assert "invalid partition" in reasons["nowhere"] and "SLURM did not take it" in reasons["no_such_node"]
    assert sweep.done.stderr.count("2 runs (.slurm/0-") == 2  # once for each array


@pytest.mark.parametrize("ending", ["sleep 600", "exit 0"])
def test_what_slurm_has_taken_is_found_though_sbatch_did_not_say_so(
    plain: StashUnderTest, tmp_path: Path, ending: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text(f'#!/bin/bash\n/usr/bin/sbatch "$@" >/dev/null\n{ending}\n')
    (programs / "sbatch").chmod(0o755)
    code = (
        "import sys; from experimentstash.cli import main as cli; "
        "from experimentstash.adapters.slurm import client; client.PATIENCE_WITH_SUBMISSIONS = 3.0;"
        " sys.exit(cli.main(sys.argv[1:]))"
    )
    before = set(plain.root.glob("multirun/*/*"))
    done = subprocess.run(
        [sys.executable, "-c", code, "-m", "hydra/launcher=slurm", "+exp=plain", "params.fail=0,0"],
        cwd=plain.root,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    (directory,) = set(plain.root.glob("multirun/*/*")) - before
    assert done.returncode == 0, done.stderr
    assert [one["attempt"]["state"] for one in Submission(plain, directory, done).ended()] == ["completed"] * 2


def test_what_has_completed_before_is_not_submitted(stash: StashUnderTest) -> None:
    """It counts, whoever has run it, if its code was frozen then as well."""
    stash.add_shell()
    stash.add_experiment("quick", "sh", "params: {n: 0}\narguments: [-c, 'echo ran $0', '${params.n}']\n")
    stash.commit()
    assert stash.cli("-m", "+exp=quick", "params.n=1,2", "code=frozen").returncode == 0
    words = ["+exp=quick", "params.n=range(4)", "skip_completed=true", "hydra.launcher.runs_per_job=2"]
    planned = stash.cli("-m", "hydra/launcher=slurm", *words, "dry_run=true")
    assert "2 of 4 runs had completed before" in planned.stderr and "for 2 runs:" in planned.stdout, planned.stderr
    submission = submit(stash, *words)
    assert "submitted 2 runs to SLURM" in submission.done.stderr
    assert "4 runs: 2 queued, 2 completed before" in submission.done.stdout
    assert [one["spec"]["job"] for one in submission.ended()] == [0, 3]
    again = submit(stash, *words)
    assert again.jobs == [] and "4 runs: 4 completed before" in again.done.stdout


def test_an_interpreter_that_is_changed_while_a_run_waits(stash: StashUnderTest, tmp_path: Path) -> None:
    site = make_venv(tmp_path / "env")
    python = json.dumps(str(site.parents[2] / "bin/python"))
    stash.add_tool("plain", "plain", f"{OPTIONS}environment: {{kind: interpreter, interpreter: {python}}}\n")
    stash.add_experiment("plain", "plain", "params: {fail: 0}\n")
    stash.commit()
    changing = json.dumps([f"touch {shlex.quote(str(site / 'loose.py'))}"])
    same = submit(stash, "+exp=plain").ended()[0]
    assert same["spec"]["signature"] is not None and same["spec"]["environment"]["installed"] is not None
    other = submit(stash, "+exp=plain", f"resources.setup={changing}").ended()[0]
    assert other["attempt"]["state"] == "completed" and other["spec"]["signature"] is None
    assert "is not what was there when it was submitted" in other["spec"]["unsigned"]
