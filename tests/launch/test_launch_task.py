"""What a job does for the runs that share it, without a cluster around it: in turn or at once, whatever befalls one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from experimentstash.adapters import procfs
from experimentstash.base.errors import StashError
from experimentstash.launch.slurm import batch
from experimentstash.record import attempts, job_array, records, times
from experimentstash.record.run import Queued, Run, State
from experimentstash.stash.layout import Stash
from tests.testing.faults import freeze, python, record
from tests.testing.run_parts import put
from tests.testing.stash import PATIENCE, wait_until

HOLD = "trap 'echo told; exit 1' TERM; touch begun; while [ ! -e go ]; do sleep 0.02; done; touch done"

PACKAGE = Path(batch.START).parents[2]


def queued(stash: Stash, *scripts: str, array: str = "array.json") -> list[Run]:
    """Write the records of runs that share a job, each of a shell script in its own directory."""
    path = stash.root / array
    found = [freeze(stash, ["sh", "-c", script], state=State.QUEUED, queued=Queued(str(path), 0)) for script in scripts]
    for run in found:
        put(run, cwd=run.directory)
        records.write(run)
    job_array.write(path, [found])
    return found


@contextlib.contextmanager
def job(runs: Sequence[Run], *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start what a batch script would."""
    assert runs[0].attempt.queued is not None
    process = subprocess.Popen(
        [sys.executable, "-S", batch.START, runs[0].attempt.queued.array, *arguments],
        env={**os.environ, "SLURM_ARRAY_TASK_ID": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    output = process.communicate(timeout=PATIENCE)[0]
    assert "Traceback" not in output
    return output


def states(runs: Sequence[Run]) -> list[str]:
    return [record(run)["attempt"]["state"] for run in runs]


def begun(run: Run) -> None:
    wait_until((run.path / "begun").exists)
    wait_until(lambda: record(run)["attempt"]["process"])


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_whatever_befalls_one_the_others_have_their_turn(here: Stash, at_once: str) -> None:
    runs = queued(here, "touch done", "exit 7", "touch done", "touch done", "exit 3", "touch done")
    (runs[2].path / "run.json").write_text("no record")
    secret = records.read(runs[3].path)
    put(secret, secrets=["NO_SUCH_TOKEN"])
    records.write(secret)
    attempts.mark_cancelled(runs[5])
    with job(runs, at_once) as process:
        output = ended(process)
    (runs[2].path / "run.json").unlink()
    assert states([run for run in runs if run is not runs[2]]) == [
        "completed",
        "failed",
        "failed",
        "failed",
        "cancelled",
    ]
    assert [run for run in runs if (run.path / "done").exists()] == runs[:1]
    assert "is not a run's record" in output and "NO_SUCH_TOKEN" in record(runs[3])["attempt"]["reason"]
    assert "cancelled just before it started" in record(runs[5])["attempt"]["reason"]
    assert record(runs[5])["attempt"]["process"] is None
    assert process.returncode in ((7,) if at_once == "1" else (2, 7))


def test_it_is_started_from_wherever_it_is_installed(here: Stash, tmp_path: Path) -> None:
    (run,) = queued(here, "touch done")
    assert run.attempt.queued is not None
    package = tmp_path / "Büro von Ada" / "experimentstash"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (here.root, package.parent, package / "launch", package / "launch" / "slurm"):
        # They hide nothing of Python's own.
        (folder / "json.py").write_text("raise SystemExit('not what was meant')")
    command = [sys.executable, "-S", str(package / "launch" / "slurm" / "start.py"), run.attempt.queued.array]
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "0", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, cwd=here.root, env=environment, capture_output=True, text=True)
    assert (done.returncode, states([run])) == (0, ["completed"]), done.stderr
    assert list(package.glob("execute/__pycache__/execution.*"))  # it was this one


def test_its_own_environment_is_kept_from_the_tool(here: Stash) -> None:
    (run,) = queued(here, 'echo "$PATH" > path')
    own = str(Path(sys.executable).parent)
    with job([run], PATH=f"{own}:/usr/bin:/bin") as process:
        ended(process)
    expected = [*([own] if sys.prefix == sys.base_prefix else []), "/usr/bin", "/bin"]
    assert (run.path / "path").read_text().strip().split(":") == expected


def test_nothing_that_is_slow_is_imported_before_the_tool_starts() -> None:
    """Nothing of Python's own beyond what no job can do without: so no `inspect`, and none of its dataclasses."""
    code = (
        f"import sys; sys.path.append({str(PACKAGE.parent)!r})\n"
        "import fcntl, json, pathlib, shlex, subprocess\n"
        "before = {*sys.modules, *sys.builtin_module_names}\n"
        "import experimentstash.launch.slurm.task\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    # The others are small and of C.
    assert set(done.stdout.split()) <= {"__future__", "_contextvars", "binascii", "contextvars", "experimentstash"}


def test_one_alone_hands_on_its_exit_code(here: Stash) -> None:
    (run,) = queued(here, "exit 4")
    with job([run]) as process:
        ended(process)
    assert process.returncode == 4 and states([run]) == ["failed"]
    with job([run]) as process:
        assert f"{run.id} is not to be started (failed)" in ended(process)
    assert process.returncode == 4 and record(run)["attempt"]["number"] == 1


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_only_what_is_marked_is_stopped(here: Stash, at_once: str) -> None:
    runs = queued(here, HOLD, HOLD, HOLD)
    with job(runs, at_once) as process:
        begun(runs[0])
        process.send_signal(signal.SIGCONT)  # there is no mark
        attempts.mark_cancelled(runs[0])
        process.send_signal(signal.SIGCONT)
        begun(runs[1])
        wait_until(lambda: record(runs[0])["attempt"]["state"] == "cancelled")
        assert (runs[0].path / "output.log").read_text() == "told\n"
        assert record(runs[0])["attempt"]["reason"].startswith("asked to stop by `experimentstash cancel`")
        for run in runs[1:]:
            begun(run) if at_once == "2" else None
            (run.path / "go").touch()
        ended(process)
    assert states(runs) == ["cancelled", "completed", "completed"]
    assert process.returncode == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_job_ends_all_of_them(here: Stash, number: signal.Signals) -> None:
    runs = queued(here, HOLD.replace("TERM", "TERM INT"), "touch done")
    with job(runs) as process:
        begun(runs[0])
        process.send_signal(number)
        ended(process)
    assert states(runs) == ["cancelled", "cancelled"]
    waiting = record(runs[1])
    assert waiting["attempt"]["exit_code"] == process.returncode == 128 + number
    assert (
        "its turn had not come" in waiting["attempt"]["reason"]
        and "(it shared the job with 1 other)" in waiting["attempt"]["reason"]
    )
    assert not (runs[1].path / "done").exists()


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_a_tool_s_daemon_does_not_outlive_the_job(here: Stash, at_once: str) -> None:
    """One that hides its origin: in turn it is seen to be the tool's at once, side by side when all have ended."""
    daemon = "env -i setsid sh -c 'echo $$ > daemon.part; mv daemon.part daemon; sleep 100' & "
    runs = queued(here, daemon + "while [ ! -e daemon ]; do sleep 0.01; done", "touch done")
    with job(runs, at_once) as process:
        ended(process)
    assert states(runs) == ["completed", "completed"]
    assert procfs.identity(int((runs[0].path / "daemon").read_text())) is None
    has_note = any("left 2 processes behind" in note for note in record(runs[0])["attempt"]["notes"])
    assert has_note is (at_once == "1")


def test_runs_that_write_into_one_checkout_take_turns(here: Stash) -> None:
    script = "[ ! -e ../../../busy ] || exit 9; touch ../../../busy; sleep 0.1; rm ../../../busy"
    runs = queued(here, script, script, script)
    for run in runs:
        checkout = str(here.root / "checkout")
        records.write(put(run, collect=[checkout], collect_lock=f"{checkout}.lock"))
    (here.root / "checkout").mkdir()
    with job(runs, "3") as process:
        ended(process)
    assert states(runs) == ["completed"] * 3
    assert "waiting for another run that writes into" in (runs[1].path / "supervisor.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("at_once", ["1", "2"])
def test_their_wandb_runs_are_finished(here: Stash, at_once: str) -> None:
    runs = queued(here, "true", "true")
    for run in runs:
        put(run, argv=python("steady", "--wandb", "--ready", run.path / "ready"))
        put(
            run,
            variables={
                **run.spec.command.environment,
                "WANDB_MODE": "offline",
                "WANDB_DIR": run.directory,
                "WANDB_SILENT": "true",
            },
        )
        records.write(run)
    with job(runs, at_once) as process:
        for run in runs:
            wait_until((run.path / "ready").exists)
            os.kill(int((run.path / "ready").read_text()), signal.SIGKILL)
        ended(process)
    assert states(runs) == ["killed", "killed"]
    for run in runs:
        (outcome,) = record(run)["attempt"]["wandb"]
        assert (outcome["exit_code"], outcome["online"]) == (137, False)


def test_a_tasks_file_that_says_nothing(here: Stash) -> None:
    runs = queued(here, "true")
    for text in ("no JSON", "[]", "{}"):
        (here.root / "array.json").write_text(text)
        with job(runs) as process:
            assert "doesn't say what the task 0 is to do" in ended(process)
        assert process.returncode == 2
    assert states(runs) == ["queued"]
    with pytest.raises(StashError):  # whoever cancels one of them must not take it for alone
        job_array.others(runs[0])


@pytest.mark.parametrize("state", [State.LOST, State.CANCELLED, State.FAILED])
def test_what_was_wrongly_given_up_is_started_with_its_job(here: Stash, state: State) -> None:
    runs = queued(here, "touch done", "touch done")
    for run in runs:
        run.attempt.state, run.attempt.reason, run.attempt.exit_code, run.attempt.ended = (
            state,
            "nobody had a sign of it",
            137,
            times.now(),
        )
        records.write(run)
    attempts.mark_cancelled(runs[1])  # and this is what somebody wants
    with job(runs) as process:
        output = ended(process)
    assert states(runs) == ["completed", state.value]
    assert (runs[0].path / "done").exists() and not (runs[1].path / "done").exists()
    assert "but SLURM has started its job" in record(runs[0])["attempt"]["notes"][0]
    assert f"{runs[1].id} is not to be started ({state.value})" in output
