"""What an environment is made from: one answer for `tool add` and every run, and what is left is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.freeze.environment import poetry, recipes
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.stash import entrypoints
from experimentstash.stash.schema import EnvironmentConfig, ToolConfig
from experimentstash.tools.detect.detection import detect

PARSES = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--a')\nprint(p.parse_args())\n"
PROJECT = "[project]\nname = 'p'\nversion = '1'\ndependencies = ['six>=1', 'Idna[x]']\n"
POETRY = "[tool.poetry]\nname = 'p'\nversion = '1'\n[tool.poetry.dependencies]\npython = '^3.9'\nsix = '^1.2'\n"
SETUP = "from setuptools import setup\nsetup(name='p', install_requires=['lightning', 'hydra-core'])\n"
BLOCK = "# /// script\n# dependencies = ['six']\n# ///\nprint(1)\n"

# files besides main.py → kind, file, further requirements, what is left
CASES: dict[str, tuple[dict[str, str], str, str | None, list[str], list[str]]] = {
    "a complete requirements.txt beside a setup.py": (
        {"setup.py": SETUP, "requirements.txt": "torch\nlightning\n"},
        "pyproject",
        "setup.py",
        ["requirements.txt"],
        [],
    ),
    "a project that declares less": (
        {"pyproject.toml": PROJECT, "requirements.txt": "six\nidna\ntorch\n"},
        "pyproject",
        "pyproject.toml",
        ["requirements.txt"],
        [],
    ),
    "a project that declares all of it": (
        {"pyproject.toml": PROJECT, "requirements.txt": "# pinned\nsix==1.16\nidna[x]==3\n"},
        "pyproject",
        "pyproject.toml",
        [],
        ["requirements.txt (pyproject.toml names all of it)"],
    ),
    "a project without dependencies": (
        {"pyproject.toml": "[project]\nname='p'\nversion='1'\n", "requirements.txt": "six\n"},
        "pyproject",
        "pyproject.toml",
        ["requirements.txt"],
        [],
    ),
    "a lock": (
        {"pyproject.toml": PROJECT, "uv.lock": "", "requirements.txt": "torch\n"},
        "pyproject",
        "pyproject.toml",
        [],
        ["requirements.txt (uv.lock pins all versions)"],
    ),
    "only linters' settings": (
        {"pyproject.toml": "[tool.ruff]\n", "requirements.txt": "six\n"},
        "requirements",
        "requirements.txt",
        [],
        [],
    ),
    "setup.cfg": ({"setup.cfg": "[metadata]\nname = p\n"}, "pyproject", "setup.cfg", [], []),
    "poetry": ({"pyproject.toml": POETRY}, "pyproject", "pyproject.toml", [], []),
    "poetry with more": (
        {"pyproject.toml": POETRY, "requirements.txt": "torch\n"},
        "pyproject",
        "pyproject.toml",
        ["requirements.txt"],
        [],
    ),
    "a directory of requirements": (
        {"requirements/base.txt": "six", "requirements/dev.txt": "pytest"},
        "requirements",
        "requirements/base.txt",
        [],
        ["requirements/dev.txt (for developers)"],
    ),
    "the only one of its kind": (
        {"requirements_gpu.txt": "six", "requirements-dev.txt": "x"},
        "requirements",
        "requirements_gpu.txt",
        [],
        ["requirements-dev.txt (for developers)"],
    ),
    "several of a kind": (
        {"requirements-cpu.txt": "six", "requirements-gpu.txt": "six"},
        "empty",
        None,
        [],
        [
            f"requirements-{name}.txt (several, and none is the usual one: `environment: {{file: …}}` takes one)"
            for name in ("cpu", "gpu")
        ],
    ),
    "what pip-compile reads and writes": (
        {"requirements.in": "six", "requirements.txt": "six==1.16.0"},
        "requirements",
        "requirements.txt",
        [],
        [],
    ),
    "conda": ({"environment.yml": "dependencies: [python=3.9]\n"}, "conda", "environment.yml", [], []),
    "conda, pinned": (
        {"environment.yml": "dependencies: [python=3.9]\n", "conda-lock.yml": "", "pixi.lock": ""},
        "conda",
        "conda-lock.yml",
        [],
        ["environment.yml (for conda: `environment: {file: environment.yml}` takes it)"],
    ),
    "pixi, and the same for conda": (
        {"environment.yml": "dependencies: [python=3.9]\n", "pixi.toml": "", "pixi.lock": ""},
        "pixi",
        "pixi.toml",
        [],
        ["environment.yml (for conda: `environment: {file: environment.yml}` takes it)"],
    ),
    "conda's besides pip's": (
        {"environment.yml": "dependencies: [python=3.9]\n", "requirements.txt": "six"},
        "requirements",
        "requirements.txt",
        [],
        ["environment.yml (for conda: `environment: {file: environment.yml}` takes it)"],
    ),
    "pipenv": ({"Pipfile": ""}, "empty", None, [], ["Pipfile (pipenv's files aren't read)"]),
    "nothing": ({"README.md": "x"}, "empty", None, [], []),
}


def build(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def check(
    directory: Path, entrypoint: str | None, kind: str, file: str | None, more: list[str], left: list[str]
) -> Recipe:
    """Detection says it, and a run's recipe has it."""
    found = detect(directory, entrypoint)
    assert found.best is not None
    assert (found.kind.value, found.file) == (kind, file)
    assert list(found.requirements) == more and list(found.left) == left
    entry = entrypoints.read(found.best.entrypoint, directory)
    tool = ToolConfig(path="x", entrypoint=found.best.entrypoint)
    recipe = recipes.plan("x", tool, directory, entry.script, directory / "home", program=entry.program)
    assert (recipe.kind.value, recipe.file) == (kind, None if file is None else directory / file)
    assert recipe.requirements == tuple(directory / each for each in more)
    return recipe


