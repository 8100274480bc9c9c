"""Builds: once for each state of the code, nothing half-made is used, and what was built is what runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.code import built, worktrees
from experimentstash.code.worktrees import Frozen
from experimentstash.freeze.build import builds, commands, make
from experimentstash.freeze.build.builds import Build
from experimentstash.freeze.build.make import NotBuilt
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig
from experimentstash.tools import registrations, syncing, unused
from tests.testing.builders import builder
from tests.testing.faults import is_alive
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest, wait_until
from tests.testing.tool_support import as_stash, no_report

NO_PYTHON = "environment: {kind: none}\ncall: {style: arguments}\n"
# A build that takes what a file says, and says how often it was done in one outside.
NOTED = """\
printf 'once ' >> "$1"; mkdir -p out; printf '#!/bin/sh\\necho %s\\n' "$(cat value)" > out/sim; chmod +x out/sim
"""


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    return tmp_path / "how often"


def with_tool(stash: StashUnderTest, *build: object, entrypoint: str = "out/sim", more: str = "") -> Path:
    """Register a tool whose code is one word, and how it is built."""
    directory = stash.add_tool(
        "sim", None, f"entrypoint: {json.dumps(entrypoint)}\nbuild: {json.dumps(build)}\n{more}{NO_PYTHON}"
    )
    (directory / "value").write_text("one\n")
    (directory / ".gitignore").write_text("/out/\n*.o\n")
    stash.commit()
    return directory


def noting(noted: Path) -> list[str]:
    return ["sh", "-e", "-c", NOTED, "sh", str(noted)]


def of_checkout(stash: Stash) -> tuple[ToolConfig, Build]:
    recipe = syncing.recipe_of(stash, "sim")
    build = syncing.build_of(stash, "sim", recipe)
    assert build is not None
    return recipe.tool, build


def build_it(stash: StashUnderTest, say: Callable[[str], None] = no_report) -> Build:
    tool, build = of_checkout(as_stash(stash))
    make.make(as_stash(stash), tool, build, say)
    return build


def frozen(stash: StashUnderTest) -> tuple[Frozen, Build]:
    """Freeze the code of the tool, and return what builds it."""
    here = as_stash(stash)
    tool = registrations.read(here, "sim")
    live = stash.root / "tools" / "sim"
    mark = builds.mark("sim", tool, live)
    found = worktrees.ensure_worktree(here, "sim", live, tool, stash.root / "outputs", no_report, built_by=mark)
    assert found is not None
    recipe = syncing.recipe_of(here, "sim")
    build = builds.plan(here, "sim", tool, live, recipe, found)
    assert build is not None
    return found, build


def said(program: Path) -> str:
    found = subprocess.run([program], cwd=program.parent, capture_output=True, text=True, check=True)
    return found.stdout.strip()


# --- once for each state of the code ---------------------------------------------------------------------------------


def test_a_checkout_is_built_once_and_anew_after_a_change(stash: StashUnderTest, noted: Path) -> None:
    directory = with_tool(stash, noting(noted))
    lines: list[str] = []
    first = build_it(stash, lines.append)
    assert "tools/sim itself" in lines[0]  # which is no place of its own
    assert build_it(stash).key == first.key and noted.read_text() == "once "
    (directory / "value").write_text("two\n")
    assert build_it(stash).key != first.key and said(directory / "out" / "sim") == "two"
    stash.commit()  # the same content
    build_it(stash)
    assert noted.read_text() == "once once "


@pytest.mark.parametrize("act", [lambda program: program.unlink(), lambda program: program.write_text("#!/bin/sh\n")])
def test_what_was_built_and_is_changed_is_built_anew(
    stash: StashUnderTest, noted: Path, act: Callable[[Path], object]
) -> None:
    directory = with_tool(stash, noting(noted))
    build_it(stash)
    act(directory / "out" / "sim")
    build_it(stash)
    assert said(directory / "out" / "sim") == "one" and noted.read_text() == "once once "


def test_other_commands_another_compiler_and_other_variables_build_anew(
    stash: StashUnderTest, noted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tool(stash, noting(noted), ["make", "--version"])
    keys = [of_checkout(as_stash(stash))[1].key]
    monkeypatch.setenv("CFLAGS", "-O3")
    keys.append(of_checkout(as_stash(stash))[1].key)
    compiler = tmp_path / "bin" / "make"
    compiler.parent.mkdir()
    monkeypatch.setenv("PATH", f"{compiler.parent}{os.pathsep}{os.environ['PATH']}")
    for version in ("1", "22"):
        compiler.write_text(f"#!/bin/sh\necho Make {version}\n")
        compiler.chmod(0o755)
        build = of_checkout(as_stash(stash))[1]
        assert build.compilers["make"] == f"Make {version}"
        keys.append(build.key)
    with_tool(stash, noting(noted), ["make", "--help"])
    keys.append(of_checkout(as_stash(stash))[1].key)
    assert len({*keys}) == 5


def test_a_variable_that_its_files_name_builds_anew(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a session has, and what none of them names, doesn't."""
    builder("make", monkeypatch, tmp_path)
    directory = with_tool(stash, ["make"])
    (directory / "Makefile").write_text(
        'sim:\n\t: $(DISPLAY)\n\tmkdir -p out; printf "#!/bin/sh\\necho $(FLAVOUR)\\n" > out/sim; chmod +x out/sim\n'
    )
    stash.commit()
    keys = []
    for flavour in ("sweet", "sour"):
        monkeypatch.setenv("FLAVOUR", flavour)
        build = build_it(stash)
        assert said(directory / "out" / "sim") == flavour and build.as_recorded().variables == {"FLAVOUR": flavour}
        keys.append(build.key)
    for name in ("DISPLAY", "UNKNOWN_TO_IT"):
        monkeypatch.setenv(name, "another one")
    assert build_it(stash).key == keys[1] != keys[0]


