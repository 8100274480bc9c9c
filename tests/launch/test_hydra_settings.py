"""Hydra's own settings together with ours: what its users expect, one message for a mistake, and nothing half made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.testing.stash import InProcess, StashUnderTest

SECRET = "0123456789abcdef0123456789"
LAUNCHERS = ["basic", "local"]
# Prints its variable, and fails if told to.
TOOL = 'import os, sys\nprint("VARIABLE is", os.environ.get("VARIABLE"))\nsys.exit("fail=1" in sys.argv)\n'
CALL = "entrypoint: main.py\ncall: {style: arguments}\n"


@pytest.fixture
def tooled(stash: StashUnderTest) -> StashUnderTest:
    (stash.add_tool("first", registration=CALL) / "main.py").write_text(TOOL)
    stash.add_experiment("one", "first", "params: {a: 0, name: x}\narguments: ['a=${params.a}']\n")
    stash.commit()
    return stash


def left(stash: StashUnderTest) -> list[Path]:
    return [path for root in ("outputs", "multirun") for path in stash.root.glob(f"{root}/**/*")]


def logs(stash: StashUnderTest) -> list[str]:
    return [path.read_text() for path in sorted(stash.root.glob("*/*/*/**/output.log"))]


# --- directories -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subdir", ["null", "settings"])
@pytest.mark.parametrize("how", [[], ["-m"], ["-m", "hydra/launcher=local"]])
@pytest.mark.parametrize("what", ["dry_run=true", "validate_only=true", "timeout=soon"])
def test_where_hydra_writes_its_files_nothing_is_left(
    tooled: StashUnderTest, in_process: InProcess, subdir: str, how: list[str], what: str
) -> None:
    is_noted = how and what == "timeout=soon"  # a failed run of its own
    done = in_process(tooled, *how, "+exp=one", f"hydra.output_subdir={subdir}", what)
    assert "Traceback" not in done.stderr
    assert bool(left(tooled)) == bool(is_noted), left(tooled)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_hydras_files_in_a_directory_named_by_a_parameter(tooled: StashUnderTest, launcher: str) -> None:
    words = ["params.a=1,2", "hydra.output_subdir=.${params.a}", f"hydra/launcher={launcher}"]
    assert tooled.cli("-m", "+exp=one", *words).returncode == 0
    kept = {path.parent.name: path.read_text() for path in tooled.root.glob("multirun/*/*/*/.*/overrides.yaml")}
    assert kept == {f".{a}": f"- +exp=one\n- params.a={a}\n" for a in (1, 2)}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_jobs_with_one_directory(tooled: StashUnderTest, launcher: str) -> None:
    done = tooled.cli("-m", "+exp=one", "params.a=1,2", "hydra.sweep.subdir=same", f"hydra/launcher={launcher}")
    first, second = sorted(map(tooled.record, tooled.run_directories()), key=lambda record: int(record["spec"]["job"]))
    assert done.returncode == 1 and (first["attempt"]["state"], second["attempt"]["state"]) == ("completed", "failed")
    assert "already holds a run" in second["attempt"]["reason"] and "already holds a run" in done.stderr
    assert first["directory"].endswith("/same")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_directory_that_cannot_be_made(tooled: StashUnderTest, launcher: str) -> None:
    words = [f"params.a=a,{'b' * 300}", "hydra.sweep.subdir=${params.a}"]
    done = tooled.cli("-m", "+exp=one", *words, f"hydra/launcher={launcher}")
    first, second = sorted(map(tooled.record, tooled.run_directories()), key=lambda record: int(record["spec"]["job"]))
    assert done.returncode == 1 and (first["attempt"]["state"], second["attempt"]["state"]) == ("completed", "failed")
    assert "File name too long" in second["attempt"]["reason"] and "this is a bug" not in done.stderr


@pytest.mark.parametrize("setting", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_directory_named_by_a_parameter_that_is_not_there(
    tooled: StashUnderTest, in_process: InProcess, setting: str, recwarn: pytest.WarningsRecorder
) -> None:
    how = ["-m"] if setting == "hydra.sweep.dir" else []
    done = in_process(tooled, *how, "+exp=one", f"{setting}=outputs/${{params.nope}}")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("params.nope") == 1
    assert not left(tooled) and not [each for each in recwarn if "Callback" in str(each.message)]


@pytest.mark.parametrize("how", [[], ["-m"]])
def test_paths_are_shown_from_where_the_user_is(tooled: StashUnderTest, how: list[str]) -> None:
    done = tooled.cli(*how, "+exp=one", "hydra.job.chdir=true")
    (run,) = tooled.run_directories()
    assert done.returncode == 0 and f"→  {run.relative_to(tooled.root)}\n" in done.stderr


# --- hydra.mode ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("where", ["command line", "conf"])
def test_a_sweep_by_its_mode(tooled: StashUnderTest, in_process: InProcess, where: str) -> None:
    root = (tooled.root / "conf/config.yaml").read_text()
    if where == "conf":
        tooled.write("conf/config.yaml", f"{root}hydra: {{mode: MULTIRUN}}\n")
    mode = ["hydra.mode=MULTIRUN"] if where == "command line" else []
    done = in_process(tooled, "+exp=one", "params.a=1,2", *mode, "validate_only=true")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2, done.stderr


# --- environment variables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [[], ["-m"], ["-m", "hydra/launcher=local"]])
def test_variables_that_hydra_sets_reach_the_tool(tooled: StashUnderTest, how: list[str]) -> None:
    done = tooled.cli(*how, "+exp=one", "+hydra.job.env_set.VARIABLE=set")
    assert done.returncode == 0 and logs(tooled) == ["VARIABLE is set\n"]
    assert tooled.record()["spec"]["command"]["environment"]["VARIABLE"] == "set"


def test_the_tools_own_variables_outrank_them(tooled: StashUnderTest) -> None:
    words = ["+tool.env.VARIABLE=own", "+hydra.job.env_set.VARIABLE=set"]
    assert tooled.cli("-m", "+exp=one", "hydra/launcher=local", *words).returncode == 0
    assert logs(tooled) == ["VARIABLE is own\n"]


@pytest.mark.parametrize("how", [[], ["-m"], ["-m", "hydra/launcher=local"]])
@pytest.mark.parametrize("where", ["command line", "organizer"])
def test_a_secret_among_them_is_refused(
    tooled: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch, how: list[str], where: str
) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", SECRET)
    if where == "organizer":
        tooled.add_experiment("one", "first", "hydra: {job: {env_copy: [SERVICE_API_KEY]}}\n")
    words = ["hydra.job.env_copy=[SERVICE_API_KEY]"] if where == "command line" else []
    done = in_process(tooled, *how, "+exp=one", *words)
    assert done.returncode == 2 and done.stderr.count("names SERVICE_API_KEY, whose value") == 1, done.stderr
    assert not left(tooled)


def test_a_secret_of_one_job_stays_out_of_its_files(
    tooled: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", SECRET)
    tooled.add_experiment("two", "first", "hydra: {job: {env_copy: [SERVICE_API_KEY]}}\n")
    done = in_process(tooled, "-m", "+exp=two,two", "hydra.sweep.dir=multirun/a/b")
    assert done.returncode == 1 and "names SERVICE_API_KEY" in done.stderr
    texts = [path.read_text() for path in left(tooled) if path.is_file()]
    assert texts and not any(SECRET in text for text in texts)


def test_a_variable_that_is_not_set(tooled: StashUnderTest, in_process: InProcess) -> None:
    assert "NOT_THERE" not in os.environ
    done = in_process(tooled, "+exp=one", "hydra.job.env_copy=[NOT_THERE]")
    assert done.returncode == 2 and "hydra.job.env_copy names NOT_THERE, which isn't set." in done.stderr
