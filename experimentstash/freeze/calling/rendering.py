"""Renders the template of a tool's input, with Jinja: strictly, in a sandbox, and with every mistake at its line.

A text and a number stand there as they are. What could be written in several ways (true, null, a list, a mapping) is
refused unless the template says which: by a filter, a condition or a loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.files import read_regular
from experimentstash.freeze.calling import fortran, words
from experimentstash.freeze.calling.formats import toml

if TYPE_CHECKING:
    import jinja2

_LARGEST_TEMPLATE = 4 << 20
_LARGEST_INPUT = 64 << 20
_FILTERS: dict[str, Callable[[Any, str], str]] = {
    "fortran": fortran.text,
    "json": words.json_text,
    "yaml": words.yaml_text,
    "toml": toml.value,
    "python": words.python_text,
}


class Tree:
    """A mapping of parameters that knows which of them a template has read. It has no names but theirs."""

    def __init__(self, values: Mapping[Any, Any], name: str, read: set[str]) -> None:
        self._values, self._name, self._read = values, name, read

    def __getitem__(self, key: Any) -> Any:
        value, name = self._values[key], f"{self._name}.{key}"
        if isinstance(value, Mapping) and value:
            return Tree(value, name, self._read)
        self._read.add(name)
        return value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Any) -> bool:
        return key in self._values


def _undefined() -> type[jinja2.StrictUndefined]:
    """Return what stands for what isn't there, said in our words."""
    import jinja2

    class Undefined(jinja2.StrictUndefined):
        @property
        def _undefined_message(self) -> str:
            tree, key = self._undefined_obj, str(self._undefined_name)
            if isinstance(tree, Tree):
                return f"there is no {tree._name}.{key}.{did_you_mean(key, [str(each) for each in tree])}"
            if tree is jinja2.utils.missing and not self._undefined_hint:
                return f"there is no {key!r}. Parameters are below `params`: params.{key}"
            return super()._undefined_message

    return Undefined


class _NoText(Exception):
    """A value that no template writes by itself."""


def render(path: Path, params: Mapping[Any, Any], experiment: str | None, directory: Path) -> tuple[str, set[str]]:
    """Return what a template comes to, and what it has read: `params.a.b`, `experiment`.

    StashError for a mistake in it. What it includes is in its directory, or below.
    """
    import jinja2  # here, because no other run needs it
    from jinja2 import meta
    from jinja2.sandbox import SandboxedEnvironment

    read: set[str] = set()

    def load(name: str) -> tuple[str, str, None] | None:
        found = _load(path.parent, name)
        if found is not None and "experiment" in meta.find_undeclared_variables(environment.parse(found[0])):
            read.add("experiment")
        return found

    environment = SandboxedEnvironment(
        loader=jinja2.FunctionLoader(load),
        undefined=_undefined(),
        finalize=_word,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: _as_filter(name, write) for name, write in _FILTERS.items()}
    environment.filters["items"] = _items
    names = {"params": Tree(params, "params", read), "experiment": experiment, "output_dir": str(directory)}
    pieces: list[str] = []
    size = 0
    try:
        template = environment.get_template(path.name)
        for piece in template.generate(names):
            pieces.append(piece)
            size += len(piece)
            if size > _LARGEST_INPUT:
                raise _NoText(f"it comes to more than {_LARGEST_INPUT >> 20} MB")
    except jinja2.TemplateSyntaxError as error:
        where = path.parent / error.name if error.name else path
        raise _mistake(where, error.lineno, error.message or "it can't be read") from error
    except jinja2.TemplateNotFound as error:
        raise _mistake(
            path, _line(error.__traceback__, path.parent)[1], f"there is no {error.name} beside it"
        ) from error
    except Exception as error:  # whatever the template does: its author is to be told
        place, line = _line(error.__traceback__, path.parent)
        said = error.message if isinstance(error, StashError) else str(error)
        raise _mistake(place or path, line, said or type(error).__name__, _hint(error)) from error
    return "".join(pieces), read


def _load(directory: Path, name: str) -> tuple[str, str, None] | None:
    place = Path(os.path.normpath(directory / name))
    if not place.is_relative_to(directory) or not place.resolve().is_relative_to(directory.resolve()):
        raise StashError(f"{name} isn't in the template's directory.")
    if not place.is_file():
        return None
    try:
        return read_regular(place, _LARGEST_TEMPLATE).decode(), str(place), None
    except (OSError, ValueError) as error:
        raise StashError(f"{name} can't be read as a template: {error}") from error


def _word(value: Any) -> Any:
    """Return how a value stands where a template names it."""
    import jinja2

    if isinstance(value, bool) or value is None:
        shown = "null" if value is None else words.word(value, "")
        raise _NoText(f"a value is {shown}, and nothing says how the tool writes that")
    if isinstance(value, str):
        words.reject_nul("a value", value)
        return str(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, jinja2.Undefined):
        return value  # says itself what is wrong
    shown = "a list" if isinstance(value, (list, tuple)) else "a mapping" if isinstance(value, (Tree, Mapping)) else ""
    raise _NoText(f"a value is {shown or f'a {type(value).__name__}'}, and nothing says how the tool writes that")


def _hint(error: Exception) -> str:
    if isinstance(error, _NoText):
        listed = ", ".join(f"`| {name}`" for name in _FILTERS)
        return f"say how: {listed}, `{{{{ 'yes' if … else 'no' }}}}`, `| join(' ')`"
    return (
        error.hint or "fix the template, or the experiment's `params:`"
        if isinstance(error, StashError)
        else ("fix the template, or the experiment's `params:`")
    )


def _as_filter(name: str, write: Callable[[Any, str], str]) -> Callable[[Any], str]:
    import jinja2

    def written(value: Any) -> str:
        if isinstance(value, jinja2.Undefined):
            str(value)  # says what is wrong
        return write(_plain(value), f"what `| {name}` gets")

    return written


def _plain(value: Any) -> Any:
    """Return a value without what notes that it is read."""
    if isinstance(value, Tree):
        return {key: _plain(value[key]) for key in value}
    return str(value) if isinstance(value, str) else value


def _items(value: Any) -> list[tuple[Any, Any]]:
    return [(key, value[key]) for key in value]


def _line(trace: TracebackType | None, directory: Path) -> tuple[Path | None, int | None]:
    """Return where in the templates of a directory an error came up."""
    found: tuple[Path | None, int | None] = (None, None)
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(f"{directory}{os.sep}") and not name.endswith(".py"):
            found = Path(name), trace.tb_lineno
        trace = trace.tb_next
    return found


def _mistake(path: Path, line: int | None, said: str, hint: str = "fix the template") -> StashError:
    where = f"{path}, line {line}" if line else str(path)
    return StashError(f"{where}: {said}{'' if said.endswith(('.', '?')) else '.'}", hint)
