"""A conda environment: its environment.yml, or its conda-lock.yml, by whichever program that reads it is here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.process import which
from experimentstash.base.text import listed
from experimentstash.freeze.environment import conda_prefix, requirements_files
from experimentstash.freeze.environment.declarations import CONDA_FILES, CONDA_LOCKS, read
from experimentstash.freeze.environment.kinds.kind import Inputs, Kind, Recipe, Uv
from experimentstash.stash.schema import EnvironmentKind

# Where it is in what we make: of pixi's a link.
_PREFIX = "env"
# Some versions of conda and mamba ask otherwise, and have no option for it where others have.
_VARIABLES = {"CONDA_ALWAYS_YES": "true", "MAMBA_ALWAYS_YES": "true"}
_SHOWN = 5
_OFFLINE = {"CONDA_OFFLINE": "true", "MAMBA_OFFLINE": "true"}
_TO_GET = "https://mamba.readthedocs.io (micromamba is one file), or `module load` what your cluster has"
# Programs that shells know as functions: where they are is in a variable then.
_SAID_BY = {"conda": "CONDA_EXE", "mamba": "MAMBA_EXE", "micromamba": "MAMBA_EXE"}


class Conda(Kind):
    name = EnvironmentKind.conda
    is_uvs = False
    takes_python_version = False

    def means(self, file_name: str) -> bool:
        return file_name.endswith((".yml", ".yaml"))

    def usual(self, directory: Path, entry_script: Path | None) -> Path | None:
        places = [directory / each for each in (*CONDA_LOCKS, *CONDA_FILES)]
        return next((each for each in places if each.is_file()), directory / CONDA_FILES[0])

    def lack(self, file: Path | None) -> str | None:
        names = list(_ways(file, Path()))
        if any(map(found, names)):
            return None
        return f"none of {listed(names, len(names))} is here, one of which makes it: {_TO_GET}"

    def lock(self, file: Path | None) -> Path | None:
        return file if file is not None and _is_lock(file) else None

    def pin(self, file: Path | None) -> Path | None:
        return file

    def has_local_code(self, project: Path, file: Path | None) -> bool:
        return file is not None and _is_local(file)

    def look(
        self, inputs: Inputs, project: Path, file: Path | None, requirements: Sequence[Path], lock: Path | None
    ) -> None:
        if file is None:
            return
        inputs.add(file)
        for each in _included(file):
            inputs.add_requirements(each)
        if _is_local(file):
            inputs.add_project(project, ())

    def command_to_lock(self, recipe: Recipe) -> list[str]:
        return ["conda-lock"]

    def prefix(self, directory: Path) -> Path:
        return directory / _PREFIX

    def is_whole(self, prefix: Path) -> bool:
        return (prefix / conda_prefix.META).is_dir()

    def variables(self, prefix: Path) -> Mapping[str, str]:
        return {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": str(prefix)}

    def packages(self, prefix: Path) -> list[str] | None:
        return conda_prefix.packages(prefix)

    def pins(self, prefix: Path) -> list[str]:
        return conda_prefix.pins(prefix)

    def python(self, prefix: Path) -> str | None:
        return conda_prefix.python(prefix)

    def make(self, recipe: Recipe, directory: Path, uv: Uv) -> tuple[list[str], list[str]]:
        assert recipe.file is not None
        ways = _ways(recipe.file, directory / _PREFIX)
        program, words = next((there, ways[name]) for name in ways if (there := found(name)) is not None)
        variables = {**_VARIABLES, **(_OFFLINE if uv.is_offline else {})}
        if os.path.basename(program) != "pixi":
            uv.other(program, *words, **variables)
        else:
            workspace = directory / "pixi"
            uv.other(program, "init", "--import", str(recipe.file), str(workspace))
            install(uv, program, workspace, directory / _PREFIX)
        if scripts := conda_prefix.scripts(directory / _PREFIX):
            uv.announce(
                f"Its packages have scripts for activation, which aren't run: {listed(scripts, _SHOWN)}. What they"
                " would set, `env:` in the registration can."
            )
        return [], []


def install(uv: Uv, program: str, workspace: Path, prefix: Path, *words: str) -> None:
    """Have pixi install what a workspace of ours asks for, inside it."""
    if uv.is_offline:
        raise StashError("pixi can't be told to fetch nothing.", "leave --offline out")
    (workspace / ".pixi").mkdir(exist_ok=True)
    # Else what somebody has set for all their workspaces would count.
    (workspace / ".pixi" / "config.toml").write_text("detached-environments = false\n")
    uv.other(program, "install", "--manifest-path", str(workspace / "pixi.toml"), *words)
    prefix.symlink_to(os.path.relpath(workspace / ".pixi" / "envs" / "default", prefix.parent))


def found(program: str) -> str | None:
    """Return where a program is that makes such environments; None if it isn't here."""
    said = os.environ.get(_SAID_BY.get(program, ""), "")
    is_it = os.path.basename(said) == program and os.access(said, os.X_OK)
    return which(program) or (said if is_it else None)


def _ways(file: Path | None, prefix: Path) -> dict[str, list[str]]:
    """Return the programs that make an environment of a file, the quickest first, and with which words."""
    given = ["--prefix", str(prefix), "--file", str(file)]
    create = ["create", "--yes", *given]
    if file is not None and _is_lock(file):  # the others don't read it
        return {"micromamba": create, "conda-lock": ["install", "--prefix", str(prefix), str(file)]}
    return {"micromamba": create, "mamba": ["env", "create", *given], "conda": ["env", "create", *given], "pixi": []}


def _is_lock(file: Path) -> bool:
    return file.stem.endswith("-lock") and file.suffix in (".yml", ".yaml")


def _is_local(file: Path) -> bool:
    """Tell whether pip is to install something by its place."""
    lines = [*_of_pip(file), *(line for each in _included(file) for line in requirements_files.lines(each))]
    return any(map(requirements_files.is_local, lines))


def _included(file: Path) -> list[Path]:
    return list(requirements_files.included(file, "\n".join(_of_pip(file)).encode()))


def _of_pip(file: Path) -> Iterator[str]:
    """Yield what an environment.yml has installed by pip; nothing if it can't be read, as whoever makes it will say."""
    if _is_lock(file):  # which has no places of files in it
        return
    from yaml import BaseLoader, YAMLError, load  # here, because most tools have none

    try:
        listed = load(read(file) or b"", BaseLoader)["dependencies"]
    except (YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return
    for each in listed if isinstance(listed, list) else ():
        lines = each.get("pip") if isinstance(each, dict) else None
        yield from (str(line) for line in lines or () if isinstance(line, str))


KIND = Conda()
