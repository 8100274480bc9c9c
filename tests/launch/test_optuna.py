"""hydra/sweeper=optuna, unchanged, optimises a tool that knows nothing of Hydra."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from experimentstash.compose import sweepers
from experimentstash.stash.schema import ZipSweeperConfig
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest, wait_until

OPTUNA = ("-m", "+exp=parabola", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1", "params.x=interval(-5.0,5.0)")


@pytest.fixture
def parabola(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("parabola", "parabola", "entrypoint: main.py\ncall: {style: options, output: --out}\n")
    stash.add_experiment("parabola", "parabola", "params: {x: 0.0, name: n}\nobjective: loss\n")
    stash.add_experiment("aimless", "parabola", "params: {x: 0.0}\n")
    stash.commit()
    return stash


def optimise(
    stash: StashUnderTest, *overrides: str, trials: int = 4, at_once: int = 2, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = stash.cli(*OPTUNA, f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={at_once}", *overrides)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def records(stash: StashUnderTest) -> list[dict[str, Any]]:
    """Return the records in the order of the jobs."""
    return [stash.record(path) for path in sorted(stash.run_directories(), key=lambda path: int(path.name))]


def best(stash: StashUnderTest) -> dict[str, Any]:
    (path,) = stash.root.glob("multirun/*/*/optimization_results.yaml")
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def written(record: dict[str, Any]) -> dict[str, Any]:
    found = json.loads((Path(record["directory"]) / "metrics.json").read_text())
    assert isinstance(found, dict)
    return found


def test_which_sweepers_need_results() -> None:
    assert not sweepers.needs_results("hydra._internal.core_plugins.basic_sweeper.BasicSweeper")
    assert not sweepers.needs_results(ZipSweeperConfig._target_)
    assert sweepers.needs_results("hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper")


@pytest.mark.slow
def test_a_parabola(parabola: StashUnderTest) -> None:
    optimise(parabola, "hydra/launcher=local", trials=5)
    found = records(parabola)
    assert [record["id"].rpartition("-")[2] for record in found] == ["0", "1", "2", "3", "4"]
    assert [record["attempt"]["state"] for record in found] == ["completed"] * 5
    assert [record["attempt"]["result"] for record in found] == [written(record)["loss"] for record in found]
    least = min(found, key=lambda record: float(record["attempt"]["result"]))
    # Exactly the float that was sampled has reached the tool.
    assert best(parabola)["best_value"] == least["attempt"]["result"]
    assert best(parabola)["best_params"] == {"params.x": written(least)["x"]}


@pytest.mark.slow
def test_a_log_scale_and_negative_exponents_reach_the_tool(parabola: StashUnderTest) -> None:
    given = ("hydra/launcher=local", "params.x=choice(-1e-05,-2e-17)", "+params.y=tag(log,interval(1e-9,1e-6))")
    optimise(parabola, *given, trials=2)
    sampled = {(record["spec"]["overrides"][0], written(record)["x"]) for record in records(parabola)}
    assert sampled <= {("params.x=-1e-05", -1e-05), ("params.x=-2e-17", -2e-17)}


@pytest.mark.slow
def test_several_objectives(parabola: StashUnderTest) -> None:
    objectives = "objective=[loss,{column: loss,take: max},{pattern: 'loss=(.+)',take: max}]"
    optimise(parabola, objectives, "hydra.sweeper.direction=[minimize,maximize,maximize]", "hydra/launcher=local")
    values = [record["attempt"]["result"] for record in records(parabola)]
    assert all(two == one + 1 and three == one + 2 for one, two, three in values)
    assert all(solution["values"] in values for solution in best(parabola)["solutions"])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "basic", "submitit_local"])
def test_failures_are_tolerated_as_far_as_asked(parabola: StashUnderTest, launcher: str) -> None:
    # Of the first two trials (x = -0.83 and 2.2) one fails or has no metrics; all others are below 0.
    given = (f"hydra/launcher={launcher}", "+params.fail-above=1", "+params.silent-below=-4.5")
    optimise(parabola, *given, "hydra.sweeper.max_failure_rate=0.5", code=1)
    found = records(parabola)
    assert [(record["attempt"]["state"], record["attempt"]["result"] is None) for record in found] == [
        ("completed", False),
        ("failed", True),
        ("completed", True),  # no metrics
        ("completed", False),
    ]
    assert best(parabola)["best_value"] == found[0]["attempt"]["result"]


@pytest.mark.slow
def test_more_failures_end_the_sweep_with_one_message(parabola: StashUnderTest) -> None:
    done = optimise(parabola, "hydra/launcher=local", "+params.fail-above=1", code=1)
    found = records(parabola)
    assert [record["attempt"]["state"] for record in found] == ["completed", "failed"]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"The run {found[1]['id']} (failed) has no result for the sweeper: the tool ended with exit code 7" in line
    assert "✗ failed" in done.stdout


@pytest.mark.slow
def test_without_any_result_the_sweeper_gives_up(parabola: StashUnderTest) -> None:
    given = ("+params.fail-above=-9", "hydra.sweeper.max_failure_rate=1.0", "hydra/launcher=local")
    done = optimise(parabola, *given, trials=2, code=1)
    assert "OptunaSweeper gave up: ValueError: " in done.stderr


@pytest.mark.parametrize("launcher", ["basic", "local", "slurm"])
def test_without_an_objective_nothing_begins(parabola: StashUnderTest, in_process: InProcess, launcher: str) -> None:
    done = in_process(parabola, *OPTUNA[:1], "+exp=aimless", *OPTUNA[2:], f"hydra/launcher={launcher}")
    assert done.returncode == 2
    assert "This sweeper needs an objective, and aimless names none." in done.stderr
    assert "`objective: KEY`" in done.stderr
    assert not (parabola.root / "multirun").exists()


@pytest.mark.slow
def test_a_swept_experiment_without_an_objective(parabola: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(parabola, *OPTUNA[:1], "+exp=choice(aimless)", *OPTUNA[2:])
    assert done.returncode == 2
    assert "This sweeper needs an objective, and aimless names none." in done.stderr.rpartition("error: ")[2]
    assert {record["attempt"]["state"] for record in records(parabola)} == {"failed"}


def test_an_objective_that_makes_no_sense_ends_the_sweep(parabola: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(parabola, *OPTUNA, "objective={colum: a}")
    assert done.returncode == 2
    assert "objective: unknown key 'colum'. Did you mean 'column'?" in done.stderr.rpartition("error: ")[2]


def test_validate_only_shows_the_first_command(parabola: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(parabola, *OPTUNA, "validate_only=true", "hydra/launcher=local")
    assert done.returncode == 0
    assert sum("main.py" in line for line in done.stdout.splitlines()) == 1
    assert list(parabola.root.glob("multirun/*/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_ctrl_c_ends_it(stash: StashUnderTest, launcher: str) -> None:
    stash.add_tool("sleepy", "plain", "entrypoint: main.py\n")
    stash.add_experiment("sleepy", "sleepy", "params: {sleep: 60, touch: '${output_dir}/up'}\nobjective: loss\n")
    given = ("hydra/sweeper=optuna", "hydra.sweeper.max_failure_rate=1.0", f"hydra/launcher={launcher}")
    process = stash.start("-m", "+exp=sleepy", *given, "params.sleep=range(60,90)")
    wait_until(lambda: list(stash.root.glob("multirun/*/*/*/up")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert {record["attempt"]["state"] for record in records(stash)} == {"cancelled"}
