"""Each dialect against its own library: what a tool receives is what was asked for, or it was refused before the run.

The registrations are those that `tool add` would write: the receivers' declarations are read from their source.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from experimentstash.calling.arguments import build
from experimentstash.detection import detect
from experimentstash.errors import StashError
from experimentstash.schema import CallConfig

RECEIVERS = Path(__file__).resolve().parent / "receivers"
RUN = Path("/runs/a b'c")
few = settings(deadline=None, max_examples=60, database=None, suppress_health_check=list(HealthCheck))

NAMES = [
    "argparse",
    "click",
    "typer",
    "tyro",
    "absl",
    "gin",
    "fire",
    "hf",
    "jsonargparse",
    "simple_parsing",
    "pyrallis",
]
NAMES += ["draccus", "sacred", "key_value"]
STRINGS = [
    "x",
    "",
    "-x",
    "--count",
    "-1",
    "-1e-5",
    "1",
    "1e5",
    "0x1",
    "true",
    "False",
    "None",
    "null",
    "~",
    "inf",
    "yes",
]
STRINGS += [
    "a b",
    "a,b",
    "it's",
    'say "x"',
    "[1]",
    "{a: 1}",
    "a: b",
    "a=b",
    "#x",
    " x ",
    "é\n",
    "a\tb",
    "\\",
    "${x}",
    "@x",
]
STRINGS += ["%s", "--", "-", "2024-01-01", "1:30", "*", "!x", "&x", "\x85", "x\ty", "a/b.c-d", "\u2028", "1_000", "1-2"]
VALUES: dict[str, list[Any]] = {
    "count": [3, 0, -5, 10**20],
    "n_steps": [3],
    "rate": [0.5, 0.25, 1e-05, -1e-05, 1e22, math.inf, -math.inf, math.nan],
    "name": STRINGS,
    "maybe": [None, *STRINGS],
    "number": [None, 4],
    "off": [True, False],
    "on": [True, False],
    "word": [True, False],
    "lambda-word": [True, False],
    "truthy": [True, False],
    "feature": [True, False],
    "always": [True, False],
    "inverted": [True, False],
    "shout": [True, False],
    "required": [True, False],
    "tri": [True, False, None],
    "ids": [[], [1], [1, -2, 3]],
    "names": [[], ["a", "b"], ["", "a"], ["-x", "y"], ["1", "true", "None", "null"], *[[text] for text in STRINGS]],
    "more": [[], ["a"], ["-x", "a,b"]],
    "many": [[], ["a", "b"], None],
    "commas": [["a"], ["a", "b"], ["a,b"], []],
    "empty": [[], ["a"], None],
    "repeated": [[], ["a"], ["1", "2"]],
    "numbers": [[], [1], [1, 2]],
    "rates": [[0.5, -1e-05], [math.inf], [-math.inf, 1.0], []],
    "bools": [[True, False], [False], []],
    "words": [["-x", "y"]],
    "pair": [[3, -4]],
    "nested": [[[1], [2, 3]], [[]], []],
    "mapping": [{"a": 1}, {"a": 1, "b": 2}, {}],
    "literal": [{"a": [1, None]}, [1, "x"], "text", None, True],
    "free": [{"a": 1, "b": {"c": "1"}}],
    "anything": ["1", 1, None, True, 0.5, "x"],
    "either": ["1", 1, "x"],
    "section": [{"lr": -1e-05}, {"lr": 0.25, "nesterov": False}],
    "section.lr": [0.25],
    "under_score": [3],
}  # fmt: skip
CELLS = [(name, key) for name in NAMES for key in VALUES]


def same(received: Any, asked: Any) -> bool:
    """Equality in which a tuple is a list and NaN is NaN, but 1 is neither true nor 1.0."""
    if isinstance(asked, (list, tuple)):
        return isinstance(received, (list, tuple)) and len(received) == len(asked) and all(map(same, received, asked))
    if isinstance(asked, dict):
        return (
            isinstance(received, dict)
            and received.keys() == asked.keys()
            and all(same(received[k], asked[k]) for k in asked)
        )
    if isinstance(asked, float):
        return isinstance(received, float) and repr(received) == repr(asked)
    return type(received) is type(asked) and bool(received == asked)


@cache
def call(name: str) -> CallConfig:
    """Return the registration that `tool add` would write for a receiver."""
    best = detect(RECEIVERS, f"with_{name}.py").best
    assert best is not None
    return CallConfig(style=best.style, ways={key: list(ways) for key, ways in best.declared.ways.items()})


@cache
def receiver(name: str) -> Callable[[list[str]], Mapping[str, Any]]:
    found: Callable[[list[str]], Mapping[str, Any]] = importlib.import_module(f"tests.receivers.with_{name}").receive
    return found


@cache
def defaults(name: str) -> Mapping[str, Any]:
    return dict(receiver(name)(["--required=True"] if name == "tyro" else []))


def argv(config: CallConfig, params: Any, *extra: str, experiment: str | None = None) -> list[str]:
    places = {"run_directory": RUN, "tool_directory": Path("/tool"), "stash_root": Path("/stash")}
    return list(build(config, experiment, params, list(extra), **places).argv)


def received(name: str, words: list[str], key: str) -> Any:
    """Return what a library's program gets under a parameter's name."""
    if name == "tyro" and not any("required" in word for word in words):
        words = ["--required", "True", *words]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            found = receiver(name)(words)
    except (SystemExit, Exception) as error:
        raise AssertionError(f"{words} ended the tool: {error!r} {said.getvalue()[-300:]}") from error
    return found[spelled(name, key)]


def spelled(name: str, key: str) -> str:
    if name == "key_value":
        return key
    return f"train.{key}" if name == "gin" else key.replace("-", "_")


def declares(name: str, key: str) -> bool:
    if name == "key_value":
        return "." not in key
    anything = name == "fire" and key in ("nested", "mapping", "section", "free", "anything")
    return anything or spelled(name, key) in defaults(name)


@pytest.mark.parametrize(("name", "key"), CELLS)
def test_what_is_received_is_what_was_asked_for(name: str, key: str) -> None:
    for value in VALUES[key] if declares(name, key) else ():
        check(name, key, value)


def check(name: str, key: str, value: Any) -> None:
    written = f"train.{key}" if name == "gin" else key
    try:
        words = argv(call(name), {written: value})
    except StashError as error:
        assert error.message.startswith(f"params.{written}") and error.mend
        return
    if key == "section" and name in ("jsonargparse", "tyro", "pyrallis", "draccus", "sacred"):
        value = {**defaults(name)[key], **value}  # the others keep their defaults
    assert same(received(name, words, key), value), words


REFUSED = {
    # What cannot be said to these libraries at all, or not to these declarations.
    "argparse": ["always=False", "inverted=True", "inverted=False", "names=[]", "many=[]", "rates=[]", "commas=[]"],
    "click": ["always=False", "names=[]"],
    "typer": ["names=[]", "ids=[]", "rates=[]"],
    "tyro": ["numbers=[1]", "mapping={'a': 1}"],
    "absl": ["ids=[]", "repeated=[]"],
    "gin": ["rate=nan"],
    "fire": ["rate=nan"],
    "hf": ["ids=[]", "names=[]", "rates=[]"],
    "jsonargparse": ["either='1'", "anything='1'", "maybe='null'"],
    "sacred": ["rate=nan"],
}


@pytest.mark.parametrize("name", NAMES)
def test_nearly_everything_can_be_said(name: str) -> None:
    """Refusing everything would pass the test above, and be of no use."""
    refused, cells = [], 0
    for key, values in VALUES.items():
        if not declares(name, key):
            continue
        for value in values:
            cells += 1
            try:
                argv(call(name), {f"train.{key}" if name == "gin" else key: value})
            except StashError:
                refused.append(f"{key}={value!r}")
    assert set(REFUSED.get(name, [])) <= set(refused)
    odd = [cell for cell in refused if not cell.startswith(("name=", "maybe=", "names=", "rates="))]
    assert len(odd) <= len(REFUSED.get(name, [])) + 4
    assert len(refused) < cells / 4
