"""Programs of each library, run in this process: what they declare, what they can be told, and what they receive."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from experimentstash.freeze import calls
from experimentstash.freeze.calls import Calling
from experimentstash.stash.schema import CallConfig
from experimentstash.tools.detect.detection import detect

RECEIVERS = Path(__file__).resolve().parent

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
def calling(name: str) -> Calling:
    """Return what is known of a receiver's command line, with the registration that `tool add` would write."""
    best = detect(RECEIVERS, f"with_{name}.py").best
    assert best is not None
    ways = {key: list(ways) for key, ways in best.declared.ways.items()}
    return calls.complete(CallConfig(style=best.style, ways=ways), RECEIVERS, [f"with_{name}.py"])


@cache
def receiver(name: str) -> Callable[[list[str]], Mapping[str, Any]]:
    module = importlib.import_module(f"{__package__}.with_{name}")
    found: Callable[[list[str]], Mapping[str, Any]] = module.receive
    return found


@contextlib.contextmanager
def shares_kept() -> Iterator[None]:
    """Keep typing's objects, of which all in this process have the same, from being named by a library.

    pyrallis and draccus do that, for their help; it would be in OmegaConf's messages afterwards.
    """
    kind: Any = typing._BaseGenericAlias  # type: ignore[attr-defined]
    plainly = kind.__setattr__

    def write(self: Any, name: str, value: Any) -> None:
        if name == "__name__":
            raise AttributeError(name)
        plainly(self, name, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "__setattr__", write)
        yield


@cache
def defaults(name: str) -> Mapping[str, Any]:
    with shares_kept():
        return dict(receiver(name)(["--required=True"] if name == "tyro" else []))


def received(name: str, words: list[str]) -> Mapping[str, Any]:
    """Return what a library's program gets."""
    if name == "tyro" and not any("required" in word for word in words):
        words = ["--required", "True", *words]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), shares_kept():
            return receiver(name)(words)
    except (SystemExit, Exception) as error:
        raise AssertionError(f"{words} ended the tool: {error!r} {said.getvalue()[-300:]}") from error


def spelled(name: str, key: str) -> str:
    if name == "key_value":
        return key
    return f"train.{key}" if name == "gin" else key.replace("-", "_")


def declares(name: str, key: str) -> bool:
    if name == "key_value":
        return "." not in key
    anything = name == "fire" and key in ("nested", "mapping", "section", "free", "anything")
    return anything or spelled(name, key) in defaults(name)
