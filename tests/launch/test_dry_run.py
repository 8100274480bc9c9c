"""dry_run=true: what the runs would ask for, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from experimentstash.runs.summary import resources_table
from tests.testing.run_parts import run_with
from tests.testing.stash import InProcess, StashUnderTest, git


@pytest.fixture
def tooled(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("first", "plain", "entrypoint: main.py\n")
    stash.add_experiment("one", "first", "params: {a: 0}\nestimated_runtime: 30m\nresources: {cpus: 4}\n")
    stash.commit()
    return stash


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_a_sweep_is_shown_and_not_run(tooled: StashUnderTest, in_process: InProcess, launcher: str) -> None:
    words = ["+exp=one", "params.a=range(3)", "resources.gpus=a100:2", "dry_run=true"]
    done = in_process(tooled, "-m", *words, f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    *rows, total = done.stdout.splitlines()
    assert [row.split()[:5] for row in rows[1:]] == [
        ["one", f"params.a={a}", "30m00s", "4", "a100:2"] for a in range(3)
    ]
    assert total == "3 runs: 6.0 CPU-hours, 3.0 GPU-hours"
    assert not list(tooled.root.glob("multirun/*")) and git("status", "--short", cwd=tooled.root) == ""


def test_of_submitit_its_own_settings_are_shown(
    tooled: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "short")
    monkeypatch.setenv("SBATCH_GPUS_PER_NODE", "v100:1")
    words = ["params.a=1,2", "resources.gpus=a100:2", "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=90"]
    done = in_process(tooled, "-m", "+exp=one", *words, "hydra.launcher.mem_gb=3", "dry_run=true")
    assert done.returncode == 0, done.stderr
    *rows, total = done.stdout.splitlines()
    assert [row.split() for row in rows[1:]] == [
        ["one", f"params.a={a}", "1h30m", "-", "v100:1", "3G", "short"] for a in (1, 2)
    ]
    assert total == "2 runs: 3.0 CPU-hours, 3.0 GPU-hours"
    assert "resources.cpus, resources.gpus: no effect with submitit_slurm" in done.stderr


def test_a_single_run_too(tooled: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(tooled, "+exp=one", "dry_run=true", "estimated_runtime=null")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 run: 0.0 CPU-hours, 0.0 GPU-hours, without 1 that give no estimated_runtime\n")
    assert not list(tooled.root.glob("outputs/*"))


def test_a_mistake_is_told(tooled: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(tooled, "-m", "+exp=one", "timeout=1h,soon", "dry_run=true")
    assert done.returncode == 1
    assert "+exp=one timeout=soon dry_run=True: timeout: 'soon' is not a duration" in done.stderr
    assert "1 run: 2.0 CPU-hours" in done.stdout and not list(tooled.root.glob("multirun/*"))


@pytest.mark.parametrize(
    ("resources", "total"),
    [
        ({"time": "2h", "cpus": 8, "nodes": 2, "gpus": "1"}, "32.0 CPU-hours, 4.0 GPU-hours"),
        ({"time": 3600.0, "gpus": "a100:2,v100:1"}, "1.0 CPU-hours, 3.0 GPU-hours"),
        ({"time": "60m", "gres": "gpu:a100:2,lustre:1"}, "1.0 CPU-hours, 2.0 GPU-hours"),
        ({"time": "60m", "gres": "gpu"}, "1.0 CPU-hours, 1.0 GPU-hours"),
    ],
)
def test_hours_are_added_up(resources: dict[str, Any], total: str) -> None:
    run = run_with("a", "/a", organizer="one", resources=resources)
    assert resources_table([run]).splitlines()[-1] == f"1 run: {total}"
