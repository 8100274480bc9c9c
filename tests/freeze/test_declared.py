"""What a tool's source declares of its command line: the dialect, the ways, the subcommands; nothing is imported."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze import calls
from experimentstash.freeze.calling.arguments import build
from experimentstash.freeze.calling.words import nested
from experimentstash.freeze.declared import program
from experimentstash.freeze.declared.program import Program
from experimentstash.stash.schema import CallConfig, CallStyle


def write(directory: Path, text: str, **others: str) -> Path:
    for name, other in {"main": text, **others}.items():
        path = directory / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(other))
    return directory


def read(directory: Path, text: str, **others: str) -> Program:
    return program.read(write(directory, text, **others), ["main.py"])


PARSER = "import argparse\nparser = argparse.ArgumentParser()\nadd = parser.add_argument\n"


@pytest.mark.parametrize(
    ("declaration", "ways"),
    [
        ("'-x'", {"x": ("word", "omit")}),
        ("'--x', '-x'", {"--x": ("word", "omit"), "x": ("word", "omit")}),
        ("'-epochs', type=int, default=1", {"-epochs": ("word",)}),
        ("'--gpu', '--cuda', action='store_true'", {"gpu": ("flag",), "cuda": ("flag",)}),
        ("'--xx', default=1", {"xx": ("word",)}),
        ("'--xx', required=True", {"xx": ("word",)}),
        ("'--xx', action='store_true'", {"xx": ("flag",)}),
        ("'--xx', action='store_true', default=True", {"xx": ("only_true",)}),
        ("'--xx', action='store_true', default=DEFAULT", {"xx": ("only_true",)}),
        ("'--xx', action='store_false'", {}),
        ("'--no-xx', dest='xx', action='store_false'", {"no-xx": ("flag",)}),
        ("'--no-xx', dest='xx', action='store_false', default=False", {"no-xx": ("only_true",)}),
        ("'--xx', action=argparse.BooleanOptionalAction", {"xx": ("negatable", "omit")}),
        ("'--xx', type=bool, default=True", {"xx": ("nonempty",)}),
        ("'--xx', type=str2bool, default=True", {"xx": ("value",)}),
        ("'--xx', type=lambda x: bool(strtobool(x)), default=True, nargs='?', const=True", {"xx": ("value",)}),
        ("'--xx', type=lambda x: x == 'True', default=True", {"xx": ("python",)}),
        ("'--xx', type=lambda x: (str(x).lower() == 'true'), default=True", {"xx": ("value",)}),
        ("'--xx', type=eval, default=True", {"xx": ("python",)}),
        ("'--xx', type=json.loads, default=None", {"xx": ("json",)}),
        ("'--xx', nargs='+', default=[1]", {"xx": ("filled",)}),
        ("'--xx', nargs='*', default=[1]", {"xx": ("spread",)}),
        ("'--xx', nargs=2, default=[1]", {"xx": ("spread",)}),
        ("'--xx', action='append'", {"xx": ("repeat", "omit")}),
        ("'--xx', action='append', default=[]", {"xx": ("repeat", "omit_empty")}),
        ("'--xx', action='append', default=[7]", {}),  # what is given comes after the default
        ("'--xx', action='append', nargs=2", {}),
        ("'--xx', action='extend', nargs='+', default=[7]", {}),
        ("'--xx', action=Mine", {}),
        ("'--xx', action=ACTION", {}),
        ("'--xx', **common", {}),
        ("'--xx', nargs=NUMBER", {}),
        ("'--xx', nargs=argparse.REMAINDER", {}),
        ("'--xx', type=lambda s: [int(x) for x in s.split(',')], default=[1]", {"xx": ("comma",)}),
        ("'--xx', action='count'", {"xx": ("only_true",)}),
        ("'positional'", {}),
        ("NAME", {}),
    ],
)
def test_an_argument_of_argparse(tmp_path: Path, declaration: str, ways: dict[str, tuple[str, ...]]) -> None:
    found = read(tmp_path, f"{PARSER}parser.add_argument({declaration})\n")
    assert found.declared.ways == ways


@pytest.mark.parametrize(
    ("parameter", "ways", "number"),
    [
        ("Tuple[int, int] = (1, 2)", ("spread",), 2),
        ("Annotated[tuple[int, str, int], typer.Option()] = (1, 'a', 2)", ("spread",), 3),
        ("Optional[Tuple[int, int]] = None", ("spread", "omit"), 2),
        ("List[Tuple[int, int]] = []", ("repeat", "omit_empty"), None),
        ("int = typer.Option(0, '--xx', '-x', count=True)", ("only_true",), None),
        ("Annotated[int, typer.Option('--xx', count=True)] = 0", ("only_true",), None),
    ],
)
def test_an_option_of_typer(tmp_path: Path, parameter: str, ways: tuple[str, ...], number: int | None) -> None:
    (option,) = read(tmp_path, f"import typer\ndef main(xx: {parameter}): ...\ntyper.run(main)\n").declared.options
    assert (option.ways, option.number) == (ways, number)


def test_defaults_that_are_set_elsewhere(tmp_path: Path) -> None:
    text = PARSER + "parser.add_argument('--xx', action='store_true')\nparser.add_argument('--yy')\n"
    assert read(tmp_path, text).declared.ways == {"xx": ("flag",), "yy": ("word", "omit")}
    known = text + "parser.set_defaults(xx=True, yy='a')\n"
    assert read(tmp_path, known).declared.ways == {"xx": ("only_true",), "yy": ("word",)}
    unknown = text + "parser.set_defaults(**config)\n"
    assert read(tmp_path, unknown).declared.ways == {"xx": ("only_true",), "yy": ("word",)}


def test_a_pair_of_switches_is_one_parameter(tmp_path: Path) -> None:
    text = PARSER + "add = parser.add_argument\n"
    text += "parser.add_argument('--on', dest='it', action='store_true')\n"
    text += "parser.add_argument('--off', dest='it', action='store_false')\n"
    assert read(tmp_path, text).declared.ways == {"on": ("--on/--off",), "off": ("only_true",)}


def test_what_is_declared_twice_and_differently_is_not_known(tmp_path: Path) -> None:
    text = PARSER + "a.add_argument('--xx', action='store_true')\nb.add_argument('--xx', type=int, default=1)\n"
    assert read(tmp_path, text).declared.ways == {}


def test_declarations_in_a_module_of_the_tool_are_found(tmp_path: Path) -> None:
    options = PARSER + "parser.add_argument('--xx', action='store_true')\n"
    for text, name in (
        ("from options import parser\n", "options"),
        ("import package.options\n", "package.options"),
        ("from package import options\n", "package.options"),
        ("from package.options import parser\n", "package.options"),
    ):
        found = read(tmp_path / name / text.split()[-1], text, **{name: options})
        assert found.style is not None and found.style.value == "argparse"
        assert found.declared.ways == {"xx": ("flag",)}


STYLES = {
    "argparse": "import argparse\np = argparse.ArgumentParser()\n",
    "click": "import click\n@click.command()\ndef main(): ...\n",
    "typer": "import typer\napp = typer.Typer()\n",
    "tyro": "import tyro, argparse\ntyro.cli(Config)\n",
    "absl": "from absl import app, flags\nimport argparse\nflags.DEFINE_string('x', None, '')\n",
    "ml_collections": "from absl import flags\nfrom ml_collections import config_flags\n",
    "gin": "import gin\nfrom absl import flags\ngin.parse_config_files_and_bindings([], FLAGS.gin_bindings)\n",
    "fire": "import fire\nfire.Fire(main)\n",
    "hf": "from transformers import HfArgumentParser, TrainingArguments\nHfArgumentParser((TrainingArguments,))\n",
    "jsonargparse": "from lightning.pytorch.cli import LightningCLI\nLightningCLI(Model)\n",
    "simple_parsing": "from simple_parsing import ArgumentParser\n",
    "pyrallis": "import draccus\n@draccus.wrap()\ndef main(config: C): ...\n",
    "sacred": "from sacred import Experiment\nex = Experiment()\n",
    "key_value": "from omegaconf import OmegaConf\nOmegaConf.from_cli()\n",
    None: "import sys\nprint(sys.argv)\n",
}


@pytest.mark.parametrize("style", list(STYLES))
def test_the_library_is_recognised(tmp_path: Path, style: str | None) -> None:
    found = read(tmp_path, STYLES[style]).style
    assert (found.value if found else None) == style


CLICK = "import click\n@click.group()\ndef cli(): ...\n@cli.command()\ndef eval_it(): ...\n"
TYPER = "import typer\napp = typer.Typer()\n@app.command()\ndef one(): ...\n"
LIGHTNING = "from lightning.pytorch.cli import LightningCLI\n"
TYRO = "import tyro\nfrom typing import Union\n"
FIRE = "import fire\n"
SUBCOMMANDS = {
    "argparse": (PARSER + "s = p.add_subparsers()\ns.add_parser('eval')\ns.add_parser('train')\n", "train, eval"),
    "click": (CLICK + "@cli.command('go')\ndef x(): ...\n", "eval-it, go"),
    "click added": ("import click\n@click.group()\ndef cli(): ...\ncli.add_command(fit_it)\n", "fit-it"),
    "typer": (TYPER + "@app.command()\ndef two_it(): ...\n", "one, two-it"),
    "typer alone": (TYPER, ""),
    "typer callback": (TYPER + "@app.callback()\ndef c(): ...\n", "one"),
    "tyro": (TYRO + "tyro.cli(Union[TrainConfig, Eval])\n", "train-config, eval"),
    "tyro dict": (TYRO + "tyro.extras.subcommand_cli_from_dict({'a': f, 'b': g})\n", "a, b"),
    "fire": (FIRE + "def train(): ...\ndef _x(): ...\ndef test(): ...\nfire.Fire()\n", "train, test"),
    "fire dict": (FIRE + "fire.Fire({'a': f, 'b': g})\n", "a, b"),
    "fire class": (FIRE + "class T:\n    def __init__(self): ...\n    def go(self): ...\nfire.Fire(T)\n", "go"),
    "fire function": (FIRE + "def train(): ...\nfire.Fire(train)\n", ""),
    "lightning": (LIGHTNING + "LightningCLI(M)\n", "fit, validate, test, predict"),
    "lightning runs nothing": (LIGHTNING + "LightningCLI(M, run=False)\n", ""),
    "jsonargparse": ("from jsonargparse import auto_cli\ndef a(): ...\ndef b(): ...\nauto_cli([a, b])\n", "a, b"),
}


@pytest.mark.parametrize("name", list(SUBCOMMANDS))
def test_subcommands_are_found(tmp_path: Path, name: str) -> None:
    text, names = SUBCOMMANDS[name]
    found = read(tmp_path, text).declared
    assert ", ".join(found.subcommands) == names
    assert found.needs_subcommand == bool(names)


def test_what_lightning_takes(tmp_path: Path) -> None:
    model = "class M(LightningModule):\n    def __init__(self, lr: float = 0.1, layers: List[int] = [1], **more): ...\n"
    calling = calls.complete(
        CallConfig(style=CallStyle.jsonargparse, subcommand="fit"),
        write(tmp_path, model + LIGHTNING + "LightningCLI(M)\n"),
        ["main.py"],
    )
    params = {"trainer.max_epochs": 3, "trainer.logger": False, "model": {"lr": 1e-05, "layers": [2]}, "data.x": 1}
    places = {"run_directory": tmp_path, "tool_directory": tmp_path, "stash_root": tmp_path}
    calls.refuse_other_type(calling, params)
    written = build(calling.call, None, nested(params), [], **places).argv
    assert " ".join(written) == (
        "fit --trainer.max_epochs=3 --trainer.logger=false --model.lr=1.0e-05 --model.layers=[2] --data.x=1"
    )
    assert calls.undeclared(calling, {"trainer": {"x": 1}, "model": {"lr": 1}, "modl": {"lr": 1}}) == ["modl.lr"]
    for wrong in ({"model.layers": 2}, {"model.lr": "x"}, {"trainer.enable_checkpointing": "no"}):
        with pytest.raises(StashError):
            calls.refuse_other_type(calling, wrong)


def test_a_class_of_another_module_is_read_with_those_it_builds_on(tmp_path: Path) -> None:
    other = "import dataclasses\n@dataclasses.dataclass\nclass Base:\n    a: int = 1\n    b: str = 'x'\n"
    own = "from other import Base\nimport dataclasses, tyro\n@dataclasses.dataclass\nclass C(Base):\n    b: int = 2\n"
    found = read(tmp_path, own + "tyro.cli(C)\n", other=other).declared
    assert {name: kind.name for name, kind in found.kinds.items()} == {"a": "integer", "b": "integer"}
    hf = "from transformers import HfArgumentParser, TrainingArguments\n"
    hf += "class T(TrainingArguments):\n    x: bool = False\n"
    found = read(tmp_path, hf + "HfArgumentParser((T,))\n").declared
    assert found.kinds["bf16"] == found.kinds["x"] and found.ways == {"x": ("value",)}


def test_the_command_of_an_imported_file_is_another_program(tmp_path: Path) -> None:
    command = "import click\n@click.command()\n@click.option('--{0}', required=True)\ndef {0}({0}): ...\n"
    shared = "import click\ndef shared(f):\n    return click.option('--seed', required=True)(f)\n"
    own = "import legacy, shared\n" + command.format("data")
    found = read(tmp_path, own, legacy=command.format("source"), shared=shared).declared
    assert [option.name for option in found.options] == ["data", "seed"]


def test_a_group_may_do_something_by_itself(tmp_path: Path) -> None:
    alone = CLICK.replace("group()", "group(invoke_without_command=True)")
    assert read(tmp_path, CLICK).declared.needs_subcommand and not read(tmp_path, alone).declared.needs_subcommand


BROKEN = [
    "def (",
    "import argparse\nx.add_argument()\n",
    "import fire\nfire.Fire(*x)\n",
    "import click\n@click.option()\ndef f(): ...\n",
    "import click\n@click.option('x')\n@click.argument()\ndef f(): ...\n",
    "import typer\n@app.command(*a)\ndef f(*b, **c): ...\n",
    "import tyro\ntyro.cli()\n",
    "from absl import flags\nflags.DEFINE_bool()\n",
    "import argparse, main\n",
]


def test_what_a_module_does_when_it_is_started_itself_is_not_the_tools(tmp_path: Path) -> None:
    own = PARSER + "parser.add_argument('--xx', action='store_true')\nimport other\n"
    other = f"{PARSER}if __name__ == '__main__':\n    parser.add_argument('--xx', type=int)\n"
    assert read(tmp_path, own, other=other).declared.ways == {"xx": ("flag",)}


def test_nothing_is_executed_and_nothing_breaks(tmp_path: Path) -> None:
    evil = f"import argparse\nopen({str(tmp_path / 'ran')!r}, 'w')\n"
    assert read(tmp_path, evil).declared.options == ()
    assert not (tmp_path / "ran").exists()
    for text in BROKEN:
        read(tmp_path, text)
    assert program.read(tmp_path, ["nothing.py"]) == program.NOTHING
    assert program.read(tmp_path, ["-m", "nothing"]) == program.NOTHING
