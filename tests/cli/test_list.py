"""What `experimentstash list` says of the organizers, without composing them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from experimentstash.base.errors import StashError
from experimentstash.cli.commands.list import list_experiments
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizers
from tests.testing.stash import StashUnderTest


@pytest.fixture
def listed(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("first", "plain", "entrypoint: main.py")
    stash.add_tool("second", "plain", "entrypoint: main.py")
    stash.add_experiment(
        "fig1/a", "first", 'description: "The ünï one"\ntags: [x, y]\nestimated_runtime: 30m\nexperiment: inner\n'
    )
    stash.add_experiment("fig1/b", "second", "tags: y\nestimated_runtime: 90\ndescription: |\n  Two\n  lines\n")
    stash.add_experiment("c", "first")
    return stash


def names(stash: StashUnderTest, **chosen: str) -> list[str]:
    return [each.name for each in list_experiments(Stash(stash.root), **chosen)]


def test_all_of_them(listed: StashUnderTest) -> None:
    first, second, third = list_experiments(Stash(listed.root))
    assert (first.name, first.tool, first.experiment, first.tags) == ("c", "first", None, ())
    assert (second.description, second.tags, second.estimated_runtime) == ("The ünï one", ("x", "y"), "30m")
    assert (second.experiment, second.tool) == ("inner", "first")
    assert (third.tags, third.estimated_runtime, third.tool) == (("y",), "90", "second")


def test_a_choice(listed: StashUnderTest) -> None:
    assert names(listed, tool="first") == ["c", "fig1/a"]
    assert names(listed, tag="y") == ["fig1/a", "fig1/b"]
    assert names(listed, tool="first", tag="y") == ["fig1/a"]
    assert names(listed, tag="z") == []
    with pytest.raises(StashError, match=r"There is no tool 'frist'. Did you mean 'first'\?\nTools: first, second"):
        names(listed, tool="frist")


def test_what_an_organizer_builds_on_counts(listed: StashUnderTest) -> None:
    listed.write(
        "conf/exp/base.yaml",
        "# @package _global_\ndefaults:\n  - override /tool: second\ntags: [base]\nexperiment: b\n",
    )
    listed.write("conf/exp/above.yaml", "# @package _global_\ndefaults:\n  - base\n  - _self_\ndescription: on top\n")
    listed.write(
        "conf/exp/other.yaml",
        "# @package _global_\ndefaults:\n  - /exp/base@_here_\n  - override /tool: first\ntags: []\n",
    )
    found = {each.name: each for each in list_experiments(Stash(listed.root))}
    assert (found["above"].tool, found["above"].tags, found["above"].experiment) == ("second", ("base",), "b")
    assert (found["other"].tool, found["other"].tags) == ("first", ())


def test_a_default_tool_counts(listed: StashUnderTest) -> None:
    path = listed.root / "conf" / "config.yaml"
    path.write_text(path.read_text().replace("tool: null", "tool: second"))
    listed.write("conf/exp/plain.yaml", "# @package _global_\nexperiment: x\n")
    assert Organizers(Stash(listed.root)).read("plain").tool == "second"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"params: [1\n", "it is not YAML: "),
        (b"description: caf\xe9\n", "it is not a text in UTF-8"),
        (b"- a\n- b\n", "it is not a mapping"),
    ],
)
def test_one_that_cannot_be_read_is_listed_with_the_reason(
    listed: StashUnderTest, content: bytes, problem: str
) -> None:
    (listed.root / "conf" / "exp" / "bad.yaml").write_bytes(content)
    (bad,) = (each for each in list_experiments(Stash(listed.root)) if each.name == "bad")
    assert bad.problem is not None and bad.problem.startswith(problem)


def test_files_that_build_on_each_other_in_a_circle_end(listed: StashUnderTest) -> None:
    listed.write("conf/exp/one.yaml", "defaults: [two]\ntags: [a]\n")
    listed.write("conf/exp/two.yaml", "defaults: [one, {override /tool: first}]\n")
    found = Organizers(Stash(listed.root)).read("one")
    assert (found.tool, found.tags) == ("first", ("a",))


def test_the_command_line(listed: StashUnderTest) -> None:
    shown = listed.cli("list", "--tag", "y")
    assert shown.returncode == 0 and shown.stdout.splitlines() == [
        "experiment  tool    runtime  tags  description",
        "fig1/a      first   30m      x,y   The ünï one",
        "fig1/b      second  90       y     Two",
    ]
    (data,) = json.loads(listed.cli("list", "--json", "--tool", "first", "--tag", "x").stdout)
    assert data == {
        "name": "fig1/a",
        "tool": "first",
        "experiment": "inner",
        "description": "The ünï one",
        "tags": ["x", "y"],
        "estimated_runtime": "30m",
        "problem": None,
    }
    nothing = listed.cli("list", "--tag", "z")
    assert (nothing.returncode, nothing.stdout) == (0, "") and "no such experiments" in nothing.stderr
    assert json.loads(listed.cli("list", "--tag", "z", "--json").stdout) == []


@pytest.mark.slow
def test_a_thousand_need_no_hydra(listed: StashUnderTest) -> None:
    for number in range(1000):
        listed.add_experiment(
            f"many/e{number}", "first", f"tags: [t{number % 10}]\nparams: {{seed: {number}, lr: 0.1}}\n"
        )
    assert len(names(listed, tag="t3")) == 100
    for verb in (["list"], ["tool", "list"]):
        asking = f"import sys; from experimentstash.cli import main; main.main({verb}); print('hydra' in sys.modules)"
        said = subprocess.run(
            [sys.executable, "-c", asking], cwd=listed.root, capture_output=True, text=True, check=True
        )
        assert said.stdout.splitlines()[-1] == "False"
