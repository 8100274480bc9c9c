"""Parameters have one meaning, in whatever way they are written, and what has none is refused before anything runs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from experimentstash.execute import arrived
from experimentstash.stash import parameters
from experimentstash.stash.parameters import ClashError
from tests.testing.stash import REPOSITORY, InProcess, StashUnderTest

APP = """
import hydra

@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config):
    pass

main()
"""
FILES = {
    "main.py": APP,
    "conf/config.yaml": "defaults: [{model: rf}, {optim/sched: cos}, {optim/sched@second: cos}, _self_]\nseed: 0\n",
    "conf/model/rf.yaml": "n: 10\n",
    "conf/model/svm.yaml": "C: 1\n",
    "conf/optim/sched/cos.yaml": "t: 1\n",
    "conf/optim/sched/lin.yaml": "t: 2\nk: 3\n",
}
ORGANIZERS = {
    "dotted": "params: {model: rf, model.n: 2}\n",
    "nested": "params: {model: {_choice_: rf, n: 2}}\n",
    "empty": "params: {}\n",
    "base": "params: {model: rf, seed: 1}\n",
    "other": "params: {model: rf, only: 3}\n",
    "interpolated": "params: {model: rf, model.n: 2, seed: '${params.model.n}', '+name': 'of-${.model}'}\n"
    "arguments: ['+also=${params.model}']\n",
    "moved": "params: {seed: 5, model.n: '${.seed}'}\n",
    "groups": "params: {optim/sched: lin, optim.sched.k: 9, 'optim/sched@second': lin, second.k: 8}\n",
    "marked": "params: {'+note': a, '~seed': null}\n",
    "clash": "params:\n  model:\n    n: 2\n  model.n: 3\n",
    "no_values_inside": "params: {model: 5, model.n: 3}\n",
    "directory": "params: {hydra: {run: {dir: elsewhere}}}\n",
    "twice": "params: {model.n: 3}\narguments: ['model.n=4']\n",
    "mine": "vars: {n: 4}\nparams: {model.n: '${vars.n}'}\n",
}
BUILT_ON = {
    "built": ("base", "params: {model: {n: 7}}\n"),
    "built_dotted": ("base", "params: {model.n: 7}\n"),
    "built_choice": ("dotted", "params: {model: svm}\n"),
    "built_number": ("dotted", "params: {model: 5}\n"),
}


@pytest.fixture
def tool(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a Hydra tool that has config groups."""
    directory = stash.add_tool("hydra", None, "entrypoint: main.py\ncall: {style: hydra}")
    for name, text in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    for name, text in ORGANIZERS.items():
        stash.add_experiment(name, "hydra", text)
    for name, (base, text) in BUILT_ON.items():
        stash.write(f"conf/exp/{name}.yaml", f"# @package _global_\ndefaults:\n  - {base}\n{text}")
    stash.add_tool("plain", "plain", "entrypoint: main.py\ncall: {lists: spread, mappings: dotted}")
    stash.add_experiment("plain", "plain", "params: {say: [a, b], optim.lr: 0.1, optim: {steps: 3}}\n")
    stash.add_tool("reader", "file_reader", "entrypoint: main.py\ncall: {style: file}")
    stash.add_experiment("file", "reader", "params: {model: rf, optim.lr: 0.1}\n")
    return stash


def handed(stash: StashUnderTest, in_process: InProcess, *arguments: str) -> list[list[str]]:
    """Return what the tool would get of parameters, in each run."""
    done = in_process(stash, *arguments, "validate_only=true")
    assert done.returncode == 0, done.stderr
    lines = [shlex.split(line) for line in done.stdout.splitlines() if "main.py" in line]
    return [[word for word in line[2:] if not word.startswith("hydra.")] for line in lines]


