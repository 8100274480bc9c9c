"""Every mistake in a configuration: exit code 2, one message that names the file and what is valid, nothing left."""

from __future__ import annotations

import pytest

from tests.testing.stash import InProcess, StashUnderTest

OVERRIDE = "# @package _global_\ndefaults:\n  - override /tool: plain\n"


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("plain", "plain", "entrypoint: main.py")
    stash.add_experiment("fig/good", "plain", "description: fine\nparams: {sleep: 0, say: [hello]}\n")
    stash.add_experiment("other", "plain")
    return stash


def check(stash: StashUnderTest, in_process: InProcess, arguments: list[str], *expected: str) -> str:
    """Run what is mistaken and return its one message."""
    done = in_process(stash, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    message = done.stderr
    assert message.startswith("error: ") and message.count("error: ") == 1, message
    assert "Traceback" not in message and "HYDRA_FULL_ERROR" not in message
    for text in expected:
        assert text in message, message
    left = [path for root in ("outputs", "multirun") for path in stash.root.glob(f"{root}/*")]
    assert not left
    return message


ALL_KEYS = "Valid: tool, experiment, description, tags, estimated_runtime, params,"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parms: {sleep: 0}\n", ["conf/exp/m.yaml: unknown key 'parms'. Did you mean 'params'?", ALL_KEYS]),
        ("grace: {second: 3}\n", ["conf/exp/m.yaml: unknown key 'grace.second'", "Valid: seconds, signal\n"]),
        ("debug: maybe\n", ["conf/exp/m.yaml: debug: Value 'maybe' is not a valid bool"]),
        ("tags: solo\n", ["conf/exp/m.yaml: tags: "]),
        ("params:\n", ["conf/exp/m.yaml: params: "]),
        ("wandb: {mode: onlin}\n", ["conf/exp/m.yaml: wandb.mode: ", "'onlin'", "[auto, online, offline, disabled]"]),
        ("params: {a: [1, 2\n", ["conf/exp/m.yaml, line 5: this is not YAML"]),
        ("params:\n\ta: 1\n", ["conf/exp/m.yaml, line 5: this is not YAML"]),
        ("params: {a: 1, a: 2}\n", ["conf/exp/m.yaml, line 4: this is not YAML: found duplicate key a."]),
        ("params: {a: '${nokey}'}\n", ["conf/exp/m.yaml: params.a: Interpolation key 'nokey' not found"]),
        ("params: {a: '${nope:1}'}\n", ["conf/exp/m.yaml: params.a: Unsupported interpolation type nope"]),
        ("params: {a: '${oc.env:NO_SUCH}'}\n", ["conf/exp/m.yaml: params.a: ", "'NO_SUCH' not found"]),
        ("params: {a: '${b'}\n", ["conf/exp/m.yaml: params.a: ", "'${b'"]),
        ("timeout: soon\n", ["timeout: 'soon' is not a duration", "45s, 30m, 2h"]),
        ("estimated_runtime: -5\n", ["estimated_runtime: '-5' is not a duration"]),
    ],
)
def test_in_an_organizer(plain: StashUnderTest, in_process: InProcess, text: str, expected: list[str]) -> None:
    plain.write("conf/exp/m.yaml", OVERRIDE + text)
    check(plain, in_process, ["+exp=m"], *expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path: tools/plain\nentrypoint: mian.py\n", ["conf/tool/t.yaml: the entrypoint mian.py does not exist in "]),
        ("path: tools/plain\nentrypoint: bin/mian\n", ["conf/tool/t.yaml: the entrypoint bin/mian does not exist in "]),
        ("path: tools/plain\nentrypoint: -m\n", ["'-m' names nothing to run", "`-m package.module` or `file.py`"]),
        ("path: tools/plain\nentrypoint: 'a \"b'\n", ["The entrypoint 'a \"b' can't be read: No closing quotation"]),
        ("path: tools/plain\n", ["conf/tool/t.yaml", "tool.entrypoint"]),
        ("path: tools/plian\nentrypoint: main.py\n", ["conf/tool/t.yaml: the tool's directory tools/plian does not"]),
        (
            "path: ../elsewhere\nentrypoint: main.py\n",
            ["conf/tool/t.yaml: path: '../elsewhere' is not below the stash"],
        ),
        ("path: tools/plain\nentry: main.py\n", ["conf/tool/t.yaml: unknown key", "Valid: path, entrypoint, commit,"]),
        (
            "path: tools/plain\nentrypoint: main.py\ncall: {style: option}\n",
            ["conf/tool/t.yaml: tool.call.style: ", "[hydra, options, argparse, click, "],
        ),
        (
            "path: tools/plain\nentrypoint: main.py\nworking_directory: home\n",
            ["conf/tool/t.yaml: working_directory: 'home' is neither `tool` nor `run`."],
        ),
        (
            "path: tools/plain\nentrypoint: main.py\nenvironment: {kind: none}\n",
            ["conf/tool/t.yaml: the entrypoint 'main.py' needs a Python, but environment.kind is `none`"],
        ),
        (
            "path: tools/plain\nentrypoint: main.py\nenvironment: {kind: interpreter, interpreter: /no/python}\n",
            ["/no/python is no file", "conf/tool/t.yaml"],
        ),
    ],
)
def test_in_a_registration(plain: StashUnderTest, in_process: InProcess, text: str, expected: list[str]) -> None:
    plain.write("conf/tool/t.yaml", text)
    plain.add_experiment("m", "t")
    check(plain, in_process, ["+exp=m"], *expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["+exp=fig/god"], ["There is no experiment 'fig/god'. Did you mean 'fig/good'?", "  fig/good  fine\n  other"]),
        (["+exp=figure/deep/good"], ["There is no experiment 'figure/deep/good'."]),
        (["run", "fig/god"], ["There is no experiment 'fig/god'. Did you mean 'fig/good'?"]),
        (["exp=fig/good"], ["an experiment is added with a plus sign", "+exp=fig/good"]),
        (["+exp=fig/good", "tool=plian"], ["the tool 'plian'", "conf/tool/plian.yaml", "Tools: plain"]),
        (["+exp=fig/good", "tool=sub/plain"], ["the tool 'sub/plain'", "conf/tool/sub/plain.yaml", "Tools: plain"]),
        (["+exp=fig/good", "parms.sleep=1"], ["command line: unknown key 'parms'. Did you mean 'params'?", ALL_KEYS]),
        (
            ["+exp=fig/good", "params.slep=1"],
            ["unknown key 'params.slep'. Did you mean 'sleep'?\nValid: sleep, say\n", "write +params.slep=1"],
        ),
        (["+exp=fig/good", "tool.pth=x"], ["unknown key 'tool.pth'. Did you mean 'path'?\nValid: path, entrypoint,"]),
        (["+exp=fig/good", "debug=maybe"], ["command line: debug=maybe: Value 'maybe' is not a valid bool"]),
        (
            ["+exp=fig/good", "tool.call.style=option"],
            ["command line: tool.call.style=option: ", "[hydra, options, argparse, click, "],
        ),
        (["+exp=fig/good", "params.say=[a"], ["The override 'params.say=[a' can't be read", "quote values"]),
        (["fig/good"], ["There is no verb 'fig/good'"]),
        (["+exp=fig/good", "params.sleep=1,2"], ["params.sleep=1,2 has several values", "add -m"]),
        (["+exp=fig/good,other"], ["+exp=fig/good,other has several values", "add -m"]),
        (["+exp=fig/good", "+params.a=${nokey}"], ["params.a: Interpolation key 'nokey' not found"]),
        (["+exp=fig/good", "hydra/launcher=submitit_locl"], ["hydra/launcher=submitit_locl", "'submitit_local'"]),
        (["+exp=fig/good", "timeout=1 fortnight"], ["timeout: '1 fortnight' is not a duration"]),
        (["params.sleep=1"], ["unknown key 'params.sleep'"]),
        (["debug=true"], ["Nothing says which tool to run", "  fig/good  fine", "+exp=NAME"]),
        (["-m", "+exp=fig/good,other", "params.slep=1"], ["unknown key 'params.slep'"]),
        (["-m", "+exp=fig/good", "params.sleep=[a,c"], ["can't be read"]),
    ],
)
def test_on_the_command_line(
    plain: StashUnderTest, in_process: InProcess, arguments: list[str], expected: list[str]
) -> None:
    check(plain, in_process, arguments, *expected)


