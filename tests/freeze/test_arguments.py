"""What a tool reads is what the experiment says: every style against the real receiving parser."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling.arguments import Arguments, build
from experimentstash.stash.schema import (
    BooleanStyle,
    CallConfig,
    CallStyle,
    FileFormat,
    ListStyle,
    MappingStyle,
    NullStyle,
)

few = settings(deadline=None, max_examples=100, database=None)
many = settings(deadline=None, max_examples=250, database=None)

RUN = "/runs/a b'c\"d=$e,ü{f}\\#[0]"


def arguments(
    call: CallConfig, params: Any = None, *extra: str, experiment: str | None = None, **places: Path
) -> Arguments:
    defaults = {"run_directory": Path(RUN), "tool_directory": Path("/tool"), "stash_root": Path("/stash")}
    return build(call, experiment, params or {}, list(extra), **{**defaults, **places})


def argv(call: CallConfig, params: Any = None, *extra: str, **rest: Any) -> list[str]:
    return list(arguments(call, params, *extra, **rest).argv)


def same(left: Any, right: Any) -> bool:
    """Equality that tells 1 from True and 1.0, 0.0 from -0.0, and holds for NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        keys = sorted(left, key=repr)
        return same(keys, sorted(right, key=repr)) and all(same(left[key], right[key]) for key in keys)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right) if isinstance(left, float) else bool(left == right)


nasty = st.sampled_from([*" ,'\"\\${}[]():=+~#%\n\t@/.-?!&|*<>;`^a1é", "${", "\\${", "\\\\", "\\'", '\\"'])
character = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
text = (
    st.lists(nasty | character, max_size=12).map("".join)
    | st.lists(nasty, max_size=12).map("".join)
    | st.text(alphabet="abAB01_-./", max_size=8)
    | st.sampled_from(
        [
            *[
                "null",
                "Null",
                "true",
                "FALSE",
                "yes",
                "off",
                "1",
                "1.0",
                "1e5",
                "-1",
                "1_0",
                "0x1",
                "0o7",
                "inf",
                "-NaN",
                ".5",
                "5.",
                "1:30",
            ],
            *["2024-01-01", "~", "=", "a=b", "a,b", "[x]", "{a:1}", "choice(1,2)", "glob(*)"],
            *["range(1,3)", "${a}", "\\${a}", "\\\\${a}", "${", "$", "${oc.env:HOME}"],
            *["", " ", "  a  ", "a\nb", "\n", "it's", "'", '"', "\\", "\\\\", "\\'", '\\"'],
        ]
    )
)
floats = st.floats() | st.sampled_from([1e-5, 1e16, 1e22, -1e-05, 0.1, -0.0, 5e-324, math.inf, -math.inf, math.nan])
integers = st.integers() | st.integers(min_value=-(10**40), max_value=10**40)
scalar = text | floats | integers | st.booleans() | st.none()
hydra_scalar = (text.filter(lambda value: value != "???")) | floats | integers | st.booleans() | st.none()
literal_key = (
    st.text(alphabet="ab1_/-\\+.$%*@?|()[]{}:=, \t", min_size=1, max_size=5)
    | st.integers(-1000, 1000)
    | st.booleans()
    | st.floats(allow_nan=False)
)
hydra_value = st.recursive(
    hydra_scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(literal_key, inner, max_size=3),
    max_leaves=6,
)

# --- hydra -----------------------------------------------------------------------------------------------------------

HYDRA = CallConfig(style=CallStyle.hydra)


