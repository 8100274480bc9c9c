"""How a notebook is started: by a program that is written into its run's directory, and lies there with the run."""

from __future__ import annotations

from pathlib import Path

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_text
from experimentstash.freeze.calling.style import Arguments

NAME = "run_notebook.py"


def started(written: Arguments, notebook: Path, run_directory: Path, where: str) -> Arguments:
    """Return the words after the interpreter, and the files, with which a notebook is run; ``where`` registers it."""
    parameters = [word for word in written.argv if word in {str(run_directory / name) for name in written.files}]
    if list(written.argv) != parameters:
        raise StashError(
            f"{where}: a notebook gets no words, and would get {written.argv[0]!r}.",
            "leave out `arguments`; parameters reach it by its tagged cell (`call: {style: notebook}`), or as variables"
            " (`style: environment`)",
        )
    argv = (str(run_directory / NAME), str(notebook), str(run_directory), *parameters)
    program = read_text(Path(__file__).with_name(NAME))
    return replace(written, argv=argv, files={**written.files, NAME: program})
