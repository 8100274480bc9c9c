"""Each dialect against its own library: what a tool receives is what was asked for, or it was refused before the run.

The registrations are those that `tool add` would write: the receivers' declarations are read from their source.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.freeze import calls
from experimentstash.freeze.calling.arguments import build
from experimentstash.stash.schema import BooleanStyle, CallConfig, CallStyle, ListStyle
from tests.testing.receivers.harness import (
    NAMES,
    RECEIVERS,
    VALUES,
    calling,
    declares,
    defaults,
    received,
    same,
    spelled,
)
from tests.testing.stash import REPOSITORY

RUN = Path("/runs/a b'c")
few = settings(deadline=None, max_examples=25, database=None, suppress_health_check=list(HealthCheck))

CELLS = [(name, key) for name in NAMES for key in VALUES]
# Of what has all the texts that `name` has, too, the ordinary tests take the first ones and every fourth of the others.
ALIKE = ("maybe", "names")


def call(name: str) -> CallConfig:
    return calling(name).call


def said(name: str, params: Any) -> list[str]:
    """Return how parameters are written for a receiver, by all that is known of it."""
    calls.refuse_other_type(calling(name), params)
    calls.refuse_other_number(calling(name), params)
    return argv(call(name), params)


def argv(config: CallConfig, params: Any, *extra: str, experiment: str | None = None) -> list[str]:
    places = {"run_directory": RUN, "tool_directory": Path("/tool"), "stash_root": Path("/stash")}
    return list(build(config, experiment, params, list(extra), **places).argv)


COSTLY = (("hf", "count"), ("pyrallis", "name"))


@pytest.mark.parametrize(
    ("name", "key"), [pytest.param(*cell, marks=pytest.mark.slow if cell in COSTLY else []) for cell in CELLS]
)
def test_what_is_received_is_what_was_asked_for(name: str, key: str) -> None:
    values = [*VALUES[key][:5], *VALUES[key][5::4]] if key in ALIKE else VALUES[key]
    for value in values if declares(name, key) else ():
        check(name, key, value)


@pytest.mark.exhaustive
@pytest.mark.parametrize("key", ALIKE)
@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_received_in_every_place(name: str, key: str) -> None:
    for value in VALUES[key] if declares(name, key) else ():
        check(name, key, value)


def check(name: str, key: str, value: Any) -> None:
    written = f"train.{key}" if name == "gin" else key
    try:
        words = said(name, {written: value})
    except StashError as error:
        assert error.message.startswith(f"params.{written}") and error.hint
        return
    if key == "section" and name in ("jsonargparse", "tyro", "pyrallis", "draccus", "sacred"):
        value = {**defaults(name)[key], **value}  # the others keep their defaults
    assert same(received(name, words)[spelled(name, key)], value), words


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
                said(name, {f"train.{key}" if name == "gin" else key: value})
            except StashError:
                refused.append(f"{key}={value!r}")
    assert set(REFUSED.get(name, [])) <= set(refused)
    odd = [cell for cell in refused if not cell.startswith(("name=", "maybe=", "names=", "rates="))]
    assert len(odd) <= len(REFUSED.get(name, [])) + 4
    assert len(refused) < cells / 4


# --- strings and numbers without end ---------------------------------------------------------------------------------

strings = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
strings |= st.text(alphabet=" ,'\"\\${}[]():=+~#%\n\t@/.-?!&|*<>;`^a1", max_size=6)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("jsonargparse", "pyrallis", "tyro") else name
        for name in NAMES
    ],
)
def test_every_string_and_number(name: str) -> None:
    """A string, numbers and lists: each is received as it is, or refused."""

    @few
    @given(strings, st.floats(), st.integers(-(10**30), 10**30), st.lists(strings, max_size=3))
    def every(text: str, rate: float, count: int, names: list[str]) -> None:
        for key, value in (("name", text), ("rate", rate), ("count", count), ("names", names)):
            if declares(name, key):
                check(name, key, value)

    every()


# --- what a registration says ----------------------------------------------------------------------------------------


def style(name: str, **settings: Any) -> CallConfig:
    return CallConfig(style=CallStyle(name), **settings)


LINES = [
    ("options", {}, {"a": 1, "lr": 1e-05, "s": "-x"}, "-a 1 --lr 1e-05 -s-x"),
    ("options", {"joined": True}, {"aa": 1, "bb": "x"}, "--aa=1 --bb=x"),
    ("options", {"subcommand": "train fast"}, {"aa": 1}, "train fast --aa 1"),
    ("options", {"ways": {"aa": "spread", "bb": "repeat"}}, {"z": 0, "aa": [1, 2], "c": 3, "bb": [4, 5]},
     "-z 0 --aa 1 2 -c 3 --bb 4 --bb 5"),
    ("options", {"ways": {"aa": "json"}}, {"aa": {"b": [1, None]}}, '--aa {"b": [1, null]}'),
    ("options", {"ways": {"aa": "--yes/--nay"}}, {"aa": False}, "--nay"),
    ("options", {"ways": {"aa": "/--nay"}}, {"aa": True}, ""),
    ("options", {"ways": {"n-steps": "word"}}, {"n_steps": 3}, "--n-steps 3"),
    ("options", {"ways": {"--x": "word"}}, {"x": 3}, "--x 3"),
    ("argparse", {"ways": {"x": ["word", "omit"]}}, {"x": None}, ""),
    ("argparse", {"ways": {"-epochs": "word"}}, {"epochs": 3}, "-epochs 3"),
    ("argparse", {}, {"name": "@file"}, "--name=@file"),
    ("argparse", {"ways": {"help": "word"}}, {"help": "x"}, "--help x"),
    ("argparse", {"ways": {"section.lr": "word"}}, {"section": {"lr": 1}}, "--section.lr 1"),
    ("typer", {"ways": {"x": "negatable", "off": "negatable", "ids": "repeat"}},
     {"n_steps": 3, "x": True, "off": False, "ids": [1, 2]}, "--n-steps 3 --x --no-off --ids 1 --ids 2"),
    ("tyro", {"ways": {"opt.n-x": "negatable", "a": ["word", "python"]}}, {"opt": {"n_x": False}, "a": None},
     "--opt.no-n-x --a None"),
    ("tyro", {"ways": {"a": ["word", "python"]}}, {"a": "1", "b": 1}, "--a 1 --b 1"),
    ("absl", {"booleans": BooleanStyle.value}, {"k": False, "lr": -1e-05}, "--k=false --lr=-1e-05"),
    ("absl", {"booleans": BooleanStyle.negatable}, {"k": False}, "--nok"),
    ("ml_collections", {}, {"model.lr": 0.1, "--workdir": "/x", "k": False},
     "--config.model.lr=0.1 --workdir=/x --config.k=false"),
    ("gin", {}, {"train": {"lr": 0.1, "name": "x"}, "a/f.on": True},
     "--gin_bindings=train.lr = 0.1 --gin_bindings=train.name = 'x' --gin_bindings=a/f.on = True"),
    ("gin", {"lists": ListStyle.spread}, {"f.a": 1, "f.b": 2}, "--gin_bindings f.a = 1 f.b = 2"),
    ("gin", {"ways": {"f.a": "word"}}, {"f.a": "@Adam()"}, "--gin_bindings=f.a = @Adam()"),
    ("fire", {}, {"k": False, "s": "1", "l": [1, "a,b"], "m": {"x": None}, "t": "x"},
     "--k=False --s='1' --l=[1, 'a,b'] --m={'x': None} --t=x"),
    ("hf", {"ways": {"k": "value", "ids": "filled"}}, {"n-steps": 3, "k": False, "ids": [1, 2]},
     "--n_steps 3 --k false --ids 1 2"),
    ("jsonargparse", {"subcommand": "fit", "ways": {"trainer.devices": "yaml", "ckpt": "yaml"}},
     {"trainer": {"max_epochs": 3, "devices": [0, 1]}, "ckpt": None},
     "fit --trainer.max_epochs=3 --trainer.devices=[0, 1] --ckpt=null"),
    ("simple_parsing", {"booleans": BooleanStyle.value}, {"k": False}, "--k false"),
    ("pyrallis", {"ways": {"name": "yaml", "k": "yaml"}}, {"name": "1", "k": False, "opt.lr": 1e-05},
     '--name="1" --k=false --opt.lr=1.0e-05'),
    ("sacred", {}, {"a": "1", "b": {"c": None}}, "with a='1' b.c=None"),
    ("key_value", {}, {"a": "1", "b": {"c": None}, "d": [True]}, 'a="1" b.c=null d=[true]'),
    ("file", {"subcommand": "train"}, {}, f"train --config {RUN}/params.yaml"),
    ("arguments", {"subcommand": "train"}, {}, "train"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "params", "written"), LINES)
def test_the_words_are_these(name: str, settings: dict[str, Any], params: Any, written: str) -> None:
    assert " ".join(argv(style(name, **settings), params)) == written


REFUSALS = [
    # What could be written in several ways, where nobody has said which the tool reads.
    *(("options", {}, {"x": value}) for value in (True, False, None, [1], {"a": 1}, {}, [])),
    *(("argparse", {}, {"x": value}) for value in (True, False, None, [1], {"a": 1})),
    *(("click", {}, {"x": value}) for value in (True, False, None, [1], {"a": 1})),
    *(("absl", {}, {"x": value}) for value in (None, [1], {"a": 1})),
    *(("hf", {}, {"x": value}) for value in (None, {"a": 1})),
    # What isn't what the tool declares.
    ("argparse", {"ways": {"x": "word"}}, {"x": True}),
    ("argparse", {"ways": {"x": "flag"}}, {"x": 1}),
    ("argparse", {"ways": {"x": "flag"}}, {"x": None}),
    ("argparse", {"ways": {"x": "repeat"}}, {"x": []}),
    ("argparse", {"ways": {"x": "filled"}}, {"x": []}),
    ("argparse", {"ways": {"x": "only_true"}}, {"x": False}),
    ("argparse", {"ways": {"x": "spread"}}, {"x": [[1]]}),
    ("argparse", {"ways": {"x": "spread"}}, {"x": [True]}),
    ("argparse", {"ways": {"x": "spread"}}, {"x": [None]}),
    ("typer", {"ways": {"x": "word"}}, {"x": [1, 2]}),
    # What comes twice.
    ("options", {}, {"a-b": 1, "a_b": 2}),
    ("options", {"output": "--out"}, {"out": 1}),
    ("options", {"ways": {"cuda": "negatable", "no-cuda": "flag"}}, {"cuda": True, "no-cuda": True}),
    ("tyro", {}, {"a.b": 1, "a": {"b": 2}}),
    ("fire", {}, {"a-b": 1, "a_b": 2}),
    ("fire", {}, {"a.b": 1, "a": 2}),
    ("fire", {"output": "--out"}, {"out": 1}),
    ("gin", {}, {"f.a": 1, "f": {"a": 2}}),
    ("sacred", {}, {"a.b": 1, "a": {"b": 2}}),
    ("key_value", {}, {"a.b": 1, "a": {"b": 2}}),
    ("key_value", {"output": "out"}, {"out": 1}),
    ("ml_collections", {}, {"a.b": 1, "a": {"b": 2}}),
    # Beginnings of names.
    ("argparse", {"ways": {"epochs": "word"}}, {"epoch": 3}),
    ("hf", {"ways": {"num_train_epochs": "word"}}, {"num_train": 3}),
    # Options with which a tool does something else, and ends as if it had done its work.
    *((name, {}, {"help": "x"}) for name in ("argparse", "options", "typer", "fire", "absl")),
    ("argparse", {}, {"h": 1}),
    ("jsonargparse", {}, {"print_config": "x"}),
    ("absl", {}, {"helpfull": True}),
    # Words that no tool would take for an option.
    ("argparse", {"output": "out"}, {}),
    ("fire", {"experiment": "name"}, {}),
    # Settings without a use.
    ("hydra", {"ways": {"a": "flag"}}, {}),
    ("arguments", {"booleans": BooleanStyle.flag}, {}),
    # Keys that a command line can't carry.
    *((name, {}, {key: 1}) for name in ("options", "fire", "key_value", "sacred") for key in ("a b", "a=b", "")),
    ("gin", {}, {"a b": 1}),
    # What has no form.
    ("gin", {}, {"f.a": math.nan}),
    ("fire", {}, {"a": [math.nan]}),
    ("sacred", {}, {"a": {}}),
    ("key_value", {}, {"a": "???"}),
    ("tyro", {}, {"a": "None"}),
    ("jsonargparse", {}, {"a": "null"}),
    # Settings that can't be true for a dialect.
    ("absl", {"booleans": BooleanStyle.flag}, {}),
    ("absl", {"lists": ListStyle.spread}, {}),
    ("absl", {"joined": False}, {}),
    ("hf", {"booleans": BooleanStyle.flag}, {}),
    ("tyro", {"booleans": BooleanStyle.value}, {}),
    ("fire", {"lists": ListStyle.spread}, {}),
    ("fire", {"booleans": BooleanStyle.negatable}, {}),
    ("sacred", {"lists": ListStyle.comma}, {}),
    ("key_value", {"joined": True}, {}),
    ("file", {"booleans": BooleanStyle.flag}, {}),
    ("file", {"ways": {"a": "flag"}}, {}),
    ("options", {"ways": {"a": "flagg"}}, {}),
    ("options", {"ways": {"a": []}}, {}),
    ("options", {"ways": {"a": ["flag", "value"]}}, {}),
    ("options", {"ways": {"a": "yes/no"}}, {}),
    ("absl", {"ways": {"a": "spread"}}, {"a": [1]}),
    ("options", {"subcommand": "it's"}, {}),
]


@pytest.mark.parametrize(("name", "settings", "params"), REFUSALS)
def test_what_is_not_certain_is_refused(name: str, settings: dict[str, Any], params: Any) -> None:
    with pytest.raises(StashError) as caught:
        argv(style(name, **settings), params)
    assert caught.value.hint
    assert caught.value.message.startswith(("params.", "call."))


@pytest.mark.parametrize(
    ("name", "params", "extra"),
    [
        ("argparse", {"lr": 1}, ["--lr", "2"]),
        ("argparse", {"n-x": 1}, ["--n_x=2"]),
        ("absl", {"lr": 1}, ["--lr=2"]),
        ("fire", {"lr": 1}, ["--lr=2"]),
        ("sacred", {"lr": 1}, ["lr=2"]),
        ("sacred", {"lr": 1}, ["with", "x=2"]),
        ("key_value", {"lr": 1}, ["lr=2"]),
        ("ml_collections", {"lr": 1}, ["--config.lr=2"]),
        ("tyro", {"on": True}, ["--no-on"]),
    ],
)
def test_arguments_do_not_say_again_what_the_parameters_say(name: str, params: Any, extra: list[str]) -> None:
    with pytest.raises(StashError, match=r"say|one option"):
        argv(style(name), params, *extra)
    assert argv(style("argparse"), {"lr": 1}, "--other", "--", "--lr")[-1] == "--lr"


def test_a_list_does_not_swallow_what_follows() -> None:
    config = style("argparse", ways={"ids": "spread", "names": "spread", "lr": "word"})
    assert argv(config, {"ids": [1, 2], "lr": 3}, "data") == ["--ids", "1", "2", "--lr", "3", "data"]
    assert argv(config, {"lr": 3, "ids": [1, 2]}, "data") == ["--lr", "3", "--ids", "1", "2", "--", "data"]
    assert argv(config, {"ids": [1]}, "--flag", "data") == ["--ids", "1", "--flag", "data"]
    with pytest.raises(StashError, match="list before it"):
        argv(config, {"ids": [1]}, "data", "--flag")
    config = style("argparse", ways={"ids": "spread"}, experiment="positional", output="--out")
    assert argv(config, {"ids": [1]}, "data", experiment="e") == ["e", "--ids", "1", "--out", str(RUN), "data"]


# --- the programs themselves, and how an experiment is handed over ---------------------------------------------------


def started(name: str, words: list[str]) -> Any:
    program = [sys.executable, str(RECEIVERS / f"with_{name}.py"), *words]
    done = subprocess.run(program, capture_output=True, text=True, cwd=RECEIVERS.parent.parent, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


ODD = {"name": 'a "b", it\'s -1', "on": False, "off": False, "count": -5, "rate": -1e-05}


@pytest.mark.parametrize("name", ["argparse", "typer", "tyro", "absl", "fire", "jsonargparse", "pyrallis"])
def test_a_program_receives_it_through_its_own_command_line(name: str) -> None:
    found = started(name, argv(call(name), {**ODD, **({"required": True} if name == "tyro" else {})}))
    assert {key: found[key] for key in ODD} == ODD


def test_ml_collections_gets_its_file_first() -> None:
    other = str(RECEIVERS / "ml_other.py")
    params = {
        **ODD,
        "pair": [3, 4],
        "names": ["a,b", "1"],
        "section": {"nesterov": False},
        "--workdir": "/x y",
        "ids": [],
    }
    for experiment, kept in ((other, "second"), (None, "first")):
        words = argv(style("ml_collections"), params, experiment=experiment)
        found = started("ml_collections", words)
        assert (found["from_file"], found["rest"], found["workdir"]) == (kept, found["rest"][:1], "/x y")
        assert {key: found[key] for key in ODD} == ODD
        assert (found["pair"], found["names"], found["ids"]) == ([3, 4], ["a,b", "1"], [])
        assert found["section"] == {"lr": 0.5, "nesterov": False}


def test_named_configs_and_files_of_bindings(tmp_path: Path) -> None:
    assert received("sacred", argv(style("sacred"), {"count": 2}, experiment="tuned"))["rate"] == 0.25
    assert argv(style("sacred", experiment="variant"), {}, experiment="tuned") == ["with", "variant='tuned'"]
    (tmp_path / "a.gin").write_text("train.rate = 0.125\ntrain.count = 9\n")
    words = argv(style("gin"), {"train.count": 2}, experiment=str(tmp_path / "a.gin"))
    assert received("gin", words)["train.rate"] == 0.125 and received("gin", words)["train.count"] == 2


# --- the table in the docs -------------------------------------------------------------------------------------------

COLUMNS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "[1, 2]": [1, 2],
    "[]": [],
    '{"a": 1}': {"a": 1},
    '"1"': "1",
    '"-x"': "-x",
}


def spelled_out(config: CallConfig, params: Any) -> list[str]:
    """Return the words of a call, after the variables that are set for it."""
    places = {"run_directory": RUN, "tool_directory": Path("/tool"), "stash_root": Path("/stash")}
    written = build(config, None, params, [], **places)
    return [*(f"{name}={value}" for name, value in written.variables.items()), *written.argv]


def table() -> str:
    """Return the table of what each dialect writes."""
    lines = [
        "| `call.style` | " + " | ".join(f"`{column}`" for column in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for each in CallStyle:
        if each in (CallStyle.hydra, CallStyle.file, CallStyle.template, CallStyle.notebook, CallStyle.arguments):
            continue
        cells = []
        for value in COLUMNS.values():
            try:
                key = "f.key" if each is CallStyle.gin else "key"
                cells.append(f"`{' '.join(spelled_out(CallConfig(style=each), {key: value}))}`")
            except StashError:
                cells.append("–")
        lines.append(" | ".join([f"| `{each.value}`", *cells]) + " |")
    return "\n".join(lines)


def test_the_table_in_the_docs_is_true() -> None:
    text = (REPOSITORY / "docs" / "calling.md").read_text(encoding="utf-8")
    assert text.partition("<!-- dialects -->\n")[2].partition("\n<!-- /dialects -->")[0] == table()
