"""skip_completed=true: what has completed before isn't run again, and counts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from experimentstash.launch.done_before import DoneBefore
from experimentstash.record import records, sweep_list, times
from experimentstash.record.run import State
from experimentstash.runs import done_before
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.foreign import install, make_venv
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest, wait_until

SKIP = "skip_completed=true"


@pytest.fixture
def echo(stash: StashUnderTest) -> StashUnderTest:
    """A stash whose experiment writes a number, and says that it has run."""
    stash.add_shell()
    script = 'echo ran $0; echo "{\\"loss\\": $0}" > "$1/metrics.json"; [ $0 != 3 ] || [ -e "$PWD/../../fixed" ]'
    stash.add_script("one", script, "${params.n}", "${output_dir}", more="objective: loss\n")
    stash.commit()
    return stash


def ids(stash: StashUnderTest) -> dict[int, str]:
    """Return the ids of the runs by their parameter."""
    return {record["spec"]["params"]["n"]: record["id"] for record in map(stash.record, stash.run_directories())}


def sweeps(stash: StashUnderTest) -> list[Path]:
    return sorted(stash.root.glob("multirun/*/*"), key=lambda path: path.stat().st_ctime_ns)


def states(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """Return the ids and states in a sweep's table."""
    rows = [line for line in done.stdout.splitlines() if "✓" in line or "✗" in line]
    return [
        (
            row.split()[0],
            "before" if "completed before" in row else row.partition("✓" if "✓" in row else "✗")[2].split()[0],
        )
        for row in rows
    ]


def test_a_single_run(echo: StashUnderTest) -> None:
    assert echo.cli("+exp=one").returncode == 0
    (first,) = ids(echo).values()
    for more in ([], ["description=other", "tags=[a]", "timeout=1h"], ["dry_run=true"], ["validate_only=true"]):
        done = echo.cli("+exp=one", SKIP, *more)
        assert done.returncode == 0 and done.stdout == "", done.stderr
        assert f"one had completed before: {first}, outputs/" in " ".join(done.stderr.split())
        assert ("would not be run again" in done.stderr) is bool(more and "_" in more[0])
    assert len(echo.run_directories()) == 1 and len(list(echo.root.glob("outputs/*/*"))) == 1
    assert echo.cli("+exp=one", SKIP, "force=true").returncode == 0
    assert echo.cli("+exp=one", SKIP, "params.n=1").returncode == 0
    assert len(echo.run_directories()) == 3


@pytest.mark.parametrize("launcher", ["basic", "local", pytest.param("submitit_local", marks=pytest.mark.slow)])
def test_a_sweep(echo: StashUnderTest, launcher: str) -> None:
    assert echo.cli("-m", "+exp=one", "params.n=1,2").returncode == 0
    earlier = ids(echo)
    words = ["+exp=one", "params.n=range(4)", SKIP]
    done = echo.cli("-m", *words, f"hydra/launcher={launcher}")
    assert done.returncode == 1, done.stderr
    sweep = sweeps(echo)[-1]
    token = sweep.name.rpartition("-")[2]
    expected = [(f"{token}-0", "completed"), (earlier[1], "before"), (earlier[2], "before"), (f"{token}-3", "failed")]
    assert states(done) == expected
    assert done.stdout.splitlines()[-1] == "4 runs: 1 completed, 1 failed, 2 completed before"
    assert f"2 of 4 runs had completed before: {earlier[1]}, {earlier[2]}" in done.stderr
    assert sorted(path.name for path in sweep.iterdir() if path.name.isdecimal()) == ["0", "3"]
    assert states(echo.cli("show", token)) == expected
    said = echo.cli("show", f"{token}-2")
    assert said.returncode == 2 and f"experimentstash show {earlier[2]}" in said.stderr
    # What only looks sees the earlier ones as well; what acts does not.
    compared = json.loads(echo.cli("compare", token, "--json").stdout)
    assert sorted(run for row in compared["groups"] for run in row["runs"]) == sorted([f"{token}-0", *earlier.values()])
    for words in ((token,), ("--sweep", token)):
        listed = echo.cli("runs", *words, "--columns", "id", "--sort", "id", "--csv").stdout.split()[1:]
        assert listed == sorted([f"{token}-0", f"{token}-3", *earlier.values()])
    assert f"{earlier[1]}" not in echo.cli("cancel", token).stderr


@pytest.mark.slow
def test_what_is_planned(echo: StashUnderTest, in_process: InProcess) -> None:
    assert echo.cli("-m", "+exp=one", "params.n=1,2").returncode == 0
    words = ["-m", "+exp=one", "params.n=range(4)", SKIP]
    planned = in_process(echo, *words, "dry_run=true")
    assert planned.returncode == 0 and "\n2 runs: 0.0 CPU-hours" in planned.stdout
    assert "of work in all" in planned.stdout  # as the earlier ones tell
    assert "2 of 4 runs had completed before" in planned.stderr and "would not be run again" in planned.stderr
    assert "the same as others" not in planned.stderr
    shown = in_process(echo, *words, "validate_only=true")
    assert len(shown.stdout.splitlines()) == 2 and "2 runs had completed before" in shown.stderr
    twins = in_process(echo, "-m", "+exp=one", "params.n=0,1,0,0", SKIP, "dry_run=true")
    said = " ".join(twins.stderr.split())
    assert "2 runs are the same as others of this sweep: " in said and "all would be run" in said
    assert len(sweeps(echo)) == 1


