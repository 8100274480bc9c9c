"""From resources to batch scripts: what is asked for, which runs share an array, how large arrays are."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.errors import StashError
from experimentstash.launch import batch
from experimentstash.launch.batch import Piece, Terms
from experimentstash.records import Command, Run
from experimentstash.schema import ResourcesConfig
from tests.conftest import REPOSITORY, InProcess, StashUnderTest


def run(**fields: object) -> Run:
    return Run(
        id="k3f9a2b-0",
        directory="/stash/multirun/0",
        experiment=None,
        organizer=None,
        tool="tool",
        command=Command([], "/"),
        **fields,  # type: ignore[arg-type]
    )


def asked(one: Run, **common: object) -> dict[str, object]:
    return batch.resources(one, ResourcesConfig(**common), time_factor=1.5, grace=90)  # type: ignore[arg-type]


def test_the_time_is_the_estimate_with_a_margin_and_the_grace() -> None:
    assert asked(run(estimated_runtime=600.0), time="3h")["time"] == 600 * 1.5 + 90
    assert asked(run(estimated_runtime=600.0, resources={"time": "2:00:00"}), time="3h")["time"] == 7200
    assert asked(run(), time="3h")["time"] == 3 * 3600
    assert "time" not in asked(run())


def test_what_is_all_grace_is_refused() -> None:
    with pytest.raises(StashError, match="all grace"):
        asked(run(resources={"time": "90s"}))


def test_a_run_s_own_resources_come_before_the_launcher_s() -> None:
    own = run(resources={"mem": "4G", "setup": ["module load cuda"], "extra": {"exclusive": True}})
    found = asked(own, mem="1G", cpus=2, setup=["module load StdEnv"], extra={"exclusive": False, "nice": 5})
    assert found == {
        "mem": "4G",
        "cpus": 2,
        "setup": ["module load StdEnv", "module load cuda"],
        "extra": {"exclusive": True, "nice": 5},
    }


def test_the_script_says_it_all_and_ends_in_our_supervisor() -> None:
    found = {
        "time": 61.0,
        "gpus": "a100:2",
        "constraint": "fast & 'large'",
        "setup": ["module load cuda"],
        "extra": {"exclusive": True, "nice": 5, "signal": None},
    }
    terms = batch.terms(found, {}, warning="B:TERM@30", may_requeue=True)
    script = batch.script(
        Piece(terms, (run(), run(), run())),
        name="k3f9a2b",
        python="/my env/bin/python",
        tasks_file=".slurm/0-0.json",
        parallelism=2,
        after="17",
    )
    assert script.splitlines() == [
        "#!/bin/bash",
        "#SBATCH --job-name=k3f9a2b",
        "#SBATCH --array=0-2%2",
        "#SBATCH --output=.slurm/slurm-%A_%a.out",
        "#SBATCH --open-mode=append",
        "#SBATCH --dependency=afterany:17",
        "#SBATCH --constraint='fast & '\"'\"'large'\"'\"''",
        "#SBATCH --exclusive",
        "#SBATCH --gpus-per-node=a100:2",
        "#SBATCH --nice=5",
        "#SBATCH --requeue",
        "#SBATCH --time=2",
        "module load cuda",
        "exec '/my env/bin/python' -m experimentstash.launch.task .slurm/0-0.json",
    ]


def test_a_line_break_is_refused() -> None:
    with pytest.raises(StashError, match="line break"):
        batch.terms({"partition": "a\n#SBATCH --uid=0"}, {}, warning="B:TERM@30", may_requeue=False)


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 7))
def test_pieces_hold_every_run_once_in_arrays_of_one_kind(kinds: list[int], most: int) -> None:
    given_terms = [Terms((("cpus", str(kind)),), (), ()) for kind in kinds]
    given_runs = [(run(description=str(number)), terms) for number, terms in enumerate(given_terms)]
    found = batch.pieces(given_runs, most)
    assert all(0 < len(piece.runs) <= most for piece in found)
    held = [(int(each.description), piece.terms) for piece in found for each in piece.runs]
    assert sorted(held, key=lambda pair: pair[0]) == list(enumerate(given_terms))
    assert len(found) == sum(-(-kinds.count(kind) // most) for kind in set(kinds))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.integers(1, 30))
def test_no_more_run_at_once_than_asked_for(sizes: list[int], parallelism: int) -> None:
    found = batch.shares(sizes, parallelism)
    assert all(share >= 1 for share, _ in found)
    # Of a chain of arrays that wait for one another, one is at work.
    chains = {index: share for index, (share, after) in enumerate(found) if after is None}
    assert sum(chains.values()) <= parallelism
    assert all(
        after is None or (after < index and found[after][0] == share) for index, (share, after) in enumerate(found)
    )


@pytest.mark.parametrize("preset", ["mila", "drac"])
def test_a_preset_builds_on_slurm(stash: StashUnderTest, in_process: InProcess, preset: str) -> None:
    folder = stash.root / "conf" / "hydra" / "launcher"
    shutil.copytree(REPOSITORY / "conf" / "hydra" / "launcher", folder)
    found = in_process(stash, f"hydra/launcher={preset}", "--cfg", "hydra", "--package", "hydra.launcher")
    assert found.returncode == 0, found.stderr
    assert "_target_: hydra_plugins.experimentstash_launcher.slurm.SlurmLauncher" in found.stdout
    assert "mem: 16G" in found.stdout and "time_factor: 1.5" in found.stdout
