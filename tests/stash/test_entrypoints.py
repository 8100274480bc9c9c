"""What a tool is started by, and what can't start one; and that validate_only tells it before a run does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experimentstash.stash import entrypoints
from tests.testing.stash import InProcess, StashUnderTest

REGISTRATION = "entrypoint: {}\ncall: {{style: {}}}\nenvironment: {{kind: none}}\n"


@pytest.mark.parametrize(
    ("name", "content", "is_executable", "what", "hint"),
    [
        ("train.ipynb", "{}", False, "can't be read as a notebook", "with Jupyter"),
        ("train.ipynb", '{"cells": []}', True, "needs a Python", ""),
        ("run.sh", "#!/bin/sh\n", False, "not executable", "chmod +x"),
        ("run.sh", "echo hi\n", False, "no program", "`entrypoint: bash run.sh`"),
        ("run.sh", "echo hi\n", True, "no program", "`entrypoint: bash run.sh`"),
        ("scripts/run.sh", "echo hi\n", False, "no program", "`entrypoint: bash scripts/run.sh`"),
        ("fit.R", "print(1)\n", False, "no program", "`entrypoint: Rscript fit.R`"),
        ("fit.jl", "", True, "no program", "`entrypoint: julia fit.jl`"),
        ("notes.md", "# x\n", False, "no program", "PROGRAM notes.md"),
    ],
)
def test_a_file_that_starts_nothing_is_told_how_to_go_on(
    stash: StashUnderTest,
    in_process: InProcess,
    name: str,
    content: str,
    is_executable: bool,
    what: str,
    hint: str,
) -> None:
    stash.add_tool("t", None, REGISTRATION.format(name, "arguments"))
    stash.write(f"tools/t/{name}", content).chmod(0o755 if is_executable else 0o644)
    stash.add_experiment("e", "t")
    for words in (["run", "e"], ["run", "e", "validate_only=true"]):
        done = in_process(stash, *words)
        assert done.returncode == 2 and what in done.stderr and hint in done.stderr
    assert what in in_process(stash, "validate", "--tool", "t").stdout


def test_a_program_may_be_one_of_the_system(tmp_path: Path) -> None:
    entrypoints.refuse_unstartable(Path("/bin"), "sh", "conf/tool/t.yaml")


@pytest.mark.parametrize("setting", ["validate_only=true", "dry_run=true"])
@pytest.mark.parametrize("entrypoint", ["no-such-program-anywhere", "-m no_such_module_anywhere", "bin/missing"])
def test_what_does_not_exist_is_said_where_nothing_is_run(
    stash: StashUnderTest, in_process: InProcess, entrypoint: str, setting: str
) -> None:
    registration = REGISTRATION.format(entrypoint, "arguments")
    if "-m" in entrypoint:
        registration = registration.partition("environment")[0]
    stash.add_tool("t", "plain", registration)
    stash.add_experiment("e", "t")
    done = in_process(stash, "+exp=e", setting)
    assert done.returncode == 2 and "conf/tool/t.yaml" in done.stderr
    assert entrypoint.split()[-1] in done.stderr and done.stdout == ""
    swept = in_process(stash, "-m", "+exp=e", "+params.x=1,2", "tool.call.style=key_value", setting)
    assert swept.returncode != 0 and swept.stderr.count(entrypoint.split()[-1]) >= 2


def test_a_program_of_an_environment_that_is_not_made_can_not_be_told(
    stash: StashUnderTest, in_process: InProcess
) -> None:
    stash.add_tool(
        "t", None, "entrypoint: no-such-program-anywhere\nenvironment: {kind: requirements}\ncall: {style: arguments}\n"
    )
    stash.write("tools/t/requirements.txt", "six\n")
    stash.add_experiment("e", "t")
    done = in_process(stash, "run", "e", "validate_only=true")
    assert done.returncode == 0 and "can't be told" in done.stderr and done.stdout == "no-such-program-anywhere\n"


def test_what_a_file_would_hold_is_shown(stash: StashUnderTest, in_process: InProcess) -> None:
    stash.add_tool("t", None, REGISTRATION.format("cat", "file"))
    stash.write("tools/t/x", "")
    stash.add_experiment("e", "t", "params: {model: {width: 3}, name: ünï}\n")
    done = in_process(stash, "run", "e", "validate_only=true")
    command, rest = done.stdout.split("\n", 1)
    file = re.fullmatch(r"cat --config '?(.*?)'?", command)
    assert file is not None
    assert "would hold:\nmodel:\n  width: 3\nname: ünï\n" in rest
    assert Path(file[1].replace("'\"'\"'", "'")).name in rest
    assert not list(stash.root.glob("outputs/*"))
