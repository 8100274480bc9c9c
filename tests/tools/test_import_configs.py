"""`experimentstash import-configs`: an older stash's tools and organizers, and what can't be carried over."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from experimentstash.base.errors import StashError
from experimentstash.cli.commands.import_configs import Imported, import_configs
from experimentstash.freeze.plan import Request
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallStyle
from experimentstash.validate.composer import Composer
from tests.testing.stash import InProcess, StashUnderTest, git

META = """\
# Tool declarations
tools:
  analysis-tool:
    path: tools/analysis-tool
    entrypoint: "-m analysis.main"
    commit: HEAD  # tracks main
    python_version: 3.10
    dependencies: ["pyyaml>=6.0"]
    description: "Analyses: all of them"
    config_path_support: true
  pinned:
    path: tools/pinned
    entrypoint: src/main.py
    commit: 1234567
    python_version: null
    dependencies: []
  Bad/Name: {path: tools/x, entrypoint: main.py}
  outside: {path: ../outside, entrypoint: main.py}
  nameless: {entrypoint: main.py}
experiment:
  name: neurips
validation: {require_commit_pins: false}
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """An older stash, with an organizer of every kind."""
    root = tmp_path / "older"
    write(root, "meta", META)
    write(
        root,
        "figure1/pca_swissroll",
        'tool: analysis-tool\nexperiment: swissroll_pca\ndescription: "Figure 1: PCA"\n'
        'tags: ["figure1", "pca"]\nestimated_runtime: "30m" \ndebug: false',
    )
    return root


def write(root: Path, name: str, text: str) -> None:
    path = root / "configs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def imported(stash: StashUnderTest, older: Path) -> Imported:
    return import_configs(Stash(stash.root), older)


def composed(stash: StashUnderTest, name: str) -> Request:
    return Composer(Stash(stash.root)).compose([f"+exp={name}"], stash.root / "outputs" / "x")


def left(found: Imported) -> dict[tuple[str, str | None], str]:
    return {(each.file.removeprefix("configs/"), each.key): each.why for each in found.left}


def test_tools_and_organizers_come_over(stash: StashUnderTest, older: Path) -> None:
    found = imported(stash, older)
    assert (found.tools, found.experiments) == (2, 1)
    assert found.files == (
        "conf/tool/analysis-tool.yaml",
        "conf/tool/pinned.yaml",
        "conf/exp/figure1/pca_swissroll.yaml",
    )
    request = composed(stash, "figure1/pca_swissroll")
    config, tool = request.config, request.config.tool
    assert (request.tool, config.experiment, config.description) == ("analysis-tool", "swissroll_pca", "Figure 1: PCA")
    assert (config.tags, config.estimated_runtime, config.debug) == (["figure1", "pca"], "30m", False)
    assert (tool.path, tool.entrypoint, tool.commit) == ("tools/analysis-tool", "-m analysis.main", None)
    assert (tool.python_version, tool.dependencies, tool.call.style) == ("3.10", ["pyyaml>=6.0"], CallStyle.hydra)
    pinned = Composer(Stash(stash.root)).compose(["tool=pinned"]).config.tool
    assert (pinned.commit, pinned.python_version, pinned.dependencies) == ("1234567", None, [])


def test_what_does_not_come_over_is_listed(stash: StashUnderTest, older: Path) -> None:
    write(older, "whole", "tool: pinned\ndefaults: [_self_]\nexperiment: {name: whole, seed: 1}\nmodel: {width: 3}\n")
    write(older, "runs", "runs:\n  pca: {tool: pinned, config: figure1/pca_swissroll}\n")
    write(older, "pinned/own", "# @package _global_\nseed: 42\n")
    write(older, "unknown", "tool: nowhere\nexperiment: x\n")
    write(older, "broken", "tool: [\n")
    write(older, "empty", "")
    write(older, "odd name,", "tool: pinned\n")
    write(
        older,
        "when",
        "tool: pinned\nexperiment: x\nestimated_runtime: soon\ndefaults: [a]\nhydra: {run: {dir: x}}\nmessage: hi\n",
    )
    found = imported(stash, older)
    assert found.experiments == 2
    expected = {
        ("meta.yaml", "experiment"): "nothing like it",
        ("meta.yaml", "validation"): "nothing like it",
        ("meta.yaml", "tools.Bad/Name"): "can't be a tool's name",
        ("meta.yaml", "tools.outside.path"): "not below the stash",
        ("meta.yaml", "tools.nameless.path"): "a tool needs it",
        ("meta.yaml", "tools.analysis-tool.commit"): "'HEAD' is no commit",
        ("meta.yaml", "tools.analysis-tool.config_path_support"): "no such setting",
        ("whole.yaml", None): "a whole configuration of the tool",
        ("runs.yaml", None): "names no `tool:`",
        ("pinned/own.yaml", None): "names no `tool:`",
        ("unknown.yaml", None): "there is no tool 'nowhere'",
        ("broken.yaml", None): "can't be read",
        ("empty.yaml", None): "empty",
        ("odd name,.yaml", None): "command line",
        ("when.yaml", "estimated_runtime"): "'soon' is not a duration",
        ("when.yaml", "defaults"): "something else here",
        ("when.yaml", "hydra"): "something else here",
        ("when.yaml", "message"): "it is now params.message",
    }
    said = left(found)
    assert said.keys() == expected.keys()
    assert not {place: said[place] for place, text in expected.items() if text not in said[place]}
    assert composed(stash, "when").config.params == {"message": "hi"}


