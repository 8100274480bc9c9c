"""A table: library × type that a tool declares × value of any type. The tool receives it as it is, or it is refused."""

from __future__ import annotations

import contextlib
import io
import math
import re
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from experimentstash.base.errors import StashError
from experimentstash.freeze import calls
from experimentstash.freeze.calling.arguments import build
from experimentstash.stash.schema import CallConfig, CallStyle
from tests.testing.receivers.harness import NAMES, calling, declares, received, same, shares_kept, spelled

# What a field is annotated with, and its default.
TYPES = {
    "int": "1",
    "float": "0.5",
    "str": "'d'",
    "bool": "False",
    "Path": "Path('x')",
    "Optional[int]": "None",
    "Optional[float]": "0.5",
    "Optional[str]": "'d'",
    "Optional[bool]": "None",
    "int | None": "1",
    "Union[int, str]": "1",
    "Union[str, int]": "1",
    "Union[float, str]": "'d'",
    "Union[bool, str]": "'d'",
    "Union[int, float]": "1",
    "Union[float, int]": "1",
    "Union[None, int, str]": "None",
    "Optional[Union[bool, str]]": "None",
    "'int | str'": "1",
    "Any": "1",
    "object": "1",
    "Literal['a', 'b', '1']": "'a'",
    "Literal[1, 2]": "1",
    "Literal['1', 1]": "1",
    "list": "[]",
    "List[int]": "[7]",
    "List[str]": "['z']",
    "List[float]": "[0.5]",
    "List[bool]": "[]",
    "List[Any]": "[]",
    "List[Path]": "[]",
    "List[Union[int, str]]": "[]",
    "List[Optional[str]]": "[]",
    "List[List[int]]": "[]",
    "List[Tuple[int, int]]": "[]",
    "List[Dict[str, int]]": "[]",
    "Optional[List[int]]": "None",
    "Optional[List[str]]": "None",
    "Sequence[int]": "(1,)",
    "Set[int]": "{1}",
    "Tuple[int, int]": "(1, 2)",
    "Tuple[int, str]": "(1, 'a')",
    "Tuple[int, ...]": "(1,)",
    "Tuple[str, ...]": "('a',)",
    "Union[int, List[int]]": "1",
    "Union[str, List[str]]": "'d'",
    "dict": "{}",
    "Optional[dict]": "None",
    "Dict[str, int]": "{'q': 1}",
    "Dict[str, str]": "{'q': 'a'}",
    "Dict[str, Any]": "{'q': 'a'}",
    "Dict[int, str]": "{}",
    "Dict[str, List[int]]": "{}",
    "Union[dict, str]": "'d'",
    "Optional[Union[dict, str]]": "None",
}
TEXTS = ["x", "", "-x", "3", "1e3", "1.0", "0x10", "1_000", " 3 ", "true", "False", "None", "null", "~", "yes", "inf"]
TEXTS += ["[1]", "{a: 1}", "a: b", "a b", "a,b", "é", "a\nb", "#x", "&x", "a", "1"]
NUMBERS = [0, 1, -5, 10**20, 10**17 + 1, 0.5, 1e-5, 1e22, 3.0, math.inf, math.nan]
LISTS: list[Any] = [
    [],
    [1],
    [1, 2],
    ["a"],
    ["a", "b"],
    ["1", "2"],
    ["a b", "c,d"],
    ["-x"],
    [""],
    ["true"],
    ["null"],
    ["None"],
]
LISTS += [[True], [None], [0.5, 1e-5], [3.0], [[1], [2, 3]], [[1, 2]], [1, "a"], ["a", 1], ["a", "1"], [{"a": 1}]]
MAPPINGS: list[Any] = [{}, {"a": 1}, {"a": "x"}, {"a": "5"}, {"a": None}, {"a": True}, {"a": [1]}, {"a": {"b": "1"}}]
MAPPINGS += [{"a": 1, "b": 2}, {1: "x"}, {"a": 0.5}, {"x y": 1}]
VALUES = [*NUMBERS, *TEXTS, True, False, None, *LISTS, *MAPPINGS]

