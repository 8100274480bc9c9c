"""A table: way of writing × type of value × receiver. What the receiver got is what the record says, in every cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from experimentstash.execute import arrived
from experimentstash.freeze.plan import Plan, plan
from experimentstash.stash import parameters
from experimentstash.stash.layout import Stash
from experimentstash.validate.composer import Composer
from tests.testing.stash import StashUnderTest
from tests.testing.ways_of_writing import organizer, ways

VALUES: dict[str, Any] = {
    "int": 3,
    "negative": -2,
    "float": 0.1,
    "small": 1e-5,
    "large": 1e22,
    "yes": True,
    "no": False,
    "nothing": None,
    "word": "adam",
    "spaces": " two  words ",
    "quotes": 'it\'s "both"',
    "unicode": "ü€",
    "backslash": "a\\b\\",
    "comma": "a,b",
    "lines": "a\nb",
    "number_text": "1",
    "float_text": "1e-5",
    "true_text": "true",
    "null_text": "null",
    "date_text": "2024-01-01",
    "empty": "",
    "interpolation_text": "${x}",
    "list": [1, 2.5, "a", None, True],
    "nested_list": [[1], [2, [3, "x y"]]],
    "empty_list": [],
    "list_of_mappings": [{"a.b": 1}, {"c": {"d": [2]}}],
    "mapping": {"a": 1, "b": {"c": "x y", "d": [1]}},
    "empty_mapping": {},
}
WAYS = ways(VALUES, "box", {"other": 1})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a Hydra application, ready for compose."""
    directory = tmp_path_factory.mktemp("app") / "conf"
    defaults = {name: {"a": 0, "b": {"c": 0, "d": 0}} if name == "mapping" else None for name in VALUES}
    for group in ("model", "optim/sched"):
        for choice in ("rf", "svm"):
            (directory / group).mkdir(parents=True, exist_ok=True)
            (directory / group / f"{choice}.yaml").write_text(f"name: {choice}\nv: null\n")
    lists = ["_self_", {"model": "rf"}, {"optim/sched": "rf"}, {"optim/sched@second": "rf"}]
    (directory / "config.yaml").write_text(
        yaml.safe_dump({"defaults": lists, "box": {**defaults, "empty_mapping": {}, "other": 0}})
    )
    with initialize_config_dir(str(directory), version_base="1.3"):
        yield directory


def received(planned: Plan, style: str) -> tuple[Any, Any]:
    """Return what a receiver makes of a call, and what Hydra chose."""
    if style == "hydra":
        argv = planned.command.argv
        overrides = argv[next(number for number, word in enumerate(argv) if word.endswith("main.py")) + 1 :]
        config = compose("config", overrides, return_hydra_config=True)
        ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        return OmegaConf.to_container(ours, resolve=True), dict(config.hydra.runtime.choices)
    (text,) = planned.files.values()
    return (json.loads(text) if style == "json" else yaml.safe_load(text)), {}


@pytest.fixture
def table(stash: StashUnderTest) -> StashUnderTest:
    for style, call in {
        "hydra": "{style: hydra}",
        "json": "{style: file, format: json}",
        "yaml": "{style: file, format: yaml}",
    }.items():
        stash.add_tool(style, "plain", f"entrypoint: main.py\ncall: {call}")
        for number, (base, own, _) in enumerate(WAYS.values()):
            name = f"{style}{number}"
            if base is None:
                stash.add_experiment(name, style, organizer(own))
            else:
                stash.add_experiment(f"{name}_base", style, organizer(base))
                head = f"# @package _global_\ndefaults:\n  - {name}_base\n"
                stash.write(f"conf/exp/{name}.yaml", head + organizer(own))
    return stash


def same(one: Any, other: Any) -> bool:
    return parameters.same(parameters.as_json(one), parameters.as_json(other))


@pytest.mark.slow
@pytest.mark.parametrize("style", ["hydra", "json", "yaml"])
def test_the_receiver_gets_what_the_record_says(table: StashUnderTest, app: Path, style: str) -> None:
    composer, wrong = Composer(Stash(table.root)), []
    for number, (way, (_, _, overrides)) in enumerate(WAYS.items()):
        planned = plan(composer.compose([f"+exp={style}{number}", *overrides], table.root / "outputs" / "x"))
        got, chosen = received(planned, style)
        for name, value in VALUES.items():
            recorded = planned.params["box"][name]
            if not (same(recorded, value) and same(got["box"][name], value)):
                wrong.append((way, name, value, recorded, got["box"][name]))
        if style == "hydra":
            assert arrived.differences(planned.params, got, chosen) == []
    assert not wrong