def test_parameters_of_every_form(stash: StashUnderTest, older: Path) -> None:
    write(
        older,
        "all",
        "tool: pinned\nexperiment: 7\ntags: solo\nestimated_runtime: 90\n"
        "params: {lr: 1e-5, version: '1e-5', nested: {deep: [1, two, null]},\n  octal: '017', "
        "yes: 'yes', date: 2020-01-01}\n"
        "parameters:\n  name: 'it''s \"quoted\": ünï ✓'\n"
        "overrides:\n  - model.width=3\n  - model.name=small\n  - data=swissroll\n"
        "  - flag=true\n  - +new.key=1\n  - ~gone\n"
        "  - seeds=1,2\n  - layers=[1,2]\n  - data.size=5\n  - --verbose\n  - empty=\n",
    )
    found = imported(stash, older)
    config = composed(stash, "all").config
    assert (config.experiment, config.tags, config.estimated_runtime) == ("7", ["solo"], "90")
    assert config.params == {
        "lr": 1e-5,
        "version": "1e-5",
        "nested": {"deep": [1, "two", None]},
        "octal": "017",
        "yes": "yes",
        "date": "2020-01-01",
        "name": 'it\'s "quoted": ünï ✓',
        "model": {"width": 3, "name": "small"},
        "data": "swissroll",
        "flag": True,
        "layers": [1, 2],
        "empty": None,
    }
    # What isn't a plain key=value reaches the tool as it was.
    assert config.arguments == ["+new.key=1", "~gone", "seeds=1,2", "data.size=5", "--verbose"]
    assert not [each for each in found.left if each.file.endswith("all.yaml")]


def test_interpolations_are_pointed_at(stash: StashUnderTest, older: Path) -> None:
    write(older, "refers", "tool: pinned\nparams: {out: '${hydra.run.dir}'}\n")
    assert left(imported(stash, older))["refers.yaml", "params"].startswith("it has interpolations")


def test_how_a_tool_is_called_is_seen_in_its_directory(stash: StashUnderTest, older: Path) -> None:
    tools = older / "tools"
    (tools / "analysis-tool" / "analysis" / "configs" / "experiment").mkdir(parents=True)
    (tools / "analysis-tool" / "analysis" / "main.py").write_text("import hydra\n")
    (tools / "analysis-tool" / "analysis" / "configs" / "experiment" / "swissroll_pca.yaml").write_text("seed: 1\n")
    (tools / "pinned" / "src").mkdir(parents=True)
    (tools / "pinned" / "src" / "main.py").write_text("import argparse\n")
    found = imported(stash, older)
    calls = {
        name: yaml.safe_load((stash.root / "conf" / "tool" / f"{name}.yaml").read_text())["call"]
        for name in ("analysis-tool", "pinned")
    }
    assert calls == {"analysis-tool": {"style": "hydra", "configs": "analysis/configs"}, "pinned": {"style": "options"}}
    assert "doesn't look like a Hydra application" in left(found)["meta.yaml", "tools.pinned"]


def test_nothing_is_overwritten_and_nothing_half_done(stash: StashUnderTest, older: Path) -> None:
    stash.add_experiment("figure1/pca_swissroll", "mine")
    before = (stash.root / "conf" / "exp" / "figure1" / "pca_swissroll.yaml").read_bytes()
    with pytest.raises(StashError, match=r"conf/exp/figure1/pca_swissroll\.yaml"):
        imported(stash, older)
    assert Stash(stash.root).tools() == []
    assert (stash.root / "conf" / "exp" / "figure1" / "pca_swissroll.yaml").read_bytes() == before


def test_a_failure_in_the_middle_leaves_nothing(stash: StashUnderTest, older: Path) -> None:
    stash.write("conf/exp/figure1", "a file where a directory must be")
    with pytest.raises(StashError, match="Nothing is imported"):
        imported(stash, older)
    assert Stash(stash.root).tools() == []
    assert not list((stash.root / ".experimentstash").glob("import-*"))


