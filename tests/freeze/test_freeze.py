"""From a configuration to a run: the command, its environment, and what may not be written down."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.base.process import clean_environment
from experimentstash.execute.tool_environment import tool_environment
from experimentstash.freeze.freeze import freeze, identify
from experimentstash.freeze.plan import Plan, Request, explain, plan
from experimentstash.record import records
from experimentstash.record.run import State
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import (
    CallConfig,
    CallStyle,
    EnvironmentConfig,
    EnvironmentKind,
    StashConfig,
    ToolConfig,
)
from tests.testing.stash import InProcess, StashUnderTest, git

PYTHON = EnvironmentConfig(kind=EnvironmentKind.interpreter, interpreter=sys.executable)
NO_PYTHON = EnvironmentConfig(kind=EnvironmentKind.none)


@pytest.fixture
def directory(stash: StashUnderTest) -> Path:
    """The directory of a tool with a module, a script with a space in its name, and an executable."""
    stash.write("tools/t/package/train.py", "")
    stash.write("tools/t/my script.py", "")
    stash.write("tools/t/bin/go", "#!/bin/sh\n").chmod(0o755)
    return stash.root / "tools" / "t"


def planned(
    stash: StashUnderTest, entrypoint: str = "-m package.train", *, config: dict[str, Any] | None = None, **tool: Any
) -> Plan:
    settings = {"path": "tools/t", "entrypoint": entrypoint, "environment": PYTHON, **tool}
    return plan(
        Request(
            stash=Stash(stash.root),
            config=StashConfig(tool=ToolConfig(**settings), **(config or {})),
            tool="t",
            organizer="fig/x",
            overrides=["+exp=fig/x"],
            directory=stash.root / "outputs" / "2026-01-31" / "12-00-00-abcdefg",
            id="abcdefg",
        )
    )


def test_entrypoints(stash: StashUnderTest, directory: Path) -> None:
    expected = {
        "-m package.train": [sys.executable, "-m", "package.train"],
        "-m package.train --quick 'two words'": [sys.executable, "-m", "package.train", "--quick", "two words"],
        "package/train.py": [sys.executable, str(directory / "package" / "train.py")],
        "package/train.py fit": [sys.executable, str(directory / "package" / "train.py"), "fit"],
        "my script.py": [sys.executable, str(directory / "my script.py")],
        "bin/go": [str(directory / "bin" / "go")],
        "bin/go fit": [str(directory / "bin" / "go"), "fit"],
        "python fit": ["python", "fit"],  # whichever is first on PATH, where the tool's environment comes first
    }
    for entrypoint, argv in expected.items():
        command = planned(stash, entrypoint, config={"params": {"a": "$x; y"}}).command
        assert command.argv == [*argv, "-a", "$x; y"]
        assert command.cwd == str(directory)


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("package/tarin.py", "conf/tool/t.yaml: the entrypoint package/tarin.py does not exist in"),
        ("./bin/stop", "conf/tool/t.yaml: the entrypoint ./bin/stop does not exist in"),
        ("-m", "names nothing to run"),
        ("", "names nothing to run"),
        ("package/train.py 'x", "can't be read: No closing quotation"),
    ],
)
@pytest.mark.usefixtures("directory")
def test_entrypoints_that_are_none(stash: StashUnderTest, entrypoint: str, message: str) -> None:
    with pytest.raises(StashError) as caught:
        planned(stash, entrypoint)
    assert message in str(caught.value)


@pytest.mark.usefixtures("python_first_on_path")
def test_an_executable_of_the_tools_own_environment(stash: StashUnderTest, tmp_path: Path) -> None:
    tool = stash.add_tool("plain", "plain", "entrypoint: python main.py\nenvironment: {kind: requirements}")
    (tool / "requirements.txt").touch()
    stash.add_experiment("one", "plain", "params: {out: '${output_dir}'}\n")
    checked = stash.cli("run", "one", "validate_only=true")
    assert (checked.returncode, checked.stdout.split()[:2]) == (0, ["python", "main.py"])
    assert not (stash.root / ".experimentstash" / "environments").exists()
    done = stash.cli("run", "one")
    assert done.returncode == 0, done.stderr
    (run,) = stash.run_directories()
    (environment,) = (stash.root / ".experimentstash" / "environments" / "plain").glob("*/bin")
    seen = json.loads((run / "result.json").read_text())
    assert seen["environment"]["PATH"].split(os.pathsep)[0] == str(environment)
    assert any(entry.startswith(str(environment.parent)) for entry in seen["path"])
    assert stash.record()["spec"]["environment"]["kind"] == "requirements"


def test_where_it_is_started(stash: StashUnderTest, directory: Path) -> None:
    run = planned(stash, working_directory="run")
    assert run.command.cwd == str(run.request.directory)
    assert run.command.environment["PYTHONPATH"] == str(directory)
    assert "PYTHONPATH" not in planned(stash).command.environment
    assert "PYTHONPATH" not in planned(stash, "package/train.py", working_directory="run").command.environment


@pytest.mark.usefixtures("directory")
def test_the_tools_variables(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "x")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    run = planned(stash, env={"MODE": "fast", "GONE": None, "MY_TOKEN": "swordfish-1", "PYTHONPATH": "/theirs"})
    command = run.command
    assert (command.environment["MODE"], command.environment["PYTHONPATH"]) == ("fast", "/theirs")
    assert (command.secrets, dict(run.secrets)) == (["MY_TOKEN"], {"MY_TOKEN": "swordfish-1"})
    assert "swordfish" not in repr(command)
    assert {"GONE", "HYDRA_FULL_ERROR"} <= set(command.unset) and "PYTHONPATH" not in command.unset
    frozen = freeze(identify(run, announce=print))
    seen = tool_environment(frozen, run.secrets)
    assert (seen["MODE"], seen["MY_TOKEN"], seen["PYTHONPATH"]) == ("fast", "swordfish-1", "/theirs")
    assert not {"GONE", "HYDRA_FULL_ERROR"} & set(seen)
    # A job that is executed later has to find the secret in its own environment.
    with pytest.raises(StashError, match=r"needs MY_TOKEN in its environment.*\n.*export MY_TOKEN="):
        tool_environment(frozen, {})
    monkeypatch.setenv("MY_TOKEN", "swordfish-2")
    assert tool_environment(frozen, {})["MY_TOKEN"] == "swordfish-2"
    debugging = planned(stash, config={"debug": True})
    assert debugging.command.environment["HYDRA_FULL_ERROR"] == "1"
    assert "HYDRA_FULL_ERROR" not in debugging.command.unset


def test_our_own_environment_is_cleaned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # PYTHONHOME can't be set for a whole process of ours: its Python would not start.
    own = Path(sys.prefix, "bin")
    (tmp_path / "alias").symlink_to(own)
    entries = [str(own), f"{own}/", str(tmp_path / "alias"), "/usr/bin", str(tmp_path)]
    monkeypatch.setenv("PATH", os.pathsep.join(entries))
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON"):
        monkeypatch.setenv(name, "/ours")
    monkeypatch.setenv("UV_CACHE_DIR", "/theirs")
    cleaned = clean_environment()
    assert "/ours" not in cleaned.values()
    assert cleaned["UV_CACHE_DIR"] == "/theirs"
    expected = entries if sys.prefix == sys.base_prefix else ["/usr/bin", str(tmp_path)]
    assert cleaned["PATH"].split(os.pathsep) == expected


@pytest.mark.usefixtures("directory")
def test_a_frozen_run_is_complete(stash: StashUnderTest) -> None:
    commit = stash.commit()
    run = planned(
        stash,
        call=CallConfig(style=CallStyle.file, experiment="name"),
        commit="HEAD",
        collect=["outputs"],
        config={
            "experiment": "inner",
            "params": {"a": [1, "x"]},
            "tags": ["t"],
            "timeout": "1h30m",
            "estimated_runtime": "2:00:00",
            "arguments": ["--last"],
        },
    )
    assert not run.request.directory.exists()  # so far nothing is written
    said: list[str] = []
    frozen = freeze(identify(run, announce=said.append))
    assert frozen == records.read(run.request.directory)
    assert (frozen.attempt.state, frozen.attempt.terms.timeout, frozen.spec.estimated_runtime) == (
        State.FROZEN,
        5400.0,
        7200.0,
    )
    file = run.request.directory / "params.yaml"
    assert frozen.spec.command.argv == [sys.executable, "-m", "package.train", "--config", str(file), "--last"]
    assert file.read_text() == "name: inner\na:\n- 1\n- x\n"
    assert frozen.spec.stash is not None and frozen.spec.stash.commit == commit
    assert frozen.spec.environment is not None and frozen.spec.environment.interpreter == sys.executable
    assert frozen.spec.environment.version == ".".join(map(str, sys.version_info[:3]))
    assert frozen.spec.collect == [str(stash.root / "tools" / "t" / "outputs")]
    assert frozen.spec.code is not None and (frozen.spec.code.commit, frozen.spec.code.pin) == (commit, "HEAD")
    assert frozen.attempt.notes == said == []
    with pytest.raises(StashError, match="already holds a run"):
        freeze(identify(run, announce=said.append))
    pinned = planned(stash, commit=commit[:7])
    object.__setattr__(pinned.request, "directory", run.request.directory.with_name("other"))
    assert freeze(identify(pinned, announce=said.append)).attempt.notes == []
    with pytest.raises(StashError, match="to run commit '0123456789'"):
        planned(stash, commit="0123456789")


@pytest.mark.usefixtures("directory")
def test_explaining_keeps_secrets(stash: StashUnderTest) -> None:
    lines = explain(planned(stash, env={"MODE": "fast", "MY_TOKEN": "swordfish-1"}))
    assert "set          MODE=fast" in lines and "set          MY_TOKEN (a secret)" in lines
    assert shlex.split(lines[-1]) == ["command", sys.executable, "-m", "package.train"]
    assert "swordfish" not in "".join(lines)


@pytest.mark.parametrize(
    "settings",
    [
        {"config": {"params": {"key": "pre-xyzzy-plugh-post"}}},
        {"config": {"params": {"nested": [{"key": "xyzzy-plugh"}]}}, "call": CallConfig(ways={"nested": "json"})},
        {"config": {"arguments": ["--key=xyzzy-plugh"]}},
        {"config": {"experiment": "xyzzy-plugh"}, "call": CallConfig(experiment="--name")},
        {"env": {"MODE": "xyzzy-plugh"}},
        {"entrypoint": "-m package.train xyzzy-plugh"},
        {"config": {"params": {"key": "xyzzy-plugh"}}, "call": CallConfig(style=CallStyle.file)},
        {"config": {"description": "with xyzzy-plugh"}},
    ],
)
@pytest.mark.usefixtures("directory")
def test_a_secret_in_a_parameter_is_refused(
    stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    planned(stash, **settings)
    monkeypatch.setenv("X_API_KEY", "xyzzy-plugh")
    with pytest.raises(StashError, match=r"contains the value of \$X_API_KEY") as caught:
        planned(stash, **settings)
    assert "xyzzy" not in str(caught.value)


def files_with(text: str, directory: Path) -> list[str]:
    """Return the files below a directory that contain a text."""
    found = (path for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes())
    return sorted(path.relative_to(directory).as_posix() for path in found)


def test_a_secret_reaches_the_tool_and_no_file(stash: StashUnderTest, in_process: InProcess, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f'#!/bin/sh\nprintf %s "$TOOL_TOKEN $X_API_KEY" > "{seen}"\n'
    stash.write("tools/t/go", script).chmod(0o755)
    stash.write(
        "conf/tool/t.yaml",
        "path: tools/t\nentrypoint: go\nenvironment: {kind: none}\nenv: {TOOL_TOKEN: '${oc.env:REAL_TOKEN}'}\n",
    )
    stash.add_experiment("one", "t")
    stash.commit()
    # Uncommitted: a secret that somebody has pasted into a file.
    stash.write("tools/t/notes.txt", "the key is xyzzy-plugh\n")
    done = stash.cli("run", "one", "debug=true", REAL_TOKEN="swordfish-1", X_API_KEY="xyzzy-plugh")
    assert done.returncode == 0, done.stderr
    assert seen.read_text() == "swordfish-1 xyzzy-plugh"
    (run,) = stash.run_directories()
    record = json.loads((run / "run.json").read_text())
    assert (record["spec"]["stash"]["patch"], record["spec"]["stash"]["withheld"]) == (None, ["tools/t/notes.txt"])
    assert "tools/t/notes.txt: looks like a secret" in stash.cli("show", record["id"]).stdout
    assert "swordfish" not in done.stderr and "xyzzy" not in done.stderr
    assert files_with("swordfish", run) == files_with("xyzzy", run) == []
    refused = stash.cli("run", "one", "arguments=[xyzzy-plugh]", X_API_KEY="xyzzy-plugh", REAL_TOKEN="swordfish-1")
    assert refused.returncode == 2 and "xyzzy" not in refused.stderr
    assert stash.run_directories() == [run]
    assert git("status", "--porcelain", cwd=stash.root) == "?? tools/t/notes.txt\n"


def test_a_secret_that_stands_in_the_registration_is_refused(stash: StashUnderTest) -> None:
    stash.add_tool("shown", "shown", "entrypoint: show\nenvironment: {kind: none}\nenv: {TOOL_TOKEN: swordfish-1}")
    stash.add_experiment("one", "shown")
    stash.commit()
    done = stash.cli("run", "one")
    assert done.returncode == 2 and "TOOL_TOKEN: ${oc.env:TOOL_TOKEN}" in done.stderr
    assert "swordfish" not in done.stderr
    assert files_with("swordfish", stash.root / "outputs") == []


def test_a_secret_on_the_command_line_is_refused(stash: StashUnderTest) -> None:
    stash.add_tool("shown", "shown", "entrypoint: show\nenvironment: {kind: none}")
    stash.add_experiment("one", "shown")
    stash.commit()
    done = stash.cli("run", "one", "+tool.env.TOOL_TOKEN=swordfish-1")
    assert done.returncode == 2 and "swordfish" not in done.stderr
    assert not (stash.root / "outputs").exists()


def test_a_secret_on_the_command_line_of_a_sweep_is_refused(stash: StashUnderTest) -> None:
    stash.add_tool("shown", "shown", "entrypoint: show\nenvironment: {kind: none}")
    stash.add_experiment("one", "shown", "params: {key: null}\n")
    done = stash.cli("-m", "+exp=one", "params.key=xyzzy-plugh,other", X_API_KEY="xyzzy-plugh")
    assert done.returncode == 2 and "contains the value of $X_API_KEY" in done.stderr
    assert not (stash.root / "multirun").exists()


def test_a_secret_that_one_job_of_a_sweep_would_write_reaches_no_file(stash: StashUnderTest) -> None:
    stash.add_tool("shown", "shown", "entrypoint: show\nenvironment: {kind: none}")
    stash.add_experiment("one", "shown", "params: {key: null}\n")
    done = stash.cli("-m", "+exp=one", "params.key=${oc.env:X_API_KEY},other", X_API_KEY="xyzzy-plugh")
    assert done.returncode == 1 and "contains the value of $X_API_KEY" in done.stderr
    assert files_with("xyzzy", stash.root / "multirun") == []