def test_an_unknown_tool_in_an_organizer(plain: StashUnderTest, in_process: InProcess) -> None:
    plain.add_experiment("m", "plian")
    expected = "conf/exp/m.yaml chooses the tool 'plian', but there is no conf/tool/plian.yaml. Did you mean 'plain'?"
    check(plain, in_process, ["+exp=m"], expected, "Tools: plain")


def test_an_unknown_key_in_the_root_configuration(plain: StashUnderTest, in_process: InProcess) -> None:
    path = plain.root / "conf" / "config.yaml"
    path.write_text(path.read_text() + "tagz: [a]\n")
    check(plain, in_process, ["+exp=fig/good"], "conf/config.yaml: unknown key 'tagz'. Did you mean 'tags'?", ALL_KEYS)


def test_an_interpolation_on_the_command_line_is_none(plain: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(plain, "+exp=fig/good", "+params.name=${params.sleep}", "validate_only=true")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--name 0" in done.stdout


def test_an_empty_tool_directory(plain: StashUnderTest, in_process: InProcess) -> None:
    plain.add_tool("empty", None, "entrypoint: main.py")
    plain.add_experiment("m", "empty")
    check(plain, in_process, ["+exp=m"], "conf/tool/empty.yaml: the tool's directory tools/empty is empty")
    plain.write(".gitmodules", "")
    check(plain, in_process, ["+exp=m"], "→ git submodule update --init tools/empty")


def test_an_executable_that_is_none(plain: StashUnderTest, in_process: InProcess) -> None:
    directory = plain.add_tool("shown", "shown", "entrypoint: show\nenvironment: {kind: none}")
    (directory / "show").chmod(0o644)
    plain.add_experiment("m", "shown")
    message = check(plain, in_process, ["+exp=m"], f"conf/tool/shown.yaml: {directory / 'show'} is not executable")
    # The command that fixes it can be pasted into a shell, odd paths or not.
    assert "→ chmod +x '" in message


def test_the_program_itself_says_it_as_briefly(plain: StashUnderTest) -> None:
    done = plain.cli("+exp=fig/good", "params.slep=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[:2] == [
        "error: command line: unknown key 'params.slep'. Did you mean 'sleep'?",
        "Valid: sleep, say",
    ]
    late = plain.cli("+exp=fig/good", "timeout=soon")
    assert (late.returncode, late.stdout, late.stderr.count("\n")) == (2, "", 2)
    assert not list(plain.root.glob("outputs/*"))


# What is wrong with the messages so far.


def test_a_file_that_is_not_utf8(plain: StashUnderTest, in_process: InProcess) -> None:
    (plain.root / "conf" / "exp" / "m.yaml").write_bytes(OVERRIDE.encode() + b"description: caf\xe9\n")
    check(plain, in_process, ["+exp=m"], "conf/exp/m.yaml")


def test_defaults_that_are_no_list(plain: StashUnderTest, in_process: InProcess) -> None:
    plain.write("conf/exp/m.yaml", "# @package _global_\ndefaults:\n  override /tool: plain\n")
    check(plain, in_process, ["+exp=m"], "exp/m", "must be a list")


def test_an_organizer_without_its_package(plain: StashUnderTest, in_process: InProcess) -> None:
    plain.write("conf/exp/m.yaml", OVERRIDE.partition("\n")[2])
    check(plain, in_process, ["+exp=m"], "conf/exp/m.yaml", "# @package _global_")
    plain.write("conf/exp/m.yaml", "params: {a: 1}\n")
    check(plain, in_process, ["+exp=m"], "conf/exp/m.yaml is not in the global package", "# @package _global_")


def test_params_that_are_a_list(plain: StashUnderTest, in_process: InProcess) -> None:
    plain.write("conf/exp/m.yaml", OVERRIDE + "params: [a, b]\n")
    check(plain, in_process, ["+exp=m"], "conf/exp/m.yaml: params")


def test_a_tool_that_is_not_overridden(plain: StashUnderTest, in_process: InProcess) -> None:
    plain.write("conf/exp/m.yaml", "# @package _global_\ndefaults:\n  - /tool: plain\n")
    check(plain, in_process, ["+exp=m"], "conf/exp/m.yaml", "override /tool: plain")
