"""How a repository is built and what that makes, by the files of its build system."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.stash.schema import EnvironmentKind
from experimentstash.tools.detect.detection import detect
from tests.testing.builders import builder
from tests.testing.stash import TOOLS, InProcess, StashUnderTest
from tests.testing.tool_support import repository
from tests.tools.test_detection import build as lay_out

CMAKE = [
    ["cmake", "-S", ".", "-B", "{build}", "-DCMAKE_BUILD_TYPE=Release"],
    ["cmake", "--build", "{build}"],
]
MESON = [["meson", "setup", "{build}", "--buildtype=release"], ["meson", "compile", "-C", "{build}"]]
C = {"sim.c": "int main(void) { return 0; }\n"}


@pytest.mark.parametrize(
    ("laid_out", "commands", "entrypoints"),
    [
        ({**C, "Makefile": "sim: sim.o\n\t$(CC) -o $@ $^\n\nclean:\n\trm -f sim\n"}, [["make"]], ["sim"]),
        ({**C, "makefile": "TARGET = bin/sim\nall: $(TARGET)\n"}, [["make"]], ["bin/sim"]),
        ({"src/sim.f90": "", "Makefile": "sim: src/sim.f90\n\tgfortran -O2 -o sim src/sim.f90\n"}, [["make"]], ["sim"]),
        ({**C, "CMakeLists.txt": "project(x C)\nadd_executable(sim sim.c)\n"}, CMAKE, ["{build}/sim"]),
        ({**C, "CMakeLists.txt": "project(sim C)\nADD_EXECUTABLE(${PROJECT_NAME} a.c)\n"}, CMAKE, ["{build}/sim"]),
        (
            {
                **C,
                "CMakeLists.txt": "project(x)\nadd_subdirectory(app)\n# add_executable(old old.c)\n",
                "app/CMakeLists.txt": "add_executable(sim sim.c)\nadd_executable(imported IMPORTED)\n",
            },
            CMAKE,
            ["{build}/app/sim"],
        ),
        (
            {
                **C,
                "CMakeLists.txt": "set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\nadd_executable(sim a)",
            },
            CMAKE,
            ["{build}/bin/sim"],
        ),
        ({"meson.build": "project('x', 'c')\nexecutable('sim', 'sim.c')\n", **C}, MESON, ["{build}/sim"]),
        (
            {"Cargo.toml": '[package]\nname = "sim"\n', "Cargo.lock": "", "src/main.rs": ""},
            [["cargo", "build", "--release", "--locked", "--target-dir", "{build}"]],
            ["{build}/release/sim"],
        ),
        (
            {"Cargo.toml": '[package]\nname = "x"\ndefault-run = "two"\n', "src/bin/one.rs": "", "src/bin/two.rs": ""},
            [["cargo", "build", "--release", "--target-dir", "{build}"]],
            ["{build}/release/two"],
        ),
        (
            {"package.json": '{"bin": {"sim": "./bin/sim.js"}}', "package-lock.json": "{}", "bin/sim.js": ""},
            [["npm", "ci"]],
            ["node bin/sim.js"],
        ),
        (
            {"package.json": '{"main": "out/main.js", "scripts": {"build": "tsc"}, "dependencies": {"a": "1"}}'},
            [["npm", "install"], ["npm", "run", "build"]],
            ["node out/main.js"],
        ),
    ],
)
def test_how_it_is_built_and_started(
    tmp_path: Path, laid_out: dict[str, str], commands: list[list[str]], entrypoints: list[str]
) -> None:
    found = detect(lay_out(tmp_path, laid_out))
    assert found.best is not None and found.is_clear, found.candidates
    assert [each.entrypoint for each in found.candidates if each.build] == entrypoints
    assert [[*each] for each in found.best.build] == commands
    assert found.kind is EnvironmentKind.none


@pytest.mark.parametrize(
    "laid_out",
    [
        {**C, "CMakeLists.txt": "add_executable(one a.c)\nadd_executable(two b.c)\n"},  # two programs
        {
            **C,
            "CMakeLists.txt": "add_executable(sim sim.c)\n",
            "Makefile": "sim: sim.o\n\t$(CC) -o $@ $^\n",
        },  # two ways
        {**C, "CMakeLists.txt": "add_subdirectory(elsewhere)\n"},  # none that is seen
        {**C, "Makefile": "include rules.mk\n"},
    ],
)
def test_what_is_not_clear_is_asked(tmp_path: Path, laid_out: dict[str, str]) -> None:
    assert not detect(lay_out(tmp_path, laid_out)).is_clear


def test_programs_that_test_or_show_something_come_last(tmp_path: Path) -> None:
    text = "add_executable(test_sim a.c)\nadd_executable(sim b.c)\nadd_executable(benchmark c.c)\n"
    found = detect(lay_out(tmp_path, {**C, "CMakeLists.txt": text}))
    assert found.is_clear and found.best is not None and found.best.entrypoint == "{build}/sim"


def test_a_makefile_of_a_python_project_is_not_taken_for_its_build(tmp_path: Path) -> None:
    """It has what developers type; one that compiles something is only named."""
    files = {"main.py": "print(1)\n", "Makefile": "test:\n\tpytest\n"}
    found = detect(lay_out(tmp_path, files))
    assert found.best is not None and found.best.entrypoint == "main.py" and not found.best.build
    assert not any("Makefile" in note for note in found.notes)
    found = detect(lay_out(tmp_path, {"fast.c": "", "Makefile": "fast.so: fast.c\n\t$(CC) -shared -o $@ $<\n"}))
    assert found.is_clear and any("there is a Makefile" in note and "[[make]]" in note for note in found.notes)


def test_compiled_modules_of_what_is_not_installed_are_named(tmp_path: Path) -> None:
    files = {
        "main.py": "print(1)\n",
        "setup.py": "from Cython.Build import cythonize\nsetup(ext_modules=cythonize('a'))\n",
    }
    assert not any("build_ext" in note for note in detect(lay_out(tmp_path, files)).notes)  # it is installed
    (tmp_path / "requirements.txt").write_text("")
    found = detect(tmp_path)
    assert any("build_ext" in note for note in found.notes) == (found.kind is not EnvironmentKind.pyproject)


@pytest.mark.parametrize("name", ["Cargo.toml", "package.json", "CMakeLists.txt", "meson.build", "Makefile"])
@pytest.mark.parametrize("text", ["", "[", "\0", "[package]\nname = 3\n", '{"bin": 3, "main": [1]}', "(" * 5000])
def test_files_that_make_no_sense_propose_nothing_and_break_nothing(tmp_path: Path, name: str, text: str) -> None:
    found = detect(lay_out(tmp_path, {**C, name: text}))
    assert not [each for each in found.candidates if each.build]


def test_a_c_program_is_added_built_and_run(
    stash: StashUnderTest, tmp_path: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder("make", monkeypatch, tmp_path)
    upstream = repository(tmp_path / "upstream", copy=str(TOOLS / "sim_make"))
    done = in_process(stash, "tool", "add", "sim", str(upstream), "--yes")
    assert done.returncode == 0, done.stderr
    text = (stash.root / "conf/tool/sim.yaml").read_text()
    assert "entrypoint: sim\n" in text and "build: [[make]]\n" in text
    assert "it is built before its first run" in " ".join((done.stdout + done.stderr).split())
    ran = stash.cli("+exp=sim/example", "+params.steps=2")
    assert ran.returncode == 0 and ran.stdout == "0.25\n", ran.stderr