HEAD = "import dataclasses\nfrom pathlib import Path\nfrom typing import *\n"
DATACLASS = f"""{HEAD}
@dataclasses.dataclass
class Config:
    other: int = 1
    x: {{type}} = dataclasses.field(default_factory=lambda: {{default}})
"""
PLAIN = f"{HEAD}\n@dataclasses.dataclass\nclass Config:\n    other: int = 1\n    x: {{type}} = {{default}}\n"
FUNCTION = f"{HEAD}\ndef main(other: int = 1, x: {{type}} = {{default}}):\n    return x\n"
LIBRARIES = {
    "tyro": (True, "import tyro\ndef receive(argv): return tyro.cli(Config, args=argv).x\n"),
    "hf": (
        True,
        "from transformers import HfArgumentParser\n"
        "def receive(argv): return HfArgumentParser(Config).parse_args_into_dataclasses(argv)[0].x\n",
    ),
    "simple_parsing": (
        True,
        "import simple_parsing\ndef receive(argv): return simple_parsing.parse(Config, args=argv).x\n",
    ),
    "pyrallis": (True, "import pyrallis\ndef receive(argv): return pyrallis.parse(Config, args=argv).x\n"),
    "draccus": (True, "import draccus\ndef receive(argv): return draccus.parse(Config, args=argv).x\n"),
    "jsonargparse": (
        False,
        "import jsonargparse\ndef receive(argv): return jsonargparse.auto_cli(main, args=argv)\n",
    ),
    "jsonargparse of a class": (
        True,
        "import jsonargparse\ndef receive(argv): return jsonargparse.auto_cli(Config, args=argv).x\n",
    ),
    "typer": (
        False,
        "import typer\napp = typer.Typer()\napp.command()(main)\n"
        "def receive(argv): return app(argv, standalone_mode=False)\n",
    ),
}


def source(library: str, annotation: str, default: str) -> str:
    of_class, reads = LIBRARIES[library]
    template = (DATACLASS if default[0] in "[{" else PLAIN) if of_class else FUNCTION
    text = template.format(type=annotation, default=default) + reads
    if library == "typer":
        head = "import typer\napp = typer.Typer()\n"
        text = text.replace("def main", f"{head}@app.command()\ndef main").replace(head + "app.command()(main)\n", "")
    return text


class Program:
    """A tool with one option of interest, in this process."""

    def __init__(self, library: str, annotation: str, default: str, directory: Path) -> None:
        text = source(library, annotation, default)
        self.directory = directory
        (directory / "main.py").write_text(text)
        module = types.ModuleType("tool_of_one_option")
        sys.modules[module.__name__] = module  # where dataclasses look for what an annotation names
        exec(compile(text, "main.py", "exec", dont_inherit=True), module.__dict__)
        self.receive: Callable[[list[str]], Any] = module.__dict__["receive"]
        name = {"draccus": "pyrallis"}.get(library, library.partition(" ")[0])
        self.calling = calls.complete(CallConfig(style=CallStyle(name)), directory, ["main.py"])

    def written(self, value: Any) -> list[str]:
        return written(self.calling, {"x": value})

    def false_hints(self, text: str, value: Any) -> list[str]:
        """Return those of the hints of a refusal with which a value would be refused again, or arrive as another."""
        values = re.findall(r"`x: (.*?)`(?:$|,| or)", text)
        named = (
            re.findall(r"`(\w+)` \(", text) + re.findall(r"ways: \{x: (\[[\w, ]+\])\}", text) if "ways" in text else []
        )
        tried = [(hint, self.calling, yaml.safe_load(hint)) for hint in values]
        for hint in named:
            call = CallConfig(style=self.calling.call.style, ways={"x": yaml.safe_load(hint)})
            tried.append((hint, calls.complete(call, self.directory, ["main.py"]), value))
        found = []
        for hint, how, other in tried:
            try:
                argv = written(how, {"x": other})
                if is_same(quietly(self.receive, argv), other):
                    continue
            except StashError:
                pass
            except (Exception, SystemExit):
                continue  # the library takes no such thing at all, and says so
            found.append(hint)
        return found


