"""Environments of conda's and pixi's, through stand-ins for the programs that make them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.code.provenance import Checkouts
from experimentstash.freeze.environment import store
from experimentstash.freeze.environment.recipes import Recipe, plan
from experimentstash.freeze.freeze import identify
from experimentstash.freeze.plan import Request
from experimentstash.freeze.plan import plan as make_plan
from experimentstash.freeze.signature import Signer
from experimentstash.record import records
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import EnvironmentConfig, EnvironmentKind, StashConfig, ToolConfig
from experimentstash.tools.registrations import read
from tests.testing.conda import StandIns, stand_ins
from tests.testing.stash import StashUnderTest

PLAIN = "channels: [conda-forge]\ndependencies:\n- python=3.11\n- numpy\n"
WITHOUT_PYTHON = "dependencies:\n- r-base\n"
PYTHON = "{}.{}.{}".format(*sys.version_info[:3])
HELD = ["by_pip==2.0", "libblas=3.9.0=23_openblas", "numpy=1.26.4=py311h1", f"python={PYTHON}=h1_cpython"]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    return stand_ins(tmp_path / "programs", monkeypatch)


def recipe(tmp_path: Path, files: dict[str, str], tool: ToolConfig | None = None) -> Recipe:
    directory = tmp_path / "tool with spaces"
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return plan("t", tool or ToolConfig(), directory, None, tmp_path / "environments")


@pytest.mark.parametrize("program", ["micromamba", "mamba", "conda", "pixi"])
def test_an_environment_yml_is_made_by_what_is_here(program: str, programs: StandIns, tmp_path: Path) -> None:
    programs.add(program)
    made = recipe(tmp_path, {"environment.yml": PLAIN})
    assert made.kind is EnvironmentKind.conda and made.shown == "conda (environment.yml)"
    assert made.directory is not None and not store.is_ready(made)
    store.make(made)
    assert store.is_ready(made)
    file, prefix = str(made.file), str(made.directory / "env")
    given = ["--prefix", prefix, "--file", file]
    workspace = made.directory / "pixi"
    assert (
        programs.calls()
        == {
            "micromamba": [["micromamba", "create", "--yes", *given]],
            "mamba": [["mamba", "env", "create", *given]],
            "conda": [["conda", "env", "create", *given]],
            "pixi": [
                ["pixi", "init", "--import", file, str(workspace)],
                ["pixi", "install", "--manifest-path", str(workspace / "pixi.toml")],
            ],
        }[program]
    )
    held = store.contents(made)
    assert held is not None and [*held.packages] == HELD
    assert held.python == PYTHON and not held.is_changed
    said = store.record(made)
    assert (said.kind, said.version, said.lock_file) == ("conda", PYTHON, "environment.yml")
    assert said.interpreter == f"{prefix}/bin/python" and os.access(said.interpreter, os.X_OK)
    store.make(made)  # it is there
    assert len(programs.calls()) == (2 if program == "pixi" else 1)


def test_the_quickest_is_taken(programs: StandIns, tmp_path: Path) -> None:
    programs.add("pixi", "conda", "mamba", "micromamba")
    store.make(recipe(tmp_path, {"environment.yml": WITHOUT_PYTHON}))
    assert [each[0] for each in programs.calls()] == ["micromamba"]


@pytest.mark.parametrize("program", ["micromamba", "conda-lock"])
def test_a_lock_file_is_read_by_those_that_can(program: str, programs: StandIns, tmp_path: Path) -> None:
    programs.add("conda", "mamba", "pixi", program)
    made = recipe(tmp_path, {"environment.yml": PLAIN, "conda-lock.yml": WITHOUT_PYTHON})
    store.make(made)
    assert made.lock_path == made.file and made.lock_file == "conda-lock.yml"
    assert made.directory is not None
    prefix, file = str(made.directory / "env"), str(made.file)
    words = {
        "micromamba": ["micromamba", "create", "--yes", "--prefix", prefix, "--file", file],
        "conda-lock": ["conda-lock", "install", "--prefix", prefix, file],
    }
    assert programs.calls() == [words[program]]


@pytest.mark.parametrize("lock", [True, False])
def test_a_workspace_of_pixis_is_made_from_a_copy(lock: bool, programs: StandIns, tmp_path: Path) -> None:
    programs.add("pixi")
    files = {"pixi.toml": "[dependencies]\npython = '3.11.*'\n", "environment.yml": PLAIN}
    made = recipe(tmp_path, {**files, **({"pixi.lock": "version: 6\n"} if lock else {})})
    assert made.kind is EnvironmentKind.pixi and (made.lock_path is not None) is lock
    store.make(made)
    assert made.directory is not None
    manifest = str(made.directory / "pixi/pixi.toml")
    assert programs.calls() == [["pixi", "install", "--manifest-path", manifest, *(["--locked"] if lock else [])]]
    assert sorted(each.name for each in made.base.iterdir()) == sorted([*files, *(["pixi.lock"] if lock else [])])
    held = store.contents(made)
    assert held is not None and [*held.packages] == HELD
    assert made.lock_file == ("pixi.lock" if lock else "pixi.toml")


def test_what_is_missing_here_is_one_sentence_with_the_way_to_get_it(programs: StandIns, tmp_path: Path) -> None:
    made = recipe(tmp_path, {"environment.yml": PLAIN})
    with pytest.raises(StashError, match=r"none of micromamba, mamba, conda, pixi is here.*mamba.readthedocs.io"):
        store.make(made)
    assert not store.is_ready(made) and made.directory is not None and not made.directory.exists()
    other = recipe(tmp_path, {"pixi.toml": ""})
    with pytest.raises(StashError, match=r"pixi isn't here, which makes it: https://pixi.sh"):
        store.make(other)
    assert programs.calls() == []


def test_a_shell_that_knows_conda_as_a_function_says_where_it_is(
    programs: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = StandIns(tmp_path / "hidden")
    hidden.add("conda")
    monkeypatch.setenv("CONDA_EXE", str(tmp_path / "hidden/conda"))
    store.make(recipe(tmp_path, {"environment.yml": WITHOUT_PYTHON}))
    assert hidden.calls()[0][:3] == ["conda", "env", "create"]


def test_one_that_fails_leaves_nothing_and_says_their_words(programs: StandIns, tmp_path: Path) -> None:
    programs.add("micromamba")
    made = recipe(tmp_path, {"environment.yml": "dependencies: [no such package]\n"})
    with pytest.raises(store.NotMade) as error:
        store.make(made)
    assert "failed with exit code 1" in error.value.message and "no-such-package does not exist" in error.value.message
    assert made.directory is not None and not made.directory.exists()


def test_its_file_alone_makes_it_another(programs: StandIns, tmp_path: Path) -> None:
    one = recipe(tmp_path, {"environment.yml": PLAIN, "README.md": "x"})
    assert recipe(tmp_path, {"README.md": "y", ".condarc": "z"}).key == one.key
    assert recipe(tmp_path, {"environment.yml": PLAIN + "- scipy\n"}).key != one.key


def test_what_pip_is_to_install_counts_and_local_code_binds_it_to_its_place(programs: StandIns, tmp_path: Path) -> None:
    of_pip = "dependencies:\n- pip:\n  - -r requirements.txt\n"
    one = recipe(tmp_path, {"environment.yml": of_pip, "requirements.txt": "six"}, _as(EnvironmentKind.conda))
    other = recipe(tmp_path, {"requirements.txt": "six==1.16"}, _as(EnvironmentKind.conda))
    assert one.key != other.key
    assert not one.way.has_local_code(one.project, one.file)
    local = recipe(tmp_path, {"environment.yml": "dependencies:\n- pip:\n  - -e .\n"}, _as(EnvironmentKind.conda))
    assert local.way.has_local_code(local.project, local.file)


def _as(kind: EnvironmentKind, **more: object) -> ToolConfig:
    return replace(ToolConfig(), environment=EnvironmentConfig(kind=kind), **more)


def test_what_somebody_has_said_it_needs_goes_before_a_file_of_condas(programs: StandIns, tmp_path: Path) -> None:
    listed = replace(ToolConfig(), dependencies=["six"])
    assert recipe(tmp_path, {"environment.yml": PLAIN}, listed).kind is EnvironmentKind.dependencies
    named = replace(listed, environment=EnvironmentConfig(file="environment.yml"))
    assert recipe(tmp_path, {}, named).kind is EnvironmentKind.conda


def test_a_python_is_no_second_time_asked_for(programs: StandIns, tmp_path: Path) -> None:
    with pytest.raises(StashError, match="its file says which Python there is"):
        recipe(tmp_path, {"environment.yml": PLAIN}, replace(ToolConfig(), python_version="3.11"))


def test_packages_by_paths_are_refused_for_pixi(programs: StandIns, tmp_path: Path) -> None:
    manifest = '[pypi-dependencies]\nmine = { path = ".", editable = true }\n'
    with pytest.raises(StashError, match="names packages by their paths"):
        recipe(tmp_path, {"pixi.toml": manifest})


def test_offline_is_told_to_those_that_know_it(programs: StandIns, tmp_path: Path) -> None:
    programs.add("conda")
    store.make(recipe(tmp_path, {"environment.yml": WITHOUT_PYTHON}), offline=True)
    assert programs.told() == [{"CONDA_OFFLINE": "true", "MAMBA_OFFLINE": "true", "CONDA_ALWAYS_YES": "true"}]
    programs.add("pixi")
    with pytest.raises(StashError, match="pixi can't be told to fetch nothing"):
        store.make(recipe(tmp_path, {"pixi.toml": ""}), offline=True)


def test_scripts_for_activation_are_told_of(programs: StandIns, tmp_path: Path) -> None:
    programs.add("micromamba")
    said: list[str] = []
    store.make(recipe(tmp_path, {"environment.yml": f"# activates\n{WITHOUT_PYTHON}"}), announce=said.append)
    assert any("gdal.sh" in line and "`env:`" in line for line in said)


def test_a_change_by_somebody_is_seen(programs: StandIns, tmp_path: Path) -> None:
    programs.add("micromamba")
    made = recipe(tmp_path, {"environment.yml": WITHOUT_PYTHON})
    store.make(made)
    assert made.directory is not None
    meta = made.directory / "env/conda-meta"
    (meta / "more-1-0.json").write_text("{}")
    later = os.stat(meta).st_mtime + 60
    os.utime(meta, (later, later))
    held = store.contents(made)
    assert held is not None and held.is_changed


def test_a_tool_runs_in_it_and_its_record_says_what_was_there(stash: StashUnderTest, programs: StandIns) -> None:
    programs.add("micromamba")
    directory = stash.add_tool(
        "t", registration="entrypoint: sim\ncall: {style: arguments}\nenvironment: {kind: auto}\n"
    )
    (directory / "environment.yml").write_text(WITHOUT_PYTHON)
    stash.add_experiment("x", "t")
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
    stash.commit()
    done = stash.cli("+exp=x")
    assert done.returncode == 0, done.stderr
    (path,) = (stash.root / "outputs").glob("*/*/run.json")
    run = records.read(path.parent)
    environment = run.spec.environment
    assert environment is not None and environment.interpreter is None and environment.version is None
    prefix = run.spec.command.environment["CONDA_PREFIX"]
    assert (path.parent / "where").read_text().strip() == prefix
    assert run.spec.command.path == f"{prefix}/bin"
    assert environment.packages == "packages.txt"
    assert (path.parent / "packages.txt").read_text() == "libblas=3.9.0=23_openblas\n"
    assert run.spec.signature is not None, run.spec.unsigned
    again = stash.cli("+exp=x", "skip_completed=true")
    assert again.returncode == 0 and "had completed before" in again.stderr, again.stdout + again.stderr
    validated = stash.cli("validate")
    assert validated.returncode == 0, validated.stdout + validated.stderr
    assert json.loads(path.read_text())["spec"]["environment"]["kind"] == "conda"


def test_a_program_that_it_lacks_is_the_systems(stash: StashUnderTest, programs: StandIns) -> None:
    """Of R as it is on a machine nobody knows what it has, whatever environment is made beside it."""
    programs.add("micromamba", "julia")
    registration = "entrypoint: julia\ncall: {style: arguments}\nenvironment: {kind: auto}\n"
    (stash.add_tool("t", registration=registration) / "environment.yml").write_text(WITHOUT_PYTHON)
    stash.write(".gitignore", "/outputs/\n/.experimentstash/\n")
    stash.commit()
    request = Request(
        stash=Stash(stash.root),
        config=StashConfig(tool=read(Stash(stash.root), "t")),
        tool="t",
        organizer=None,
        overrides=[],
        directory=stash.root / "outputs/a/b",
        id="abcdefg",
    )
    planned = make_plan(request)
    run = identify(planned, print, Checkouts(), Signer()).run
    assert run.spec.signature is None
    assert run.spec.unsigned is not None and "it uses julia as it is here" in run.spec.unsigned
    assert planned.recipe.directory is not None
    (planned.recipe.directory / "env/bin/julia").write_text("#!/bin/sh\n")
    assert identify(planned, print, Checkouts(), Signer()).run.spec.signature is not None


def test_dependencies_of_the_registration_come_besides(programs: StandIns, tmp_path: Path) -> None:
    programs.add("micromamba")
    wanted = replace(ToolConfig(), dependencies=["six==1.16.0"], environment=EnvironmentConfig(file="environment.yml"))
    made = recipe(tmp_path, {"environment.yml": PLAIN}, wanted)
    store.make(made)
    held = store.contents(made)
    assert held is not None and [*held.packages] == sorted([*HELD, "six==1.16.0"])
    other = replace(wanted, environment=EnvironmentConfig(kind=EnvironmentKind.conda))
    without = recipe(tmp_path, {"environment.yml": WITHOUT_PYTHON}, other)
    with pytest.raises(store.NotMade, match="pip install"):
        store.make(without)
    assert without.directory is not None and not without.directory.exists()
