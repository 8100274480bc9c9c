"""``new exp`` and ``editor``: organizers with what a tool can be given, and schemas by which editors check them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from experimentstash.base.errors import StashError
from experimentstash.cli.commands.init import init
from experimentstash.cli.main import main
from experimentstash.stash.layout import Stash
from experimentstash.tools import editor_files, new_experiment
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import repository

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True, help="where the samples are")
parser.add_argument("--rate", type=float, default=0.1, help="of learning\\n per step")
parser.add_argument("--layers", type=int, nargs="*", default=[4, 5])
parser.add_argument("--kind", choices=["a", "b"])
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
parser.add_argument("--workers", type=int, default=cores())
parser.set_defaults(seed=7)
"""


@pytest.fixture
def filled(stash: StashUnderTest) -> StashUnderTest:
    (stash.add_tool("net", registration="entrypoint: main.py\n") / "main.py").write_text(ARGPARSE)
    return stash


@pytest.fixture
def hydra(stash: StashUnderTest) -> StashUnderTest:
    folder = stash.add_tool("app", registration="entrypoint: main.py\ncall: {style: hydra, configs: conf}\n")
    (folder / "main.py").write_text(
        'import hydra\n@hydra.main(config_path="conf", config_name="top", version_base=None)\ndef main(config): ...\n'
    )
    for name, text in {
        "top": "defaults: [_self_, {model: rf}, {data@other: big}, {experiment: null},"
        " {override hydra/launcher: basic}]\nrate: 0.1\nname: ${model.kind}\nhydra: {run: {dir: x}}\ntask: ???\n",
        "model/rf": "n: 10\ninner: {deep: [1, 2]}\n",
        "model/knn": "k: 3\n",
        "model/_private": "x: 1\n",
        "data/big": "size: 1\n",
        "experiment/one": "# @package _global_\nrate: 0.2\n",
    }.items():
        path = folder / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return stash


def made(stash: StashUnderTest, name: str, tool: str, experiment: str | None = None) -> str:
    return new_experiment.make(Stash(stash.root), name, tool, experiment).path.read_text()


def test_what_a_command_line_declares(filled: StashUnderTest) -> None:
    assert made(filled, "figure4/my_run", "net").splitlines() == [
        "# @package _global_",
        "defaults:",
        "  - override /tool: net",
        'description: ""',
        "tags: [net]",
        "# estimated_runtime: 30m",
        "params:",
        '  data: "???"  # the tool insists on it; where the samples are',
        "#   rate: 0.1  # float; of learning per step",
        "#   layers: [4, 5]  # int",
        "#   kind:  # one of a, b",
        "#   seed: 7  # int",
        "#   quiet:",
        "#   workers:  # int",
    ]
    done = filled.cli("run", "figure4/my_run", "params.data=x", "validate_only=true")
    assert done.returncode == 0 and "--data x" in done.stdout


def test_what_a_hydra_app_declares(hydra: StashUnderTest) -> None:
    text = made(hydra, "one", "app", "one")
    assert "experiment: one\n" in text
    assert text.partition("params:\n")[2].splitlines() == [
        '  task: "???"  # the tool insists on it',
        '#   model: "rf"  # one of knn, rf',
        "#   model.n: 10",
        "#   model.inner.deep: [1, 2]",
        "#   rate: 0.1",
    ]


def test_it_composes_as_it_is_written_once_the_comments_are_taken_away(filled: StashUnderTest) -> None:
    text = made(filled, "one", "net").replace("#   rate", "  rate").replace("#   layers", "  layers")
    filled.write("conf/exp/one.yaml", text)
    done = filled.cli("run", "one", "params.data=x", "validate_only=true")
    assert done.returncode == 0 and "--rate 0.1 --layers 4 5" in done.stdout, done.stderr


def test_nothing_is_overwritten(filled: StashUnderTest) -> None:
    path = filled.write("conf/exp/one.yaml", "mine")
    with pytest.raises(StashError, match="is there already"):
        made(filled, "one", "net")
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["", "../x", "/x", "a//b", "a b", "x.yaml", "a/../b", ".x", "-x", "a\nb", "a,b", "ü"])
def test_a_name_that_cannot_be(filled: StashUnderTest, name: str) -> None:
    with pytest.raises(StashError, match="can't be an experiment's name"):
        made(filled, name, "net")
    assert not list((filled.root / "conf/exp").rglob("*.yaml"))


def test_a_tool_or_an_experiment_that_is_not_there(hydra: StashUnderTest, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StashError, match="Did you mean 'app'"):
        made(hydra, "x", "ap")
    with pytest.raises(StashError, match="no experiment 'oen'"):
        made(hydra, "x", "app", "oen")


def test_of_an_unknown_program_nothing_is_made_up(stash: StashUnderTest) -> None:
    stash.add_shell()
    result = new_experiment.make(Stash(stash.root), "one", "sh", None)
    assert not result.is_known and "params" not in result.path.read_text()


def test_of_a_notebook_the_tagged_cell_tells(stash: StashUnderTest) -> None:
    text = "# %% tags=['parameters']\nrate = 0.5\nname: str = 'a b'\nrate = .25\nlength = len(name)\n# %%\nrate\n"
    stash.write("tools/nb/analysis.py", text)
    stash.write("conf/tool/nb.yaml", "path: tools/nb\nentrypoint: analysis.py\ncall: {style: notebook}\n")
    written = made(stash, "one", "nb")
    assert '#   rate: 0.25\n#   name: "a b"\n#   length:' in written


