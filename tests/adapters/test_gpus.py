"""A GPU that is asked for where there is none is said; where nobody can tell, nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.adapters import gpus
from tests.testing.stash import InProcess, StashUnderTest


@pytest.mark.parametrize(
    ("names", "number", "said"),
    [
        (["null", "nvidiactl", "nvidia-uvm"], 1, "no GPU"),
        (["nvidia0", "nvidiactl"], 1, None),
        (["nvidia0", "nvidiactl"], 2, "1 GPU that"),
        (["nvidia0", "nvidia1"], 4, "2 GPUs"),
        (["kfd"], 8, None),
        (["dxg"], 1, None),
    ],
)
def test_what_the_devices_tell(tmp_path: Path, names: list[str], number: int, said: str | None) -> None:
    for name in names:
        (tmp_path / name).touch()
    told = gpus.lacking(number, "it", tmp_path)
    assert told is None if said is None else said in str(told)


@pytest.mark.parametrize(
    ("resources", "number"),
    [
        ({}, 0),
        ({"gpus": None, "gres": None}, 0),
        ({"gpus": "2"}, 2),
        ({"gpus": "a100"}, 1),
        ({"gpus": "a100:2,v100:1"}, 3),
        ({"gres": "gpu:a100:2(S:0),nvme:1"}, 2),
        ({"gres": "nvme:1"}, 0),
    ],
)
def test_how_many_are_asked_for(resources: dict[str, str], number: int) -> None:
    assert gpus.asked(resources) == number


@pytest.mark.slow
@pytest.mark.skipif(gpus.seen() != 0, reason="this machine has a GPU, or can't tell")
def test_it_is_said_of_a_run_and_of_a_sweep(stash: StashUnderTest, in_process: InProcess) -> None:
    stash.add_tool("t", None, "entrypoint: echo\ncall: {style: key_value}\nenvironment: {kind: none}\n")
    stash.write("tools/t/notes", "")
    stash.add_experiment("e", "t", "resources: {gpus: a100:2}\nparams: {x: 1}\n")
    lack = "resources.gpus=a100:2: this machine has no GPU that can be seen"
    assert lack in in_process(stash, "run", "e").stderr
    assert lack in stash.record()["attempt"]["notes"]
    swept = in_process(
        stash, "-m", "+exp=e", "params.x=1,2", "hydra/launcher=local", "hydra.launcher.gpus=2", "resources.gpus=null"
    )
    assert swept.returncode == 0
    assert swept.stderr.count("hydra.launcher.gpus hands out 0, 1: this machine has no GPU") == 1
    assert "GPU" not in in_process(stash, "run", "e", "resources.gpus=null").stderr