CHOICES: dict[str, tuple[str, list[str]]] = {
    "nested": ("params: {{{nested}}}", []),
    "dotted": ("params: {{'{key}': svm, {path}.v: 5}}", []),
    "dotted, the value first": ("params: {{{path}.v: 5, '{key}': svm}}", []),
    "command line": ("params: {{'{key}': rf, {path}.v: 1}}", ["params.{key}=svm", "params.{path}.v=5"]),
    "command line, the other order": (
        "params: {{'{key}': rf, {path}.v: 1}}",
        ["params.{path}.v=5", "params.{key}=svm"],
    ),
    "the choice on the command line": ("params: {{{path}.v: 5}}", ["+params.{key}=svm"]),
    "the value on the command line": ("params: {{'{key}': svm}}", ["+params.{path}.v=5"]),
    "command line, +": ("params: {{}}", ["+params.{key}=svm", "+params.{path}.v=5"]),
    "command line, ++": ("params: {{'{key}': rf}}", ["++params.{key}=svm", "++params.{path}.v=5"]),
    "command line, ~": (
        "params: {{'{key}': rf, {path}.v: 5}}",
        ["~params.{key}", "+params.{key}=svm", "++params.{path}.v=5"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "path", "nested"),
    [
        ("model", "model", "model: {_choice_: svm, v: 5}"),
        ("optim/sched", "optim.sched", "optim: {sched: {_choice_: svm, v: 5}}"),
        ("optim/sched@second", "second", "'optim/sched@second': svm, second: {v: 5}"),
    ],
)
def test_a_choice_and_values_inside_it(stash: StashUnderTest, app: Path, key: str, path: str, nested: str) -> None:
    from experimentstash.compose import command_line
    from experimentstash.compose.overrides import normalized

    stash.add_tool("hydra", "plain", "entrypoint: main.py\ncall: {style: hydra}")
    for number, (text, _) in enumerate(CHOICES.values()):
        stash.add_experiment(f"e{number}", "hydra", text.format(key=key, path=path, nested=nested) + "\n")
    composer = Composer(Stash(stash.root))
    for number, (way, (_, overrides)) in enumerate(CHOICES.items()):
        given = [word.format(key=key, path=path) for word in overrides]
        typed = normalized(Stash(stash.root), command_line.read(given)).words
        planned = plan(composer.compose([f"+exp=e{number}", *typed], stash.root / "outputs" / "x"))
        got, chosen = received(planned, "hydra")
        for part in path.split("."):
            got = got[part]
        assert (chosen[key], got) == ("svm", {"name": "svm", "v": 5}), way
        given = [word for word in planned.command.argv if "=svm" in word or "=5" in word]
        assert sorted(given) == sorted([f"{key}=svm", f"{path}.v=5"]), way


@pytest.mark.parametrize("launcher", ["basic", "local", pytest.param("submitit_local", marks=pytest.mark.slow)])
def test_whichever_way_it_is_run(stash: StashUnderTest, launcher: str) -> None:
    stash.add_tool("file", "file_reader", "entrypoint: main.py\ncall: {style: file}")
    stash.add_experiment("base", "file", "params: {optim: {lr: 0.1}, note: a}\n")
    stash.write(
        "conf/exp/e.yaml", "# @package _global_\ndefaults:\n  - base\nparams: {optim.steps: 3, optim.lr: 0.2}\n"
    )
    done = stash.cli(
        "-m", f"hydra/launcher={launcher}", "+exp=e", "params.optim.lr=1e-5,0.3", "~params.note", "+params={x.y: [1]}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for directory, lr in zip(sorted(stash.run_directories()), (1e-5, 0.3), strict=True):
        expected = {"optim": {"lr": lr, "steps": 3}, "x": {"y": [1]}}
        assert json.loads((directory / "output.log").read_text()) == expected
        assert stash.record(directory)["spec"]["params"] == expected


def teardown_module() -> None:
    GlobalHydra.instance().clear()
