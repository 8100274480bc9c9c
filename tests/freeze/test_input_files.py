"""Tools that are told by a file of their own kind, by their variables, or by `key=value`: what they read is what is
recorded, and what can't be said so is refused."""

from __future__ import annotations

import configparser
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling.arguments import Arguments, build
from experimentstash.freeze.environment.declarations import toml_in
from experimentstash.stash import parameters
from experimentstash.stash.schema import BooleanStyle, CallConfig, CallStyle, FileFormat, ListStyle, NullStyle
from tests.testing.stash import InProcess, StashUnderTest

RUN = Path("/runs/a b'c")
few = settings(deadline=None, max_examples=60, database=None, suppress_health_check=list(HealthCheck))


def said(tool: Path, style: str, params: Any, *extra: str, experiment: str | None = None, **call: Any) -> Arguments:
    config = CallConfig(style=CallStyle[style], **call)
    places = {"run_directory": RUN, "tool_directory": tool, "stash_root": tool.parent}
    return build(config, experiment, params, list(extra), **places)


# --- TOML and INI ----------------------------------------------------------------------------------------------------

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)
texts |= st.text(alphabet=" ,'\"\\${}[]():=+~#%;\n\t\r/.-a1\x7f\x00", max_size=6)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats() | st.booleans()
keys = texts.filter(lambda text: "." not in text)
trees = st.recursive(
    texts | numbers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


@pytest.mark.slow
@few
@given(st.dictionaries(keys.filter(lambda key: key != parameters.CHOICE), trees, max_size=4))
def test_toml_is_read_back(params: dict[str, Any]) -> None:
    written = said(Path("/tool"), "file", params, format=FileFormat.toml)
    assert written.argv == ("--config", f"{RUN}/params.toml")
    read, meant = (
        json.dumps(parameters.as_json(each), sort_keys=True) for each in (toml_in(written.files["params.toml"]), params)
    )
    assert read == meant


@few
@given(st.dictionaries(keys, st.dictionaries(keys, texts | st.integers() | st.floats(), max_size=3), max_size=3))
def test_ini_is_read_back_or_refused(params: dict[str, Any]) -> None:
    try:
        text = said(Path("/tool"), "file", params, format=FileFormat.ini).files["params.ini"]
    except StashError as error:
        assert error.message.startswith("params.") and error.hint
        return
    for interpolation in (None, configparser.BasicInterpolation(), configparser.ExtendedInterpolation()):
        reader = configparser.ConfigParser(interpolation=interpolation)
        reader.read_string(text)
        for section, inside in params.items():
            for key, value in inside.items():
                try:
                    read = reader.get(section, key)
                except configparser.InterpolationError:  # a percent sign alone: said, not changed
                    assert interpolation is not None
                    continue
                assert read == (value if isinstance(value, str) else repr(value))


CANNOT = [
    ("toml", {"a": None}, "params.a is null"),
    ("toml", {"a": {"b": [1, None]}}, r"params.a.b\[1\] is null"),
    ("toml", {"a": 2**63}, "64 bits"),
    ("toml", {"a": {1: 2}}, "params.a.1"),
    ("ini", {"a": 1}, "is in none"),
    ("ini", {"a": {"b": None}}, "params.a.b is null"),
    ("ini", {"a": {"b": [1]}}, "params.a.b is a list"),
    ("ini", {"a": {"b": {"c": 1}}}, "params.a.b is a mapping"),
    ("ini", {"a": {"b": 1, "B": 2}}, "one key"),
    ("ini", {"a": {"b=c": 1}}, "can't be a key"),
    ("ini", {"a]": {"b": 1}}, "name of a section"),
    *(
        ("ini", {"a": {"b": text}}, "different things")
        for text in (" x", "x\ny", "'x'", "x ; y", "#x", "%(x)s", "${x}")
    ),
]


@pytest.mark.parametrize(("name", "params", "why"), CANNOT)
def test_what_a_format_has_no_form_for_is_refused(name: str, params: Any, why: str) -> None:
    with pytest.raises(StashError, match=why) as caught:
        said(Path("/tool"), "file", params, format=FileFormat[name])
    assert caught.value.hint


def test_files_are_as_their_authors_write_them() -> None:
    params = {"run": {"steps": 3, "lr": 1e-05, "on": True, "name": "a b"}, "seed": 1, "layers": [{"n": 1}, {"n": 2}]}
    written = said(Path("/tool"), "file", params, format=FileFormat.toml, output="run.out").files["params.toml"]
    assert written == (
        'seed = 1\nlayers = [{n = 1}, {n = 2}]\n\n[run]\nsteps = 3\nlr = 1e-05\non = true\nname = "a b"\n'
        f'out = "{RUN}"\n'
    )
    written = said(Path("/tool"), "file", {"run": params["run"]}, format=FileFormat.ini).files["params.ini"]
    assert written == "[run]\nsteps = 3\nlr = 1e-05\non = true\nname = a b\n"


# --- variables, and key=value ----------------------------------------------------------------------------------------


def test_parameters_are_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_LEFTOVER", "of the shell's")
    monkeypatch.setenv("SIM_NONE", "of the shell's")
    params = {"lr": 1e-05, "optim.n-steps": 3, "name": "a b=c\nd", "on": True, "ids": [1, 2], "none": None}
    ways = {"booleans": BooleanStyle.value, "lists": ListStyle.comma, "nulls": NullStyle.omit}
    found = said(tmp_path, "environment", params, "-v", prefix="SIM_", output="OUT", **ways)
    assert found.variables == {
        "SIM_LR": "1e-05",
        "SIM_OPTIM__N_STEPS": "3",
        "SIM_NAME": "a b=c\nd",
        "SIM_ON": "true",
        "SIM_IDS": "1,2",
        "OUT": str(RUN),
    }
    assert (found.argv, found.files) == (("-v",), {})
    assert list(found.unset) == ["SIM_LEFTOVER", "SIM_NONE"]


def test_key_value_as_it_is(tmp_path: Path) -> None:
    params = {"h": 1e-05, "optim": {"steps": 3}, "name": 'a "b"', "text": "1"}
    words = said(tmp_path, "assignments", params, "all", subcommand="train", output="out").argv
    assert words == ("train", "h=1e-05", "optim.steps=3", 'name=a "b"', "text=1", f"out={RUN}", "all")


@pytest.mark.parametrize(
    ("style", "call", "params", "why"),
    [
        *((style, {}, {"x": value}, "isn't known") for style in ("environment", "assignments")
          for value in (True, None, [1], {})),
        ("environment", {}, {"path": "/x"}, "PATH means something"),
        ("environment", {}, {"home": "/x"}, "HOME means something"),
        ("environment", {"prefix": "LD_"}, {"preload": "/x"}, "LD_PRELOAD means something"),
        ("environment", {"prefix": "1"}, {"x": 1}, "name of a variable"),
        ("environment", {}, {"é": 1}, "name of a variable"),
        ("environment", {}, {"a-b": 1, "A_B": 2}, "one option"),
        ("environment", {}, {"a__b": 1, "a": {"b": 2}}, "one option"),
        ("environment", {}, {"x": "a\0b"}, "NUL"),
        ("assignments", {}, {"a b": 1}, "can't be an option"),
        ("assignments", {}, {"-x": 1}, "can't be"),
        ("assignments", {"lists": ListStyle.spread}, {"x": [1]}, "doesn't read lists so"),
    ],
)  # fmt: skip
def test_what_words_cannot_say_is_refused(
    tmp_path: Path, style: str, call: dict[str, Any], params: Any, why: str
) -> None:
    with pytest.raises(StashError, match=why) as caught:
        said(tmp_path, style, params, **call)
    assert caught.value.hint


def test_arguments_do_not_assign_again(tmp_path: Path) -> None:
    with pytest.raises(StashError, match="says again"):
        said(tmp_path, "assignments", {"lr": 1}, "lr=2")


# --- templates -------------------------------------------------------------------------------------------------------


def rendered(tool: Path, text: str, params: Any, **call: Any) -> Arguments:
    (tool / "in.j2").write_text(text)
    return said(tool, "template", params, template="in.j2", **call)


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    (tmp_path / "tool").mkdir()
    return tmp_path / "tool"


WRITTEN = [
    ("{{ params.a.b }} {{ params.c }}\n", {"a.b": 1e-05, "c": "it's <b>"}, "1e-05 it's <b>\n"),
    ("{{ params.x | fortran }}", {"x": [True, 1, 1e22, "it's"]}, ".true., 1, 1.0e+22, 'it''s'"),
    ("{{ params.x | json }}", {"x": {"a": [None, True]}}, '{"a": [null, true]}'),
    ("{{ params.x | python }}", {"x": [None, True]}, "[None, True]"),
    ("{{ params.x | toml }}", {"x": {"a b": [1.5, "z"]}}, '{"a b" = [1.5, "z"]}'),
    ("{{ params.x | yaml }}", {"x": [None, "1"]}, '[null, "1"]'),
    ("<x>{{ params.x | e }}</x>", {"x": "a < b"}, "<x>a &lt; b</x>"),
    ("{{ 'yes' if params.x else 'no' }} {{ params.l | join(' ') }}", {"x": False, "l": [1, 2]}, "no 1 2"),
    ("{% for key, value in params.s | items %}{{ key }} {{ value }};{% endfor %}", {"s": {"a": 1, "b": 2}}, "a 1;b 2;"),
    ("{{ params['values'] }}{{ params.items }}", {"values": 1, "items": 2}, "12"),
    ("{{ output_dir }}", {}, str(RUN)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "params", "comes"), WRITTEN)
def test_a_template_says_how_values_are_written(tool: Path, text: str, params: Any, comes: str) -> None:
    found = rendered(tool, text, params, file="x.in")
    assert found.files == {"x.in": comes}
    assert found.argv == (f"{RUN}/x.in",) and found.variables == {"EXPERIMENTSTASH_INPUT": f"{RUN}/x.in"}


MISTAKES = [
    ("\n{{ params.lear }}", {"learn": 1}, "in.j2, line 2: there is no params.lear. Did you mean 'learn'?"),
    ("\n\n{{ params.a.c }}", {"a": {"b": 1}}, "line 3: there is no params.a.c."),
    ("{{ learn }}", {"learn": 1}, "line 1: there is no 'learn'. Parameters are below `params`: params.learn."),
    ("\n{% if params.x %}", {"x": 1}, "line 2: Unexpected end of template"),
    ("{{ params.x }}", {"x": True}, "line 1: a value is true, and nothing says how"),
    ("{{ params.x }}", {"x": None}, "line 1: a value is null"),
    ("{{ params.x }}", {"x": [1]}, "line 1: a value is a list"),
    ("{{ params.x }}", {"x": {"a": 1}}, "line 1: a value is a mapping"),
    ("{{ params.x | fortran }}", {"x": None}, "line 1: what `| fortran` gets is null"),
    ("{{ params.x | fortran }}", {"x": math.inf}, "is inf"),
    ("{{ params.x | toml }}", {"x": None}, "what `| toml` gets is null"),
    ("{{ params.x | nosuch }}", {"x": 1}, "line 1: No filter named 'nosuch'"),
    ("{% include 'other' %}", {}, "line 1: there is no other beside it"),
    ("{% include '../secret' %}", {}, "isn't in the template's directory"),
    ("{% include 'link' %}", {}, "isn't in the template's directory"),
    ("{% include 'part' %}", {}, "part, line 3: there is no params.z"),
    ("{{ ''.__class__.__mro__ }}", {}, "line 1: "),
    ("{% for a in range(100001) %}{% endfor %}", {}, "Range too big"),
    ("{% for a in range(9999) %}{% for b in range(9999) %}{{ 'x' * 100 }}{% endfor %}{% endfor %}", {}, "64 MB"),
]


@pytest.mark.parametrize(("text", "params", "what"), MISTAKES)
def test_a_mistake_in_a_template_names_its_line(tool: Path, text: str, params: Any, what: str) -> None:
    (tool.parent / "secret").write_text("secret")
    (tool / "link").symlink_to(tool.parent / "secret")
    (tool / "part").write_text("\n\n{{ params.z }}")
    with pytest.raises(StashError) as caught:
        rendered(tool, text, params)
    assert what in caught.value.message and str(tool) in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ({"template": None}, "needs one"),
        ({"template": "nosuch"}, "there is no nosuch"),
        ({"template": "../in.j2"}, "leads out"),
        ({"template": "both"}, "in the tool and in the stash"),
        *(
            ({"file": name}, "can't be the name")
            for name in ("a/b", "run.json", "wandb", "output.log", ".hydra", "", "..", "a\nb")
        ),
        ({"words": ["-in"]}, "path of the input"),
        ({"booleans": BooleanStyle.value}, "no choice"),
    ],
)
def test_what_a_template_cannot_be_is_refused(tool: Path, call: dict[str, Any], why: str) -> None:
    for place in (tool / "in.j2", tool / "both", tool.parent / "both"):
        place.write_text("")
    with pytest.raises(StashError, match=why) as caught:
        said(tool, "template", {}, **{"template": "in.j2", **call})
    assert caught.value.message.startswith("call.") and caught.value.hint