@pytest.mark.parametrize("case", CASES)
def test_what_is_chosen_and_what_is_left(tmp_path: Path, case: str) -> None:
    files, *expected = CASES[case]
    check(build(tmp_path, {**files, "main.py": PARSES}), None, *expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("entrypoint", ["pkg/sub/fit.py", "-m pkg.sub.fit", "-m pkg.sub"])
def test_what_lies_beside_the_program_counts(tmp_path: Path, entrypoint: str) -> None:
    start = "pkg/sub/__main__.py" if entrypoint == "-m pkg.sub" else "pkg/sub/fit.py"
    build(tmp_path, {start: PARSES, "pkg/__init__.py": "", "pkg/sub/__init__.py": "", "other/fit.py": PARSES})
    check(tmp_path, entrypoint, "empty", None, [], [])
    inner = build(tmp_path, {"pkg/sub/requirements.txt": "six\n", "other/requirements.txt": "idna\n"})
    check(inner, entrypoint, "requirements", "pkg/sub/requirements.txt", [], [])
    build(tmp_path, {"requirements.txt": "idna\n"})
    recipe = check(inner, entrypoint, "requirements", "requirements.txt", ["pkg/sub/requirements.txt"], [])
    assert recipe.shown == "requirements (requirements.txt + pkg/sub/requirements.txt)"
    build(tmp_path, {"setup.py": SETUP})
    check(inner, entrypoint, "pyproject", "setup.py", ["requirements.txt", "pkg/sub/requirements.txt"], [])
    (tmp_path / "pkg/sub/requirements.txt").unlink()
    build(tmp_path, {"pkg/pyproject.toml": PROJECT, "pkg/requirements.txt": "torch\n"})
    left = ["setup.py (pkg/pyproject.toml is nearer)"]
    check(inner, entrypoint, "pyproject", "pkg/pyproject.toml", ["pkg/requirements.txt"], left)


def test_a_block_counts_only_where_python_is_started_with_the_file(tmp_path: Path) -> None:
    build(tmp_path, {"pkg/__init__.py": "", "pkg/fit.py": BLOCK, "requirements.txt": "six\n"})
    check(tmp_path, "-m pkg.fit", "requirements", "requirements.txt", [], [])
    why = "requirements.txt (the script's own block says what it needs)"
    check(tmp_path, "pkg/fit.py", "script", "pkg/fit.py", [], [why])


def test_each_file_is_part_of_the_key(tmp_path: Path) -> None:
    build(tmp_path, {"setup.py": SETUP, "requirements.txt": "-r more.txt\n", "more.txt": "six\n", "main.py": PARSES})
    before = check(tmp_path, None, "pyproject", "setup.py", ["requirements.txt"], [])
    assert before.lock_file == "requirements.txt"
    build(tmp_path, {"more.txt": "idna\n"})
    assert check(tmp_path, None, "pyproject", "setup.py", ["requirements.txt"], []).key != before.key


def test_the_registration_may_say_otherwise(tmp_path: Path) -> None:
    build(tmp_path, {"setup.py": SETUP, "requirements.txt": "six\n", "other.txt": "idna\n", "main.py": PARSES})
    for given, expected in ((["other.txt"], ["other.txt"]), ([], [])):
        tool = ToolConfig(path="x", entrypoint="main.py", environment=EnvironmentConfig(requirements=given))
        recipe = recipes.plan("x", tool, tmp_path, tmp_path / "main.py", tmp_path / "home")
        assert recipe.requirements == tuple(tmp_path / each for each in expected)


def test_what_nothing_declares_is_said(tmp_path: Path) -> None:
    text = "import numpy as np, os\nfrom net import Net\nimport net\n"
    text += "try:\n    import apex\nexcept ImportError:\n    pass\n"
    build(tmp_path, {"main.py": text + PARSES, "net.py": "from torch import nn\nclass Net: ...\n"})
    assert detect(tmp_path).lacking == ("numpy", "torch")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("^3.7", ">=3.7,<4"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.3", "==1.2.3"),
        ("1.2.*", "==1.2.*"),
        ("*", ""),
        (">=3.7.1,<3.10", ">=3.7.1,<3.10"),
        (">= 1.0 <2", ">=1.0,<2"),
    ],
)
def test_constraints_of_poetry(text: str, plain: str) -> None:
    assert poetry.constraint(text) == plain


def test_dependencies_of_poetry() -> None:
    dependencies = {
        "python": "^3.9",
        "a": {"version": "^1", "extras": ["x"]},
        "b": {"git": "https://x.org/b.git", "rev": "v1"},
        "c": {"version": "2", "optional": True},
        "d": {"version": "*", "markers": "sys_platform == 'linux'"},
        "e": [{"version": "1.0", "python": "<3.10"}, {"version": "2.0", "python": "^3.10"}],
    }
    data = {"tool": {"poetry": {"name": "p", "dependencies": dependencies, "extras": {"more": ["C"]}}}}
    assert poetry.python(data) == ">=3.9,<4"
    assert poetry.requirements(data) == [
        "a[x]>=1,<2",
        "b @ git+https://x.org/b.git@v1",
        "d ; (sys_platform == 'linux')",
        "e==1.0 ; (python_full_version < '3.10')",
        "e==2.0 ; (python_full_version >= '3.10') and (python_full_version < '4')",
    ]
    assert "c==2" in poetry.requirements(data, ["more"])
