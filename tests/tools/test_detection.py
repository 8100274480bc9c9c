from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.freeze.environment import recipes
from experimentstash.stash import entrypoints
from experimentstash.stash.schema import CallStyle, EnvironmentKind, ToolConfig
from experimentstash.tools.detect.candidate import Rank
from experimentstash.tools.detect.detection import detect
from tests.testing.stash import TOOLS

GUARD = "\nif __name__ == '__main__':\n    main()\n"
HYDRA = "import hydra\n"
HYDRA += "@hydra.main(config_path={path!r}, config_name='config', version_base='1.3')\n"
HYDRA += "def main(c): ...\n"
ARGPARSE = (
    "import argparse\ndef main():\n    p = argparse.ArgumentParser()\n"
    "    p.add_argument('--output-dir', required=True)\n"
    "    p.add_argument('--name', choices=['a', 'b'], required=True)\n"
    "    p.add_argument('--seed', type=int, default=3)\n    p.add_argument('data')\n"
)
BUILD = "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"


def build(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def test_a_hydra_tool_and_its_experiments() -> None:
    found = detect(TOOLS / "hydra_tool")
    assert found.best is not None and found.is_clear
    assert found.best.entrypoint == "main.py" and found.best.style is CallStyle.hydra
    assert found.best.hydra is not None
    assert found.best.hydra.config_directory == "configs" and found.best.hydra.experiments == ("tuned",)


def test_the_experiment_group_has_a_plus_unless_the_defaults_have_it(tmp_path: Path) -> None:
    files = {"main.py": HYDRA.format(path="conf") + GUARD, "conf/experiment/x.yaml": "a: 1\n"}
    for text, key in (
        ("defaults:\n  - _self_\n  - experiment: null\n", "experiment"),
        ("defaults:\n  - optional experiment@_global_: null\n", "experiment"),
        ("a: 1\n", "+experiment"),
    ):
        hydra = detect(build(tmp_path, {**files, "conf/config.yaml": text})).candidates[0].hydra
        assert hydra is not None and hydra.experiment_key == key


def test_a_config_path_that_is_computed_is_looked_for(tmp_path: Path) -> None:
    text = "import hydra, os\n@hydra.main(config_path=os.environ['X'], config_name='train')\ndef main(c): ...\n" + GUARD
    found = detect(build(tmp_path, {"src/train.py": text, "configs/train.yaml": "a: 1\n"}))
    assert found.best is not None and found.best.hydra is not None
    assert found.best.hydra.config_directory == "configs"


def test_a_hydra_tool_in_a_package_is_started_as_a_module(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/train.py": HYDRA.format(path="../conf") + GUARD, "conf/config.yaml": ""}
    assert [each.entrypoint for each in detect(build(tmp_path, files)).candidates] == ["-m pkg.train"]


def test_a_package_below_src_is_a_module_only_if_it_is_installed(tmp_path: Path) -> None:
    files = {"src/pkg/__init__.py": "", "src/pkg/train.py": HYDRA.format(path="conf") + GUARD}
    assert detect(build(tmp_path, files)).candidates[0].entrypoint == "src/pkg/train.py"
    build(tmp_path, {"pyproject.toml": f"[project]\nname = 'pkg'\n{BUILD}"})
    assert detect(tmp_path).candidates[0].entrypoint == "-m pkg.train"


def test_the_surest_candidate_comes_first(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": f"[project]\nname = 'p'\n[project.scripts]\nstart = 'p.cli:main'\n{BUILD}",
        "p/__init__.py": "",
        "p/cli.py": ARGPARSE,
        "p/__main__.py": "from p.other import go\n",
        "p/other.py": HYDRA.format(path="conf") + "go = main\n",
        "main.py": GUARD,
        "scripts/tool.py": ARGPARSE + GUARD,
        "tests/test_x.py": ARGPARSE + GUARD,
    }
    found = detect(build(tmp_path, files))
    assert [each.entrypoint for each in found.candidates] == ["start", "-m p", "main.py", "scripts/tool.py"]
    assert [each.rank for each in found.candidates][:2] == [Rank.SCRIPT_OF_PROJECT, Rank.PACKAGE_MAIN]
    assert found.candidates[1].style is CallStyle.hydra
    assert found.is_clear


def test_two_equals_are_not_clear(tmp_path: Path) -> None:
    main = HYDRA.format(path="conf") + GUARD
    assert not detect(build(tmp_path, {"pretrain.py": main, "finetune.py": main})).is_clear


def test_the_options_of_a_command_line(tmp_path: Path) -> None:
    best = detect(build(tmp_path, {"tool.py": ARGPARSE + GUARD})).best
    assert best is not None and best.output_option == "--output-dir"
    options = {each.name: each for each in best.options}
    assert options["name"].is_required and options["name"].example == "'a'"
    assert options["seed"].example == "3" and not options["seed"].is_required
    assert options["data"].is_positional and options["data"].is_required


@pytest.mark.parametrize(
    ("files", "kind", "file", "python"),
    [
        ({"main.py": "# /// script\n# requires-python = '>=3.11'\n# ///\n"}, "script", "main.py", ">=3.11"),
        ({"pyproject.toml": "[project]\nname='x'\nrequires-python='>=3.9'\n"}, "pyproject", "pyproject.toml", ">=3.9"),
        ({"pyproject.toml": "[tool.ruff]\n", "requirements.txt": ""}, "requirements", "requirements.txt", None),
        ({"setup.py": "setup(python_requires='>=3.8')"}, "pyproject", "setup.py", ">=3.8"),
        ({"setup.cfg": "[options]\npython_requires = >=3.7\n"}, "pyproject", "setup.cfg", ">=3.7"),
        ({"requirements.txt": "", ".python-version": "3.12\n"}, "requirements", "requirements.txt", "3.12"),
        ({"requirements/base.txt": "six"}, "requirements", "requirements/base.txt", None),
        ({"environment.yml": "dependencies:\n  - python=3.9\n", "a.py": GUARD}, "conda", "environment.yml", None),
        ({"environment.yml": "dependencies:\n  - python=3.9\n", "setup.py": ""}, "pyproject", "setup.py", "3.9"),
        ({"pixi.toml": "[dependencies]\npython = '3.9.*'\n", "a.py": GUARD}, "pixi", "pixi.toml", None),
        ({"README": "x"}, "none", None, None),
    ],
)
def test_what_the_environment_is_made_from(
    tmp_path: Path, files: dict[str, str], kind: str, file: str | None, python: str | None
) -> None:
    found = detect(build(tmp_path, files))
    assert (found.kind, found.file, found.python) == (EnvironmentKind(kind), file, python)


def test_a_repository_that_is_not_python(tmp_path: Path) -> None:
    build(tmp_path, {"run.sh": "#!/bin/sh\n", "README.md": "# x\nSimulates the weather of tomorrow.\n"})
    (tmp_path / "run.sh").chmod(0o755)
    found = detect(tmp_path)
    assert found.best is not None and found.best.entrypoint == "run.sh" and found.kind is EnvironmentKind.none
    assert found.description == "Simulates the weather of tomorrow."


def test_nothing_of_the_tool_is_executed(tmp_path: Path) -> None:
    evil = f"open({str(tmp_path / 'ran')!r}, 'w')\nimport argparse\n" + GUARD
    detect(build(tmp_path, {"main.py": evil, "setup.py": evil, "pkg/__init__.py": evil, "broken.py": "def ("}))
    assert not (tmp_path / "ran").exists()


def test_a_link_to_elsewhere_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("[project]\nname='x'\ndescription='very secret indeed'\n")
    tool = tmp_path / "tool"
    tool.mkdir()
    (tool / "pyproject.toml").symlink_to(secret)
    assert detect(tool).description == ""


def test_a_named_entrypoint_is_looked_at(tmp_path: Path) -> None:
    build(tmp_path, {"a.py": ARGPARSE + GUARD, "b.py": HYDRA.format(path="conf") + GUARD})
    best = detect(tmp_path, "b.py").best
    assert best is not None and best.entrypoint == "b.py" and best.style is CallStyle.hydra
    assert detect(tmp_path, "./nothing").best is not None


PROJECT = "[project]\nname = 'p'\nversion = '1'\n[project.scripts]\ntrain = 'pkg.cli:main'\n"
PROJECT += "[build-system]\nrequires = ['hatchling']\n"


@pytest.mark.parametrize(
    ("files", "entrypoint"),
    [
        pytest.param({"main.py": GUARD, "requirements/base.txt": "x\n", "requirements/dev.txt": ""}, None, id="folder"),
        pytest.param({"sub/train.py": GUARD, "sub/requirements.txt": "x\n", "requirements.txt": ""}, None, id="beside"),
        pytest.param({"a b.py": "# /// script\n# dependencies = []\n# ///\n" + GUARD}, None, id="block, odd name"),
        pytest.param(
            {"pyproject.toml": PROJECT, "pkg/__init__.py": "", "pkg/cli.py": GUARD, "pkg/requirements.txt": "x\n"},
            "train",
            id="installed script",
        ),
        pytest.param({"main.py": GUARD}, "true", id="any program"),
        pytest.param({"main.py": GUARD}, None, id="nothing"),
        pytest.param({"run.sh": "#!/bin/sh\n"}, "bash run.sh", id="another language"),
    ],
)
def test_what_is_found_is_what_runs_have(tmp_path: Path, files: dict[str, str], entrypoint: str | None) -> None:
    found = detect(build(tmp_path, files), entrypoint)
    assert found.best is not None
    entry = entrypoints.read(found.best.entrypoint, tmp_path)
    tool = ToolConfig(path=".", entrypoint=found.best.entrypoint)
    made = recipes.plan(
        "x", tool, tmp_path, entry.script, tmp_path / "home", runs_python=entry.runs_python, program=entry.program
    )
    assert found.kind is made.kind
    assert found.file == (None if made.file is None else made.file.relative_to(tmp_path).as_posix())
    assert [*found.requirements] == [each.relative_to(tmp_path).as_posix() for each in made.requirements]
