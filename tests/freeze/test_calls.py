"""Tools of known libraries from `tool add` to what they receive, and what validate says of calls."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze import calls
from experimentstash.freeze.calling.arguments import build
from experimentstash.stash.schema import CallConfig, CallStyle, FileFormat
from experimentstash.tools import adding, registrations
from experimentstash.validate.engine import validate
from tests.testing import receivers
from tests.testing.stash import InProcess, StashUnderTest
from tests.testing.tool_support import as_stash, no_report, repository

RECEIVERS = Path(receivers.__file__).parent


def receiver(stash: StashUnderTest, name: str, call: str) -> None:
    """Make a tool of a receiver, registered by hand."""
    stash.add_tool(name, registration=f"entrypoint: main.py\n{call}\n")
    shutil.copy(RECEIVERS / f"with_{name}.py", stash.root / "tools" / name / "main.py")


@pytest.mark.slow
def test_an_added_tool_receives_what_its_experiment_says(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": (RECEIVERS / "with_argparse.py").read_text()})
    added = adding.add(as_stash(stash), "read", str(upstream), make_environment=False, report=no_report)
    text = added.registration.read_text()
    assert "style: argparse" in text and "\n    n-steps: word\n" in text and '\n    "on": negatable\n' in text
    assert "\n    maybe: [word, omit]\n" in text and "\n    feature: negatable\n" in text
    call = registrations.read(as_stash(stash), "read").call
    assert call.style is CallStyle.argparse and call.ways["more"] == ["repeat", "omit_empty"]
    added.registration.write_text(
        f"{text}environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
    )
    params: dict[str, Any] = {"on": False, "off": True, "truthy": False, "ids": [1, -2], "more": ["-x"], "n_steps": 3}
    params |= {"maybe": None, "mapping": {"a": [1]}, "feature": False, "word": False, "lambda-word": False}
    stash.add_experiment("all", "read", f"params: {json.dumps(params)}\n")
    done = stash.cli("run", "all")
    assert done.returncode == 0, done.stderr
    received = json.loads(done.stdout.splitlines()[-1])
    assert {key: received[key.replace("-", "_")] for key in params} == params


SUBCOMMANDS = """\
import argparse, json, sys
parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command")
commands.add_parser("evaluate").add_argument("--data")
train = commands.add_parser("train")
train.add_argument("--lr", type=float, default=0.5)
train.add_argument("--output-dir")
given = parser.parse_args()
if given.command is None:
    parser.print_help()
else:
    print(json.dumps(vars(given)))
"""


@pytest.mark.slow
def test_a_tool_with_subcommands_is_given_one_or_refused(
    stash: StashUnderTest, tmp_path: Path, in_process: InProcess
) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SUBCOMMANDS})
    added = adding.add(as_stash(stash), "sub", str(upstream), make_environment=False, report=no_report)
    text = added.registration.read_text()
    assert "  subcommand: train  # or: evaluate\n" in text and '  output: "--output-dir"\n' in text
    text += f"environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
    added.registration.write_text(text)
    stash.add_experiment("go", "sub", "params: {lr: 0.25}\n")
    done = stash.cli("run", "go")
    assert json.loads(done.stdout.splitlines()[-1])["command"] == "train", done.stderr
    added.registration.write_text(text.replace("  subcommand: train  # or: evaluate\n", ""))
    refused = in_process(stash, "run", "go")
    assert refused.returncode == 2
    assert "the tool has subcommands (train, evaluate), and none is given" in refused.stderr
    assert in_process(stash, "run", "go", "arguments=[evaluate]", "validate_only=true", "~params.lr").returncode == 0


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("{coun: 3}", "params.coun: the tool declares no `coun`, and would take it for count."),
        ("{always: false}", "params.always is false"),
        ("{count: true}", "params.count is true, which isn't what the tool takes there"),
        ("{name: [a, b]}", "params.name is a list"),
        ("{inverted: true}", "params.inverted is true, for which a command line has several ways"),
        ("{n-steps: 1, n_steps: 2}", "params.n-steps and params.n_steps are one option to the tool."),
        ("{count: 1, c: 2}", "params.count and params.c are one option to the tool."),
        ("{nme: x}", "params.nme: argparse doesn't seem to know it. Did you mean 'name'?"),
    ],
)
def test_validate_finds_what_a_call_cannot_say(stash: StashUnderTest, params: str, said: str) -> None:
    receiver(stash, "argparse", "call: {style: argparse}")
    stash.add_experiment("good", "argparse", "params: {count: 3, 'on': false, ids: [1, 2]}\n")
    stash.add_experiment("bad", "argparse", f"params: {params}\n")
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
    stash.commit()
    (problem,) = validate(as_stash(stash)).problems
    assert problem.where == "conf/exp/bad.yaml" and said in problem.what


def test_a_registration_by_hand_says_less_and_is_as_true(stash: StashUnderTest) -> None:
    """The ways come from the tool's source; what the registration says for all parameters comes first."""
    receiver(stash, "click", "call: {style: click}")
    stash.add_experiment("some", "click", "params: {'on': false, shout: false, word: false, ids: [1, 2], n-steps: 3}\n")
    done = stash.cli("run", "some", "validate_only=true")
    assert done.stdout.rstrip().endswith("--no-on --quiet --word false --ids 1 --ids 2 --n_steps 3"), done.stderr
    said = stash.cli("run", "some", "validate_only=true", "tool.call.lists=comma", "+tool.call.ways.word=flag")
    assert "--ids 1,2" in said.stdout and "--word" not in said.stdout


