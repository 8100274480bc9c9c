"""Jobs of a tool that writes into its checkout: each has a copy of the frozen code, made and removed where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.test_launcher import submit
from tests.testing.slurm import eventually, withdraw
from tests.testing.stash import StashUnderTest, git


@pytest.fixture
def shell(stash: StashUnderTest) -> Iterator[StashUnderTest]:
    stash.add_shell("collect: [runs]\n")
    script = "mkdir -p runs/a; echo $1 > runs/a/x; echo $1 > model.pt; sleep 0.5; cat model.pt"
    stash.add_script("one", script, "sh", "${params.n}", more="estimated_runtime: 1m\n")
    stash.commit()
    yield stash
    withdraw(stash.root)


def test_each_job_has_a_copy(shell: StashUnderTest) -> None:
    runs = submit(
        shell, "+exp=one", "params.n=1,2", "hydra.launcher.runs_per_job=2", "hydra.launcher.runs_at_once=2"
    ).ended()
    for n, run in enumerate(runs, 1):
        assert run["attempt"]["state"] == "completed", run
        assert sorted(run["attempt"]["collected"]) == ["model.pt", "runs/a/x"]
        for name in ("output.log", *run["attempt"]["collected"]):
            assert (Path(run["directory"]) / name).read_text() == f"{n}\n"
        copy = Path(run["spec"]["apart"]["path"])
        eventually(lambda copy=copy: not copy.exists())
    assert git("status", "--porcelain", "--ignored", "tools", cwd=shell.root) == ""
