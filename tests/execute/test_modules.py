"""Tools that want modules of a cluster: of Environment Modules where that is installed, and of a shell's function."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from experimentstash.adapters import environment_modules
from experimentstash.base.errors import StashError
from experimentstash.record import records
from tests.testing.stash import StashUnderTest

INSTALLED = Path("/usr/share/modules/init/bash")
# Whatever may bring a `module` to a shell that has none yet.
USUAL = ("etc/profile.d/*lmod*.sh", "etc/profile.d/*modules*.sh", "usr/share/*/init/bash", "usr/share/lmod/*/init/bash")
HAS_SOME = any(path.exists() for pattern in USUAL for path in Path("/").glob(pattern))
# What clusters export from their login shells: here one that knows gcc 12.2 and, as old ones do, fails with success.
FUNCTION = """() {
    [ "$1" = load ] || return 1
    shift
    for each in "$@"; do
        case "$each" in
            gcc) LOADEDMODULES="${LOADEDMODULES:+$LOADEDMODULES:}gcc/12.2"
                 export LOADEDMODULES GCC_HOME=/opt/gcc PYTHONPATH=/opt/other PATH="$MODULE_BIN:$PATH";;
            broken) echo "broken: wants a licence" >&2; return 1;;
            *) echo "ModuleCmd_Load.c(213):ERROR:105: Unable to locate a modulefile for '$each'" >&2;;
        esac
    done
    echo "said on stdout"
}"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with modules; returns the directory of gcc's programs."""
    programs = tmp_path / "gcc/bin"
    programs.mkdir(parents=True)
    (programs / "sim").write_text('#!/bin/sh\necho "$GCC_HOME $PYTHONPATH" > "$EXPERIMENTSTASH_RUN_DIR/where"\n')
    (programs / "sim").chmod(0o755)
    monkeypatch.setenv("BASH_FUNC_module%%", FUNCTION)
    monkeypatch.setenv("MODULE_BIN", str(programs))
    return programs


def add(stash: StashUnderTest, more: str = "modules: [gcc]\n") -> Path:
    registration = f"entrypoint: sim\ncall: {{style: arguments}}\nenvironment: {{kind: none}}\n{more}"
    directory = stash.add_tool("t", registration=registration)
    (directory / "readme").write_text("x")
    stash.add_experiment("x", "t")
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\nmade\n")
    stash.commit()
    return directory


def test_they_are_loaded_before_it_is_started(stash: StashUnderTest, cluster: Path) -> None:
    add(stash)
    validated = stash.cli("validate")
    assert validated.returncode == 0, validated.stdout + validated.stderr
    done = stash.cli("+exp=x")
    assert done.returncode == 0, done.stderr
    (path,) = (stash.root / "outputs").glob("*/*/run.json")
    assert (path.parent / "where").read_text() == "/opt/gcc \n"  # of Python's variables nothing is taken over
    run = records.read(path.parent)
    assert run.spec.command.modules == ["gcc"]
    assert "modules: gcc/12.2" in run.attempt.notes
    assert run.spec.signature is None and "modules as they are here" in str(run.spec.unsigned)


def test_and_before_it_is_built(stash: StashUnderTest, cluster: Path) -> None:
    add(stash, 'modules: [gcc]\nbuild: [{shell: "echo $GCC_HOME > made"}]\n')
    done = stash.cli("tool", "sync", "t")
    assert done.returncode == 0, done.stderr
    assert (stash.root / "tools/t/made").read_text() == "/opt/gcc\n"


@pytest.mark.parametrize(
    ("name", "said"), [("broken", "wants a licence"), ("nope", "Unable to locate a modulefile for 'nope'")]
)
def test_what_cant_be_loaded_is_said(name: str, said: str, cluster: Path) -> None:
    with pytest.raises(StashError, match=said) as error:
        environment_modules.load([name], os.environ)
    assert error.value.hint == f"module avail {name}"


def test_a_run_that_cant_have_them_fails_with_that_reason(stash: StashUnderTest, cluster: Path) -> None:
    add(stash, "modules: [broken]\n")
    done = stash.cli("+exp=x")
    assert done.returncode != 0 and "wants a licence" in done.stderr and "Traceback" not in done.stderr
    validated = stash.cli("validate")
    assert validated.returncode != 0 and "wants a licence" in validated.stdout + validated.stderr


@pytest.mark.skipif(HAS_SOME, reason="modules are here")
def test_a_machine_without_them_says_so() -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("BASH_FUNC", "MODULES", "LMOD"))}
    with pytest.raises(StashError, match="there is no `module` on this machine"):
        environment_modules.load(["gcc"], given)


@pytest.mark.parametrize("name", ["-s", "a b", "", "$(touch x)"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(StashError, match="is no module's name"):
        environment_modules.refuse_other_names([name], "conf/tool/t.yaml")


@pytest.mark.skipif(not INSTALLED.exists(), reason="no Environment Modules here")
def test_real_ones_are_found_where_no_shell_has_them_yet(tmp_path: Path) -> None:
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim/2.1").write_text(
        f"#%Module\nprepend-path PATH {{{tmp_path}/bin}}\nsetenv SIM_HOME {{{tmp_path}/sim}}\n"
    )
    given = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MODULEPATH": str(tmp_path), "SHLVL": "7"}
    found = environment_modules.load(["sim"], given)
    assert (found["SIM_HOME"], found["SHLVL"]) == (f"{tmp_path}/sim", "7")
    assert f"{tmp_path}/bin" in found["PATH"].split(":")
    assert environment_modules.loaded(found) == ["sim/2.1"]
    assert shutil.which("sh", path=found["PATH"])
    with pytest.raises(StashError, match="other"):
        environment_modules.load(["other/1"], given)
