"""What a run can use of a registration, every verb can read: interpolations, resolvers, defaults, the root config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze.plan import plan
from experimentstash.stash.schema import Unresolved
from experimentstash.tools import adding, registrations, removing, restoring, status, syncing, updating
from experimentstash.validate.composer import Composer
from experimentstash.validate.engine import validate
from experimentstash.validate.problem import Severity
from tests.testing.stash import StashUnderTest
from tests.testing.tool_support import as_stash, commit, no_report, repository

PLAIN = "path: tools/t\nentrypoint: start\n"
ROOT = "defaults: [experimentstash, {tool: null}, _self_]\n"
# name: (registration, more of the root config, other files)
READABLE: dict[str, tuple[str, str, dict[str, str]]] = {
    "a directory of the run": (PLAIN + 'env: {LOGDIR: "${output_dir}/log"}\n', "", {}),
    "the run's own number": (PLAIN + 'env: {NUMBER: "${hydra:job.num}", DIR: "${hydra:run.dir}"}\n', "", {}),
    "the experiment": (PLAIN + 'env: {NAME: "${experiment}", SEED: "${params.seed}"}\n', "", {}),
    "the environment": (PLAIN + 'env: {HOME: "${oc.env:HOME}"}\n', "", {}),
    "the time": (PLAIN + 'env: {DAY: "${now:%Y}"}\ndescription: "of ${now:%Y}"\n', "", {}),
    "variables of the root config": (
        "path: ${vars.home}/t\nentrypoint: start\nenv: ${vars.common}\n",
        "vars: {home: tools, common: {A: b}}\n",
        {},
    ),
    "a setting of its own": ("path: tools/t\nentrypoint: start\ndescription: in ${tool.path}, ${.path}\n", "", {}),
    "its own name": ("path: tools/${hydra:runtime.choices.tool}\nentrypoint: start\n", "", {}),
    "a word of the entrypoint": ('path: tools/t\nentrypoint: "start ${params.seed}"\n', "", {}),
    "an experiment's directory": (PLAIN + 'collect: ["runs/${experiment}"]\n', "", {}),
    "what it takes to go on": (PLAIN + 'resume: ["--from=${output_dir}/last.pt"]\n', "", {}),
    "another registration's settings": (
        "defaults: [base, _self_]\npath: tools/t\nentrypoint: start\n",
        "",
        {"conf/tool/base.yaml": "environment: {kind: none}\ncall: {style: key_value}\n"},
    ),
    "the root config's settings": ("entrypoint: start\n", "tool: {path: tools/t}\n", {}),
    "another package": ("# @package _global_\ntool:\n  path: tools/t\n  entrypoint: start\n", "", {}),
    "an escaped dollar": (PLAIN + "env: {A: '\\${HOME}'}\n", "", {}),
}


def start(stash: StashUnderTest) -> None:
    """Give a stash a tool that needs no environment, and an experiment of it."""
    stash.write("tools/t/start", "#!/bin/sh\necho $@\n").chmod(0o755)
    stash.add_experiment("e", "t", "experiment: x\nparams: {seed: 1}\n")


@pytest.mark.parametrize("case", READABLE)
def test_what_a_run_can_use_every_verb_can_read(stash: StashUnderTest, case: str) -> None:
    start(stash)
    text, root, files = READABLE[case]
    for path, content in {"conf/tool/t.yaml": text, "conf/config.yaml": ROOT + root, **files}.items():
        stash.write(path, content)
    shown = status.show(as_stash(stash), "t")
    assert (shown.path, shown.problem, shown.is_ready) == ("tools/t", None, True)
    assert registrations.read(as_stash(stash), "t").entrypoint.startswith("start")
    assert [synced.problem for synced in syncing.sync(as_stash(stash), ["t"], report=no_report)] == [None]
    problems = validate(as_stash(stash), tool="t").problems
    assert [each.what for each in problems if each.severity is Severity.error] == []
    assert plan(Composer(as_stash(stash)).compose(["+exp=e"], stash.root / "run")).command.argv


@pytest.mark.slow
def test_a_tool_whose_registration_needs_a_run_moves_goes_and_comes_back(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    upstream = repository(tmp_path / "upstream", {"start": "#!/bin/sh\necho $@\n"})
    (upstream / "start").chmod(0o755)
    before, after = commit(upstream, {"more": "1"}), commit(upstream, {"more": "2"})
    adding.add(as_stash(stash), "t", str(upstream), entrypoint="start", report=no_report)
    text = (
        "path: ${vars.home}/t\nentrypoint: start ${params.seed}\ncommit: ${vars.pin}\nenv: {A: '${output_dir}/log'}\n"
    )
    stash.write("conf/config.yaml", f"{ROOT}vars: {{home: tools, pin: {after}}}\n")
    registration = stash.write("conf/tool/t.yaml", text)
    stash.commit()
    moved = updating.update(as_stash(stash), "t", to=before, report=no_report)
    assert moved is not None and moved.after == before
    assert registration.read_text() == text.replace("${vars.pin}", before)
    removed = removing.remove(as_stash(stash), "t", report=no_report)
    assert removed is not None and not (stash.root / "tools/t").exists()
    restoring.restore(as_stash(stash), str(removed.backup), report=no_report)
    assert (stash.root / "tools/t/start").is_file()


def test_what_only_a_run_can_tell_is_left_as_text_and_said(stash: StashUnderTest) -> None:
    stash.add_tool("t", "plain")
    stash.write(
        "conf/tool/t.yaml", "path: tools/t\nentrypoint: '${params.script}'\ndependencies: ['${params.package}']\n"
    )
    shown = status.show(as_stash(stash), "t")
    assert shown.entrypoint == "${params.script}"
    assert "only in a run" in str(shown.problem)
    stash.write("conf/tool/t.yaml", "path: 'tools/${experiment}/${params.x}'\nentrypoint: main.py\n")
    assert isinstance(registrations.read(as_stash(stash), "t").path, Unresolved)
    with pytest.raises(StashError, match="only in a run"):
        removing.remove(as_stash(stash), "t", report=no_report)


def test_a_root_config_that_does_not_compose_keeps_nobody_from_reading(stash: StashUnderTest) -> None:
    stash.add_tool("t", "plain", "entrypoint: main.py\nenv: {A: '${output_dir}'}\n")
    stash.write("conf/config.yaml", "defaults: [experimentstash, {tool: null}, nosuch]\n")
    assert registrations.read(as_stash(stash), "t").path == "tools/t"
    stash.write("conf/tool/t.yaml", "defaults: [base]\nentrypoint: main.py\n")
    with pytest.raises(StashError, match=r"conf/tool/t\.yaml"):
        registrations.read(as_stash(stash), "t")


INSISTING = """
import argparse
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--local_rank", type=int, required=True)
    parser.add_argument("--data.root", required=True)
    parser.add_argument("--split", choices=["train", "test"], required=True)
    parser.add_argument("--seed", type=int, default=3)
    parser.parse_args()
"""


def test_an_example_holds_no_value_that_nobody_has_given(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    upstream = repository(tmp_path / "upstream", {"train.py": INSISTING})
    added = adding.add(as_stash(stash), "t", str(upstream), make_environment=False, report=no_report)
    assert added.command is None
    assert set(added.needs) == {"params.local_rank", "params.data.root", "params.split", "arguments"}
    text = added.organizer.read_text()
    assert 'local_rank: "???"  # int; the tool insists on it' in text
    assert 'split: "???"  # one of train, test; the tool insists on it' in text
    assert "seed" not in text
    (problem,) = [each for each in validate(as_stash(stash), experiments="t/*").problems if "given" in each.what]
    assert "must be given" in problem.what
    given = ["params.local_rank=0", "params.data.root=/data", "params.split=test", "arguments=[here]"]
    command = plan(Composer(as_stash(stash)).compose([f"+exp={added.experiment}", *given], tmp_path / "run")).command
    assert command.argv[2:] == ["--local_rank", "0", "--data.root", "/data", "--split", "test", "here"]
