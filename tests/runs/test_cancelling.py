"""Cancelling runs that share a supervisor, or SLURM's attention: what was named ends, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.adapters.slurm import job as slurm_job
from experimentstash.base.errors import StashError
from experimentstash.launch.slurm import submit as launch_slurm
from experimentstash.record import attempts, records
from experimentstash.record.job_array import Job
from experimentstash.record.run import Run, State
from experimentstash.runs import cancelling
from experimentstash.runs.cancelling import cancel
from experimentstash.stash.layout import Stash
from tests.adapters.test_slurm_questions import AWAY, Programs, programs, queued, states
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until

__all__ = ["programs"]  # a fixture
OPTIONS = "entrypoint: main.py\ncall: {style: options, output: --out}\n"
# Notes that it was told to stop, and ends; or ends by itself once there is a file `go`.
PATIENT = """\
import os, signal, sys, time
out, go = sys.argv[sys.argv.index("--out") + 1], sys.argv[sys.argv.index("--go") + 1]
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
open(os.path.join(out, "started"), "w").close()
while not told and not os.path.exists(go):
    time.sleep(0.02)
open(os.path.join(out, "saved" if told else "done"), "w").close()
sys.exit(1 if told else 0)
"""


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have little time between two tries: it is not what these tests are about."""
    monkeypatch.setattr(cancelling, "_RETRY_INTERVAL", 0.05)
    monkeypatch.setattr(slurm_job, "_LOOK_INTERVAL", 0.05)