@pytest.fixture(scope="module", autouse=True)
def hydra_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Hydra config directory, ready for compose."""
    directory = tmp_path_factory.mktemp("tool") / "conf"
    for group in ("dataset", "model/optimizer", "db"):
        (directory / group).mkdir(parents=True)
        for choice in ("digits", "null", "1", "two words", "3-d"):
            (directory / group / f"{choice}.yaml").write_text(f"name: {choice!r}\n")
    (directory / "config.yaml").write_text(
        "defaults: [_self_, dataset: digits, model/optimizer: digits, db@backup: digits]\n"
        "x: 0\ngone: 1\nexperiment: none\n"
    )
    with initialize_config_dir(str(directory), version_base="1.3"):
        yield directory
    GlobalHydra.instance().clear()


def composed(overrides: list[str]) -> Any:
    config = compose("config", overrides, return_hydra_config=True)
    ours = OmegaConf.to_container(
        OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), resolve=True
    )
    return {**ours, "run": config.hydra.run.dir, "subdirectory": config.hydra.output_subdir}  # type: ignore[dict-item]


def parsed(overrides: list[str]) -> Any:
    """What Hydra sets for ``x``, without composing."""
    [override] = [each for each in OverridesParser.create().parse_overrides(overrides) if each.key_or_group == "x"]
    assert not override.is_sweep_override()
    config = OmegaConf.create({"x": None})
    OmegaConf.update(config, "x", override.value())
    return OmegaConf.to_container(config, resolve=True)["x"]  # type: ignore[call-overload,index]


@pytest.mark.slow
@many
@given(text)
def test_hydra_gets_every_string(value: str) -> None:
    assume(value != "???")
    result = parsed(argv(HYDRA, {"x": value}))
    assert type(result) is str
    assert result == value


@pytest.mark.slow
@many
@given(hydra_value)
def test_hydra_gets_every_value(value: Any) -> None:
    try:
        overrides = argv(HYDRA, {"x": [value]})
    except StashError as error:
        assert "can't express" in error.message
        assume(False)
    assert same(parsed(overrides), [value])


compositions = given(
    hydra_scalar | st.lists(hydra_scalar, max_size=3),
    st.dictionaries(
        st.sampled_from(["a", "b-c", "$d", "0", "10", "01", "e f", 5, True, 1.5, "g/h", "nan_"]),
        hydra_scalar | st.dictionaries(st.sampled_from(["a", "0", 5, "e f", "k$"]), hydra_scalar, max_size=3),
        max_size=4,
    ),
    text.filter(lambda value: value != "???"),
)


@pytest.mark.slow
@settings(few, max_examples=20)
@compositions
def test_a_real_composition_gets_what_the_experiment_says(value: Any, box: dict[Any, Any], experiment: str) -> None:
    check_composition(value, box, experiment)


@pytest.mark.exhaustive
@settings(few, max_examples=500)
@compositions
def test_many_real_compositions_get_what_the_experiment_says(value: Any, box: dict[Any, Any], experiment: str) -> None:
    check_composition(value, box, experiment)


def check_composition(value: Any, box: dict[Any, Any], experiment: str) -> None:
    try:
        overrides = argv(HYDRA, {"x": value, "++box": box, "~gone": None}, experiment=experiment)
    except StashError as error:
        assert "has the key '0', which" in error.message  # it would be read as the number 0
        assume(False)
    config = composed(overrides)
    assert same(config["x"], value)
    assert same(config["box"], box)
    assert "gone" not in config
    assert config["experiment"] == experiment
    assert (config["run"], config["subdirectory"]) == (RUN, ".hydra/tool")


@pytest.mark.parametrize("choice", ["digits", "null", "1", "two words", "3-d"])
def test_hydra_group_choices(choice: str, hydra_app: Path) -> None:
    call = CallConfig(style=CallStyle.hydra, configs="conf")
    params = {"dataset": choice, "model": {"optimizer": choice, "++depth": 3}, "db@backup": choice, "+db@more": choice}
    overrides = argv(call, params, tool_directory=hydra_app.parent)
    config = composed(overrides)
    for name in (config["dataset"], config["model"]["optimizer"], config["backup"], config["more"]):
        assert name == {"name": choice}
    assert config["model"]["depth"] == 3
    assert composed(argv(HYDRA, {"model/optimizer": choice}))["model"]["optimizer"] == {"name": choice}


def test_hydra_choices_are_recognised_in_the_stash_too(tmp_path: Path) -> None:
    (tmp_path / "exp/model/head").mkdir(parents=True)
    (tmp_path / "exp/model/head/mlp.yaml").touch()
    call = CallConfig(style=CallStyle.hydra, config_dir="exp")
    for mark in ("", "+"):
        for params in ({f"{mark}model": {"head": "mlp"}}, {f"{mark}model.head": "mlp"}):
            overrides = argv(call, params, experiment="e", stash_root=tmp_path)
            assert overrides[:5] == [
                "--config-dir",
                str(tmp_path / "exp"),
                "--config-name",
                "e",
                f"{mark}model/head=mlp",
            ]
    overrides = argv(call, {"model.head": "x" * 5000}, experiment="e", stash_root=tmp_path)
    assert overrides[4] == "model.head=" + "x" * 5000


@pytest.mark.parametrize(
    ("params", "overrides"),
    [
        ({"optimizer": {"lr": 0.1, "betas": [0.9, 0.999]}}, ["optimizer.lr=0.1", "optimizer.betas=[0.9,0.999]"]),
        ({"a": {}}, ["a={}"]),
        ({"+a": {"b": {"c": 1}}}, ["+a.b.c=1"]),
        ({"a": {"+b": 1, "~c": None, "d": None}}, ["+a.b=1", "~a.c", "a.d=null"]),
        ({"~a": None, "~b": 1, "++c": True}, ["~a", "~b=1", "++c=true"]),
        ({"model/optimizer": "adam", "db@backup": "sqlite"}, ["model/optimizer=adam", "db@backup=sqlite"]),
        (
            {"path": "/data/x.npy", "name": "two words", "empty": ""},
            ["path=/data/x.npy", "name='two words'", "empty=''"],
        ),
        ({"a": {1: "one", "two words": {3: []}}}, ["a={1:one}", r"a={two\ words:{3:[]}}"]),
    ],
)
def test_hydra_overrides_read_as_a_person_would_write_them(params: Any, overrides: list[str]) -> None:
    assert argv(HYDRA, params, "last", run_directory=Path("/run")) == [
        *overrides,
        "hydra.run.dir=/run",
        "hydra.output_subdir=.hydra/tool",
        "last",
    ]


def test_hydra_cannot_run_in_a_directory_with_an_interpolation() -> None:
    with pytest.raises(StashError, match="rename it"):
        argv(HYDRA, run_directory=Path("/runs/${a}"))
    call = CallConfig(style=CallStyle.hydra, output="out")
    assert argv(call, run_directory=Path("/runs/${a}")) == [r"out='/runs/\${a}'"]


def test_hydra_experiment_and_output_keys() -> None:
    call = CallConfig(style=CallStyle.hydra, experiment="+experiment", output="paths.output_dir")
    assert argv(call, experiment="e", run_directory=Path("/run")) == ["+experiment=e", "paths.output_dir=/run"]
    call = CallConfig(style=CallStyle.hydra, config_path="conf")
    assert argv(call, experiment="-e")[:3] == ["--config-path", "/stash/conf", "--config-name=-e"]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"two words": 1}, "params.two words"),
        ({"": 1}, "params."),
        ({1: 1}, "params.1"),
        ({"a=b": 1}, "params.a=b"),
        ({"model/optimizer": {"lr": 1}}, "params.model/optimizer.lr"),
        ({"db@backup": {"lr": 1}}, "params.db@backup.lr"),
        ({"~a": {"b c": 1}}, "params.~a.b c"),
        ({"a": {"é": 1}}, "params.a"),
        ({"a": [0, {"b": {"1": 2}}]}, "params.a[1].b"),
        ({"a": [{"true": 2}]}, "params.a[0]"),
        ({"a": [{None: 2}]}, "params.a[0]"),
        ({"a": {"b": "???"}}, "params.a.b"),
        ({"a": {"b": ["x\0"]}}, "params.a.b[0]"),
    ],
)
def test_what_hydra_cannot_express_is_named(params: Any, named: str) -> None:
    with pytest.raises(StashError) as caught:
        argv(HYDRA, params)
    assert caught.value.message.startswith(f"{named} ")
    assert caught.value.hint


APP = """
import json, sys
import hydra
from omegaconf import OmegaConf

