"""What an entrypoint says: `-m package.module`, `file.py`, or an executable; words after it are kept."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError


@dataclass(frozen=True)
class Entrypoint:
    """The words of an entrypoint, and the script that it runs if it is a file of Python's."""

    words: tuple[str, ...]
    script: Path | None
    program: Path | None = None  # the Python file that is started, by its name or as a module of the tool's directory
    notebook: Path | None = None

    @property
    def is_module(self) -> bool:
        return self.words[0] == "-m"

    @property
    def runs_python(self) -> bool:
        return self.is_module or self.script is not None or self.notebook is not None


# What runs a file of this kind.
_PROGRAMS = {
    ".sh": "bash",
    ".bash": "bash",
    ".zsh": "zsh",
    ".r": "Rscript",
    ".jl": "julia",
    ".pl": "perl",
    ".js": "node",
}
# Files that are notebooks, whatever else is said of them.
NOTEBOOKS = (".ipynb", ".rmd", ".qmd")
UNKNOWN_RUNNER = "PROGRAM"
# How a file begins that the kernel can start by itself: a script, ELF, Mach-O.
_STARTABLE = (b"#!", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


def refuse_unstartable(directory: Path, name: str, where: str) -> None:
    """Raise StashError if the kernel can't start a file of a tool as a program; ``where`` is the registration."""
    file = directory / name
    try:
        with open(file, "rb") as stream:
            is_startable = stream.read(4).startswith(_STARTABLE)
    except OSError as error:
        if not os.access(file, os.X_OK):
            raise StashError(f"{where}: the entrypoint {file} can't be read: {error.strerror}.") from error
        is_startable = True  # it may be started without that
    if is_startable and os.access(file, os.X_OK):
        return
    if is_startable:
        raise StashError(f"{where}: {file} is not executable.", f"chmod +x {shlex.quote(str(file))}")
    program = runner(name)
    raise StashError(
        f"{where}: {file} is no program, and has no `#!` line that tells which one runs it.",
        f"write `entrypoint: {program} {shlex.quote(name)}`",
    )


def runner(name: str) -> str:
    """Return what runs a file that can't be started by itself, by its name, or a word in its place."""
    return _PROGRAMS.get(Path(name).suffix.lower(), UNKNOWN_RUNNER)


def read(entrypoint: str, directory: Path, *, is_notebook: bool = False) -> Entrypoint:
    """Return what the entrypoint of a tool in ``directory`` says; StashError if it says nothing.

    A file's name may have spaces in it. ``is_notebook`` tells that a file which may be something else is one.
    """
    if (directory / entrypoint).is_file():
        words = [entrypoint]
    else:
        try:
            words = shlex.split(entrypoint)
        except ValueError as error:
            raise StashError(f"The entrypoint {entrypoint!r} can't be read: {error}.") from error
    if not words or (words[0] == "-m" and len(words) < 2):
        raise StashError(
            f"The entrypoint {entrypoint!r} names nothing to run.", "write `-m package.module` or `file.py`"
        )
    if is_notebook or Path(words[0]).suffix.lower() in NOTEBOOKS:
        if len(words) > 1:
            raise StashError(f"The entrypoint {entrypoint!r}: a notebook gets no words.", f"write `{words[0]}`")
        return Entrypoint(tuple(words), None, None, directory / words[0])
    file = directory / words[0] if words[0].endswith(".py") else None
    return Entrypoint(tuple(words), file, file or (_module(directory, words[1]) if words[0] == "-m" else None))


def _module(directory: Path, name: str) -> Path | None:
    path = name.replace(".", "/")
    for start in (directory, directory / "src"):
        for found in (start / path / "__main__.py", start / f"{path}.py", start / path / "__init__.py"):
            if found.is_file():
                return found
    return None
