"""A requirements file, as pip reads it, with those that it includes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experimentstash.freeze.environment import requirements_files
from experimentstash.freeze.environment.kinds.kind import Inputs, Kind, Recipe, Uv
from experimentstash.stash.schema import EnvironmentKind


class Requirements(Kind):
    name = EnvironmentKind.requirements
    takes_requirements = True

    def means(self, file_name: str) -> bool:
        return True  # whatever its name

    def usual(self, directory: Path, entry_script: Path | None) -> Path | None:
        return directory / "requirements.txt"

    def pin(self, file: Path | None) -> Path | None:
        return file

    def has_local_code(self, project: Path, file: Path | None) -> bool:
        return file is not None and any(map(requirements_files.is_local, requirements_files.lines(file)))

    def look(
        self, inputs: Inputs, project: Path, file: Path | None, requirements: Sequence[Path], lock: Path | None
    ) -> None:
        inputs.add_project(project, requirements)
        if file is not None:
            inputs.add_requirements(file)

    def make(self, recipe: Recipe, directory: Path, uv: Uv) -> tuple[list[str], list[str]]:
        super().make(recipe, directory, uv)
        return ["-r", str(recipe.file)], []


KIND = Requirements()
