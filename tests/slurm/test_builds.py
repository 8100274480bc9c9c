"""Tools that are built, on SLURM: what was built when they were submitted runs, and what cannot start is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.slurm.test_launcher import slurm, submit
from tests.testing.builders import KINDS, builder
from tests.testing.slurm import eventually, queued_jobs
from tests.testing.stash import StashUnderTest

HOLD = "+resources.extra.hold=true"
NO_PYTHON = "environment: {kind: none}\n"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_built_is_what_runs(
    stash: StashUnderTest, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While the checkout is edited, and what was built there is deleted."""
    given = builder(kind, monkeypatch, tmp_path)
    directory = stash.add_tool("sim", given.tool, given.registration + NO_PYTHON)
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    if kind == "make":  # in the checkout, too
        assert stash.cli("tool", "sync", "sim").returncode == 0
    sweep = submit(stash, "+exp=one", "params.steps=1,2", HOLD)
    assert sweep.done.stderr.count("Building 'sim'") == ("build:" in given.registration)
    file, then, now = given.edit
    source = directory / file
    source.write_text(source.read_text().replace(then, now))
    for name in ("sim", "sim.o"):
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(stash.root / ".experimentstash" / "builds", ignore_errors=True)
    slurm("scontrol", "release", sweep.jobs[0])
    runs = sweep.ended()
    assert [one["attempt"]["state"] for one in runs] == ["completed"] * 2
    values = [json.loads((Path(one["directory"]) / "metrics.json").read_text())["value"] for one in runs]
    assert values == [0.5, 0.25]
    assert runs[0]["spec"]["build"] == runs[1]["spec"]["build"]
    if kind in ("make", "cmake"):
        assert "cc" in runs[0]["spec"]["build"]["compilers"]


def test_what_frozen_code_lacks_is_not_submitted(stash: StashUnderTest) -> None:
    """Built by hand, and ignored by git: it is in the checkout alone."""
    directory = stash.add_tool("sim", "sim_make", f"entrypoint: sim\n{NO_PYTHON}")
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    (directory / "sim").write_text("#!/bin/sh\n")
    (directory / "sim").chmod(0o755)
    checked = stash.cli("validate")
    assert "git ignores sim, so frozen code" in checked.stdout
    sweep = submit(stash, "+exp=one", "params.steps=1,2", code=1)
    assert sweep.jobs == []
    for one in sweep.records():
        assert one["attempt"]["state"] == "failed" and "there is no program sim" in one["attempt"]["reason"]
    dry = stash.cli("-m", "+exp=one", "hydra/launcher=slurm", "dry_run=true")
    assert dry.returncode == 0  # of the checkout it can't tell


JOB = "entrypoint: sim\nbuild_in: job\n"