def refused(stash: StashUnderTest, in_process: InProcess, *arguments: str) -> str:
    done = in_process(stash, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    assert not [path for root in ("outputs", "multirun") for path in stash.root.glob(f"{root}/*")]
    return done.stderr


CELLS: list[tuple[list[str], list[list[str]]]] = [
    (["+exp=dotted"], [["model=rf", "model.n=2"]]),
    (["+exp=nested"], [["model=rf", "model.n=2"]]),
    (["-m", "+exp=dotted", "params.model.n=50,100"], [["model=rf", "model.n=50"], ["model=rf", "model.n=100"]]),
    (["-m", "+exp=nested", "++params.model.n=50,100"], [["model=rf", "model.n=50"], ["model=rf", "model.n=100"]]),
    (["+exp=empty", "+params.model=svm", "+params.model.C=3"], [["model=svm", "model.C=3"]]),
    (["+exp=empty", "+params.model.C=3", "+params.model=svm"], [["model=svm", "model.C=3"]]),
    (["+exp=empty", "+params={model: svm, model.C: 3}"], [["model=svm", "model.C=3"]]),
    (["+exp=empty", "+params.model={_choice_: svm, C: 3}"], [["model=svm", "model.C=3"]]),
    (["+exp=dotted", "params.model=svm", "~params.model.n", "+params.model.C=1"], [["model=svm", "model.C=1"]]),
    (["-m", "+exp=dotted", "params.model=rf,svm"], [["model=rf", "model.n=2"], ["model=svm", "model.n=2"]]),
    (
        ["-m", "+exp=dotted", "params.model=rf,svm", "params.model.n=1,2"],
        [[f"model={model}", f"model.n={n}"] for model in ("rf", "svm") for n in (1, 2)],
    ),
    (
        ["hydra.mode=MULTIRUN", "+exp=dotted", "params.model.n=5,6"],
        [["model=rf", "model.n=5"], ["model=rf", "model.n=6"]],
    ),
    (["+exp=built"], [["model=rf", "model.n=7", "seed=1"]]),
    (["+exp=built_dotted"], [["model=rf", "model.n=7", "seed=1"]]),
    (["+exp=built_choice"], [["model=svm", "model.n=2"]]),
    (["+exp=built_number"], [["model=5"]]),
    (["+exp=dotted", "params.model=5"], [["model=5"]]),
    (["+exp=dotted", "params.model=null"], [["model=null"]]),
    (["+exp=interpolated"], [["model=rf", "model.n=2", "seed=2", "+name=of-rf", "+also=rf"]]),
    (["+exp=interpolated", "params.model=svm"], [["model=svm", "model.n=2", "seed=2", "+name=of-svm", "+also=svm"]]),
    (["-m", "+exp=moved", "params.seed=6,7"], [["seed=6", "model.n=6"], ["seed=7", "model.n=7"]]),
    (["+exp=groups"], [["optim/sched=lin", "optim.sched.k=9", "optim/sched@second=lin", "second.k=8"]]),
    (
        ["-m", "+exp=groups", "params.optim/sched=lin,cos", "params.optim/sched@second=cos", "params.second.k=1"],
        [[f"optim/sched={each}", "optim.sched.k=9", "optim/sched@second=cos", "second.k=1"] for each in ("lin", "cos")],
    ),
    (["+exp=empty", "+params.optim/sched=lin"], [["optim/sched=lin"]]),
    (
        ["-m", "+exp=empty", "++params.optim/sched@second=lin,cos"],
        [[f"optim/sched@second={each}"] for each in ("lin", "cos")],
    ),
    (["+exp=groups", "~params.optim/sched", "~params.optim/sched@second"], [["second.k=8"]]),
    (["+exp=marked"], [["+note=a", "~seed"]]),
    (["-m", "+exp=marked", "params.note=b,c", "params.seed=3"], [["+note=b", "seed=3"], ["+note=c", "seed=3"]]),
    (["+exp=marked", "~params.note", "~params.seed"], [[]]),
    (["+exp=dotted", "~params.model"], [[]]),
    (["+exp=dotted", "~params.model.n"], [["model=rf"]]),
    (["+exp=dotted", "~params.model._choice_"], [["model.n=2"]]),
    (["+exp=dotted", "~params"], [[]]),
    (["-m", "+exp=dotted,nested", "~params.model.n"], [["model=rf"], ["model=rf"]]),
    (["-m", "+exp=dotted,nested", "params.model.n=9"], [["model=rf", "model.n=9"], ["model=rf", "model.n=9"]]),
    (["-m", "+exp=base,other", "+params.more=1"], [["model=rf", "seed=1", "more=1"], ["model=rf", "only=3", "more=1"]]),
    (["+exp=dotted", "~params.model", "+params.model=5"], [["model=5"]]),
    (["+exp=dotted", "params.model.n=1", "params.model.n=3"], [["model=rf", "model.n=3"]]),
    (["run", "dotted", "params.model.n=4"], [["model=rf", "model.n=4"]]),
    (["+exp=mine", "vars.n=6"], [["model.n=6"]]),
    (["+exp=mine", "+vars.other=6", "+params.seed=${vars.other}"], [["model.n=4", "seed=6"]]),
    (
        ["+exp=plain", "params.say.1=c", "params.optim.lr=0.2"],
        [["--say", "a", "c", "--optim.lr", "0.2", "--optim.steps", "3"]],
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), CELLS, ids=lambda value: " ".join(map(str, value))[:60])
def test_what_is_asked_for_is_what_the_tool_gets(
    tool: StashUnderTest, in_process: InProcess, arguments: list[str], expected: list[list[str]]
) -> None:
    assert handed(tool, in_process, *arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["+exp=clash"], ["conf/exp/clash.yaml: ", "params.model.n (line 6)", "params.model.n (line 7)", "2 and as 3"]),
        (["+exp=no_values_inside"], ["conf/exp/no_values_inside.yaml: params.model (line 4) is 5", "params.model.n"]),
        (["+exp=directory"], ["hydra.run.dir=elsewhere' (by `params`)", "(by ExperimentStash itself"]),
        (["+exp=twice"], ["'model.n=3' (by `params`)", "'model.n=4' (by `arguments`)", "the same key twice"]),
        (["+exp=dotted", "+params.model=svm"], ["An item is already at 'params.model'", "'params.model=svm'"]),
        (["+exp=dotted", "params.model.m=3"], ["unknown key 'params.model.m'", "+params.model.m=3"]),
        (["+exp=dotted", "params.model.n=3", "++params.model.n=4"], ["'params.model.n=3' and '++params.model.n=4'"]),
        (["-m", "+exp=dotted", "params.model.n=3,4", "++params.model.n=5"], ["say different things"]),
        (["-m", "+exp=dotted", "params.model.n=3,4", "params.model={n:5}"], ["say different things"]),
        (["+exp=dotted", "params.model.n=3", "~params.model"], ["'params.model.n=3' and '~params.model'"]),
        (["+exp=dotted", "params.model={}"], ["params.model={} changes nothing", "~params.model"]),
        (["+exp=dotted", "~params.modle"], ["no params.modle to remove. Did you mean 'model'?"]),
        (["+exp=dotted", "~params.model=svm"], ["The value of 'params.model' is 'rf' and not 'svm'"]),
        (
            ["-m", "+exp=dotted,other", "params.only=1,2"],
            ["params.only is no parameter of the experiment dotted; other has"],
        ),
        (
            ["-m", "+exp=dotted,other", "params.only=1"],
            ["params.only is no parameter of the experiment dotted; other has"],
        ),
        (
            ["-m", "+exp=dotted,other", "~params.only"],
            ["params.only is no parameter of the experiment dotted; other has"],
        ),
        (["+exp=file", "+params.model.n=3"], ["params.model.n", "both as a value and with others inside it"]),
        (["+exp=file", "++params={+x: 3}"], ["params.+x: a + in front of a key is for Hydra tools"]),
    ],
    ids=lambda value: " ".join(map(str, value))[:60],
)
def test_what_has_no_one_meaning_is_refused(
    tool: StashUnderTest, in_process: InProcess, arguments: list[str], expected: list[str]
) -> None:
    said = refused(tool, in_process, *arguments)
    for text in expected:
        assert text in said, said


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("+foo.bar=1", ["unknown key 'foo'", "+vars.foo="]),
        ("++foo=1", ["unknown key 'foo'"]),
        ("+resources.gpu=2", ["unknown key 'resources.gpu'. Did you mean 'gpus'?"]),
        ("+tool.call.lst=x", ["unknown key 'tool.call.lst'. Did you mean 'lists'?"]),
        ("+tool.envs.A=x", ["unknown key 'tool.envs'. Did you mean 'env'?"]),
        ("+grace.second=2", ["unknown key 'grace.second'. Did you mean 'seconds'?"]),
        ("+wandb.mod=offline", ["unknown key 'wandb.mod'. Did you mean 'mode'?"]),
        ("+hydra.swep.dir=x", ["unknown key 'hydra.swep'. Did you mean 'sweep'?"]),
        ("+parms.x=1", ["unknown key 'parms'. Did you mean 'params'?"]),
    ],
)
@pytest.mark.parametrize("way", ["one", "sweep", "cfg"])
def test_settings_that_do_not_exist_are_refused(
    tool: StashUnderTest, in_process: InProcess, override: str, expected: list[str], way: str
) -> None:
    said = refused(tool, in_process, *{"sweep": ["-m"], "cfg": ["--cfg", "job"]}.get(way, []), "+exp=dotted", override)
    for text in expected:
        assert text in said, said