def test_how_a_tool_is_told_of_its_input(tool: Path) -> None:
    (tool.parent / "conf").mkdir()
    (tool.parent / "conf" / "in.lmp.j2").write_text("{{ experiment }} {{ params.a }}")
    path = f"{RUN}/in.lmp"
    for words, argv in ((["-in", "{file}"], ["-in", path]), ([], []), (["--in={file}"], [f"--in={path}"])):
        found = said(tool, "template", {"a": 1}, "-x", experiment="e", template="conf/in.lmp.j2", words=words)
        assert (list(found.argv), found.files) == ([*argv, "-x"], {"in.lmp": "e 1"})
        assert found.tells_experiment and found.read is not None and "params.a" in found.read


# --- real tools ------------------------------------------------------------------------------------------------------

SIMULATOR = """entrypoint: simulate
environment: {kind: none}
call: {style: template, template: input.nml.j2}
"""
PARAMS = "params: {title: it's, steps: 2, rate: 0.5, decays: true, masses: [1.0, 2], note: none}\n"
NAMELIST = """&run
  title = 'it''s'
  steps = 2
  rate = 0.5
  decays = .true.

  masses = 1.0, 2

/
"""


@pytest.fixture
def simulator(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("sim", "simulator", SIMULATOR)
    stash.add_experiment("e", "sim", PARAMS)
    stash.write(".gitignore", "outputs\nmultirun\n.experimentstash\n")
    stash.commit()
    return stash


@pytest.mark.slow
def test_a_simulator_gets_its_namelist(simulator: StashUnderTest) -> None:
    done = simulator.cli("+exp=e")
    assert done.returncode == 0, done.stdout + done.stderr
    (directory,) = simulator.run_directories()
    assert (directory / "input.nml").read_text() == NAMELIST
    record = simulator.record(directory)
    assert record["attempt"]["metrics"] == {"value": 0.25}
    assert record["spec"]["command"]["argv"][-1] == f"{directory}/input.nml"
    assert any("params.note: recorded, but neither the template" in note for note in record["attempt"]["notes"])
    # The same is not run again; with another template it is another run.
    assert "1" in simulator.cli("+exp=e", "skip_completed=true").stderr and len(simulator.run_directories()) == 1
    template = simulator.root / "tools" / "sim" / "input.nml.j2"
    template.write_text("! other\n" + template.read_text())
    simulator.commit()
    assert simulator.cli("+exp=e", "skip_completed=true").returncode == 0
    assert len(simulator.run_directories()) == 2


def test_what_would_be_rendered_is_shown(simulator: StashUnderTest, in_process: InProcess) -> None:
    for shown in ("validate_only=true", "dry_run=true"):
        done = in_process(simulator, "+exp=e", shown)
        assert done.returncode == 0 and NAMELIST.rstrip() in done.stdout, done.stdout + done.stderr
    done = in_process(simulator, "+exp=e", "params.decays=null", "validate_only=true")
    assert done.returncode != 0 and "input.nml.j2, line 5: what `| fortran` gets is null" in done.stderr
    assert not simulator.run_directories()


def test_what_no_template_names_has_no_effect_and_is_refused(simulator: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(simulator, "-m", "+exp=e", "params.note=a,b")
    assert done.returncode != 0 and "params.note: nothing hands it to the tool" in done.stdout + done.stderr
    done = in_process(simulator, "validate")
    assert "params.note: recorded, but neither the template" in done.stdout + done.stderr


def test_a_variable_of_env_is_no_parameters(
    stash: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNT_DATA", "of the shell's")
    call = "call: {style: environment, prefix: COUNT_}\nenv: {COUNT_DATA: here}"
    stash.add_tool("count", "counter", f"entrypoint: count.sh\nenvironment: {{kind: none}}\n{call}\n")
    stash.add_experiment("e", "count", "params: {from: 3}\n")
    done = in_process(stash, "+exp=e", "validate_only=true", "debug=true")
    assert done.returncode == 0 and "COUNT_DATA=here" in done.stdout + done.stderr
    assert done.stdout.startswith("COUNT_FROM=3 ")
    done = in_process(stash, "+exp=e", "validate_only=true", "+params.data=x")
    assert "COUNT_DATA is a variable of `env`, and a parameter's" in done.stderr


def test_a_shell_script_gets_its_variables(stash: StashUnderTest) -> None:
    call = "call: {style: environment, prefix: COUNT_}"
    stash.add_tool("count", "counter", f"entrypoint: count.sh\nenvironment: {{kind: none}}\n{call}\n")
    stash.add_experiment("e", "count", "params: {from: 3, step.size: 4, label: a b}\n")
    done = stash.cli("+exp=e")
    assert done.returncode == 0, done.stdout + done.stderr
    (directory,) = stash.run_directories()
    assert json.loads((directory / "metrics.json").read_text()) == {"sum": 7, "label": "a b"}
    environment = stash.record(directory)["spec"]["command"]["environment"]
    assert (environment["COUNT_FROM"], environment["COUNT_STEP__SIZE"]) == ("3", "4")
