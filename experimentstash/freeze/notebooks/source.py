"""What a notebook says of itself: its language, and the names in the cell that is tagged for parameters.

A notebook is Jupyter's file, or a text that jupytext reads: percent scripts, Markdown, R Markdown, Quarto's documents.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.freeze.declared.option import Declared, Option, default_of
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
    tagged: int  # how many cells for parameters it has
    names: tuple[str, ...]  # what that cell assigns, if it is Python's
    anew: frozenset[str] = frozenset()  # what a later cell assigns once more, whatever it was
    defaults: Mapping[str, str] = field(default_factory=dict)  # the constants that the cell assigns, as YAML

    @property
    def is_tagged(self) -> bool:
        return self.tagged > 0

    @property
    def is_text(self) -> bool:
        return self.path.suffix != ".ipynb"

    @property
    def is_quartos(self) -> bool:
        return self.path.suffix.lower() == ".qmd"

    def overwritten(self, params: Iterable[Any]) -> list[str]:
        """Say of each parameter that a later cell assigns anew, whatever it was handed, that it may have no effect."""
        keys = {str(key): str(key).partition(".")[0] for key in params}
        return [
            f"params.{key}: a cell after the tagged one assigns {name} anew, so it may have had no effect"
            for key, name in keys.items()
            if name in self.anew
        ]

    @property
    def needs(self) -> tuple[str, ...]:
        """The packages that run it."""
        kernel = ("ipykernel",) if self.language == "python" else ()
        return ("papermill>=2.5", "nbconvert>=7", *kernel, *(("jupytext>=1.16",) if self.is_text else ()))

    @property
    def program(self) -> Program:
        """What it declares, as the command line of a program."""
        options = tuple(Option(name, False, False, None, default=self.defaults.get(name)) for name in self.names)
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
    cells = data["cells"]
    tagged = [each for each in cells if "parameters" in each.get("metadata", {}).get("tags", [])]
    code = [each for each in tagged if each.get("cell_type") == "code"]
    source = "".join(code[0]["source"]) if code else ""
    later = cells[cells.index(code[0]) + 1 :] if code else []
    # What an earlier execution was handed is replaced.
    kept = [each for each in later if "injected-parameters" not in each.get("metadata", {}).get("tags", [])]
    sources = ["".join(each["source"]) for each in kept if each.get("cell_type") == "code"]
    return _notebook(path, str(said).lower(), len(tagged) if code else 0, source, sources)


def _of_text(path: Path, text: str) -> Notebook:
    said = _KERNEL.search(text) or _FENCE.search(text)
    language = said[1].lower() if said else "python"
    heads = [*_TAGGED.finditer(text)]
    if not heads:
        return _notebook(path, language, 0, "", ())
    found = heads[0]
    rest = text[text.index("\n", found.end()) + 1 :] if "\n" in text[found.end() :] else ""
    end = _END.search(rest)
    source, later = (rest[: end.start()], [rest[end.start() :]]) if end else (rest, [])
    return _notebook(path, language, len(heads), source, later)


def _notebook(path: Path, language: str, tagged: int, source: str, later: Iterable[str]) -> Notebook:
    is_python = language == "python"
    values = {name: value for name, value, _ in _assigned(source)} if is_python else {}
    anew = [name for each in later if is_python for name, _, is_constant in _assigned(each) if is_constant]
    told = {name: None if value is None else default_of({"default": value}) for name, value in values.items()}
    defaults = {name: default for name, default in told.items() if default is not None}
    return Notebook(path, language, tagged, tuple(values), frozenset(anew), defaults)


def _assigned(source: str) -> Iterator[tuple[str, ast.expr | None, bool]]:
    """Yield the names that a cell assigns, what, and whether that is the same whatever was before."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):  # it has magics, say
        return
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        is_plain = isinstance(node, (ast.Assign, ast.AnnAssign))
        value = getattr(node, "value", None)
        is_constant = is_plain and value is not None and not any(isinstance(each, ast.Name) for each in ast.walk(value))
        given = value if is_plain else None
        yield from ((each.id, given, is_constant) for each in targets if isinstance(each, ast.Name))
