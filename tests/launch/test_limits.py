"""Limits that make no sense are refused before anything runs, wherever they are written."""

from __future__ import annotations

import signal

import pytest

from experimentstash.base import limits
from experimentstash.base.errors import StashError
from experimentstash.launch.slurm import batch
from tests.testing.stash import InProcess, StashUnderTest


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "ALRM"])
def test_a_signal_has_one_name_however_it_is_written(name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    for text in (name, f"SIG{name}", name.lower(), f"sig{name.lower()}", f" {name} ", str(int(number)), f"0{number:d}"):
        assert limits.warning_signal(text) == name


@pytest.mark.parametrize(
    "text",
    ["KILL", "SIGKILL", "9", "STOP", "CONT", "18", "CHLD", "TSTP", "SEGV", "WINCH", "RTMIN", "40", "0", "-10", "999"],
)
def test_what_cannot_warn_is_refused(text: str) -> None:
    with pytest.raises(StashError, match="can't be a warning"):
        limits.warning_signal(text)


@pytest.mark.parametrize(
    "text", ["banana", "", " ", "USR3", "SIGSIGTERM", "B:TERM", "TERM@60", "true", "1e1", "USR1\n#SBATCH --x"]
)
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(StashError, match="is no signal: it can't be a warning"):
        limits.warning_signal(text)


@pytest.mark.parametrize("grace", [0.0, 0.2, 90.0, 65535.0])
def test_slurm_warns_no_later_than_asked_for(grace: float) -> None:
    assert batch.warning("USR1", grace) == {0.0: None, 0.2: "USR1@1", 90.0: "USR1@90", 65535.0: "USR1@65535"}[grace]
    with pytest.raises(StashError, match="65535 s"):
        batch.warning("USR1", 65535.5)


SENSELESS = {
    "grace.signal=KILL": "grace.signal: KILL",
    "grace.signal=banana": "grace.signal: banana is no signal",
    "grace.signal=-10": "grace.signal: -10",
    "grace.seconds=-1": "grace.seconds: -1 is no amount of time",
    "grace.seconds=inf": "grace.seconds: inf",
    "grace.seconds=nan": "grace.seconds: nan",
    "grace.seconds=1e400": "grace.seconds: inf",
    "wandb.timeout=-1": "wandb.timeout: -1",
    "wandb.timeout=inf": "wandb.timeout: inf",
    "wandb.timeout=nan": "wandb.timeout: nan",
    "timeout=-5": "timeout: '-5' is not a duration",
    "timeout=nan": "timeout: 'nan' is not a duration",
    "timeout=inf": "timeout: 'inf' is not a duration",
    "timeout=0": "timeout: '0' leaves no time at all",
    "timeout=0:00": "timeout: '0",
    "estimated_runtime=-1h": "estimated_runtime: '-1h' is not a duration",
    "estimated_runtime=0s": "estimated_runtime: '0s' leaves no time at all",
    "resources.time=-1": "resources.time: '-1' is not a duration",
    "resources.time=inf": "resources.time: 'inf' is not a duration",
    "resources.time=0": "resources.time: '0' leaves no time at all",
}


@pytest.fixture
def limited(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("first", "plain", "entrypoint: main.py\n")
    stash.add_experiment("one", "first", "params: {fail: 0}\n")
    stash.commit()
    return stash


@pytest.mark.parametrize("override", SENSELESS)
def test_a_run_is_refused(limited: StashUnderTest, in_process: InProcess, override: str) -> None:
    done = in_process(limited, "+exp=one", override)
    assert done.returncode == 2
    assert SENSELESS[override] in done.stderr
    assert not list(limited.root.glob("outputs/*/*"))


def test_in_a_sweep_the_others_run(limited: StashUnderTest) -> None:
    done = limited.cli("-m", "+exp=one", "grace.signal=usr1,KILL,10", "hydra/launcher=local")
    assert done.returncode == 1
    records = [limited.record(path) for path in sorted(limited.run_directories())]
    assert [record["attempt"]["state"] for record in records] == ["completed", "failed", "completed"]
    assert "grace.signal: KILL" in records[1]["attempt"]["reason"]
    assert [record["attempt"]["terms"]["grace_signal"] for record in records[::2]] == ["USR1", "USR1"]


@pytest.mark.parametrize("launcher", ["slurm", "submitit_slurm"])
@pytest.mark.parametrize("override", [each for each in SENSELESS if each.startswith("grace")])
def test_nothing_is_submitted(
    limited: StashUnderTest,
    in_process: InProcess,
    override: str,
    launcher: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # In a dry run of ours: there need not be a SLURM here.
    dry = ["dry_run=true"] if launcher == "slurm" else []
    done = in_process(limited, "-m", "+exp=one", override, f"hydra/launcher={launcher}", *dry)
    assert done.returncode in (1, 2) and SENSELESS[override] in done.stderr
    assert "#SBATCH" not in done.stdout and not list(limited.root.glob("multirun/*/*/.submitit"))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("hydra.launcher.timeout_min=1", "timeout_min: 1 min is all grace"),
        ("+hydra.launcher.additional_parameters.signal=KILL@60", "additional_parameters.signal: KILL"),
        ("+hydra.launcher.additional_parameters.signal='B:CONT'", "additional_parameters.signal: CONT"),
    ],
)
def test_submitits_own_settings_too(limited: StashUnderTest, in_process: InProcess, override: str, said: str) -> None:
    done = in_process(limited, "-m", "+exp=one", "hydra/launcher=submitit_slurm", override)
    assert done.returncode == 2 and said in done.stderr


def test_the_warning_is_not_replaced_by_the_way(limited: StashUnderTest, in_process: InProcess) -> None:
    options = ["-m", "+exp=one", "hydra/launcher=slurm", "dry_run=true", "grace.signal=usr2", "grace.seconds=0.5"]
    assert "#SBATCH --signal=B:USR2@1\n" in in_process(limited, *options).stdout
    assert "--signal" not in in_process(limited, *options, "grace.seconds=0").stdout
    assert "--signal" not in in_process(limited, *options, "+resources.extra.signal=null").stdout
    done = in_process(limited, *options, "+resources.extra.signal=USR1@60")
    assert "would take the place of the warning" in done.stderr and "#SBATCH" not in done.stdout


def test_every_experiment_has_its_own_warning(limited: StashUnderTest, in_process: InProcess) -> None:
    limited.add_experiment("two", "first", "params: {fail: 0}\ngrace: {signal: SIGUSR1, seconds: 30}\n")
    done = in_process(limited, "-m", "+exp=one,two", "hydra/launcher=slurm", "dry_run=true")
    assert "#SBATCH --signal=B:TERM@90\n" in done.stdout and "#SBATCH --signal=B:USR1@30\n" in done.stdout


@pytest.mark.parametrize(
    "text",
    ["grace: {signal: KILL}", "grace: {seconds: -1}", "grace: {seconds: .inf}", "timeout: 0", "wandb: {timeout: -1}"],
)
def test_an_organizer_is_not_valid(limited: StashUnderTest, in_process: InProcess, text: str) -> None:
    limited.add_experiment("two", "first", f"{text}\n")
    done = in_process(limited, "validate")
    assert done.returncode == 1 and "conf/exp/two.yaml" in done.stdout + done.stderr
    assert text.split()[0].strip(":") in done.stdout + done.stderr