@pytest.mark.parametrize("name", ["argparse", "click", "typer", "options"])
def test_an_option_gets_as_many_words_as_it_takes(stash: StashUnderTest, in_process: InProcess, name: str) -> None:
    """What is left over would be a positional to the tool, or nothing."""
    tool = "argparse" if name == "options" else name
    receiver(stash, tool, f"call: {{style: {name}}}")
    stash.add_experiment("one", tool, "params: {pair: [5, 6]}\n")
    assert "--pair 5 6" in in_process(stash, "run", "one", "validate_only=true").stdout
    for given, said in (("[5,6,7]", "3 values"), ("[5]", "1 value"), ("[]", "0 values"), ("5", "1 value")):
        refused = in_process(stash, "run", "one", f"params.pair={given}", "validate_only=true")
        assert refused.returncode == 2 and f"params.pair: {said}, and the tool's option takes 2" in refused.stderr
    said = in_process(stash, "run", "one", "params.pair=[5,6,7]", "+tool.call.ways.pair=filled", "validate_only=true")
    assert "--pair 5 6 7" in said.stdout, said.stderr


def test_a_parameter_that_a_tool_may_have_passed_over_is_said(stash: StashUnderTest, in_process: InProcess) -> None:
    """With parse_known_args a misspelled option is no error, and the run completes with the default."""
    receiver(stash, "argparse", "call: {style: argparse}")
    path = stash.root / "tools" / "argparse" / "main.py"
    path.write_text(path.read_text().replace("vars(parser.parse_args(argv))", "vars(parser.parse_known_args(argv)[0])"))
    stash.add_experiment("one", "argparse", "params: {count: 5}\n")

    def warnings(*words: str) -> list[str]:
        done = in_process(stash, "run", "one", *words)
        assert done.returncode == 0, done.stderr
        (record,) = (stash.root / "outputs").rglob("run.json")
        said = json.loads(record.read_text())["attempt"]["warnings"]
        shutil.rmtree(stash.root / "outputs")
        return [str(each) for each in said]

    assert warnings() == []
    (said,) = warnings("+params.learning_rate=3")
    assert said.startswith(
        "params.learning_rate: the tool's source doesn't declare it, and passes over what it doesn't"
    )
    assert warnings("+params.learning_rate=3", "+tool.call.ways.learning_rate=word") == []


@pytest.mark.parametrize("name", ["a,b", "x,1", "e,main"])  # `x` and `main` are part of what the tool is told anyway
def test_an_experiment_that_is_asked_for_reaches_the_tool(
    stash: StashUnderTest, in_process: InProcess, name: str
) -> None:
    receiver(stash, "argparse", "call: {style: argparse}")
    stash.add_experiment("one", "argparse", "params: {count: 1, maybe: x}\n")
    refused = in_process(stash, "-m", "+exp=one", f"experiment={name}", "validate_only=true")
    assert refused.returncode != 0 and "the tool isn't told of it" in refused.stderr
    assert in_process(stash, "run", "one", "experiment=a", "validate_only=true").returncode == 0  # a mere name
    said = in_process(stash, "run", "one", "experiment=a", "+tool.call.experiment=--name", "validate_only=true")
    assert "--name a" in said.stdout, said.stderr
    said = in_process(stash, "-m", "+exp=one", f"experiment={name}", "+params.name=${experiment}", "validate_only=true")
    assert said.returncode == 0 and f"--name {name[0]}" in said.stdout, said.stderr


