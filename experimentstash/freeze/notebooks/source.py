"""What a notebook says of itself: its language, and the names in the cell that is tagged for parameters.

A notebook is Jupyter's file, or a text that jupytext reads: percent scripts, Markdown, R Markdown, Quarto's documents.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.freeze.declared.option import Declared, Option
from experimentstash.freeze.declared.program import Program
from experimentstash.stash.schema import CallStyle

_LARGEST = 256 << 20
# The head of the tagged cell: `# %% tags=["parameters"]`, a fence with tags, or an option inside a cell.
_TAGGED = regex(
    r"(?m)^(?:# %%|```+ *\{? *[A-Za-z]+).*\btags *= *[\[(c]+[^\])\n]*[\"']parameters[\"']|^#\| *tags:.*\bparameters\b"
)
_PERCENT = regex(r"(?m)^# %%")
_END = regex(r"(?m)^(?:# %%|```)")
_FENCE = regex(r"(?m)^```+ *\{ *([A-Za-z]+)")
_KERNEL = regex(r"(?m)^(?:# )? *language: *['\"]?(\w+)")


@dataclass(frozen=True)
class Notebook:
    """A notebook, as far as it matters before it is run."""

    path: Path
    language: str
    is_tagged: bool  # it has a cell for parameters
    names: tuple[str, ...]  # what that cell assigns, if it is Python's

    @property
    def is_text(self) -> bool:
        return self.path.suffix != ".ipynb"

    @property
    def is_quartos(self) -> bool:
        return self.path.suffix.lower() == ".qmd"

    @property
    def needs(self) -> tuple[str, ...]:
        """The packages that run it."""
        kernel = ("ipykernel",) if self.language == "python" else ()
        return ("papermill>=2.5", "nbconvert>=7", *kernel, *(("jupytext>=1.16",) if self.is_text else ()))

    @property
    def program(self) -> Program:
        """What it declares, as the command line of a program."""
        options = tuple(Option(name, False, False, None) for name in self.names)
        return Program(CallStyle.notebook, Declared(options, takes_unknown=bool(options)))


def read(path: Path) -> Notebook:
    """Return what a notebook says of itself; StashError if it isn't there, or can't be understood."""
    if not path.is_file():
        raise StashError(f"The entrypoint {path.name} does not exist in {path.parent}.", "fix `entrypoint:`")
    try:
        text = read_regular(path.resolve(), _LARGEST).decode()
        return _of_jupyter(path, json.loads(text)) if path.suffix == ".ipynb" else _of_text(path, text)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise StashError(f"{path} can't be read as a notebook: {error}", "open and save it with Jupyter") from error


def _of_jupyter(path: Path, data: Any) -> Notebook:
    about = data.get("metadata", {})
    said = about.get("kernelspec", {}).get("language") or about.get("language_info", {}).get("name") or "python"
    tagged = [
        each
        for each in data["cells"]
        if each.get("cell_type") == "code" and "parameters" in each.get("metadata", {}).get("tags", [])
    ]
    source = "".join(tagged[0]["source"]) if tagged else ""
    return _notebook(path, str(said).lower(), bool(tagged), source)


def _of_text(path: Path, text: str) -> Notebook:
    said = _KERNEL.search(text) or _FENCE.search(text)
    language = said[1].lower() if said else "python"
    found = _TAGGED.search(text)
    if found is None:
        return _notebook(path, language, False, "")
    rest = text[text.index("\n", found.end()) + 1 :] if "\n" in text[found.end() :] else ""
    end = _END.search(rest)
    return _notebook(path, language, True, rest[: end.start()] if end else rest)


def _notebook(path: Path, language: str, is_tagged: bool, source: str) -> Notebook:
    names: list[str] = []
    if language == "python":
        try:
            body = ast.parse(source).body
        except SyntaxError:  # it has magics, say
            body = []
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names += [each.id for each in targets if isinstance(each, ast.Name)]
    return Notebook(path, language, is_tagged, tuple(dict.fromkeys(names)))