def test_a_program_that_nobody_knows_is_not_executed_to_ask_it(
    stash: StashUnderTest, noted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a script that builds, whatever it is asked: it is known by what is in it."""
    with_tool(stash, ["build-it"], [str(tmp_path / "bin" / "build-it")])
    program = tmp_path / "bin" / "build-it"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    keys = []
    for content in ("one", "two"):
        program.write_text(f"#!/bin/sh\n: {content}\necho once >> {shlex.quote(str(noted))}\n")
        program.chmod(0o755)
        keys.append(of_checkout(as_stash(stash))[1].key)
    assert not noted.exists() and len({*keys}) == 2


def test_compilers_behind_others_are_told(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that a Makefile names, one that is called through a cache, one whose version isn't in its first line."""
    directory = with_tool(stash, ["make"])
    (directory / "Makefile").write_text("sim:\n\tnvcc -o sim sim.cu\n")
    stash.commit()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CC", "ccache gcc-99 -m64")
    for name, version in {"nvcc": "nvcc: a driver\\nrelease 12.3", "ccache": "ccache 4", "gcc-99": "gcc 99.1"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\nprintf '{version}\\n'\n")
        (tmp_path / "bin" / name).chmod(0o755)
    found = of_checkout(as_stash(stash))[1].compilers
    assert (found["nvcc"], found["ccache"], found["gcc-99"]) == ("nvcc: a driver release 12.3", "ccache 4", "gcc 99.1")


def test_a_place_of_its_own_leaves_the_checkout_alone(stash: StashUnderTest) -> None:
    directory = with_tool(stash, ["cp", "value", "{build}/sim"], entrypoint="{build}/sim")
    before = {*os.listdir(directory)}
    build = build_it(stash)
    assert build.products.is_relative_to(stash.root / ".experimentstash" / "builds" / "sim")
    assert {*os.listdir(directory)} == before and (build.products / "sim").read_text() == "one\n"
    (directory / "value").write_text("two\n")
    other = build_it(stash)
    assert (build.products / "sim").read_text() == "one\n"  # runs that are at work go on with that
    assert (other.products / "sim").read_text() == "two\n"
    first, second = (each.path for each in unused.look(as_stash(stash)).unused), build.home
    assert [*first] == [second]
    assert builds.remove(build.home) and other.is_ready() and not build.is_ready()


def test_two_at_once_build_once(stash: StashUnderTest, noted: Path, tmp_path: Path) -> None:
    gate, waits = tmp_path / "gate", tmp_path / "waits"
    os.mkfifo(gate)
    script = f"touch {shlex.quote(str(waits))}; cat {shlex.quote(str(gate))} >/dev/null; "
    with_tool(stash, ["sh", "-e", "-c", script + NOTED, "sh", str(noted)])
    both = [stash.start("tool", "sync", "sim") for _ in range(2)]
    wait_until(waits.exists)
    assert both[0].stderr is not None and both[1].stderr is not None
    with gate.open("w"):  # one of them is building, and the other waits for it or finds it done
        pass
    ends = [each.communicate(timeout=PATIENCE) for each in both]
    assert [each.returncode for each in both] == [0, 0], ends
    assert noted.read_text() == "once "


# --- nothing half-made is used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("echo a word of the compiler; exit 3", "failed with exit code 3"),
        ("head -c 10000 /dev/zero >/dev/full", "No space left on device"),  # as on a full disk
        ("kill -9 $$", "SIGKILL"),
    ],
)
@pytest.mark.parametrize("place", ["out", "{build}"])
def test_a_build_that_fails_is_told_by_its_last_lines_and_begun_anew(
    stash: StashUnderTest, script: str, what: str, place: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    half = f'mkdir -p "{place}"; test -e "{place}/half.o" && exit 9; printf half > "{place}/half.o"; '
    work = f'test ! -e {shlex.quote(str(broken))} || {{ {script}; }}; cp value "{place}/sim"'
    with_tool(stash, {"shell": half + work}, entrypoint=f"{place}/sim")
    with pytest.raises(NotBuilt) as raised:
        build_it(stash)
    log = of_checkout(as_stash(stash))[1].log
    assert what in raised.value.message and str(log) in str(raised.value)
    assert log.read_text().startswith("$ sh -e -c") and not of_checkout(as_stash(stash))[1].is_ready()
    broken.unlink()
    assert build_it(stash).is_ready()


def test_frozen_code_whose_build_has_failed_is_as_committed_again(stash: StashUnderTest, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    script = f"test ! -e left; echo spoilt > value; touch left; test ! -e {shlex.quote(str(broken))}; touch sim"
    with_tool(stash, {"shell": script}, entrypoint="sim", more="shared: [data]\n")
    stash.write("tools/sim/data/values", "1")
    stash.write("tools/sim/.gitignore", "data\n")
    stash.commit()
    here, tool = as_stash(stash), registrations.read(as_stash(stash), "sim")
    _, build = frozen(stash)
    with pytest.raises(NotBuilt):
        make.make(here, tool, build, no_report)
    broken.unlink()
    code, build = frozen(stash)  # the same: nobody takes it for changed
    make.make(here, tool, build, no_report)
    assert (code.directory / "sim").exists() and (code.directory / "data" / "values").read_text() == "1"
    assert frozen(stash)[0].directory == code.directory  # with what was built in it


def test_a_killed_build_is_begun_anew(stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a compiler has half-made is newer than its source: make would take it for made."""
    builder("make", monkeypatch, tmp_path)
    pid = tmp_path / "pid"
    script = f"trap '' TERM; printf half > sim.o; echo $$ > {shlex.quote(str(pid))}; sleep 1000"
    registered = json.dumps([{"shell": script}])
    directory = stash.add_tool("sim", "sim_make", f"entrypoint: sim\nbuild: {registered}\n{NO_PYTHON}")
    stash.commit()
    process = stash.start("tool", "sync", "sim", PYTHONUNBUFFERED="1")  # one of its own, that can be killed
    compiler = int(wait_until(lambda: pid.exists() and pid.read_text()))
    process.kill()
    process.communicate(timeout=PATIENCE)
    os.killpg(compiler, signal.SIGKILL)
    wait_until(lambda: not is_alive(compiler))
    assert (directory / "sim.o").read_text() == "half"
    stash.write("conf/tool/sim.yaml", f"path: tools/sim\nentrypoint: sim\nbuild: [[make]]\n{NO_PYTHON}")
    build_it(stash)
    assert float(said(directory / "sim")) == 0.5


@pytest.mark.parametrize("how", ["time", "Ctrl-C"])
def test_a_build_that_hangs_is_ended_with_all_that_it_has_started(
    stash: StashUnderTest, tmp_path: Path, how: str
) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {shlex.quote(str(pid))}; wait"
    for seconds in (0.5, 5, 50):  # a loaded machine may need more of them to begin
        with_tool(stash, {"shell": script}, more=f"build_timeout: '{seconds}'\n" if how == "time" else "")
        process = stash.start("tool", "sync", "sim")
        if how == "Ctrl-C":
            wait_until(lambda: pid.exists() and pid.read_text())
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode != 0 and ("build_timeout" in said) == (how == "time")
        if pid.exists() and pid.read_text():
            break
    sleeping = int(pid.read_text())
    wait_until(lambda: not is_alive(sleeping))
    assert not of_checkout(as_stash(stash))[1].is_ready()


@pytest.mark.parametrize("code", ["live", "frozen"])
def test_half_of_a_program_that_a_killed_build_has_left_is_not_judged(
    stash: StashUnderTest, tmp_path: Path, code: str
) -> None:
    """It is no program yet; the next try makes it."""
    hold = tmp_path / "hold"
    hold.touch()
    text = 'mkdir -p out; echo half > out/sim; chmod +x out/sim; if [ -e "$0" ]; then exit 1; fi; ' + NOTED
    with_tool(stash, ["sh", "-e", "-c", text, str(hold), str(tmp_path / "noted")])
    stash.add_experiment("one", "sim")
    stash.commit()
    assert "could not be built" in stash.cli("+exp=one", f"code={code}").stderr
    hold.unlink()
    done = stash.cli("+exp=one", f"code={code}")
    assert done.returncode == 0 and done.stdout == "one\n", done.stderr


def test_code_that_is_edited_while_it_is_built_is_not_taken_for_built(stash: StashUnderTest) -> None:
    directory = with_tool(stash, {"shell": 'echo edited > value; cp value "{build}"/sim'})
    with pytest.raises(NotBuilt, match="was changed while it was built"):
        build_it(stash)
    assert (directory / "value").read_text() == "edited\n" and build_it(stash).is_ready()


def test_a_sweep_tries_once(stash: StashUnderTest, noted: Path, in_process: InProcess) -> None:
    with_tool(stash, {"shell": f"printf x >> {shlex.quote(str(noted))}; exit 1"})
    stash.add_experiment("one", "sim", "params: {n: 0}\narguments: ['${params.n}']\n")
    done = in_process(stash, "-m", "+exp=one", "params.n=1,2,3", "hydra/launcher=local")
    assert done.returncode == 1 and noted.read_text() == "x"
    assert [stash.record(each)["attempt"]["state"] for each in stash.run_directories()] == ["failed"] * 3


# --- what was built is what runs -------------------------------------------------------------------------------------


def test_frozen_code_has_a_build_of_its_own(stash: StashUnderTest, noted: Path) -> None:
    directory = with_tool(stash, noting(noted))
    build_it(stash)
    code, build = frozen(stash)
    assert not build.is_ready() and not (code.directory / "out").exists()
    make.make(as_stash(stash), registrations.read(as_stash(stash), "sim"), build, no_report)
    shutil.rmtree(directory / "out")
    (directory / "value").write_text("edited\n")
    assert said(code.directory / "out" / "sim") == "one"
    assert frozen(stash)[0].directory != code.directory
    (directory / "value").write_text("one\n")
    again, same = frozen(stash)
    assert again.directory == code.directory and same.is_ready() and noted.read_text() == "once once "


def test_frozen_code_whose_program_was_changed_is_made_anew(stash: StashUnderTest, noted: Path) -> None:
    with_tool(stash, noting(noted))
    here, tool = as_stash(stash), registrations.read(as_stash(stash), "sim")
    code, build = frozen(stash)
    make.make(here, tool, build, no_report)
    (code.directory / "out" / "sim").write_text("#!/bin/sh\necho other\n")
    again, build = frozen(stash)
    assert not build.is_ready()
    make.make(here, tool, build, no_report)
    assert said(again.directory / "out" / "sim") == "one"


def test_what_a_build_leaves_in_a_checkout_is_no_change_of_the_code(
    stash: StashUnderTest, noted: Path, in_process: InProcess
) -> None:
    directory = with_tool(stash, noting(noted))
    stash.write("tools/sim/.gitignore", "")  # git sees what is built
    stash.commit()
    stash.add_experiment("one", "sim")
    done = stash.cli("+exp=one")
    assert done.returncode == 0 and done.stdout.strip() == "one", done.stderr
    record = stash.record()
    assert record["spec"]["code"]["dirty"] is False and record["attempt"]["wrote"] in (None, [])
    assert record["spec"]["command"]["argv"] == [str(directory / "out" / "sim")]
    told = record["spec"]["build"]
    assert told["commands"] == [noting(noted)] and told["is_in_checkout"] and os.uname().machine in told["platform"]
    assert Path(told["log"]).is_file()
    shown = in_process(stash, "show", record["id"]).stdout
    assert re.search(r"built +sh -e -c .*, in the checkout itself", shown), shown
    again = stash.cli("+exp=one")
    assert again.returncode == 0 and "Building" not in again.stderr and noted.read_text() == "once "
    from_frozen = stash.cli("+exp=one", "code=frozen")
    assert from_frozen.returncode == 0 and "with what is changed" not in from_frozen.stderr
    assert noted.read_text() == "once once "


def test_what_runs_had_is_built_again_for_a_rerun(stash: StashUnderTest, noted: Path) -> None:
    """Long after the code has gone on, and what was built has gone."""
    directory = with_tool(stash, ["cp", "value", "{build}/value"], entrypoint="cat {build}/value")
    stash.add_experiment("one", "sim")
    stash.commit()
    assert stash.cli("+exp=one").stdout == "one\n"
    first = stash.record()["id"]
    (directory / "value").write_text("two\n")
    stash.commit()
    shutil.rmtree(stash.root / ".experimentstash")
    done = stash.cli("rerun", first, CFLAGS="-O3")
    assert done.returncode == 0, done.stderr
    again = stash.run_directories()[-1]
    assert (again / "output.log").read_text() == "one\n"
    assert stash.record(again)["attempt"]["notes"][1:] == [f"built with others than {first}: CFLAGS: -O3; then: none"]


def test_what_is_frozen_is_built_again_where_it_is_reproduced(
    stash: StashUnderTest, noted: Path, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was built in the checkout is no input that would have to be kept; by what it was built is told."""
    compiler = tmp_path / "programs/tcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho tcc 0.9\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}{os.pathsep}{os.environ['PATH']}")
    directory = with_tool(stash, noting(noted), ["tcc", "x.c"])
    stash.add_experiment("one", "sim", "outputs: {output.log: {compare: text}}\n")
    stash.commit()
    assert stash.cli("+exp=one").stdout == "one\n"
    frozen_now = stash.cli("freeze", "figure", stash.record()["id"])
    assert frozen_now.returncode == 0, frozen_now.stderr
    (kept,) = json.loads((stash.root / "frozen/figure/frozen.json").read_text())["runs"]
    assert kept["inputs"] == []
    assert in_process(stash, "export", "figure", "--with-names", "-o", str(tmp_path / "figure.zip")).returncode == 0
    with zipfile.ZipFile(tmp_path / "figure.zip") as packed:
        assert "the programs that build the tools" in packed.read("README.md").decode()
        assert re.search(r"tcc x\.c, in the checkout itself \(.*tcc: tcc 0\.9\)`", packed.read("ARTIFACT.md").decode())
    assert in_process(stash, "reproduce", "figure", "--check").stdout.endswith(": can be run again\n")
    shutil.rmtree(directory / "out")
    shutil.rmtree(stash.root / ".experimentstash")
    compiler.write_text("#!/bin/sh\necho tcc 1.0\n")
    done = stash.cli("reproduce", "figure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert noted.read_text() == "once once "
    assert f"note: built with others than {kept['id']}: tcc: tcc 1.0; then: tcc 0.9\n" in done.stdout
    compiler.unlink()
    done = in_process(stash, "reproduce", "figure", "--check")
    assert done.returncode == 1 and "its tool was built by tcc, not found here" in done.stdout


# --- what can't be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["make", 3, [], [["make"], 4], {"shell": 1}, {"other": "make"}, [None], [True], [""]])
def test_what_is_no_command_is_refused(given: object) -> None:
    tool = ToolConfig(build=[given])
    with pytest.raises(StashError, match=r"conf/tool/x\.yaml: build: .* is no command"):
        commands.read(tool, "conf/tool/x.yaml")


def test_a_place_in_which_nothing_is_built_is_refused(stash: StashUnderTest) -> None:
    with_tool(stash, ["true"], entrypoint="{build}/sim")
    with pytest.raises(StashError, match="no command of `build:` does"):
        of_checkout(as_stash(stash))


def test_a_program_that_is_not_here_is_named(stash: StashUnderTest, in_process: InProcess) -> None:
    with_tool(stash, ["no-such-compiler", "x"])
    with pytest.raises(NotBuilt, match="no program no-such-compiler"):
        build_it(stash)
    done = in_process(stash, "validate")
    assert done.returncode == 1 and "build: there is no program no-such-compiler here" in done.stdout


def test_code_that_git_does_not_know_is_refused(stash: StashUnderTest) -> None:
    with_tool(stash, ["true"])
    stash.write(".gitignore", "/tools/\n")
    subprocess.run(["git", "rm", "-rq", "--cached", "tools"], cwd=stash.root, check=True)
    stash.commit()
    with pytest.raises(StashError, match="git knows nothing of tools/sim"):
        of_checkout(as_stash(stash))


def test_a_mark_that_makes_no_sense_counts_as_none(tmp_path: Path) -> None:
    for text in ("", "{}", "[]", '{"key": 1}', '{"key": "k", "directory": "d", "products": {"a": [1]}}'):
        (tmp_path / built.MARK).write_text(text)
        assert built.read(tmp_path) is None


def test_programs_of_an_environment_that_is_not_made_yet_build(
    stash: StashUnderTest, noted: Path, python_first_on_path: None
) -> None:
    """And the next run has what they have made."""
    directory = with_tool(stash, noting(noted), ["compile-it", "{build}/sim"], entrypoint="{build}/sim")
    registration = stash.root / "conf/tool/sim.yaml"
    registration.write_text(registration.read_text().replace("environment: {kind: none}\n", ""))
    with zipfile.ZipFile(directory / "it-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("it-1.data/scripts/compile-it", '#!/bin/sh\ncp out/sim "$1"\n')
        wheel.writestr("it-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: it\nVersion: 1\n")
        wheel.writestr("it-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("it-1.dist-info/RECORD", "")
    (directory / "requirements.txt").write_text("./it-1-py3-none-any.whl\n")
    stash.add_experiment("one", "sim")
    stash.commit()
    for _ in range(2):
        done = stash.cli("+exp=one")
        assert done.returncode == 0 and done.stdout == "one\n", done.stderr
    assert noted.read_text() == "once "
    build = stash.record(stash.run_directories()[0])["spec"]["build"]
    assert build["compilers"]["compile-it"].startswith("sha256 ")
