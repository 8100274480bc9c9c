"""A workspace of pixi's: the environment `default` of its pixi.toml, and its pixi.lock if there is one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from experimentstash.freeze.environment.declarations import PIXI_FILES, read
from experimentstash.freeze.environment.kinds import conda
from experimentstash.freeze.environment.kinds.kind import Inputs, Recipe, Uv
from experimentstash.stash.schema import EnvironmentKind


class Pixi(conda.Conda):
    name = EnvironmentKind.pixi

    def means(self, file_name: str) -> bool:
        return file_name in (*PIXI_FILES, "pixi.lock")

    def usual(self, directory: Path, entry_script: Path | None) -> Path | None:
        return directory / PIXI_FILES[0]

    def problem(self, file: Path) -> str | None:
        if file.name not in PIXI_FILES:
            return f"it is made from a pixi.toml, not from {file.name}"
        # It is made from a copy, where nothing lies beside it.
        if re.search(rb"\bpath\s*=", read(file) or b""):
            return (
                f"{file.name} names packages by their paths: `pixi install` in the checkout, and `interpreter:"
                " .pixi/envs/default/bin/python`"
            )
        return None

    def lack(self, file: Path | None) -> str | None:
        return None if conda.found("pixi") else "pixi isn't here, which makes it: https://pixi.sh (it is one file)"

    def lock(self, file: Path | None) -> Path | None:
        return None if file is None else file.with_name("pixi.lock")

    def has_local_code(self, project: Path, file: Path | None) -> bool:
        return False

    def look(
        self, inputs: Inputs, project: Path, file: Path | None, requirements: Sequence[Path], lock: Path | None
    ) -> None:
        if file is not None:
            inputs.add(file)

    def command_to_lock(self, recipe: Recipe) -> list[str]:
        return ["pixi", "lock", "--manifest-path", str(recipe.file)]

    def make(self, recipe: Recipe, directory: Path, uv: Uv) -> tuple[list[str], list[str]]:
        assert recipe.file is not None
        workspace = directory / "pixi"
        workspace.mkdir(parents=True)
        for each in filter(None, (recipe.file, recipe.lock_path)):
            shutil.copyfile(each, workspace / each.name)
        conda.install(
            uv,
            conda.found("pixi") or "pixi",
            workspace,
            self.prefix(directory),
            *(["--locked"] if recipe.lock_path else []),
        )
        if re.search(rb"(?m)^\s*\[.*\bactivation\b", read(recipe.file) or b""):
            uv.announce(f"What {recipe.origin} has done on activation isn't done here: say it in `env:`.")
        return [], []


KIND = Pixi()