@pytest.mark.slow
def test_it_is_recorded_and_checked_after_the_run(tool: StashUnderTest) -> None:
    main = tool.root / "tools" / "hydra" / "main.py"
    done = tool.cli("-m", "+exp=dotted", "params.model.n=50,100", "+params={+x: '\\${a}', +f: nan, +l: [1, [a]]}")
    assert done.returncode == 0, done.stdout + done.stderr
    for directory, n in zip(tool.run_directories(), (50, 100), strict=True):
        record = tool.record(directory)
        more = {"+x": "${a}", "+f": {"_float_": "nan"}, "+l": [1, ["a"]]}
        assert record["spec"]["params"] == {"model": {"_choice_": "rf", "n": n}, **more}
        assert (record["attempt"]["warnings"], record["attempt"]["notes"]) == ([], [])
    # A tool that changes what it was given, before Hydra sees it.
    main.write_text("import sys\nsys.argv = [word.replace('n=2', 'n=3') for word in sys.argv]\n" + APP)
    assert tool.cli("+exp=dotted").returncode == 0
    record = tool.record(tool.run_directories()[-1])
    assert record["attempt"]["warnings"] == [
        "params.model.n is 2 in the record, and the tool had 3 (.hydra/tool/config.yaml)"
    ]
    found = json.loads(tool.cli("validate", "--exp", "dotted", "--deep", "--json").stdout)
    assert [each["what"] for each in found if each["check"] == "deep"] == [
        "hydra composes something else: params.model.n is 2 in the record, and the tool had 3"
    ]


