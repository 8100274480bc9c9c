"""Jobs that share a composition are what Hydra's own composition of each would be: in every node, value and file."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hypothesis import given
from hypothesis import strategies as some
from omegaconf import DictConfig, OmegaConf, open_dict

from experimentstash.compose.config_store import CONFIG_NAME, set_up
from experimentstash.compose.fast import sweep_loader
from experimentstash.compose.fast.shared_composition import SharedComposition
from experimentstash.compose.fast.sweep_loader import SweepLoader, _Parser
from experimentstash.compose.fast.yaml_text import as_entry, as_list, as_yaml
from experimentstash.compose.hydra_compat import search_path
from experimentstash.compose.job import HydraJob, as_job, own_directory
from experimentstash.compose.nodes import without_hydra
from experimentstash.compose.stash_loader import StashLoader
from tests.compose.test_composition import described, varied
from tests.testing.stash import StashUnderTest

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
    "resolved": "params: {seed: 0, lr: 0, name: n, nested: {deep: 1, '1': one, none: null},\n"
    "  list: ['${params.seed}', [1, '${params.name}']], item: '${params.list[1][1]}', env: '${oc.env:HOME}',\n"
    "  made: '${oc.create:{a:${params.seed}}}', values: '${oc.dict.values:params.nested}',\n"
    "  keys: '${oc.dict.keys:params.nested}', parsed: '${oc.decode:\"${params.seed}\"}', once: '${test_once:}',\n"
    "  other: '${oc.select:hydra.job.num,hidden}', chosen: '${oc.select:params.${params.name},none}',\n"
    "  upwards: {deep: ['${...nested.deep}', '${...seed}']}}\ntimeout: '${params.seed}'\n",
    "named": "hydra: {job: {name: 'j-${params.name}', config: {override_dirname:\n"
    "  {kv_sep: '${params.name}', exclude_keys: [exp, params.lr]}}}, sweep: {dir: 'there/${params.seed}',\n"
    "  subdir: '${hydra:job.override_dirname}-${params.lr}'}, output_subdir: '.${params.name}'}\n"
    "params: {seed: [1, 2], lr: {a: 1}, name: n}\n",
}
VALUES = {
    "params.seed": ["1", "2", "-3", "0", "1e3", "0x1", "007", "1_000", "null", "true", "inf", "tRUE", "nULL"],
    "++params.n-neighbors": ["3", "4", "x-y"],
    "params.lr": ["0.1", "1.5", "1e-3", "-.5", "nan", "0.10", "'0.1'"],
    "params.name": ["a", "b_2", "a-b", "'quoted text'", "\"it's\"", "null", "yes", "${params.seed}", "''", "1.2.3"],
    "params.nested.deep": ["1", "two", "[1,2]", "{a:1}", "null"],
    "params.nested": ["4", "{deep:5}", "five"],
    "+params.new": ["1", "2", "{a:b}", "[1]"],
    "+params.seed": ["1", "2"],
    "++params.forced": ["1", "word", "{a:1}"],
    "++params.lr": ["1", "2.5", "word"],
    "++params.nested.list": ["[1]", "3", "4"],
    "params.other.deep": ["7", "8"],
    "params.linked.deep": ["9", "10"],
    "params.list": ["[]", "[1,a]"],
    "params.nothing": ["1", "null", "x"],
    "params": ["{seed:4}", "{seed:5,nested:{deep:6}}"],
    "timeout": ["1h", "30m", "12"],
    "grace.seconds": ["1", "2.5", "soon"],
    "wandb.mode": ["online", "disabled", "sometimes"],
    "code": ["live", "frozen", "auto"],
    "resources.cpus": ["1", "2", "many"],
    "resources.extra": ["{a:b}", "{}"],
    "+resources.extra.a": ["1", "true", "x"],
    "debug": ["true", "false", "1"],
    "tags": ["[a,b]", "[]"],
    "tool": ["first", "second"],
    "tool.path": ["here", "there"],
    "+tool.env.A": ["1", "b"],
    "data_name": ["small", "large"],
    "+data@params.data": ["small", "large"],
    "params.data.size": ["1", "2"],
    "~params.lr": [""],
    "~params.name": ["n", ""],
    "unknown": ["1", "2"],
    "hydra.job.name": ["one", "two"],
    "hydra/job_logging": ["default", "none"],
}
# fmt: on
# Jobs for which Hydra's own composition is asked, though they share none.
SAMPLED = 8


@pytest.fixture
def master(varied: StashUnderTest) -> Iterator[tuple[StashUnderTest, DictConfig]]:
    for name, text in ORGANIZERS.items():
        varied.add_experiment(name, "first", text)
    set_up()
    overrides = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=sweeps/here"]
    # What is cached is one value in a job, and another in the next one.
    OmegaConf.register_new_resolver("test_once", lambda: next(_counter[0]), use_cache=True)
    yield varied, plain(varied).load_configuration(CONFIG_NAME, overrides, RunMode.MULTIRUN)
    OmegaConf.clear_resolver("test_once")


_counter = [itertools.count()]


def plain(stash: StashUnderTest) -> StashLoader:
    return StashLoader(search_path(stash.root / "conf"))


def batches(number: int) -> Iterator[list[list[str]]]:
    """Yield the overrides of the jobs of sweeps: some are swept, some the same for all."""
    chance = random.Random(7)
    usual = [key for key in VALUES if not key.startswith(("~", "hydra", "tool", "data", "unknown"))]
    for _ in range(number):
        among = usual if chance.random() < 0.6 else list(VALUES)
        keys = [chance.choice(among) for _ in range(chance.randint(1, 3))]
        organizer = chance.choice(list(ORGANIZERS))
        same = [f"+exp={organizer}", *(_word(key, chance.choice(VALUES[key])) for key in keys[2:])]
        several = {key: chance.sample(VALUES[key], min(4, len(VALUES[key]))) for key in keys[:2]}
        yield [[*same, *(_word(key, chance.choice(several[key])) for key in several)] for _ in range(6)]


def _word(key: str, value: str) -> str:
    return key if key.startswith("~") and not value else f"{key}={value}"


def outcome(composing: Any, number: int) -> Any:
    """Return all that a job is: its nodes, its settings and its files, or the error."""
    _counter[0] = itertools.count(number)
    try:
        config, variation = composing()
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        nodes = described(config)
    except Exception as error:
        return type(error).__name__, str(error), str(error.__cause__)
    try:
        with as_job(config, variation.directory if variation else own_directory) as directory:
            return nodes, *looked_at(config, variation), directory
    except Exception as error:
        return nodes, type(error).__name__, str(error).splitlines()[0]


def looked_at(config: DictConfig, variation: SharedComposition | None) -> tuple[Any, ...]:
    try:
        settings: Any = repr(variation.typed() if variation else OmegaConf.to_object(without_hydra(config)))
    except Exception as error:
        settings = type(error).__name__, str(error).splitlines()[0]
    if variation:
        files = variation.files()
    else:
        files = {
            "config.yaml": OmegaConf.to_yaml(without_hydra(config)),
            "hydra.yaml": OmegaConf.to_yaml({"hydra": config.hydra}),
            "overrides.yaml": OmegaConf.to_yaml(config.hydra.overrides.task),
        }
    seen = variation.job_info() if variation else HydraJob(without_hydra(config)).job_info()
    return settings, seen, {name: yaml.safe_load(text) for name, text in files.items()}


class Watched(SweepLoader):
    """Counts the compositions."""

    composed = 0

    def loaded(self, **given: Any) -> DictConfig:
        self.composed += 1
        return super().loaded(**given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kept", "drawn"),
    # Of one that is kept, the others are kept as bytes.
    [
        *((64, 4), (64, 40), (1, 10)),
        *(pytest.param(kept, 80, marks=pytest.mark.exhaustive) for kept in (64, 1)),
    ],
)
def test_each_job_is_what_hydra_composes(
    master: tuple[StashUnderTest, DictConfig], monkeypatch: pytest.MonkeyPatch, kept: int, drawn: int
) -> None:
    stash, config = master
    monkeypatch.setattr(sweep_loader, "_KEPT", kept)
    loader = Watched(search_path(stash.root / "conf"))
    loader.is_shared = True
    shared = failed = 0
    numbers = itertools.count()
    for batch in batches(drawn):
        for overrides in batch:
            number = next(numbers)
            before = loader.composed
            try:
                made, error = loader.variation(config, overrides), None
            except Exception as raised:
                made, error = None, raised
            is_shared = loader.composed == before
            # That what is composed anew is Hydra's own, test_composition shows for all that may be composed.
            if is_shared or number % SAMPLED == 0:
                got = outcome(lambda made=made, error=error: given_or_raised(made, error), number)
                expected = outcome(lambda words=overrides: hydras_own(stash, config, words), number)
                assert repr(got) == repr(expected), overrides  # in words: nan isn't equal to itself
                failed += isinstance(expected[0], str)
            shared += is_shared
            if error is not None and overrides is batch[0]:
                break  # most of the others are as wrong
    # The test is of both.
    assert shared > drawn / 2 and loader.composed > drawn and failed > drawn / 20, (shared, loader.composed, failed)


def hydras_own(stash: StashUnderTest, master: DictConfig, overrides: list[str]) -> tuple[DictConfig, None]:
    return plain(stash).load_sweep_config(master, overrides), None


def given_or_raised(made: SharedComposition | None, error: Exception | None) -> tuple[DictConfig, SharedComposition]:
    if made is None:
        assert error is not None
        raise error
    return made.config, made


@given(
    some.from_regex(r"\A\+{0,2}[a-z_][\w.-]{0,8}\Z", fullmatch=True).filter(str.isascii),
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


@given(
    some.one_of(
        some.text(),
        some.from_regex(r"\A[+/]{0,2}[A-Za-z0-9][\w./+=,-]{0,12}\Z", fullmatch=True),
        some.sampled_from(["y", "N", "~", "yes", "No", "ON", "off", "True", "null", "NaN", "+inf", "Infinity", "007"]),
        some.integers(),
        some.floats(),
        some.booleans(),
        some.none(),
        some.lists(some.text(max_size=3)),
    )
)
def test_plain_entries_are_written_as_yaml_writes_them(value: Any) -> None:
    assert as_entry("key", value) == as_yaml({"key": value})
    assert as_list([value]) == as_yaml([value])


def parse(parser: Any, line: str) -> Any:
    try:
        return parser(line)
    except Exception as error:
        return str(error)
