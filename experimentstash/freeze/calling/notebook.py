"""Parameters for the cell of a notebook that is tagged for them: papermill writes a cell after it that assigns them."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling import literals
from experimentstash.freeze.calling.file import content
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallStyle

_FILE = "parameters.json"


def _write(given: Given) -> Arguments:
    call = given.call
    literals.refuse_settings(call)
    literals.refuse_ways(call)
    notebook = given.notebook
    if notebook is None:
        raise StashError("call.style: notebook: the entrypoint is no notebook.", "leave `style:` out")
    found = content(call, given.experiment, parameters.apart(given.params), given.run_directory)
    if not found:
        return Arguments(tuple(given.extra))
    if not notebook.is_tagged:
        raise StashError(
            f"{notebook.path}: no cell is tagged for parameters, so what the notebook assigns would count instead.",
            "give the cell that assigns their usual values the tag `parameters` (in JupyterLab: the gear at the right;"
            ' in a percent script: `# %% tags=["parameters"]`), or leave `params:` out',
        )
    if notebook.tagged > 1:
        raise StashError(
            f"{notebook.path}: {notebook.tagged} cells are tagged for parameters: what a later one assigns would count"
            " instead.",
            "give only the first of them the tag `parameters`, and have it assign all of them",
        )
    for name in found:
        is_name = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
        if notebook.language == "python" and not is_name:
            raise StashError(f"params.{name}: {name!r} can't be the name of a variable.", "rename it")
    _refuse_keys(found, "params")
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"  # NaN and infinity included, as Python reads it
    return Arguments((str(given.run_directory / _FILE), *given.extra), {_FILE: text})


def _refuse_keys(value: Any, name: str) -> None:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise StashError(f"{name}.{key}: {key!r} is no text, as the keys of a notebook's are.", "use a text")
            _refuse_keys(each, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            _refuse_keys(each, f"{name}[{index}]")


STYLE = Style(CallStyle.notebook, _write, settings=("experiment", "output"), asks_the_source=False)