def test_when_all_of_a_sweep_has_completed(echo: StashUnderTest) -> None:
    """It has no run of its own, and is a sweep all the same."""
    assert echo.cli("-m", "+exp=one", "params.n=1,2").returncode == 0
    done = echo.cli("-m", "+exp=one", "params.n=1,2", SKIP, "hydra/launcher=local")
    assert done.returncode == 0 and done.stdout.endswith("2 runs: 2 completed before\n"), done.stderr
    token = sweeps(echo)[-1].name.rpartition("-")[2]
    assert states(echo.cli("show", token)) == [(each, "before") for each in ids(echo).values()]
    assert len(json.loads(echo.cli("compare", token, "--json").stdout)["groups"]) == 2
    assert echo.cli("cancel", token).returncode == 0
    resumed = echo.cli("resume", token)
    assert resumed.returncode == 0 and resumed.stdout.endswith("2 runs: 2 completed before\n"), resumed.stderr
    assert len(echo.run_directories()) == 2


def test_jobs_that_are_the_same_are_run_and_named(echo: StashUnderTest) -> None:
    done = echo.cli("-m", "+exp=one", "params.n=1,2,1", SKIP)
    assert done.returncode == 0 and len(echo.run_directories()) == 3, done.stderr
    token = sweeps(echo)[0].name.rpartition("-")[2]
    assert f"1 run is the same as others of this sweep: {token}-2 as {token}-0\n" in done.stderr
    assert "the same as others" not in echo.cli("-m", "+exp=one", "params.n=1,2,1", SKIP).stderr


@pytest.mark.slow
def test_going_on_with_a_sweep(echo: StashUnderTest) -> None:
    assert echo.cli("-m", "+exp=one", "params.n=1,2").returncode == 0
    earlier = ids(echo)
    assert echo.cli("-m", "+exp=one", "params.n=range(4)", SKIP, "hydra/launcher=local").returncode == 1
    sweep = sweeps(echo)[-1]
    token = sweep.name.rpartition("-")[2]
    # One that counted has gone since, so that its job is to be done; what failed is done by another sweep meanwhile.
    shutil.rmtree(next(path for path in echo.run_directories() if echo.record(path)["id"] == earlier[1]))
    shown = echo.cli("show", token).stdout
    assert "1 gone\n" in shown and f"by now: {earlier[1]}\n" in shown and "not started" not in shown
    (echo.root / "fixed").touch()
    assert echo.cli("+exp=one", "params.n=3").returncode == 0
    other = echo.record(echo.run_directories()[-1])["id"]
    done = echo.cli("resume", token)
    assert done.returncode == 0, done.stderr
    assert states(done) == [
        (f"{token}-0", "completed"),
        (f"{token}-1", "completed"),
        (earlier[2], "before"),
        (other, "before"),
    ]
    assert (sweep / ".superseded/3-1/run.json").is_file() and not (sweep / "3").exists()


@pytest.mark.slow
def test_an_optimiser_gets_the_earlier_value(echo: StashUnderTest) -> None:
    assert echo.cli("-m", "+exp=one", "params.n=1,2").returncode == 0
    optuna = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", "params.n=choice(1,2)"]
    optuna += ["hydra/sweeper/sampler=grid"]
    done = echo.cli("-m", "+exp=one", *optuna, SKIP)
    assert done.returncode == 0, done.stderr
    assert len(echo.run_directories()) == 2
    assert "best_value: 1.0" in (sweeps(echo)[-1] / "optimization_results.yaml").read_text()