@pytest.mark.parametrize(
    ("params", "rest", "unused"),
    [
        ("{x: 1}", "", ["params.x"]),
        ("{x: 1, y: {z: 2}}", "arguments: ['${params.x}']", ["params.y.z"]),
        ("{x: 1, y: {z: 2}}", "arguments: ['--x=${params.x}', '${params.y.z}']", []),
        ("{x: 1, y: {z: 2}}", "arguments: ['${oc.select:params.x}', 'a ${params.y}']", []),
        ("{x: 1, y: '${params.x}', z: '${.y}'}", "arguments: ['${params.z}']", []),
        ("{x: 1}", "tool: {env: {X: '${params.x}'}}", []),
        ("{path: 1}", "description: '${params.path}'", ["params.path"]),
        ("{x: 1, which: x}", "arguments: ['${params.${params.which}}']", []),
        ("{x: 1}", "experiment: '${params.x}'\narguments: ['${experiment}']", []),
    ],
)
def test_what_the_arguments_do_not_use_is_said(
    stash: StashUnderTest, in_process: InProcess, params: str, rest: str, unused: list[str]
) -> None:
    stash.add_tool("shown", "shown", "entrypoint: show\ncall: {style: arguments}\nenvironment: {kind: none}\n")
    stash.add_experiment("e", "shown", f"params: {params}\n{rest}\n")
    said = in_process(stash, "validate").stdout
    assert all(each in said for each in unused)
    assert ("recorded, but the style `arguments` hands over only" in said) == bool(unused), said


def test_what_is_asked_for_and_nothing_hands_over_is_refused(stash: StashUnderTest, in_process: InProcess) -> None:
    """A sweep over it would run the same thing again and again."""
    stash.add_tool("shown", "shown", "entrypoint: show\ncall: {style: arguments}\nenvironment: {kind: none}\n")
    stash.write("tools/shown/show", "#!/bin/sh\necho $*\n")
    (stash.root / "tools/shown/show").chmod(0o755)
    stash.add_experiment("e", "shown", "params: {x: 1, y: 2, z: {a: 3}}\narguments: ['${params.x}']\n")
    assert in_process(stash, "-m", "+exp=e", "params.x=4,5", "validate_only=true").returncode == 0
    for asked in ("params.y=4,5", "params.z.a=4,5", "+params.new=4,5", "params.z={a: 4},{a: 5}"):
        refused = in_process(stash, "-m", "+exp=e", asked, "validate_only=true")
        assert refused.returncode != 0 and "nothing hands it to the tool" in refused.stderr, asked


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("null", "params.x is null"),
        ("true", "params.x is true"),
        ("[1, 2]", "params.x is a list"),
        ("{a: 1}", "params.x is a mapping"),
        ("'null'", None),
        ("1.5e-5", None),
    ],
)
@pytest.mark.parametrize(
    "rest",
    [
        "arguments: ['${params.x}']",
        "arguments: ['--x=${params.x}']",
        "vars: {y: '${params.x}'}\narguments: ['${vars.y}']",
        "tool: {env: {X: 'x ${params.x}'}}",
    ],
)
def test_what_is_no_text_does_not_become_one_of_several(
    stash: StashUnderTest, in_process: InProcess, value: str, said: str | None, rest: str
) -> None:
    """`null` became the text None, `true` the text True."""
    stash.add_tool("shown", "shown", "entrypoint: show\ncall: {style: arguments}\nenvironment: {kind: none}\n")
    stash.write("tools/shown/show", "#!/bin/sh\n")
    (stash.root / "tools/shown/show").chmod(0o755)
    stash.add_experiment("e", "shown", f"params: {{x: {value}}}\n{rest}\n")
    done = in_process(stash, "run", "e", "validate_only=true")
    if said is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert (said.replace("params.x", "vars.y") if "vars" in rest else said) in done.stderr


