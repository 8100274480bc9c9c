"""Jobs that share a composition are what Hydra's own composition of each would be: in every node, value and file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from hypothesis import given
from hypothesis import strategies as some
from omegaconf import DictConfig, OmegaConf, open_dict

from experimentstash.app import VERSION_BASE, register
from experimentstash.job_config import HydraJob, as_job, own_directory, without_hydra
from experimentstash.loader import CONFIG_NAME
from experimentstash.variations import SweepLoader, _Parser
from tests.conftest import StashUnderTest
from tests.test_composition import described, varied

__all__ = ["varied"]

# fmt: off
ORGANIZERS = {
    "plain": "experiment: e\nparams: {seed: 0, lr: 0.1, name: x, nested: {deep: 1, list: [1, 2]}, nothing: null}\n",
    "linked": "experiment: e${params.seed}\ndescription: '${params.name} of ${tool.path}'\n"
    "arguments: ['--seed', '${params.seed}', '${output_dir}', 'a ${params.nested.deep} b']\n"
    "params: {seed: 0, lr: '${params.seed}', name: x, nested: {deep: 1, all: '${params.other}'},\n"
    "  other: {deep: 2, of: '${params.seed}', again: '${.deep}'}, linked: '${params.other}', \n"
    "  'odd.key': '${params.lr}', job: '${hydra:job.num}', words: '${hydra:overrides.task}', when: '${now:%Y}'}\n"
    "resources: {gpus: '${params.seed}', extra: {comment: '${params.name}'}}\n",
    "typed": "timeout: 1h\ngrace: {seconds: 3}\nresources: {cpus: 2}\nwandb: {mode: offline}\n"
    "params: {seed: 1, lr: 1, name: n, nested: {deep: {deeper: 1}}}\ntags: [a]\n",
    "own_dir": "hydra: {sweep: {subdir: '${hydra:job.override_dirname}'}}\nparams: {seed: 0, lr: 0, name: n}\n",
}
VALUES = {
    "params.seed": ["1", "2", "-3", "0", "1e3", "0x1", "007", "1_000", "null", "true", "inf"],
    "params.lr": ["0.1", "1.5", "1e-3", "-.5", "nan", "0.10", "'0.1'"],
    "params.name": ["a", "b_2", "a-b", "'quoted text'", "\"it's\"", "null", "yes", "${params.seed}", "''", "1.2.3"],
    "params.nested.deep": ["1", "two", "[1,2]", "{a:1}", "null"],
    "params.nested": ["4", "{deep:5}", "five"],
    "+params.new": ["1", "2", "{a:b}", "[1]"],
    "++params.forced": ["1", "word", "{a:1}"],
    "params.other.deep": ["7", "8"],
    "params.linked.deep": ["9", "10"],
    "timeout": ["1h", "30m", "12"],
    "grace.seconds": ["1", "2.5", "soon"],
    "wandb.mode": ["online", "disabled", "sometimes"],
    "resources.cpus": ["1", "2", "many"],
    "debug": ["true", "false", "1"],
    "tags": ["[a,b]", "[]"],
    "tool": ["first", "second"],
    "tool.path": ["here", "there"],
    "+tool.env.A": ["1", "b"],
    "data_name": ["small", "large"],
    "+data@params.data": ["small", "large"],
    "~params.lr": [""],
    "unknown": ["1", "2"],
}
# fmt: on


@pytest.fixture
def master(varied: StashUnderTest) -> tuple[StashUnderTest, DictConfig]:
    for name, text in ORGANIZERS.items():
        varied.add_experiment(name, "first", text)
    register()
    version.setbase(VERSION_BASE)
    setup_globals()
    Plugins.instance()
    JobRuntime.instance().set("name", "experimentstash")
    overrides = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=sweeps/here"]
    return varied, plain(varied).load_configuration(CONFIG_NAME, overrides, RunMode.MULTIRUN)


def plain(stash: StashUnderTest) -> ConfigLoaderImpl:
    return ConfigLoaderImpl(create_config_search_path(str(stash.root / "conf")))


def batches(number: int) -> Iterator[list[str]]:
    """Yield the overrides of many jobs, mostly such as the sweeps of one configuration have."""
    chance = random.Random(7)
    while number > 0:
        keys = chance.sample(list(VALUES), chance.randint(1, 4))
        organizers = chance.sample(list(ORGANIZERS), 2)
        for _ in range(min(number, 6)):
            words = [f"{key}={chance.choice(VALUES[key])}".removesuffix("=") for key in keys]
            yield [f"+exp={chance.choice(organizers)}", *words]
            number -= 1


def outcome(composing: Any, number: int) -> Any:
    """Return all that a job is: its nodes, its settings and its files, or the error."""
    try:
        config, variation = composing()
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        nodes = described(config)
    except Exception as error:
        return type(error).__name__, str(error), str(error.__cause__)
    with as_job(config, variation.directory if variation else own_directory) as directory:
        try:
            settings: Any = repr(variation.typed() if variation else OmegaConf.to_object(without_hydra(config)))
        except Exception as error:
            settings = type(error).__name__, str(error)
        if variation:
            files = variation.files()
        else:
            files = {
                "config.yaml": OmegaConf.to_yaml(without_hydra(config)),
                "hydra.yaml": OmegaConf.to_yaml({"hydra": config.hydra}),
                "overrides.yaml": OmegaConf.to_yaml(config.hydra.overrides.task),
            }
        seen = variation.circumstances() if variation else HydraJob(without_hydra(config)).circumstances()
        return nodes, settings, seen, {name: yaml.safe_load(text) for name, text in files.items()}, directory


def test_each_job_is_what_hydra_composes(master: tuple[StashUnderTest, DictConfig]) -> None:
    stash, config = master
    loader = SweepLoader(create_config_search_path(str(stash.root / "conf")))
    loader.is_shared = True
    wrong = shared = 0
    seen: set[int] = set()
    for number, overrides in enumerate(batches(420)):

        def ours(overrides: list[str] = overrides) -> Any:
            variation = loader.variation(config, overrides)
            return variation.config, variation

        def hydras(overrides: list[str] = overrides) -> Any:
            return plain(stash).load_sweep_config(config, overrides), None

        expected = outcome(hydras, number)
        assert repr(outcome(ours, number)) == repr(expected), overrides  # in words: nan isn't equal to itself
        wrong += isinstance(expected[0], str)
        known = {id(each) for each in loader._known.values()}
        shared += isinstance(expected[0], tuple) and bool(known) and known <= seen
        seen |= known
    assert wrong < 250 and shared > 60  # the test is of both: sharing, and what must not share


@given(
    some.from_regex(r"\A\+{0,2}[a-z_][\w.]{0,8}\Z", fullmatch=True).filter(str.isascii),
    some.one_of(
        some.integers().map(str),
        some.floats(allow_nan=False).map(str),
        some.decimals(-1000, 1000, places=3).map(str),
        some.from_regex(r"\A[a-zA-Z_][a-zA-Z0-9_]{0,8}\Z", fullmatch=True),
        some.sampled_from(
            [
                "true",
                "True",
                "null",
                "NULL",
                "nan",
                "inf",
                "Inf",
                "yes",
                "00",
                "-0",
                "-0.0",
                "1.",
                ".1",
                "1e5",
                "1_0",
                "+1",
                "-",
                "a.b",
                "a-b",
                "a,b",
                "[1]",
                "''",
            ]
        ),
    ),
)
def test_plain_overrides_are_parsed_as_hydra_parses_them(key: str, value: str) -> None:
    line = f"{key}={value}"
    assert repr(parse(OverridesParser.create().parse_override, line)) == repr(parse(_Parser(), line))


def parse(parser: Any, line: str) -> Any:
    try:
        return parser(line)
    except Exception as error:
        return str(error)