@pytest.fixture
def patient(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("patient", None, OPTIONS)
    stash.write("tools/patient/main.py", PATIENT)
    go = str(stash.root / "go").replace("'", "''")
    stash.add_experiment("patient", "patient", f"params: {{n: 0, go: '{go}'}}\n")
    stash.commit()
    return stash


def numbered(stash: StashUnderTest) -> dict[int, Path]:
    return {int(path.name): path for path in stash.run_directories()}


def at_work(stash: StashUnderTest, number: int) -> Path:
    directory: Path = wait_until(lambda: numbered(stash).get(number), PATIENCE)
    wait_until((directory / "started").exists, PATIENCE)
    wait_until(lambda: stash.record(directory)["attempt"]["process"], PATIENCE)
    return directory


def found(stash: StashUnderTest) -> list[str]:
    return [stash.record(directory)["attempt"]["state"] for _, directory in sorted(numbered(stash).items())]


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=local", "hydra.launcher.n_jobs=2"]])
def test_one_run_of_a_sweep_here(patient: StashUnderTest, launcher: list[str]) -> None:
    process = patient.start("-m", "+exp=patient", "params.n=0,1,2", *launcher)
    first = at_work(patient, 0)
    if launcher:
        at_work(patient, 1)
    done = patient.cli("cancel", patient.record(first)["id"])
    assert done.returncode == 0, done.stderr
    assert (first / "saved").exists()
    at_work(patient, 2 if launcher else 1)  # its place is free
    (patient.root / "go").touch()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert found(patient) == ["cancelled", "completed", "completed"]
    assert "asked to stop by `experimentstash cancel`" in patient.record(first)["attempt"]["reason"]


def test_one_that_waits_for_its_turn_here(patient: StashUnderTest) -> None:
    options = ("hydra/launcher=local", "hydra.launcher.n_jobs=1")
    process = patient.start("-m", "+exp=patient", "params.n=0,1,2", *options)
    first = at_work(patient, 0)
    second = wait_until(lambda: numbered(patient).get(1), PATIENCE)
    done = patient.cli("cancel", patient.record(second)["id"])
    assert done.returncode == 0, done.stderr
    assert patient.record(second)["attempt"]["state"] == "cancelled" and not (first / "saved").exists()
    (patient.root / "go").touch()
    process.communicate(timeout=PATIENCE)
    assert found(patient) == ["completed", "cancelled", "completed"]
    assert not (second / "started").exists()


@pytest.mark.slow
def test_what_fits_filters_and_has_not_ended(patient: StashUnderTest) -> None:
    process = patient.start("-m", "+exp=patient", "params.n=0,1,2", "hydra/launcher=local", "hydra.launcher.n_jobs=2")
    for number in (0, 1):
        at_work(patient, number)
    assert "leave one of them out" in patient.cli("cancel", "--all", "--exp", "patient").stderr
    done = patient.cli("cancel", "--state", "running", "--where", "params.n > 0")
    assert done.returncode == 0, done.stderr
    at_work(patient, 2)
    assert found(patient) == ["running", "cancelled", "running"]
    assert "ended already" in patient.cli("cancel", "--state", "cancelled").stderr
    (patient.root / "go").touch()
    process.communicate(timeout=PATIENCE)
    assert found(patient) == ["completed", "cancelled", "completed"]


@pytest.mark.parametrize("which", ["--sweep", "--all"])
def test_a_whole_sweep_here_with_what_has_not_begun(patient: StashUnderTest, which: str) -> None:
    process = patient.start("-m", "+exp=patient", "params.n=0,1,2")
    first = at_work(patient, 0)
    given = [which, str(first.parent)] if which == "--sweep" else [which]
    assert patient.cli("cancel", *given).returncode == 0
    process.communicate(timeout=PATIENCE)
    assert found(patient) == ["cancelled"]  # the others never were


# --- what SLURM may do meanwhile -------------------------------------------------------------------------------------


def asked_of(programs: Programs, name: str) -> list[list[str]]:
    return [argv for argv, _ in programs.calls(name)]


def cancelled(stash: Stash, *chosen: Run) -> list[str]:
    return cancel(stash, chosen, lambda _: None, whole_sweeps=False).failed


def test_queued_runs_are_named_one_by_one(here: Stash, programs: Programs) -> None:
    runs = queued(here, 4)
    programs.says("scancel")
    assert cancelled(here, runs[1], runs[3]) == []
    assert asked_of(programs, "scancel") == [["5_1", "5_3"]]
    assert states(runs) == ["queued", "cancelled", "queued", "cancelled"]


def test_on_another_cluster_it_is_named(here: Stash, programs: Programs) -> None:
    runs = queued(here, cluster="far-away")
    programs.says("scancel")
    assert cancelled(here, runs[0]) == []
    assert asked_of(programs, "scancel") == [["--clusters=far-away", "5_0"]]


def test_nothing_is_ended_on_a_cluster_of_which_nobody_knows_whether_it_is_the_right_one(
    here: Stash, programs: Programs
) -> None:
    runs = queued(here)
    programs.says("scontrol", error=AWAY, code=1)
    (failure,) = cancelled(here, runs[0])
    assert "doesn't say whether it is test" in failure and asked_of(programs, "scancel") == []
    assert states(runs) == ["queued"] * 2


@pytest.mark.parametrize("error", ["scancel: error: Access/permission denied", AWAY, ""])
def test_a_refusal_is_told_with_what_helps(here: Stash, programs: Programs, error: str) -> None:
    runs = queued(here)
    programs.says("scancel", error=error, code=1)
    (failure,) = cancelled(here, runs[0])
    assert "scancel 5_0" in failure and error in failure
    assert states(runs) == ["queued"] * 2
    # Whatever SLURM does with the job, its tool isn't started.
    assert [attempts.is_cancelled(run) for run in runs] == [True, False]


@pytest.mark.slow
def test_a_hanging_scancel_has_a_time_limit(here: Stash, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = queued(here)
    monkeypatch.setattr(slurm_client, "PATIENCE_WITH_ORDERS", 0.5)
    programs.says("scancel", then="time.sleep(600)")
    (failure,) = cancelled(here, runs[0])
    assert "no answer within 0.5 s" in failure


def test_who_shares_its_job_must_be_known(here: Stash, programs: Programs) -> None:
    runs = queued(here)
    (here.root / ".slurm" / "0-0.json").write_text("no JSON")
    programs.says("scancel")
    (failure,) = cancelled(here, runs[0])
    assert "doesn't say what the task 0 is to do" in failure and asked_of(programs, "scancel") == []


def test_a_record_that_cannot_be_read_keeps_its_job(here: Stash, programs: Programs) -> None:
    runs = queued(here)
    (here.root / ".slurm" / "0-0.json").write_text(json.dumps([[run.directory for run in runs], []]))
    (runs[1].path / "run.json").write_text("garbage")
    programs.says("scancel")
    assert cancelled(here, runs[0]) == []
    assert asked_of(programs, "scancel") == []  # the other one may be waiting for it
    assert records.read(runs[0].path).attempt.state is State.CANCELLED


def test_an_interrupted_submission_leaves_no_job_that_nobody_knows_of(
    here: Stash, programs: Programs, tmp_path: Path
) -> None:
    script = tmp_path / "sweep" / ".slurm" / "0-0.sh"
    script.parent.mkdir(parents=True)
    programs.says("squeue", f"17|{script}\n18|{script}2\n16|{script}\n")
    assert slurm_job.look_for(script, "test") == Job("17", "test")
    programs.says("squeue", error=AWAY, code=1)
    assert slurm_job.look_for(script, "test") is None
    programs.says("sbatch", "Submitted batch job 17\n")
    with pytest.raises(StashError):
        slurm_job.submit(script, {}, usual_cluster="test")
    programs.says("sbatch", "17;far\n")
    assert slurm_job.submit(script, {}, usual_cluster="test") == Job("17", "far")


def test_the_door_is_the_only_one() -> None:
    """Who calls SLURM's commands does it with the door's environment: else the user's variables would speak to them."""
    package = Path(slurm_client.__file__).parents[2]
    commands = "squeue|sacct|scancel|scontrol|sbatch|sinfo"
    named = ["grep", "-rlE", f'\\["({commands})"', "--include=*.py", str(package)]
    calling = subprocess.run(named, capture_output=True, text=True).stdout.splitlines()
    for path in map(Path, calling):
        text = path.read_text()
        assert path.name == "client.py" or "slurm_client." in text, path
        assert "os.environ," not in text.replace("= os.environ,", ""), path


@pytest.mark.slow
@pytest.mark.parametrize("is_taken", [True, False])
def test_ctrl_c_while_sbatch_hangs(patient: StashUnderTest, programs: Programs, is_taken: bool) -> None:
    hanging = programs.folder / "hanging"
    programs.says("sbatch", then=f"open({str(hanging)!r}, 'w').close(); time.sleep(600)")
    script = f"glob.glob({str(patient.root)!r} + '/multirun/*/*/.slurm/0-0.sh')"
    programs.says("squeue", then=f"import glob; print(*('17|' + path for path in {script}))" if is_taken else "")
    process = patient.start("-m", "+exp=patient", "params.n=0,1", "hydra/launcher=slurm")
    wait_until(hanging.exists, PATIENCE)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in stderr
    assert found(patient) == ["queued" if is_taken else "cancelled"] * 2
    noted = [path.read_text().split() for path in patient.root.glob("multirun/*/*/.slurm/0-0.job")]
    assert noted == ([["17", "test"]] if is_taken else [])
    # Had SLURM taken it later all the same, its tools would not be started.
    assert [(path / "cancel").exists() for path in patient.run_directories()] == [not is_taken] * 2


def test_a_job_that_has_another_one_s_number_is_left_alone(here: Stash, programs: Programs) -> None:
    """Numbers begin anew where a cluster is set up anew."""
    runs = queued(here, 3)
    ours = here.root / "moved" / here.root.name / ".slurm" / "0-0.sh"
    programs.says("squeue", f"5_0|{ours}\n5_1|/home/ada/other/.slurm/0-0.sh\n")
    programs.says("scancel")
    (failure,) = cancelled(here, *runs)
    assert failure.startswith(f"{runs[1].id}: SLURM's job 5_1 is another one by now")
    assert asked_of(programs, "scancel") == [["5_0", "5_2"]]
    assert states(runs) == ["cancelled", "queued", "cancelled"]


def test_room_is_not_waited_for_while_slurm_says_nothing(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch_slurm, "_FIRST_INTERVAL", 0.05)
    for patience in (0.5, 8.0, 128.0):  # on a busy machine it may be over with the first answer
        monkeypatch.setattr(launch_slurm, "_SILENCE_PATIENCE", patience)
        with pytest.raises(StashError, match="how many jobs of yours are queued"):
            launch_slurm._await_room(3, 10)
        if said := capfd.readouterr().err:
            break
    assert said.count("waiting to submit 3 more") == 1 and "Ctrl-C" in said
    programs.says("squeue", "1_0\n1_1\n")
    launch_slurm._await_room(3, 10)