# --- editors ---------------------------------------------------------------------------------------------------------


def errors(path: Path) -> list[str]:
    """Check a file by the schema that its modeline names, as the YAML language server does."""
    text = path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("# yaml-language-server: $schema="))
    schema: dict[str, Any] = json.loads((path.parent / line.partition("=")[2]).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(text))]


def test_an_organizer_is_checked_with_its_tools_parameters(filled: StashUnderTest) -> None:
    assert editor_files.write(Stash(filled.root)) == [
        *(f"conf/.schemas/{name}.json" for name in ("organizer", "registration", "config", "launcher")),
        ".vscode/settings.json",
        "conf/.schemas/exp.net.json",
    ]
    assert editor_files.write(Stash(filled.root)) == []
    text = made(filled, "deep/er/one", "net")
    path = filled.root / "conf/exp/deep/er/one.yaml"
    assert errors(path) == []
    path.write_text(text.replace("tags:", "tgas:"))
    assert errors(path) != []
    schema = json.loads((filled.root / "conf/.schemas/exp.net.json").read_text())
    assert schema["properties"]["params"]["anyOf"][0]["properties"]["rate"] == {
        "description": "float\n\nof learning per step",
        "default": 0.1,
    }
    assert Stash(filled.root).experiments() == ["deep/er/one"]  # Hydra takes no schema for a config


def test_an_experiment_of_a_hydra_app(hydra: StashUnderTest) -> None:
    editor_files.write(Stash(hydra.root))
    schema = json.loads((hydra.root / "conf/.schemas/exp.app.json").read_text())
    assert schema["properties"]["experiment"]["anyOf"][0] == {"enum": ["one"]}
    assert schema["properties"]["params"]["anyOf"][0]["properties"]["model"]["anyOf"][0] == {"enum": ["knn", "rf"]}


def test_the_settings_of_an_editor_stay_as_they_are(filled: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = filled.write(".vscode/settings.json", "{}")
    monkeypatch.chdir(filled.root)
    assert main(["editor"]) == 0
    assert mine.read_text() == "{}"


def test_without_its_code_a_tool_has_a_schema_all_the_same(filled: StashUnderTest) -> None:
    (filled.root / "tools/net/main.py").unlink()
    (filled.root / "tools/net").rmdir()
    assert "conf/.schemas/exp.net.json" in editor_files.write(Stash(filled.root))


def test_a_new_stash_has_schemas_and_a_tool_that_is_added_its_own(tmp_path: Path) -> None:
    root = init(tmp_path / "new").root
    assert (root / "conf/.schemas/organizer.json").is_file() and (root / ".vscode/settings.json").is_file()
    source = repository(tmp_path / "net", {"main.py": ARGPARSE.replace("cores()", "2")})
    done = StashUnderTest(root).cli("tool", "add", "net", str(source), "--no-sync")
    assert done.returncode == 0, done.stderr
    organizer = root / "conf/exp/net/example.yaml"
    assert organizer.read_text().startswith(
        "# @package _global_\n# yaml-language-server: $schema=../../.schemas/exp.net.json\n"
    )
    assert errors(organizer) == []
    assert "conf/.schemas/exp.net.json" in git("diff", "--cached", "--name-only", cwd=root)
    text = organizer.read_text()
    organizer.write_text(f"{text}tgas: []\n")
    assert errors(organizer) != []


# --- new tool --------------------------------------------------------------------------------------------------------


def test_a_directory_of_the_stash_becomes_a_tool(stash: StashUnderTest) -> None:
    text = ARGPARSE.replace("cores()", "2").replace("required=True", "default='x'")
    stash.write("tools/plots/main.py", f"{text}parser.parse_args()\n")
    stash.commit()
    done = stash.cli("new", "tool", "plots", "tools/plots")
    assert done.returncode == 0 and "started by    main.py" in done.stdout, done.stderr
    registration = stash.root / "conf/tool/plots.yaml"
    assert registration.read_text().startswith("path: tools/plots\nentrypoint: main.py\ncall:\n  style: argparse\n")
    assert git("diff", "--cached", "--name-only", cwd=stash.root).split() == [
        "conf/exp/plots/example.yaml",
        "conf/tool/plots.yaml",
    ]
    ran = stash.cli("run", "plots/example", "+params.rate=0.5")
    assert ran.returncode == 0, ran.stderr
    again = stash.cli("new", "tool", "plots")
    assert again.returncode == 2 and "already" in again.stderr


def test_what_cannot_become_a_tool(stash: StashUnderTest) -> None:
    stash.write("tools/two/a.py", f"{ARGPARSE}parser.parse_args()\n")
    stash.write("tools/two/b.py", f"{ARGPARSE}parser.parse_args()\n")
    for words, said in {
        ("nothing",): "There is no directory tools/nothing",
        ("up", ".."): "is no directory below the stash",
        ("two",): "--entrypoint a.py (or another one)",
        ("UPPER",): "can't be a tool's name",
    }.items():
        done = stash.cli("new", "tool", *words)
        assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not (stash.root / "conf/tool/two.yaml").exists()
