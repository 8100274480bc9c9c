"""What a contributor and CI type exists, what is claimed of the package is what is there, and a wheel has all of it."""

from __future__ import annotations

import io
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from uv import find_uv_bin

from experimentstash import __version__
from experimentstash.publish.export import wheel as ours
from tests.test_rooms import ROOMS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SESSIONS = {"tests", "slurm", "hydra-next", "lint", "docs", "examples"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CLAIMED = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_what_is_to_be_typed_exists() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list", "-f", ROOT / "noxfile.py"], capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"^[*-] ([\w-]+)", listed.stdout, re.MULTILINE)) == SESSIONS
    for name in ("CONTRIBUTING.md", "README.md", ".github/pull_request_template.md", ".github/workflows/tests.yml"):
        for words in re.findall(r"nox -s ([\w -]+)", (ROOT / name).read_text(encoding="utf-8")):
            assert set(words.split(" -- ")[0].split()) <= SESSIONS, name
    sessions = runpy.run_path(str(ROOT / "noxfile.py"))
    assert all((ROOT / path).exists() for path in [*sessions["ON_HYDRA"], *sessions["PLAINLY"]])
    assert all(
        hook["entry"].split()[0] in ("ruff", "mypy") for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"]
    )


def test_ci_calls_the_sessions_on_the_pythons_that_are_claimed() -> None:
    jobs = read(".github/workflows/tests.yml")["jobs"]
    called = [
        words for job in jobs.values() for step in job["steps"] for words in [step.get("run", "")] if "nox -s" in words
    ]
    assert {words.split()[-1] for words in called} == SESSIONS
    assert jobs["tests"]["strategy"]["matrix"]["python"] == CLAIMED
    assert "3.14" in jobs["hydra-next"]["strategy"]["matrix"]["python"]
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir():
        assert {"name", "description", "body"} <= set(read(str(form.relative_to(ROOT))))


def test_nothing_is_claimed_that_was_not_tried() -> None:
    systems = [each for each in PROJECT["classifiers"] if each.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Linux, Python {CLAIMED[0]} to {CLAIMED[-1]}, git" in readme and "macOS" not in readme
    assert f"Python {CLAIMED[0]} to {CLAIMED[-1]}" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "urls" not in PROJECT
    assert read("CITATION.cff")["version"] == __version__


def test_the_rooms_of_the_house_are_told() -> None:
    told = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [tuple(re.findall(r"\w+", line)) for line in told] == list(ROOMS)


@pytest.mark.slow
def test_a_wheel_has_the_types_and_everything_else(tmp_path: Path) -> None:
    built = subprocess.run([find_uv_bin(), "build", "--out-dir", tmp_path, ROOT], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")  # made of the source archive, and so that has everything too
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "experimentstash/py.typed" in names
    with zipfile.ZipFile(io.BytesIO(ours.content())) as archive:  # what an export hands on
        assert {*archive.namelist()} == names and wheel.name == ours.file_name() and archive.testzip() is None
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "experimentstash", "hydra_plugins"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {name for name in names if ".dist-info/" not in name} == set(files)