@pytest.fixture
def packages(stash: StashUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of an interpreter that others keep, with a tool that uses it."""
    site = make_venv(tmp_path_factory.mktemp("conda") / "env")
    python = json.dumps(str(site.parents[2] / "bin/python"))
    environment = f"environment: {{kind: interpreter, interpreter: {python}}}\n"
    stash.add_tool("plain", "plain", f"entrypoint: main.py\n{environment}")
    stash.add_experiment("one", "plain", "params: {out: '${output_dir}'}\n")
    stash.commit()
    return site


def test_an_interpreter_that_others_keep(stash: StashUnderTest, packages: Path, in_process: InProcess) -> None:
    assert stash.cli("+exp=one").returncode == 0
    words = ["+exp=one", SKIP, "validate_only=true"]
    assert "one had completed before" in in_process(stash, *words).stderr
    install(packages, "scipy-1.0", "scipy.py")
    again = in_process(stash, *words)
    assert again.returncode == 0 and "main.py" in again.stdout and "completed before" not in again.stderr


def test_what_can_not_be_known_is_run(stash: StashUnderTest, packages: Path) -> None:
    (packages / "loose.py").touch()
    for _ in range(2):
        done = stash.cli("+exp=one", SKIP)
        assert done.returncode == 0
        assert "whether it has completed before can't be known, so it is run: it uses an interpreter" in done.stderr
    assert len(stash.run_directories()) == 2
    assert "an interpreter" in stash.record(stash.run_directories()[0])["spec"]["unsigned"]


def test_code_that_is_edited_while_a_run_waits(echo: StashUnderTest) -> None:
    """The next run is frozen while the one before is at work; then nobody knows what it is."""
    there = echo.root.parent / "there"
    echo.write("tools/sh/train.sh", "true")
    text = f"touch '{there}'-$0; while [ ! -e '{there}'-go ]; do sleep 0.01; done; . ./train.sh"
    echo.add_experiment("slow", "sh", f"params: {{n: 0}}\narguments: {json.dumps(['-c', text, '${params.n}'])}\n")
    echo.commit()
    sweep = echo.start("-m", "+exp=slow", "params.n=0,1", "hydra/launcher=local", "hydra.launcher.n_jobs=1")
    wait_until(lambda: len(echo.run_directories()) == 2 and Path(f"{there}-0").exists())
    first, second = sorted(echo.run_directories(), key=lambda path: path.name)
    frozen = echo.record(second)
    assert frozen["attempt"]["state"] == "frozen" and frozen["spec"]["signature"] is not None
    echo.write("tools/sh/train.sh", ":")
    wait_until(lambda: time.time() - times.moment(frozen["created"]) > 1.0)
    Path(f"{there}-go").touch()
    assert sweep.wait(PATIENCE) == 0
    before, after = echo.record(first), echo.record(second)
    assert before["spec"]["signature"] is not None and before["attempt"]["warnings"] == []
    assert after["spec"]["signature"] is None and "was changed after it was frozen" in after["spec"]["unsigned"]
    assert "its code may not be what is recorded" in after["attempt"]["warnings"][0]


def wanted(root: Path, **fields: Any) -> Any:
    return finished(root, "wanted7", state=State.FROZEN, signature=f"sha256:{'0' * 64}", **fields)


def test_only_what_has_completed_and_is_there_counts(tmp_path: Path) -> None:
    stash, same = Stash(tmp_path), f"sha256:{'0' * 64}"
    finished(tmp_path, "failed7", state=State.FAILED, signature=same)
    finished(tmp_path, "other77", signature=f"sha256:{'1' * 64}")
    finished(tmp_path, "gone777", signature=same, removed="2026-01-31T12:00:00.000+00:00")
    finished(tmp_path, "unsigned")
    run = wanted(tmp_path)
    assert DoneBefore().find(stash, run) is None
    finished(tmp_path, "early77", signature=same, second=1)
    finished(tmp_path, "late777", signature=same, second=9)
    found = DoneBefore().find(stash, run)
    assert found is not None and found.id == "late777"
    looked = DoneBefore()
    assert looked.find(stash, run) == found
    shutil.rmtree(found.path)  # meanwhile
    found = looked.find(stash, run)
    assert found is not None and found.id == "early77"


def test_a_value_of_another_objective_does_not_count(tmp_path: Path) -> None:
    stash, same, loss = Stash(tmp_path), f"sha256:{'0' * 64}", {"key": "loss", "file": None}
    finished(tmp_path, "none777", signature=same, objective=loss, second=1)
    finished(tmp_path, "other77", signature=same, objective={**loss, "key": "accuracy"}, result=1.0, second=2)
    assert DoneBefore().find(stash, wanted(tmp_path, objective=loss)) is None
    finished(tmp_path, "loss777", signature=same, objective=loss, result=2.0)
    found = DoneBefore().find(stash, records.read(tmp_path / "outputs/2026-01-31/12-00-00-wanted7"))
    assert found is not None and found.id == "loss777"


def test_a_note_that_makes_no_sense_is_passed_over(tmp_path: Path) -> None:
    run = finished(tmp_path, "early77")
    sweep = tmp_path / "multirun" / "x"
    sweep_list.note_earlier(tmp_path, sweep, 3, run)
    with open(sweep / records.EARLIER_FILE, "ab") as stream:
        stream.write(
            b'nonsense\n[]\n{"job": "x", "run": "a", "directory": "b"}\n{"job": 4, "run": "a/b", "directory": ""}\n'
        )
    sweep_list.note_earlier(tmp_path, sweep, 5, run)
    with open(sweep / records.EARLIER_FILE, "ab") as stream:
        stream.write(b'{"job": 6, "run": "early77", "directory": "half wr')
    assert [*sweep_list.earlier(sweep)] == [3, 5]
    assert {number: found.id for number, found in done_before.of_sweep(Stash(tmp_path), sweep).items()} == {
        3: "early77",
        5: "early77",
    }
    os.unlink(sweep / records.EARLIER_FILE)
    os.symlink("/etc/passwd", sweep / records.EARLIER_FILE)
    assert sweep_list.earlier(sweep) == {}