@pytest.mark.slow
def test_a_mere_name_is_said_in_the_record(stash: StashUnderTest, in_process: InProcess) -> None:
    receiver(stash, "argparse", "call: {style: argparse}")
    stash.add_experiment("one", "argparse", "params: {count: 1}\n")
    stash.add_experiment("two", "argparse", "experiment: big\nparams: {count: 1}\n")
    stash.add_experiment("told", "argparse", "experiment: big\nparams: {name: '${experiment}'}\n")

    def recorded(*words: str) -> tuple[list[str], list[str]]:
        done = in_process(stash, "run", *words)
        assert done.returncode == 0, done.stderr
        (path,) = (stash.root / "outputs").rglob("run.json")
        record = json.loads(path.read_text())
        shutil.rmtree(stash.root / "outputs")
        return record["attempt"]["warnings"], record["attempt"]["notes"]

    said = "experiment={}: a mere name; the tool isn't told of it"
    assert recorded("one", "experiment=small") == ([said.format("small")], [])
    assert recorded("two") == ([], [said.format("big")])
    assert recorded("told") == recorded("one") == ([], [])


# --- a file ----------------------------------------------------------------------------------------------------------


def content(params: dict[str, Any], given: str | None = None, **settings: Any) -> Any:
    call = CallConfig(style=CallStyle.file, format=FileFormat.json, **settings)
    places = {"tool_directory": Path("/tool"), "stash_root": Path("/stash"), "run_directory": Path("/run")}
    return json.loads(build(call, given, params, [], **places).files["params.json"])


def test_dotted_keys_are_nested_in_a_file() -> None:
    nested = {"model": {"lr": 0.1, "layers": {"n": 2}}, "x": 1}
    assert content({"model.lr": 0.1, "model": {"layers.n": 2}, "x": 1}) == nested
    assert content({"model": {"lr": 0.1}, "model.layers.n": 2, "x": 1}) == nested
    assert list(content({"b.c": 1, "a": 2, "b.d": 3})) == ["b", "a"]
    assert content({"weights": {"0.5": 1}, "0.5": 2, ".x": 3, "y..z": 4}) == {
        "weights": {"0.5": 1},
        "0.5": 2,
        ".x": 3,
        "y..z": 4,
    }
    settings = {"experiment": "run.name", "output": "run.paths.out"}
    assert content({"run.seed": 1}, "e", **settings) == {"run": {"name": "e", "seed": 1, "paths": {"out": "/run"}}}


@pytest.mark.parametrize(
    ("params", "settings"),
    [
        ({"a": 1, "a.b": 2}, {}),
        ({"a.b": 2, "a": 1}, {}),
        ({"a.b": 2, "a": {"b": 2}}, {}),
        ({"a": [1], "a.b": 2}, {}),
        ({"name": "x"}, {"experiment": "name"}),
        ({"out": "x"}, {"output": "out"}),
        ({"run": {"out": "x"}}, {"output": "run.out"}),
        ({"run": 1}, {"output": "run.out"}),
        ({"a": {1: "x", "1": "y"}}, {}),
        ({"a": float("nan")}, {}),
    ],
)
def test_what_has_two_values_in_a_file_is_refused(params: dict[str, Any], settings: dict[str, Any]) -> None:
    with pytest.raises(StashError) as caught:
        content(params, "e", **settings)
    assert caught.value.hint


def test_what_only_the_tools_configuration_types_is_said() -> None:
    call = CallConfig(style=CallStyle.ml_collections, ways={"sure": "python"})
    params = {"optim": {"nesterov": True, "lr": 0.1}, "layers": [1, 2], "sure": [1], "--workdir": "x", "name": "a"}
    (said,) = calls.untyped(call, params)
    assert said.startswith("params.optim.nesterov, params.layers: ")
    assert calls.untyped(call, {"lr": 0.1, "name": "a"}) == []
    assert calls.untyped(CallConfig(style=CallStyle.argparse), params) == []
