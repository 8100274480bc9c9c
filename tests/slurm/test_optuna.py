"""hydra/sweeper=optuna on a real cluster: batch after batch, each waited for."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.testing.slurm import eventually
from tests.testing.stash import PATIENCE, StashUnderTest

OPTUNA = ("-m", "+exp=parabola", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1", "params.x=interval(-5.0,5.0)")
TRIALS = ("hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2")


@pytest.fixture
def parabola(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("parabola", "parabola", "entrypoint: main.py\ncall: {style: options, output: --out}\n")
    stash.add_experiment("parabola", "parabola", "params: {x: 0.0, name: n}\nobjective: loss\nestimated_runtime: 5m\n")
    stash.commit()
    return stash


def sweep(stash: StashUnderTest, *overrides: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    done = stash.cli(*overrides)
    assert "Traceback" not in done.stdout + done.stderr
    return done, sorted(stash.run_directories(), key=lambda path: int(path.name))


@pytest.mark.parametrize("launcher", ["slurm", "submitit_slurm"])
def test_a_parabola(parabola: StashUnderTest, launcher: str) -> None:
    done, directories = sweep(parabola, *OPTUNA, *TRIALS, f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    records = [parabola.record(path) for path in directories]
    assert [record["attempt"]["state"] for record in records] == ["completed"] * 5
    written = [json.loads((path / "metrics.json").read_text()) for path in directories]
    assert [record["attempt"]["result"] for record in records] == [metrics["loss"] for metrics in written]
    least = min(written, key=lambda metrics: float(metrics["loss"]))
    found = yaml.safe_load((directories[0].parent / "optimization_results.yaml").read_text())
    assert (found["best_value"], found["best_params"]) == (least["loss"], {"params.x": least["x"]})
    if launcher == "slurm":
        arrays = sorted(path.name for path in (directories[0].parent / ".slurm").glob("*.json"))
        assert arrays == ["0-0.json", "2-0.json", "4-0.json"]


def test_failures_are_tolerated_as_far_as_asked(parabola: StashUnderTest) -> None:
    given = (*OPTUNA, *TRIALS, "hydra/launcher=slurm", "+params.fail-above=1")
    done, directories = sweep(parabola, *given, "hydra.sweeper.max_failure_rate=0.5")
    assert done.returncode == 1
    states = [parabola.record(path)["attempt"]["state"] for path in directories]
    assert states == ["completed", "failed", "completed", "completed", "completed"]
    assert (directories[0].parent / "optimization_results.yaml").exists()


def test_more_failures_end_the_sweep(parabola: StashUnderTest) -> None:
    done, directories = sweep(parabola, *OPTUNA, *TRIALS, "hydra/launcher=slurm", "+params.fail-above=1")
    assert done.returncode == 1 and len(directories) == 2
    assert "(failed) has no result for the sweeper: the tool ended with exit code 7" in done.stderr


def test_what_slurm_refuses_has_no_result(parabola: StashUnderTest) -> None:
    done, directories = sweep(parabola, *OPTUNA, *TRIALS, "hydra/launcher=slurm", "resources.partition=nowhere")
    assert done.returncode == 1 and len(directories) == 2
    assert "has no result for the sweeper: SLURM did not take it" in done.stderr


def test_it_cannot_but_wait(parabola: StashUnderTest) -> None:
    done, directories = sweep(parabola, *OPTUNA, "hydra/launcher=slurm", "hydra.launcher.wait=false")
    assert (done.returncode, directories) == (2, [])
    assert "needs results, for which hydra.launcher.wait=false doesn't wait" in done.stderr


def test_ctrl_c_ends_it_but_leaves_the_runs_to_slurm(parabola: StashUnderTest) -> None:
    process = parabola.start(*OPTUNA, *TRIALS, "hydra/launcher=slurm", "+resources.extra.hold=true")
    eventually(lambda: list(parabola.root.glob("multirun/*/*/.slurm/*.job")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert [parabola.record(path)["attempt"]["state"] for path in parabola.run_directories()] == ["queued"] * 2


def test_a_zip_sweep_is_not_waited_for(parabola: StashUnderTest) -> None:
    given = ("hydra/sweeper=zip", "hydra/launcher=slurm", "params.x=1,2,3", "params.name=a,b,c")
    done, directories = sweep(parabola, "-m", "+exp=parabola", *given, "+resources.extra.hold=true")
    assert done.returncode == 0 and len(directories) == 3
    assert done.stdout.count("· queued") == 3