def written(how: calls.Calling, params: dict[str, Any]) -> list[str]:
    calls.refuse_other_type(how, params)
    calls.refuse_other_number(how, params)
    places = {"run_directory": Path("/run"), "tool_directory": Path("/tool"), "stash_root": Path("/stash")}
    return list(build(how.call, None, params, [], **places).argv)


def quietly(function: Callable[[list[str]], Any], argv: list[str]) -> Any:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()), shares_kept():
        return plain(function(list(argv)))


def plain(value: Any) -> Any:
    """Return what a library made of a value, as a record has such."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple, set)):
        return [plain(each) for each in value]
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def is_same(got: Any, asked: Any) -> bool:
    """Equality in which an option for a float may make one of an integer."""
    if isinstance(asked, list):
        return isinstance(got, list) and len(got) == len(asked) and all(map(is_same, got, asked))
    if isinstance(asked, dict):
        if not isinstance(got, dict) or list(map(str, got)) != list(map(str, asked)):  # keys are texts in a record
            return False
        return all(map(is_same, got.values(), asked.values()))
    return (type(got) is float and type(asked) is int and got == asked) or same(got, asked)


def marked(name: str) -> Any:
    """Return a parameter; that of a class is nearly the same as that of a function."""
    costly = ("draccus", "fire", "jsonargparse", "key_value", "pyrallis", "sacred", "simple_parsing", "tyro")
    if "class" in name:
        return pytest.param(name, marks=pytest.mark.exhaustive)
    return pytest.param(name, marks=pytest.mark.slow) if name in costly else name


@pytest.mark.slow
@pytest.mark.parametrize("library", [marked(name) for name in LIBRARIES])
def test_a_value_of_any_type_arrives_or_is_refused(library: str, tmp_path: Path) -> None:
    wrong, said = [], 0
    for annotation, default in TYPES.items():
        try:
            program = Program(library, annotation, default, tmp_path)
            quietly(program.receive, [])
        except (Exception, SystemExit):
            continue  # the library knows no such type
        for value in VALUES:
            try:
                argv = program.written(value)
            except StashError as error:
                assert error.message.startswith("params.x") and error.hint
                wrong += [(annotation, value, hint) for hint in program.false_hints(error.hint, value)]
                continue
            try:
                got = quietly(program.receive, argv)
            except (Exception, SystemExit):
                continue  # the tool says so itself, and the run fails
            said += 1
            if not is_same(got, value):
                wrong.append((annotation, value, got, argv))
    assert not wrong
    assert said > 100  # refusing everything would be of no use


@pytest.mark.parametrize("name", [marked(name) for name in NAMES if name not in LIBRARIES or name == "typer"])
def test_a_value_of_any_type_for_any_option(name: str) -> None:
    """The same for the receivers, and for libraries in which declarations are no annotations."""
    from tests.testing.receivers.harness import VALUES as OPTIONS

    wrong = []
    for key in OPTIONS:
        if not declares(name, key) or "." in key or key == "section":
            continue
        for value in VALUES:
            params = {f"train.{key}" if name == "gin" else key: value}
            try:
                argv = written(calling(name), params)
            except StashError as error:
                assert error.message.startswith("params.") and error.hint
                continue
            try:
                got = plain(received(name, argv)[spelled(name, key)])
            except AssertionError:
                continue  # the tool says so itself, and the run fails
            if not is_same(got, value):
                wrong.append((key, value, got, argv))
    assert not wrong


@pytest.mark.parametrize("name", ["pyrallis", "draccus"])
def test_a_library_writes_into_nothing_that_all_share(name: str) -> None:
    assert received(name, ["--mapping", "{a: 1}"])["mapping"] == {"a": 1}
    assert "__name__" not in vars(typing.Dict[str, int])