def test_a_build_in_a_job_of_its_own(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its runs wait for it; afterwards their records say by what it was built, and further runs need none."""
    builder("make", monkeypatch, tmp_path)
    stash.add_tool("sim", "sim_make", f"{JOB}build: [[make]]\n{NO_PYTHON}")
    stash.add_experiment("one", "sim", "params: {steps: 1}\nresources: {cpus: 1}\n")
    stash.add_experiment("two", "sim", "params: {steps: 2}\nresources: {cpus: 2}\n")
    stash.commit()
    sweep = submit(stash, "+exp=one,two")
    assert "Building" not in sweep.done.stderr and sweep.done.stderr.count("is built in the job") == 1
    assert len([script for script in sweep.scripts if "afterok:" in script]) == 2
    runs = sweep.ended()
    assert [one["attempt"]["state"] for one in runs] == ["completed"] * 2, runs
    values = [json.loads((Path(one["directory"]) / "metrics.json").read_text())["value"] for one in runs]
    assert values == [0.5, 0.25]
    assert all("cc" in one["spec"]["build"]["compilers"] for one in runs)
    again = submit(stash, "+exp=one")
    assert "is built in the job" not in again.done.stderr
    assert again.ended()[0]["spec"]["build"] == runs[0]["spec"]["build"]


# A cluster's modules, which only its nodes have.
MODULES = """() {
    [ -n "$SLURM_JOB_ID" ] || return 1
    export LOADEDMODULES=gcc/12.2 GCC_HOME=/opt/gcc
}"""


def test_modules_that_only_nodes_have(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is built with them in a job of its own, and started with them in another."""
    monkeypatch.setenv("BASH_FUNC_module%%", MODULES)
    build = 'build: [{shell: \'echo "$GCC_HOME" > "{build}/made"\'}]\n'
    script = """entrypoint: sh -c 'cat "$0" > "$1"; echo "$GCC_HOME" >> "$1"' {build}/made\n"""
    call = "call: {style: arguments}\nmodules: [gcc]\nbuild_in: job\n"
    stash.add_tool("sim", "sim_make", f"{script}{build}{call}{NO_PYTHON}")
    stash.add_experiment("one", "sim", "arguments: ['${output_dir}/where']\n")
    stash.commit()
    (run,) = submit(stash, "+exp=one").ended()
    assert run["attempt"]["state"] == "completed", run["attempt"]
    assert (Path(run["directory"]) / "where").read_text() == "/opt/gcc\n" * 2
    assert "modules: gcc/12.2" in run["attempt"]["notes"]


def test_a_build_that_fails_in_its_job_fails_its_runs(
    stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And the next try builds anew."""
    builder("make", monkeypatch, tmp_path)
    stash.add_tool("sim", "sim_make", f"{JOB}build: [[make, no-such-target]]\n{NO_PYTHON}")
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    sweep = submit(stash, "+exp=one", "params.steps=1,2")
    for one in sweep.ended():
        assert one["attempt"]["state"] == "failed" and "No rule to make target" in one["attempt"]["reason"]
        assert one["attempt"]["started"] is None
    again = submit(stash, "+exp=one", "tool.build=[[make]]")
    assert again.ended()[0]["attempt"]["state"] == "completed"


def test_a_build_in_a_job_wants_code_that_stays(stash: StashUnderTest) -> None:
    stash.add_tool("sim", "sim_make", f"{JOB}build: [[make]]\n{NO_PYTHON}")
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    sweep = submit(stash, "+exp=one", "code=live", code=1)
    assert sweep.jobs == [] and "build_in: job" in sweep.records()[0]["attempt"]["reason"]


def test_a_build_that_nobody_waits_for_any_more_is_ended(stash: StashUnderTest, tmp_path: Path) -> None:
    """With the last of its runs, though it is at work; the others keep it."""
    begun = tmp_path / "begun"
    stash.add_tool(
        "sim", "sim_make", f"{JOB}build: [[sh, -c, 'touch \"$0\"; sleep 1000', {json.dumps(str(begun))}]]\n{NO_PYTHON}"
    )
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    sweep = submit(stash, "+exp=one", "params.steps=1,2")
    (job,) = re.findall(r"is built in the job (\d+)", sweep.done.stderr)
    eventually(begun.exists)
    first, second = (one["id"] for one in sweep.records())

    def is_there() -> bool:
        return job in slurm("squeue", "--noheader", "--format=%i", "--states=PENDING,RUNNING").split()

    assert stash.cli("cancel", first).returncode == 0 and is_there()
    assert stash.cli("cancel", second).returncode == 0
    eventually(lambda: not is_there())
    assert [one["attempt"]["state"] for one in sweep.ended()] == ["cancelled"] * 2


@pytest.mark.parametrize("target", ["sim", "no-such-target"])
def test_runs_that_are_submitted_when_their_build_is_over(
    stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str
) -> None:
    """With submit_limit there may be hours between: they know by what it was built, or why it wasn't."""
    builder("make", monkeypatch, tmp_path)
    stash.add_tool("sim", "sim_make", f"{JOB}build: [[make, {target}]]\n{NO_PYTHON}")
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    limit = len(queued_jobs()) + 2
    sweep = submit(
        stash,
        "+exp=one",
        "params.steps=1,2,3",
        f"hydra.launcher.submit_limit={limit}",
        code=int(target != "sim"),
    )
    runs = sweep.ended()
    if target == "sim":
        assert [one["attempt"]["state"] for one in runs] == ["completed"] * 3, runs
        assert all("cc" in one["spec"]["build"]["compilers"] for one in runs)
    else:
        assert all("No rule to make target" in one["attempt"]["reason"] for one in runs), runs


def test_what_is_built_anew_while_a_run_waits_is_said(
    stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a checkout that is used live: the code is the same, and the compiler's options aren't."""
    builder("make", monkeypatch, tmp_path)
    stash.add_tool("sim", "sim_make", f"entrypoint: sim\nbuild: [[make]]\n{NO_PYTHON}")
    stash.add_experiment("one", "sim", "params: {steps: 1}\n")
    stash.commit()
    sweep = submit(stash, "+exp=one", "code=live", HOLD)
    other = submit(stash, "+exp=one", "code=frozen", HOLD)
    assert stash.cli("tool", "sync", "sim", CFLAGS="-O3").returncode == 0
    for each in (sweep, other):
        slurm("scontrol", "release", each.jobs[0])
    ((one,), (two,)) = sweep.ended(), other.ended()
    assert any("built anew" in each for each in one["attempt"]["warnings"]), one["attempt"]
    assert not any("built anew" in each for each in two["attempt"]["warnings"])