def test_the_configs_directory_itself_does_too(stash: StashUnderTest, older: Path) -> None:
    assert imported(stash, older / "configs").experiments == 1


def test_what_is_no_older_stash(stash: StashUnderTest, older: Path) -> None:
    with pytest.raises(StashError, match="this is no older stash"):
        imported(stash, older / "configs" / "figure1")
    (older / "configs" / "meta.yaml").write_text("tools: [a]\n")
    with pytest.raises(StashError, match="has no mapping `tools:`"):
        imported(stash, older)


def test_the_command_line(stash: StashUnderTest, older: Path) -> None:
    done = stash.cli("import-configs", str(older), cwd=stash.root / "conf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "conf/exp/figure1/pca_swissroll.yaml\n" in done.stdout
    assert "  configs/meta.yaml: tools.outside.path " in done.stdout
    assert done.stdout.endswith("Imported: 2 tools and 1 experiment. Next: experimentstash validate\n")
    again = stash.cli("import-configs", str(older))
    assert (again.returncode, again.stdout) == (2, "") and "exist already" in again.stderr
    assert [line.split()[0] for line in stash.cli("list").stdout.splitlines()[1:]] == ["figure1/pca_swissroll"]


# The second layout: a tool's whole configuration in `configs/<tool>/`.

TREE_META = """\
tools:
  latents:
    path: tools/latents
    entrypoint: main.py
    search_packages: "latents.configs:more"
  script: {path: tools/script, entrypoint: run.py, hydra: false}
"""
APP = """
import hydra
@hydra.main(config_path=None, version_base="1.3")
def main(config):
    print(config.data.name, config.seed)
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def with_tree(tmp_path: Path) -> Path:
    """An older stash that hands over a tool's own configuration, with more files than one wants to read about."""
    root = tmp_path / "older"
    write(root, "meta", TREE_META)
    write(root, "latents/config", "defaults: [data: roll]\nseed: 1\n")
    for number in range(60):
        write(root, f"latents/data/d{number}", f"name: d{number}\n")
    write(root, "latents/data/roll", "name: roll\n")
    write(root, "latents/experiment/one", "# @package _global_\ndefaults: [/config, _self_]\nseed: 42\n")
    write(root, "latents/experiment/deep/two", "# @package _global_\ndefaults: [/config, {override /data: d3}]\n")
    (root / "configs/latents/__init__.py").write_text("")
    (root / "configs/latents/link.yaml").symlink_to("/etc/passwd")
    write(root, "flat", "tool: script\n")
    (root / ".gitmodules").write_text(
        '[submodule "a"]\n\tpath = tools/latents\n\turl = https://host.example/latents\n'
        '[submodule "b"]\n\tpath = tools/script\n\turl = ext::sh -c touch% ran\n'
        '[submodule "c"]\n\tpath = tools/other\n\turl = https://host.example/other\n'
    )
    git("init", "-q", cwd=root)
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},tools/latents", cwd=root)
    return root


@pytest.mark.slow
def test_a_tools_own_configuration_comes_over_and_runs(
    stash: StashUnderTest, with_tree: Path, in_process: InProcess
) -> None:
    done = in_process(stash, "import-configs", str(with_tree))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) < 25 and "configs/latents/ (64 files, as they were)" in lines
    assert {"conf/exp/latents/one.yaml", "conf/exp/latents/deep/two.yaml", "conf/exp/flat.yaml"} <= {*lines}
    clone = "git submodule add https://host.example/latents tools/latents"
    assert f"  {clone} && git -C tools/latents checkout --quiet {'1' * 40}" in lines
    assert "no tool is registered for this submodule" in done.stdout, done.stdout
    assert "would run a program" in done.stdout, done.stdout
    assert "touch" not in "".join(line for line in lines if "submodule add" in line)
    assert not list((stash.root / "configs").rglob("*.py")) and not (stash.root / "configs/latents/link.yaml").exists()
    registered = composed(stash, "latents/one").config.tool
    assert registered.env == {"HYDRA_SEARCH_PACKAGES": "latents.configs:more"}
    assert composed(stash, "flat").config.tool.call.style is CallStyle.options

    stash.write("tools/latents/main.py", APP)
    given = f"tool.environment={{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}"
    assert in_process(stash, "run", "latents/one", given).stdout == "roll 42\n"
    assert in_process(stash, "run", "latents/deep/two", given, "+params.seed=7").stdout == "d3 7\n"


def test_what_is_alike_is_told_in_few_lines(stash: StashUnderTest, older: Path, in_process: InProcess) -> None:
    for number in range(100):
        write(older, f"group/c{number}", "value: 1\n")
    said = in_process(stash, "import-configs", str(older)).stdout.splitlines()
    assert len(said) < 30 and any("… and 95 more" in line for line in said)
