"""A project: its pyproject.toml, setup.py or setup.cfg, and its uv.lock if there is one."""

from __future__ import annotations

import re
from pathlib import Path

from experimentstash.freeze.environment import declarations, poetry
from experimentstash.freeze.environment.declarations import PROJECT_FILES, is_package, read, workspace
from experimentstash.freeze.environment.kinds.kind import Kind, Recipe, Uv, python_wanted
from experimentstash.stash.schema import EnvironmentKind


class Pyproject(Kind):
    name = EnvironmentKind.pyproject
    takes_extras = True
    takes_requirements = True

    def means(self, file_name: str) -> bool:
        return file_name in (*PROJECT_FILES, "uv.lock")

    def usual(self, directory: Path, entry_script: Path | None) -> Path | None:
        places = (directory / each for each in PROJECT_FILES)
        return next(filter(declarations.describes_project, places), directory / "pyproject.toml")

    def project(self, directory: Path, file: Path | None) -> Path:
        return directory if file is None else file.parent

    def lock(self, file: Path | None) -> Path | None:
        return None if file is None else workspace(file.parent) / "uv.lock"

    def has_local_code(self, project: Path, file: Path | None) -> bool:
        text = read(project / "pyproject.toml") or b""
        is_member = workspace(project) != project or b"workspace" in text
        return is_package(project) or is_member or re.search(rb"\bpath\s*=|file:", text) is not None

    def make(self, recipe: Recipe, directory: Path, uv: Uv) -> tuple[list[str], list[str]]:
        wanted = recipe.tool.environment
        extras = [word for extra in wanted.extras for word in ("--extra", extra)]
        groups = [word for group in wanted.groups for word in ("--group", group)]
        if recipe.lock_path is not None:
            words = ["--locked", "--no-dev", *extras, *groups, *python_wanted(recipe)]
            uv("sync", *words, UV_PROJECT_ENVIRONMENT=str(directory))
            return [], []
        super().make(recipe, directory, uv)
        return [*_project(recipe, extras), *groups], _declared(recipe)


def _project(recipe: Recipe, extras: list[str]) -> list[str]:
    """Return what tells `uv pip install` to install the project, editable, or what it declares if it is no package."""
    if is_package(recipe.project):
        chosen = ",".join(recipe.tool.environment.extras)
        return ["--editable", f".[{chosen}]" if chosen else "."]
    has_project = "project" in declarations.toml(recipe.project / "pyproject.toml")
    return ["-r", "pyproject.toml", *extras] if has_project else []


def _declared(recipe: Recipe) -> list[str]:
    """Return what a project that is no package declares in ways that uv doesn't read."""
    if is_package(recipe.project):
        return []
    data, extras = declarations.toml(recipe.project / "pyproject.toml"), recipe.tool.environment.extras
    return [*poetry.requirements(data, extras), *declarations.of_setup_cfg(recipe.project, extras)]


KIND = Pyproject()
