"""The fast composition gives what Hydra's own gives: the same values, types, flags and choices, and the same errors."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from experimentstash.base import yaml_files
from experimentstash.base.errors import StashError
from experimentstash.base.yaml_files import YamlError
from experimentstash.compose.config_store import ROOT_VARIABLE, TOKEN_VARIABLE, register
from experimentstash.compose.fast import loader
from experimentstash.compose.fast.installed import Installed
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallStyle
from experimentstash.validate.composer import Composer
from tests.testing.nodes import described
from tests.testing.stash import StashUnderTest

# Lines of a defaults list, each with what it needs after it.
DEFAULTS = [
    "- /data@params.data: small",
    "- /data@params.data: large",
    "- /data@params.first: small\n  - /data@params.second: small",
    "- /optim: [adam, schedule]",
    "- optional /data: nothing",
    "- /nested/inner/model@params.model: deep",
    "- /nested/inner/global: everywhere",
    "- base",
    "- base@_global_",
    "- /data@params.chosen: ${data_name}",
    "- _self_",
]
OVERRIDING = [
    "",
    "- override /data_name: large",
    "- override /hydra/job_logging: default",
    "- override /hydra/launcher: submitit_local",
]
HEADERS = ["# @package _global_\n", "\n# @package _global_\n# another comment\n"]
CONTENTS = [
    "experiment: inner\nparams: {seed: 1}\n",
    "description: ${experiment} of ${tool.path}\nexperiment: e\n"
    "params:\n  a: ${params.b}\n  b: [1, 2.5, null, '${tags}']\n",
    "tags: [x, 'y: z']\nestimated_runtime: 1:30:00\n"
    "params: {lr: 1e-3, big: 1_000, date: 2020-01-01, yes: on, octal: 0o17}\n",
    "params:\n  nested: &anchor {deep: {deeper: [a, {b: c}]}}\n  again: *anchor\n  merged: {<<: *anchor, more: 1}\n",
    "tool:\n  env: {MODE: fast, HOME: null}\n  call: {style: hydra, configs: conf}\n"
    "arguments: ['--out', '${output_dir}']\n",
    "grace: {seconds: 3}\nwandb: {mode: offline}\ndebug: true\n"
    "hydra:\n  job: {name: other}\n  run: {dir: elsewhere/${experiment}}\n",
    "params:\n  block: |\n    one\n    two\n  folded: >-\n    a\n    b\n",
    "params:\n  tab: \"a\\tb\"\n  raw: 'a\tb'\n  ünï: ✓\n",
]
OVERRIDES = [
    [],
    ["params.seed=3"],
    ["+params.seed2=3", "tags=[a,b]"],
    ["++params.x.y={a:1,b:[2,3]}", "~tags"],
    ["tool=second"],
    ["tool.path=elsewhere", "+tool.env.A=${experiment}"],
    ["data_name=large", "hydra.job.name=mine"],
    ["+data@params.extra=small", "experiment='a b'"],
    ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=3"],
    ["hydra.searchpath=[file://EXTRA]", "+data@params.extra=elsewhere"],
]


@pytest.fixture
def varied(stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StashUnderTest:
    """A stash with groups of many kinds."""
    stash.write(
        "conf/config.yaml", "defaults:\n  - experimentstash\n  - tool: null\n  - data_name: small\n  - _self_\n"
    )
    stash.write("conf/tool/common.yaml", "python_version: '3.11'\nenv: {COMMON: '1'}\n")
    stash.write("conf/tool/first.yaml", "defaults: [common]\npath: tools/first\nentrypoint: main.py\n")
    stash.write(
        "conf/tool/second.yaml", "path: tools/second\nentrypoint: -m second\ncall: {style: hydra}\nresume: [--go]\n"
    )
    stash.write("conf/data/small.yaml", "size: 10\nname: ${.size}\n")
    stash.write("conf/data/large.yaml", "defaults: [small, _self_]\nsize: 1000\n")
    stash.write("conf/data_name/small.yaml", "# @package _global_\nparams: {named: small}\n")
    stash.write("conf/data_name/large.yaml", "# @package _global_\nparams: {named: large}\n")
    stash.write("conf/optim/adam.yaml", "# @package params.optim\nlr: 0.1\n")
    stash.write("conf/optim/schedule.yaml", "# @package params.optim.schedule\nsteps: [1, 2]\n")
    stash.write("conf/nested/inner/model/deep.yaml", "defaults:\n  - layer: wide\nwidth: 3\n")
    stash.write("conf/nested/inner/model/layer/wide.yaml", "units: 64\n")
    stash.write(
        "conf/nested/inner/global/everywhere.yaml", "# @package _global_\ntags: [global]\nparams: {from_global: 1}\n"
    )
    stash.write("conf/exp/base.yaml", "# @package _global_\nparams: {base: true, seed: 0}\ntags: [base]\n")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    (elsewhere / "data" / "elsewhere.yaml").write_text("size: 5\n")
    monkeypatch.setenv(ROOT_VARIABLE, str(stash.root))
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    return stash


def write_organizers(stash: StashUnderTest, number: int) -> Iterator[tuple[str, list[str]]]:
    """Write organizers that combine everything at random, and yield each with the overrides to compose it with."""
    chance = random.Random(4)
    for position in range(number):
        name = f"{'group/' * (position % 3)}e{position}"
        lines = chance.sample(DEFAULTS, chance.randint(0, 3))
        lines += [f"- override /tool: {chance.choice(['first', 'second'])}", chance.choice(OVERRIDING)]
        defaults = "".join(f"  {line}\n" for line in lines if line)
        stash.write(f"conf/exp/{name}.yaml", f"{chance.choice(HEADERS)}defaults:\n{defaults}{chance.choice(CONTENTS)}")
        elsewhere = str(stash.root.parent / "elsewhere")
        yield name, [word.replace("EXTRA", elsewhere) for word in OVERRIDES[position % len(OVERRIDES)]]


def hydras_own(stash: StashUnderTest, overrides: list[str]) -> DictConfig:
    register()
    with initialize_config_dir(str(stash.root / "conf"), job_name="experimentstash", version_base="1.3"):
        return compose("config", overrides, return_hydra_config=True)


def outcome(composing: Any) -> Any:
    """Return everything that there is to know of a composition, or of its error (what is no YAML, we say ourselves)."""
    try:
        return described(composing())
    except (yaml.YAMLError, YamlError):
        return "not YAML", "", ""
    except Exception as error:
        return type(error).__name__, str(error), str(error.__cause__)


@pytest.mark.slow
@pytest.mark.parametrize("number", [8, 24, pytest.param(160, marks=pytest.mark.exhaustive)])
def test_it_gives_what_hydra_gives(varied: StashUnderTest, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = list(write_organizers(varied, number))
    failed = 0
    for position, (name, overrides) in enumerate(wanted):
        if position % 4 == 0:  # as in a new process
            monkeypatch.setattr(loader, "_installed", Installed())
            composer = Composer(Stash(varied.root))
        asked = [f"+exp={name}", *overrides]
        expected = outcome(lambda asked=asked: hydras_own(varied, asked))
        assert outcome(lambda asked=asked, composer=composer: composer.load(asked)) == expected, asked
        failed += isinstance(expected[0], str)
    assert 0 < failed < number / 2  # some combinations are mistakes, and most are none


@pytest.mark.slow
@pytest.mark.parametrize(("number", "before"), [(3, 1), (6, 3), pytest.param(24, 8, marks=pytest.mark.exhaustive)])
def test_the_order_leaves_no_trace(varied: StashUnderTest, number: int, before: int) -> None:
    names = [name for name, _ in write_organizers(varied, number)]
    composer = Composer(Stash(varied.root))
    once = {name: outcome(lambda name=name: composer.load([f"+exp={name}"])) for name in names}
    for name, other in itertools.product(names, names[:before]):
        outcome(lambda other=other: composer.load([f"+exp={other}", "++params.seed=9", "+hydra.job.env_set.A=b"]))
        assert outcome(lambda name=name: composer.load([f"+exp={name}"])) == once[name]


def test_it_returns_what_can_be_planned(varied: StashUnderTest) -> None:
    varied.write(
        "conf/exp/fig/one.yaml",
        "# @package _global_\ndefaults:\n  - override /tool: second\nexperiment: inner\n"
        "params: {out: '${output_dir}', job: '${hydra:job.name}', it: '${hydra:runtime.choices.exp}', n: 1}\n",
    )
    before = dict(os.environ)
    request = Composer(Stash(varied.root)).compose(
        ["+exp=fig/one", "params.n=${params.out}"], varied.root / "outputs/x"
    )
    out = str(varied.root / "outputs/x")
    assert request.config.params == {"named": "small", "out": out, "job": "experimentstash", "it": "fig/one", "n": out}
    assert (request.tool, request.organizer, request.config.experiment) == ("second", "fig/one", "inner")
    assert request.config.tool.call.style is CallStyle.hydra and request.overrides == [
        "+exp=fig/one",
        "params.n=${params.out}",
    ]
    assert dict(os.environ) == before


def test_without_a_directory_it_is_the_one_that_hydra_would_take(varied: StashUnderTest) -> None:
    varied.add_experiment("one", "first")
    composer = Composer(Stash(varied.root))
    assert composer.compose(["+exp=one"]).directory.is_relative_to(varied.root / "outputs")
    assert composer.compose(["+exp=one", "hydra.run.dir=${tool.path}"]).directory == Path.cwd() / "tools" / "first"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+exp=nope"], "There is no experiment 'nope'"),
        (["+exp=base"], "Nothing says which tool to run"),
        (["+exp=broken"], "conf/exp/broken.yaml: unknown key 'parms'. Did you mean 'params'?"),
        (["+exp=base", "tool=first", "params.sed=1"], "unknown key 'params.sed'. Did you mean 'seed'?"),
    ],
)
def test_a_mistake_is_explained_as_in_a_run(varied: StashUnderTest, overrides: list[str], message: str) -> None:
    varied.add_experiment("broken", "first", "parms: {a: 1}\n")
    with pytest.raises(StashError) as raised:
        Composer(Stash(varied.root)).compose(overrides)
    assert message in str(raised.value)


def test_yaml_is_read_as_omegaconf_reads_it(tmp_path: Path) -> None:
    scalars = (
        "1e3 1.e3 1e-3 .5 0o17 017 0x1F 1_000 1:30 190:20:30.15 2020-01-01 yes off ~ null .inf -.INF .nan + 1. 1__0.0"
    )
    text = "".join(f"k{number}: {scalar}\n" for number, scalar in enumerate(scalars.split()))
    text += "flow: {a: [1, 'x y'], \"b\": http://x/y#z}\nlong: >\n  a\n  b\n\n  c\n? complex key\n: value\n1: number\n"
    path = tmp_path / "some.yaml"
    path.write_text(text)
    expected = repr(OmegaConf.to_container(OmegaConf.load(path)))
    assert repr(yaml_files.parse(text, path, for_omegaconf=True)) == expected
    # With a character that leaves it to the slower parser.
    assert repr(yaml_files.parse(f"{text}# \x85", path, for_omegaconf=True)) == expected
