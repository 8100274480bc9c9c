"""A script that says itself what it needs, in a `# /// script` block (PEP 723)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from experimentstash.freeze.environment.declarations import script_block
from experimentstash.freeze.environment.kinds.kind import Inputs, Kind, Recipe, Uv, python_wanted
from experimentstash.stash.schema import EnvironmentKind


class Script(Kind):
    name = EnvironmentKind.script

    def means(self, file_name: str) -> bool:
        return file_name.endswith(".py")

    def usual(self, directory: Path, entry_script: Path | None) -> Path | None:
        return entry_script

    def problem(self, file: Path) -> str | None:
        return None if script_block(file) else f"{file} has no `# /// script` block (PEP 723)"

    def project(self, directory: Path, file: Path | None) -> Path:
        return directory if file is None else file.parent

    def lock(self, file: Path | None) -> Path | None:
        return None if file is None else file.with_name(f"{file.name}.lock")

    def pin(self, file: Path | None) -> Path | None:
        return file

    def has_local_code(self, project: Path, file: Path | None) -> bool:
        return file is not None and re.search(rb"\bpath\s*=|file:", script_block(file) or b"") is not None

    def look(
        self, inputs: Inputs, project: Path, file: Path | None, requirements: Sequence[Path], lock: Path | None
    ) -> None:
        if file is not None:
            inputs.note(file, script_block(file) or b"")  # the rest of the script may change

    def command_to_lock(self, recipe: Recipe) -> list[str]:
        return ["uv", "lock", "--script", str(recipe.file)]

    def make(self, recipe: Recipe, directory: Path, uv: Uv) -> tuple[list[str], list[str]]:
        locked = ["--locked"] if recipe.lock_path else []
        words = ["--script", str(recipe.file), "--active", *locked, *python_wanted(recipe)]
        uv("sync", *words, VIRTUAL_ENV=str(directory))
        return [], []


KIND = Script()