@hydra.main(config_path={config_path!r}, config_name="config", version_base="1.3")
def main(config):
    print(json.dumps(OmegaConf.to_container(config, resolve=True)))

main()
"""


def start(app: Path, arguments: list[str]) -> Any:
    done = subprocess.run([sys.executable, str(app), *arguments], capture_output=True, text=True, cwd=app.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_real_hydra_app(tmp_path: Path, hydra_app: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP.format(config_path=str(hydra_app)))
    run = tmp_path / "runs" / "a b'c\"d=$e,ü{f}\\#[0]%20\nz\\"
    strings = ['it\'s "both"', "\\", "\\'\"", "${x}", "\\${x}", "a\nb", " ", "", "null", "-1", "a,b", "${oc.env:HOME}"]
    params = {
        "x": [*strings, 1e-5, None, True, {"k e,y": "v", "${x}": 1}],
        "model": {"optimizer": "two words"},
        "db@backup": "3-d",
        "++new": {"deep": {"value": "${"}, "other key": 1},
        "~gone": None,
    }
    call = CallConfig(style=CallStyle.hydra, configs="conf")
    overrides = argv(call, params, "+last='x'", experiment="e/f", run_directory=run, tool_directory=hydra_app.parent)
    config = start(app, overrides)
    assert config == {
        "dataset": {"name": "digits"},
        "model": {"optimizer": {"name": "two words"}},
        "backup": {"name": "3-d"},
        "x": params["x"],
        "experiment": "e/f",
        "new": {"deep": {"value": "${"}, "other key": 1},
        "last": "x",
    }
    assert (run / ".hydra" / "tool" / "config.yaml").is_file()
    assert sorted(path.name for path in run.iterdir()) == [".hydra", "app.log"]


@pytest.mark.slow
@pytest.mark.parametrize("field", ["config_dir", "config_path"])
def test_a_real_hydra_app_with_configs_of_the_stash(field: str, tmp_path: Path, hydra_app: Path) -> None:
    stash = tmp_path / "stash of mine, é=1 %20"
    (stash / "experiments").mkdir(parents=True)
    (stash / "experiments" / "first.yaml").write_text("y: 1\n")
    app = tmp_path / "app.py"
    app.write_text(APP.format(config_path=str(hydra_app)))
    call = CallConfig(style=CallStyle.hydra)
    setattr(call, field, "experiments")
    arguments = argv(call, {"y": 2}, experiment="first", stash_root=stash, run_directory=tmp_path / "run")
    assert start(app, arguments) == {"y": 2}


# --- options ---------------------------------------------------------------------------------------------------------


def options(**settings: Any) -> CallConfig:
    """A registration that says all that a parser of which nothing is known leaves open."""
    said = {"lists": ListStyle.spread, "booleans": BooleanStyle.flag}
    said |= {"mappings": MappingStyle.dotted, "nulls": NullStyle.omit}
    return CallConfig(style=CallStyle.options, **{**said, **settings})


# Before Python 3.12.5, argparse drops a value that is "--" even after `=`.
argparse_text = text.filter(lambda value: value != "--")
FIELDS: dict[str, Any] = {
    "name": argparse_text | st.none(),
    "n": argparse_text | st.none(),
    "count": integers,
    "rate": floats,
    "r": floats,
    "optimizer": st.fixed_dictionaries({}, optional={"lr": floats, "name": argparse_text}).filter(bool),
}
scalars = st.fixed_dictionaries({}, optional=FIELDS)
EXPECTED_TYPES: dict[str, Callable[[str], Any]] = {
    "name": str,
    "n": str,
    "count": int,
    "rate": float,
    "r": float,
    "optimizer.lr": float,
    "optimizer.name": str,
}


def flat(params: dict[str, Any]) -> dict[str, Any]:
    """The values that a tool is to see, by the names of its options."""
    nested = {f"optimizer.{key}": value for key, value in params.get("optimizer", {}).items()}
    kept = {key: value for key, value in params.items() if key != "optimizer"} | nested
    return {key: value for key, value in kept.items() if value is not None}


def argument_parser(**kinds: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS, allow_abbrev=False, exit_on_error=False)
    for key, kind in EXPECTED_TYPES.items():
        parser.add_argument(f"-{key}" if len(key) == 1 else f"--{key}", dest=key, type=kind)
    for key, arguments in kinds.items():
        parser.add_argument(f"-{key}" if len(key) == 1 else f"--{key}", dest=key, **arguments)
    return parser


@pytest.mark.slow
@many
@given(scalars, st.booleans(), st.booleans())
def test_argparse_reads_scalars_and_flags(params: dict[str, Any], verbose: bool, v: bool) -> None:
    given_arguments = argv(options(), {**params, "verbose": verbose, "v": v})
    flag = {"action": "store_true"}
    read = vars(argument_parser(verbose=flag, v=flag).parse_args(given_arguments))
    expected = flat(params) | {key: True for key, value in (("verbose", verbose), ("v", v)) if value}
    read = {key: value for key, value in read.items() if value is not False}
    assert same(read, expected)


@pytest.mark.slow
@few
@given(scalars, st.booleans(), argparse_text)
def test_argparse_reads_negatable_flags_and_the_output(params: dict[str, Any], verbose: bool, experiment: str) -> None:
    call = options(booleans=BooleanStyle.negatable, experiment="--experiment", output="--out")
    parser = argument_parser(verbose={"action": argparse.BooleanOptionalAction}, experiment={}, out={})
    read = vars(parser.parse_args(argv(call, {**params, "verbose": verbose}, experiment=experiment)))
    assert same(read, flat(params) | {"verbose": verbose, "experiment": experiment, "out": RUN})


@pytest.mark.slow
@few
@given(scalars, st.lists(text), st.lists(floats), st.lists(integers), st.booleans())
def test_argparse_reads_spread_lists(
    params: Any, words: list[str], rates: list[float], k: list[int], flag: bool
) -> None:
    call = options(experiment="positional", booleans=BooleanStyle.value)
    many_of = {"nargs": "*"}
    parser = argument_parser(
        words=many_of, rates={**many_of, "type": float}, k={**many_of, "type": int}, flag={"type": json.loads}
    )
    parser.add_argument("experiment")
    lists = {"words": words, "rates": rates, "k": k}
    try:
        given_arguments = argv(call, {**params, **lists, "flag": flag}, experiment="first")
    except StashError as error:
        if "argparse drops" in str(error):  # for which repeating helps nothing either
            assert "--" in words
            return
        assert "repeat" in str(error)
        assert "-" in [word[:1] for word in words] or -math.inf in rates
        return
    read = vars(parser.parse_args(given_arguments))
    assert same(read, {**flat(params), **lists, "flag": flag, "experiment": "first"})


@pytest.mark.slow
@few
@given(scalars, st.lists(argparse_text), st.lists(floats, min_size=1))
def test_argparse_reads_repeated_lists(params: dict[str, Any], words: list[str], w: list[float]) -> None:
    call = options(lists=ListStyle.repeat, ways={"words": ["repeat", "omit_empty"]})
    given_arguments = argv(call, {**params, "words": words, "w": w}, "positional")
    parser = argument_parser(words={"action": "append"}, w={"action": "append", "type": float})
    parser.add_argument("rest", nargs="*")
    read = vars(parser.parse_args(given_arguments))
    expected = flat(params) | {"w": w, "rest": ["positional"]} | ({"words": words} if words else {})
    assert same(read, expected)


@pytest.mark.slow
@few
@given(st.lists(argparse_text), st.lists(integers))
@example(["a"], [])
@example(["-", "-"], [-1, -1])
def test_argparse_reads_lists_with_commas(words: list[str], w: list[int]) -> None:
    call = options(lists=ListStyle.comma)
    parser = argument_parser(words={}, w={})
    try:
        read = vars(parser.parse_args(argv(call, {"words": words, "w": w}, "--rate", "1")))
    except StashError as error:
        assert error.message.startswith("params.w")
        assert words in ([], [""]) or w == [] or any("," in word for word in words)
        return
    assume(",".join(words) != "--")
    assert read["words"] == ",".join(words)
    assert [int(word) for word in read["w"].split(",") if word] == w


@pytest.mark.slow
@few
@given(
    st.fixed_dictionaries({}, optional={"name": argparse_text, "n": argparse_text, "count": integers, "rate": floats}),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(argparse_text),
    st.lists(integers),
    argparse_text,
)
def test_click_reads_every_style(
    params: Any, flag: bool, negatable: bool, value: bool, words: list[str], w: list[int], comma: str
) -> None:
    seen: dict[str, Any] = {}

    @click.command()
    @click.argument("experiment")
    @click.option("--name")
    @click.option("-n")
    @click.option("--count", type=int)
    @click.option("--rate", type=float)
    @click.option("--flag", is_flag=True)
    @click.option("--negatable/--no-negatable", default=None)
    @click.option("--value", type=bool)
    @click.option("--words", multiple=True)
    @click.option("-w", multiple=True, type=int)
    @click.option("--comma")
    @click.option("--output")
    def command(**read: Any) -> None:
        seen.update(read)

    comma = comma.replace(",", "")
    assume(comma)
    ways = {key: ["repeat", "omit_empty"] for key in ("words", "w")}
    call = options(experiment="positional", ways=ways, output="--output")
    written = argv(call, {**params, "flag": flag, "words": words, "w": w}, experiment="first")
    written += argv(options(booleans=BooleanStyle.negatable), {"negatable": negatable})
    written += argv(
        options(booleans=BooleanStyle.value, lists=ListStyle.comma), {"value": value, "comma": [comma, comma]}
    )
    command.main(written, standalone_mode=False)
    expected = {"flag": flag, "negatable": negatable, "value": value, "words": tuple(words), "w": tuple(w)}
    expected |= {"comma": f"{comma},{comma}", "output": RUN, "experiment": "first"}
    assert same({key: seen[key] for key in params}, params)
    assert {key: seen[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("call", "params", "written"),
    [
        (options(), {"lr": 1e-5, "k": "v", "-x": 1, "--y": 2, "-long": 3}, "--lr|1e-05|-k|v|-x|1|--y|2|-long|3"),
        (
            options(),
            {"optimizer": {"lr": 0.1, "nested": {"a": "b"}}},
            "--optimizer.lr|0.1|--optimizer.nested.a|b",
        ),
        (options(), {"none": None, "yes": True, "no": False}, "--yes"),
        (options(), {"a": {2: "x", True: "y", 1.5: "z"}}, "--a.2|x|--a.true|y|--a.1.5|z"),
        (options(), {"shift": -1, "name": "-x", "n": "-x", "tiny": -1e-5}, "--shift|-1|--name=-x|-n-x|--tiny=-1e-05"),
        (options(), {"seed": 1, "layers": [1, 2], "empty": []}, "--seed|1|--layers|1|2|--empty"),
        (
            options(ways={"nested": ["spread", "json"]}),
            {"nested": [[1, "é"], {"a": None}], "tiny": [-1e-5]},
            '--nested|[1, "é"]|{"a": null}|--tiny|-0.00001',
        ),
        (
            options(lists=ListStyle.repeat, booleans=BooleanStyle.value, ways={"none": ["repeat", "omit_empty"]}),
            {"aa": [1, "-x", True], "none": []},
            "--aa|1|--aa=-x|--aa|true",
        ),
        (
            options(lists=ListStyle.comma, booleans=BooleanStyle.value),
            {"aa": [1, "x", True], "bb": [-1, 2]},
            "--aa|1,x,true|--bb=-1,2",
        ),
        (options(booleans=BooleanStyle.negatable), {"a": True, "b": False, "c": {"d": False}}, "-a|--no-b|--no-c.d"),
        (options(booleans=BooleanStyle.value), {"aa": True, "b": False}, "--aa|true|-b|false"),
    ],
)
def test_options_read_as_a_person_would_write_them(call: CallConfig, params: Any, written: str) -> None:
    assert "|".join(argv(call, params)) == written


@pytest.mark.parametrize(
    ("call", "params", "named"),
    [
        (options(), {"a": {"b": "x\0"}}, "params.a.b"),
        (options(), {"a": ["x", "-x"]}, "params.a"),
        (options(), {"a": [-math.inf]}, "params.a"),
        (options(), {"a": [None]}, "params.a[0]"),
        (options(), {"a": [[1]]}, "params.a[0]"),
        (options(), {"a": [True]}, "params.a[0]"),
        (options(), {"a": {}}, "params.a"),
        (options(ways={"a": ["spread", "json"]}), {"a": [[math.nan]]}, "params.a[0][0]"),
        (options(lists=ListStyle.repeat), {"a": []}, "params.a"),
        (options(lists=ListStyle.comma), {"a": ["x,y"]}, "params.a"),
        (options(lists=ListStyle.comma), {"a": [""]}, "params.a"),
        (options(lists=ListStyle.comma), {"a": []}, "params.a"),
        (options(), {"": 1}, "params."),
        (options(), {"--": 1}, "params.--"),
        (options(), {"a=b": 1}, "params.a=b"),
        (options(), {"a": {"b c": 1}}, "params.a.b c"),
    ],
)
def test_what_options_cannot_express_is_named(call: CallConfig, params: Any, named: str) -> None:
    with pytest.raises(StashError) as caught:
        argv(call, params)
    assert caught.value.message.startswith(f"{named} ")
    assert caught.value.hint


def test_a_positional_experiment_is_not_an_option() -> None:
    with pytest.raises(StashError, match="-x"):
        argv(options(experiment="positional"), experiment="-x")
    assert argv(options(experiment="--experiment"), experiment="-x") == ["--experiment=-x"]
    assert argv(options(), experiment="unused") == []


# --- file and arguments ----------------------------------------------------------------------------------------------

JSON = CallConfig(style=CallStyle.file, format=FileFormat.json)
YAML = CallConfig(style=CallStyle.file, experiment="experiment", output="out", option="-c")
any_text = text | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
file_scalar = any_text | scalar


def tree(leaf: Any, key: Any) -> Any:
    """Parameters, but for keys with dots, which are paths."""
    plain = key.filter(lambda text: "." not in str(text))
    nested = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3), max_leaves=8
    )
    return st.dictionaries(any_text.filter(lambda text: "." not in text), nested, max_size=4)


@pytest.mark.slow
@many
@given(tree(file_scalar, any_text | st.integers() | st.booleans()))
def test_yaml_is_read_back(params: dict[str, Any]) -> None:
    written = arguments(YAML, params, "more", experiment="é")
    assert written.argv == ("-c", f"{RUN}/params.yaml", "more")
    read = yaml.safe_load(written.files["params.yaml"])
    assert same(read, {**params, "experiment": "é", "out": RUN})
    assert list(read) == list({"experiment": "", **params, "out": ""})


@pytest.mark.slow
@few
@given(
    tree(any_text | st.floats(allow_nan=False, allow_infinity=False) | integers | st.booleans() | st.none(), any_text)
)
def test_json_is_read_back(params: dict[str, Any]) -> None:
    read = json.loads(arguments(JSON, params).files["params.json"])
    assert same(read, params)
    assert list(read) == list(params)


@pytest.mark.slow
@few
@given(
    st.dictionaries(
        st.text(alphabet="abc", min_size=1), text.filter(lambda value: value != "???" and "${" not in value)
    )
)
def test_omegaconf_reads_the_same_yaml(params: dict[str, Any]) -> None:
    call = CallConfig(style=CallStyle.file)
    assert OmegaConf.to_container(OmegaConf.create(arguments(call, params).files["params.yaml"])) == params


def test_yaml_is_readable_and_portable() -> None:
    shared = [1]
    params = {"z": "é", "a": 1e-5, "text": "1e-5", "octal": "0o17", "one": shared, "two": shared}
    written = arguments(CallConfig(style=CallStyle.file, option=None), params)
    assert written.argv == (f"{RUN}/params.yaml",)
    lines = ["z: é", "a: 1.0e-05", "text: '1e-5'", "octal: '0o17'", "one:", "- 1", "two:", "- 1", ""]
    assert written.files == {"params.yaml": "\n".join(lines)}


def test_json_has_no_infinity() -> None:
    with pytest.raises(StashError, match=r"params\.a\.b\[1\] is inf"):
        argv(JSON, {"a": {"b": [0, math.inf]}})


def test_arguments_are_left_alone() -> None:
    call = CallConfig(style=CallStyle.arguments, experiment="x", output="y")
    assert arguments(call, {"a": 1}, "-b", "c d", experiment="e") == Arguments(("-b", "c d"), {})


@pytest.mark.parametrize("style", list(CallStyle))
def test_nul_is_refused_everywhere(style: CallStyle) -> None:
    with pytest.raises(StashError, match="arguments contains a NUL"):
        argv(CallConfig(style=style), {}, "a\0b")
    with pytest.raises(StashError, match="experiment contains a NUL"):
        argv(CallConfig(style=style), experiment="a\0b")