@pytest.mark.slow
def test_settings_without_effect_are_said(tool: StashUnderTest, in_process: InProcess) -> None:
    path = tool.root / "conf" / "tool" / "hydra.yaml"
    path.write_text(path.read_text().replace("style: hydra", "style: hydra, booleans: value, option: -c"))
    tool.add_experiment("inner", "plain", "experiment: inner\n")
    done = in_process(tool, "validate")
    assert "call.booleans: it has no effect in the style hydra" in done.stdout
    assert "call.option: it has no effect in the style hydra" in done.stdout
    assert "experiment: 'inner' doesn't reach plain" in done.stdout


# --- the rules themselves --------------------------------------------------------------------------------------------

key = some.sampled_from(["a", "b", "a.b", "b.a", "+a", "~b", "a/b", "x", "x.y.z", "_choice_", "1.5"])
value = some.recursive(
    some.sampled_from([1, 1.0, True, None, "", "rf", "${.a}", ["a"], [1], {}]),
    lambda inner: some.dictionaries(key, inner, max_size=3),
    max_leaves=6,
)
mapping = some.dictionaries(key, value, max_size=4)


@pytest.mark.slow
@settings(deadline=None, max_examples=200, database=None)
@given(mapping)
def test_a_tree_is_read_as_it_is_written(given_params: dict[Any, Any]) -> None:
    try:
        leaves = parameters.read(given_params)
    except ClashError:
        return
    tree = parameters.tree(leaves)
    again = parameters.read(tree)
    assert set(again) == set(leaves)
    assert parameters.same(parameters.tree(again), tree)
    tidy = parameters.tidy(leaves)
    assert parameters.same(parameters.tidy(parameters.read(tidy)), tidy)
    assert parameters.same(parameters.from_json(json.loads(json.dumps(parameters.as_json(tidy)))), tidy)


@pytest.mark.slow
@settings(deadline=None, max_examples=200, database=None)
@given(mapping, mapping)
def test_what_comes_later_wins(below: dict[Any, Any], over: dict[Any, Any]) -> None:
    try:
        merged = parameters.read(parameters.merged(below, over))
        upper = parameters.read(over)
    except ClashError:
        return
    for name, leaf in upper.items():
        if leaf.value != {}:
            assert parameters.same(
                parameters.as_json(merged[name].value), parameters.as_json(leaf.value)
            ) or "${" in str(leaf.value)


@pytest.mark.parametrize(
    ("recorded", "written", "is_same"),
    [
        (1, "1", True),
        (1, "2", False),
        (1, "1.0", True),
        ("1", "1", True),  # a tool with types has made a number of it
        (True, "1", False),
        (True, "true", True),
        (None, "null", True),
        (None, "0", False),
        (1e-5, "1.0e-05", True),
        ("${x}", "'\\${x}'", True),
        ("a", "b", False),
        ("Color.RED", "RED", True),
        ([1, "a"], "[1, a]", True),
        ([1], "[1, 2]", False),
        ({}, "{a: 1}", False),
        ({}, "{}", True),
        ({"1": "b"}, "[a, b]", True),  # an element: x.1=b
        ({"1": {"y": 2}}, "[a, {y: 2}]", True),
        ({"1": "c"}, "[a, b]", False),
        ({"2": "b"}, "[a, b]", False),
        ("/a", "!!python/object/apply:pathlib.PosixPath [/, a]", True),
        ("x", "${other}", True),  # the tool's own; nobody can tell
    ],
)
def test_what_counts_as_arrived(recorded: Any, written: str, is_same: bool) -> None:
    config = arrived.parse(f"x: {written}\n")
    assert (arrived.differences({"x": recorded}, config, {}) == []) is is_same


def test_yaml_is_found_by_a_task_of_slurms_too() -> None:
    """It is started without `site`, and where we are installed with -e nothing else lies beside us."""
    asked = "import sys; sys.path.append(sys.argv[1]); from experimentstash.execute import arrived"
    words = [sys.executable, "-S", "-c", f"{asked}; print(arrived.parse('a: 1'))", str(REPOSITORY)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "{'a': 1}\n"
