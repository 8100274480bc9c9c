"""Whatever a user writes in conf/ or on the command line is typed where it enters: no bug, no traceback, no hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from experimentstash.base import interrupts, yaml_files
from experimentstash.base.quoting import in_quotes, quoted
from experimentstash.cli.commands.run import hydra_arguments
from experimentstash.compose import command_line, interpolations
from experimentstash.compose.foreseen import Foreseen, place_of
from experimentstash.compose.hydra_compat import IS_1_3
from experimentstash.compose.overrides import normalized
from experimentstash.stash.layout import Stash, find_stash
from tests.compose.test_explain_errors import OVERRIDE as HEAD
from tests.compose.test_explain_errors import plain
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest

__all__ = ["plain"]

GOOD = "+exp=fig/good"
SHOWN = "validate_only=true"


Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(plain: StashUnderTest, in_process: InProcess) -> Iterator[Told]:
    """Run a command line; whatever it is, it is no bug. Returns the exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        done = in_process(plain, *arguments)
        for text in (done.stdout, done.stderr):
            assert "this is a bug" not in text and "Traceback" not in text, (arguments, text)
        return done.returncode, done.stdout, done.stderr

    yield call
    assert not (plain.root / ".experimentstash" / "bugs").exists()


def refuses(told: Told, arguments: list[str], *expected: str) -> None:
    code, stdout, stderr = told(*arguments)
    assert (code, stdout) == (2, ""), (arguments, code, stdout, stderr)
    assert stderr.count("error: ") == 1, (arguments, stderr)
    for text in expected:
        assert text in stderr, (arguments, stderr)


# --- the command line ------------------------------------------------------------------------------------------------

MISTAKEN: list[tuple[list[str], str]] = [
    (["+exp=null"], "There is no experiment 'null'"),
    (["+exp=1"], "There is no experiment '1'"),
    (["+exp=true"], "There is no experiment 'true'"),
    (["+exp=1e5"], "There is no experiment '1e5'"),
    (["+exp=nan"], "There is no experiment 'nan'"),
    (["+exp=grün"], "There is no experiment 'grün'"),
    (["+exp=[1]"], "and the command line say"),
    (["+exp=[fig/good,null]"], "and the command line say"),
    (["+exp={a:1}"], "unknown key 'exp'"),
    (["+exp=" + "x" * 300], "x" * 300),
    (["+exp=a/" + "y" * 5000], "error: "),
    (["+exp=glob(nothing*)"], "No experiment matches 'nothing*'.\nExperiments:\n  fig/good  fine"),
    (["+exp=glob(*,exclude=*)"], "No experiment matches '*' but '*'"),
    ([GOOD, "tool=null"], "chooses the tool 'null'"),
    ([GOOD, "tool=1"], "chooses the tool '1'"),
    ([GOOD, "hydra/launcher=null"], "must be a string or a list. Got NoneType"),
    (["-m", GOOD, "hydra/launcher=null"], "must be a string or a list. Got NoneType"),
    (["-m", GOOD, "hydra/sweeper=5"], "must be a string or a list. Got int"),
    ([GOOD, "hydra=null"], "must be a string or a list. Got NoneType"),
    ([GOOD, "hydra.launcher=null"], "hydra.launcher says nothing that could be used as a launcher"),
    (["-m", GOOD, "hydra.sweeper=null"], "hydra.sweeper says nothing that could be used as a sweeper"),
    ([GOOD, "hydra.verbose=5"], "hydra.verbose is neither true or false"),
    ([GOOD, "hydra.verbose={a: 1}"], "hydra.verbose is neither true or false"),
    ([GOOD, "hydra.searchpath=[nosuch://x]"], "No config source registered for schema nosuch"),
    ([GOOD, "+hydra.job.env_set={A=B: c}"], "error: "),
    ([GOOD, "hydra.run.dir='a\0b'"], "hydra.run.dir is a text with a NUL"),
    ([GOOD, "hydra.run.dir=conf/config.yaml"], "conf/config.yaml"),
    ([GOOD, "hydra.run.dir=" + "x" * 300], "File name too long"),
    ([GOOD, "tags=[[1]]"], "tags[0] is a list, where a single value must be"),
    ([GOOD, "arguments=[{a: 1}]"], "arguments[0] is a mapping, where a single value must be"),
    ([GOOD, "+params.a=" + "9" * 5000], "error: "),
    ([GOOD, "+params.a=" + "[" * 400 + "]" * 400], "error: "),
    ([GOOD, "+params.a=${params.a}"], "Recursive interpolation"),
    ([GOOD, "+params.a=a\x01b", "+nokey"], "error: "),
    ([GOOD, "="], "error: "),
    (["-m", GOOD, "--cfg", "job"], "--cfg shows the configuration of one run"),
    (["--info", "searchpath", "-m", GOOD], "--info shows the configuration of one run"),
    (["run", "fig/good", "other", "--cfg", "job"], "--cfg shows the configuration of one run"),
    (["--resolve", GOOD], "--resolve is for --cfg"),
    (["-p", "tool", GOOD], "--package is for --cfg"),
    (["--run", "-m", GOOD], "--run asks for one run"),
    (["--run", "--cfg", "job", GOOD], "only one of --run, --cfg"),
    (["--cfg", "nope", GOOD], "invalid choice: 'nope'"),
    (["--nosuch"], "unrecognized arguments: --nosuch"),
    (["-cn"], "expected one argument"),
    (["--config-name", "nope", GOOD], "Cannot find primary config 'nope'"),
    (["--config-dir", "/nope", GOOD], "'/nope' not found"),
    (["--experimental-rerun", "/nonexistent"], "/nonexistent does not exist"),
    (["--experimental-rerun", "."], ". is a directory"),
    (["--experimental-rerun", "conf/config.yaml"], "conf/config.yaml is no config.pickle of Hydra's"),
    (["--experimental-rerun", "/etc/passwd"], "/etc/passwd is no config.pickle of Hydra's"),
    ([f"{GOOD},"], f"{GOOD}, has a comma too many: there is no experiment without a name.\n  → {GOOD}\n"),
    (["-m", f"{GOOD},,fig/good"], "has a comma too many: there is no experiment without a name"),
    (["--experimental-rerun", "conf/config.yaml", GOOD], "takes nothing besides"),
    (["-sc", "install=csh"], "there is completion for bash, fish, zsh"),
    (["-sc"], "there is completion for bash, fish, zsh"),
    (["-sc", "query=bash"], "COMP_LINE"),
    (["tool", "show", "/etc"], "error: "),
    (["tool", "show", "../../etc/passwd"], "error: "),
]


def test_a_place_to_look_in_that_is_not_there_is_told_in_a_line(plain: StashUnderTest, told: Told) -> None:
    code, _, stderr = told(GOOD, SHOWN, "hydra.searchpath=[file:///nowhere,pkg://nope]")
    assert code == 0 and "UserWarning" not in stderr and "warnings.warn" not in stderr
    assert "stash: warning: command line: there is no directory /nowhere to look for configurations in\n" in stderr
    assert "stash: warning: command line: there is no package, or directory in one, nope to look" in stderr
    root = plain.root / "conf" / "config.yaml"
    root.write_text(f"{root.read_text()}\nhydra: {{searchpath: [file:///nowhere]}}\n")
    code, stdout, stderr = told("validate")
    assert code == 0 and "line 8: hydra.searchpath: there is no directory /nowhere" in stdout, stdout
    assert "UserWarning" not in stderr


@pytest.mark.slow
def test_mistakes_on_the_command_line(plain: StashUnderTest, told: Told) -> None:
    for arguments, expected in MISTAKEN:
        refuses(told, arguments, expected)
    assert not list(plain.root.glob("outputs/*")) and not list(plain.root.glob("multirun/*"))


def test_an_outputs_that_leads_nowhere(plain: StashUnderTest, told: Told) -> None:
    (plain.root / "outputs").symlink_to(plain.root / "gone")
    refuses(told, [GOOD], "outputs is a symbolic link that leads to", "where nothing is")


# --- files of conf/ --------------------------------------------------------------------------------------------------

BOMB = "params:\n  a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {new}: &{new} [{', '.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
ORGANIZERS: list[tuple[str | bytes, str]] = [
    ("5\n", "m.yaml: this is not a mapping"),
    ("true\n", "m.yaml: this is not a mapping"),
    ("hello\n", "m.yaml: this is not a mapping"),
    ("2020-01-01\n", "m.yaml: this is not a mapping"),
    ("- a\n", "m.yaml: this is not a mapping"),
    (HEAD + "description: 'a\x01b'\n", "line 4: this is not YAML: control characters are not allowed"),
    (HEAD + 'description: "a\0b"\n', "line 4: this is not YAML: control characters are not allowed"),
    (HEAD + 'tags: ["a\\0b"]\n', "tags[0] is a text with a NUL character"),
    (HEAD + 'description: "\\ud800"\n', "line 4: this is not YAML: found invalid Unicode"),
    (HEAD + 'description: "\\U00110000"\n', "line 4: this is not YAML"),
    (HEAD.encode() + b"description: caf\xe9\n", "m.yaml: this is not a text in UTF-8"),
    (HEAD + "params: &a\n  b: *a\n", "something contains itself"),
    (HEAD + "params:\n  a: &x\n    - *x\n", "something contains itself"),
    (HEAD + BOMB, "this is a file of more than 100,000 values"),
    (HEAD + "params: {a: " + "9" * 5000 + "}\n", "line 4: this is a number of 5,000 characters"),
    (HEAD + "params: {a: 0x" + "f" * 6000 + "}\n", "line 4: this is a number of 6,002 characters"),
    (HEAD + "params: {a: 1e400}\n", "line 4: this is no number that can be computed with: 1e400"),
    (HEAD + "params: " + "{a: " * 60 + "1" + "}" * 60 + "\n", "line 4: this is nested deeper than 50 levels"),
    (HEAD + "params:\n  a: " + "[" * 2000 + "]" * 2000 + "\n", "line 5: this is not YAML"),
    (HEAD + "params:\n  a: " + "[" * 900 + "'\t'" + "]" * 900 + "\n", "this is nested deeper than 50 levels"),
    (HEAD + "# " + "x" * (1 << 20) + "\n", "m.yaml: this is larger than 1 MB"),
    (HEAD + "params: {a: !!int hi}\n", "line 4: this is not YAML: a value that can't be read"),
    (HEAD + "params: {a: !!bool hi}\n", "line 4: this is not YAML: a value that can't be read"),
    (HEAD + "params: {a: !!timestamp hi}\n", "line 4: this is not YAML: a value that can't be read"),
    (HEAD + "params: {a: 0b_}\n", "line 4: this is not YAML: a value that can't be read"),
    (HEAD + "params: {a: !!python/object/apply:os.getcwd []}\n", "line 4: this is not YAML: could not determine"),
    (HEAD + "params: {a: !foo bar}\n", "line 4: this is not YAML: could not determine"),
    (HEAD + "? [a]\n: 6\n", "line 4: this is not YAML: found unhashable key"),
    (HEAD + "null: 6\n", "Incompatible key type"),
    (HEAD + "---\nparams: {}\n", "line 4: this is not YAML: but found another document"),
    (HEAD + "tags: [[1]]\n", "tags[0] is a list, where a single value must be"),
    (HEAD + "tags: {a: 1}\n", "m.yaml: tags: is a mapping, not a list"),
    (HEAD + "arguments: [[1]]\n", "arguments[0] is a list, where a single value must be"),
    (HEAD + "resources: {setup: [[a]]}\n", "resources.setup[0] is a list, where a single value must be"),
    (HEAD + "hydra: {job: {env_set: {A: [1]}}}\n", "hydra.job.env_set.A is a list, where a single value must be"),
    (HEAD + "hydra: {job: {env_set: {'A=B': x}}}\n", "which can't be the name of a variable"),
    (HEAD + 'hydra: {job: {env_set: {A: "a\\0b"}}}\n', "hydra.job.env_set.A is a text with a NUL"),
    (HEAD + 'hydra: {run: {dir: "a\\0b"}}\n', "hydra.run.dir is a text with a NUL character"),
    (HEAD + "hydra: {run: {dir: conf/config.yaml}}\n", "conf/config.yaml"),
    (HEAD + "hydra: {launcher: null}\n", "hydra.launcher says nothing"),
    (HEAD + "hydra: null\n", "m.yaml: hydra is null"),
    (HEAD + "hydra: {verbose: 5}\n", "hydra.verbose is neither"),
    (HEAD + "grace: 5\n", "m.yaml: grace: 5 is not a mapping"),
    (HEAD + "tool: plain\n", "m.yaml: tool: plain is not a mapping"),
    ("# @package\n", "m.yaml, line 1: this is a file with a first line that Hydra can't read"),
    ("defaults: 5\n", "m.yaml: its defaults must be a list"),
    ("# @package _global_\ndefaults: {override /tool: plain}\n", "m.yaml: its defaults must be a list"),
    ("defaults: [5]\n", "an entry of its defaults is neither a name nor one group"),
    ("defaults: [null]\n", "an entry of its defaults is neither"),
    ("defaults: [[a]]\n", "an entry of its defaults is neither"),
    ("defaults: [{}]\n", "an entry of its defaults is neither"),
    ("defaults: [{a: 1, b: 2}]\n", "an entry of its defaults is neither"),
    ("defaults: [{5: a}]\n", "an entry of its defaults is neither"),
    ("defaults: [{override /tool: 5}]\n", "an entry of its defaults is neither"),
    ("defaults: [{override /tool: {a: b}}]\n", "an entry of its defaults is neither"),
    ("# @package _global_\ndefaults: [m]\n", "Something refers to itself"),
    ("# @package _global_\ndefaults: [/exp/m]\n", "Something refers to itself"),
]


@pytest.mark.slow
def test_mistakes_in_an_organizer(plain: StashUnderTest, told: Told) -> None:
    path = plain.root / "conf" / "exp" / "m.yaml"
    for text, expected in ORGANIZERS:
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        refuses(told, ["+exp=m", SHOWN], expected)
        assert told("list")[0] == 0  # one bad file is one line
    assert told("validate", "--quick")[0] == 1


def test_the_same_in_a_sweep_and_in_the_root_config(plain: StashUnderTest, told: Told) -> None:
    plain.write("conf/exp/m.yaml", HEAD + "tags: [[1]]\n")
    code, _, stderr = told("-m", "+exp=m,other", SHOWN)
    assert code == 1 and "tags[0] is a list" in stderr
    root = plain.root / "conf" / "config.yaml"
    for text in ("5\n", BOMB, "tags: [[1]]\n", "hydra: null\n", "defaults: 5\n", "a: !!int x\n"):
        root.write_text(f"# experimentstash\n{text}")
        refuses(told, [GOOD, SHOWN], "conf/config.yaml" if "[[1]]" not in text else "error: ")
        assert told("validate")[0] == 1 and told("list")[0] == 0


@pytest.mark.slow
def test_mistakes_in_a_registration(plain: StashUnderTest, told: Told) -> None:
    path = plain.root / "conf" / "tool" / "t.yaml"
    plain.add_experiment("t", "t")
    for text in (
        "5\n",
        "- a\n",
        "path: [a\n",
        "env: {A: [1]}\n",
        BOMB,
        'path: "a\\0b"\n',
        "call: 5\n",
        "resume: [[1]]\n",
    ):
        path.write_text(text)
        refuses(told, ["+exp=t", SHOWN])
        assert told("tool", "list")[0] in (0, 1)
        assert told("tool", "sync", "t")[0] in (1, 2)
        assert told("validate", "--tool", "t")[0] == 1


@pytest.mark.parametrize("name", ["conf/exp/m.yaml", "conf/tool/plain.yaml", "conf/config.yaml"])
@pytest.mark.parametrize("kind", ["FIFO", "directory", "socket"])
def test_what_is_no_file_is_not_waited_for(plain: StashUnderTest, told: Told, name: str, kind: str) -> None:
    path = plain.root / name
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mknod(path, 0o140600)
    for arguments in (["+exp=m", SHOWN], [GOOD, SHOWN] if "exp" not in name else ["+exp=m", SHOWN]):
        assert told(*arguments)[0] == 2
    for arguments in (["validate"], ["list"], ["runs"], ["tool", "list"], []):
        told(*arguments)
    if "exp" in name and kind == "FIFO":
        assert "it is a FIFO" in told("list")[1]


# --- names, and the forms that Hydra has for them --------------------------------------------------------------------

ODD = [
    "prüfung",
    "日本",
    "a=b",
    "a[1]",
    "1",
    "null",
    "true",
    "1e5",
    "a b",
    "it's",
    'a"b',
    "a,b",
    "a@b",
    "#a",
    "(a)",
]
if IS_1_3:  # Hydra 1.4 takes no backslash in a name
    ODD.append("a\\")
UNUSABLE = ["${x}", "a.yaml", "???"]


@pytest.mark.slow
def test_odd_names(plain: StashUnderTest, told: Told) -> None:
    for name in [*ODD, *UNUSABLE]:
        plain.write(f"conf/exp/odd/{name}.yaml", f"{HEAD}description: odd\n")
    stash = Stash(plain.root)
    for name in ODD:
        # In each way of saying it, it is the same to Hydra.
        said = [hydra_arguments(stash, [f"odd/{name}"]), [f"+exp=odd/{name}"], [f"+exp={quoted(f'odd/{name}')}"]]
        words = [normalized(stash, command_line.read(arguments)).words for arguments in said]
        assert words[0] == words[1] == words[2]
        code, stdout, stderr = told(*said[1], SHOWN)
        assert code == 0 and stdout.count("main.py") == 1, (name, stderr)
    for name in UNUSABLE:
        refuses(told, [f"+exp=odd/{name}", SHOWN], "rename the file")
    for arguments in (["run", "odd/*"], ["-m", "+exp=glob(odd/*)"]):
        code, stdout, stderr = told(*arguments, SHOWN)
        assert code == 0 and stdout.count("main.py") == len(ODD), stderr
        assert stderr.count("is left out: Hydra takes") == len(UNUSABLE)
    code, stdout, _ = told("validate", "--exp", "odd/*")
    assert "this is a bug" not in stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fig/a-1.b", "fig/a-1.b"),
        ("null", "'null'"),
        ("1", "'1'"),
        ("it's", r"'it\'s'"),
        ("a\\", r"'a\\'"),
        ("ä", "'ä'"),
        ("", "''"),
    ],
)
def test_quotes(text: str, expected: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert quoted(text) == expected
    for written in (expected, in_quotes(text)):
        assert OverridesParser.create().parse_override(f"key={written}").value() == text


@pytest.mark.parametrize(
    ("arguments", "experiments"),
    [
        (["-m", "+exp=glob(*,exclude=o*)"], ["fig/good", "more"]),
        (["-m", "+exp=glob([o*,m*])"], ["more", "other"]),
        (["-m", "+exp=glob(*,exclude=[o*,m*])"], ["fig/good"]),
        (["-m", "+exp=other,glob(fig/*)"], ["other", "fig/good"]),
        (["-m", "+exp=glob(fig/*),fig/good,other"], ["fig/good", "other"]),
        (["+exp='other'"], ["other"]),
        (["+exp=glob(fig/*)"], ["fig/good"]),
        ([GOOD, "-m", "debug=false"], ["fig/good"]),
        (["-m", "debug=false", GOOD], ["fig/good"]),
    ],
)
def test_forms_of_choosing(plain: StashUnderTest, told: Told, arguments: list[str], experiments: list[str]) -> None:
    plain.add_experiment("more", "plain")
    code, stdout, stderr = told(*arguments, "dry_run=true")
    rows = [line.split()[0] for line in stdout.splitlines()[1:] if line.strip() and "CPU-hours" not in line]
    assert (code, [row for row in rows if row[0].isalpha()]) == (0, experiments), (stdout, stderr)


def test_options_of_hydras_besides_names(plain: StashUnderTest, told: Told) -> None:
    code, stdout, _ = told("run", "fig/good", "--cfg", "job", "-p", "params")
    assert code == 0 and "sleep: 0" in stdout
    code, stdout, _ = told("run", "--cfg", "job", "fig/good", "params.sleep=7", "--package", "params")
    assert code == 0 and "sleep: 7" in stdout


@pytest.mark.slow
def test_organizers_in_further_places(plain: StashUnderTest, told: Told, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "exp" / "far").mkdir(parents=True)
    (elsewhere / "exp" / "far" / "one.yaml").write_text(HEAD + "description: from afar\n")
    for arguments in (
        ["run", "far/one", "--config-dir", str(elsewhere)],
        ["--config-dir", str(elsewhere), "+exp=glob(far/*)"],
        ["run", "far/*", f"hydra.searchpath=[{elsewhere}]"],
        ["+exp=glob(far/*)", f"hydra.searchpath=['file://{elsewhere}']"],
    ):
        code, stdout, stderr = told(*arguments, SHOWN)
        assert code == 0 and stdout.count("main.py") == 1, (arguments, stderr)
    refuses(told, ["run", "far/one", SHOWN], "There is no experiment 'far/one'")
    root = plain.root / "conf" / "config.yaml"
    root.write_text(f"{root.read_text()}\nhydra: {{searchpath: ['file://${{oc.env:ELSEWHERE}}']}}\n")
    os.environ["ELSEWHERE"] = str(elsewhere)
    try:
        assert "from afar" in told("list")[1]
        code, stdout, stderr = told("run", "far/*", "fig/*", SHOWN)
        assert code == 0 and stdout.count("main.py") == 2, stderr
        assert "there is no tool" not in told("validate")[1]
        assert "far/one" not in Stash(plain.root).own_experiments()
    finally:
        del os.environ["ELSEWHERE"]


@pytest.mark.slow
def test_what_launches_a_sweep_is_not_for_what_is_swept(plain: StashUnderTest, told: Told) -> None:
    plain.write("conf/exp/l.yaml", f"{HEAD}  - override /hydra/launcher: local\nhydra: {{launcher: {{n_jobs: 2}}}}\n")
    late = "conf/exp/l.yaml, or what else is swept, sets hydra/launcher=local, which comes too late"
    code, _, stderr = told("-m", "+exp=l,other", "dry_run=true")
    assert code == 1 and late in stderr
    for given in (["+exp=l,other", "hydra/launcher=local", "hydra.launcher.n_jobs=2"], ["+exp=l", "debug=false"]):
        code, _, stderr = told("-m", *given, "dry_run=true")
        assert code == 0 and "too late" not in stderr
    code, _, stderr = told("-m", "+exp=l,other", "hydra/launcher=local", "dry_run=true")
    assert code == 1 and "sets hydra.launcher.n_jobs, which comes too late" in stderr and "n_jobs=2" in stderr


def test_places_for_values_of_ones_own(plain: StashUnderTest, told: Told) -> None:
    plain.write("conf/paths/default.yaml", "root: /scratch/me\ndata: ${paths.root}/data\n")
    root = plain.root / "conf" / "config.yaml"
    root.write_text(root.read_text().replace("  - tool: null", "  - paths: default\n  - tool: null"))
    plain.add_experiment("p", "plain", "vars: {name: x}\nparams: {say: ['${paths.data}/${vars.name}']}\n")
    code, stdout, stderr = told("+exp=p", SHOWN)
    assert code == 0 and "--say /scratch/me/data/x" in stdout, stderr


# --- the reader, and interrupts --------------------------------------------------------------------------------------


def test_an_alias_counts_for_what_it_stands_for(tmp_path: Path) -> None:
    used = "a: &a {x: 1, y: [1, 2]}\nb: *a\nc: {<<: *a, z: 3}\n"
    assert yaml_files.parse(used, tmp_path)["c"] == {"x": 1, "y": [1, 2], "z": 3}
    with pytest.raises(yaml_files.YamlError, match="more than 100,000 values"):
        yaml_files.parse(BOMB, tmp_path)


def test_the_deepest_that_is_read_can_be_composed(plain: StashUnderTest, told: Told) -> None:
    levels = yaml_files.DEEPEST - 1
    plain.write("conf/exp/m.yaml", f"{HEAD}vars: {'{a: ' * levels}1{'}' * levels}\n")
    code, _, stderr = told("+exp=m", SHOWN)
    assert code == 0, stderr


def _doubling(first: str, template: str) -> str:
    lines = [template.format(at=at, before="${vars.a" + str(at - 1) + "}") for at in range(1, 40)]
    return f"vars:\n  a0: {first}\n" + "".join(f"  {line}\n" for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_doubling("x", "a{at}: '{before}{before}'") + "params: {say: '${vars.a39}'}\n", " interpolations to resolve"),
        (_doubling("[1]", "a{at}: ['{before}', '{before}']") + "params: {say: '${vars.a39}'}\n", "more than 10,000 "),
        (_doubling("{p: 1}", "a{at}: {{p: '{before}', q: '{before}'}}"), "more than 10,000 "),
        (
            _doubling("x", "a{at}: '{before}{before}'") + "tool: {env: {A: '${vars.a39}'}}\n",
            "interpolations to resolve",
        ),
        (
            _doubling("x", "a{at}: '{before}{before}'") + "hydra: {run: {dir: '${vars.a39}'}}\n",
            "to resolve (do some",
        ),
        (f"vars: {{a: {'x' * 500}}}\nparams: {{say: '{'${vars.a}' * 9}'}}\n", "more than 4,000 characters"),
    ],
)
def test_interpolations_that_double_each_other(
    text: str, expected: str, plain: StashUnderTest, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpolations, "LONGEST", 4000)
    plain.write("conf/exp/m.yaml", HEAD + text)
    # OmegaConf 2.4 resolves once what is named twice.
    either = (expected,) if IS_1_3 else (expected, "more than 4,000 characters")
    code, stdout, stderr = told("+exp=m")
    assert (code, stdout) == (2, "") and stderr.count("error: ") == 1 and any(text in stderr for text in either)
    code, stdout, _ = told("validate")
    assert code == 1 and any(text in stdout for text in either)
    code, stdout, _ = told("-m", "+exp=m,fig/good")
    assert code == 1 and "2 runs: 1 completed, 1 failed" in stdout


@pytest.mark.skipif(not IS_1_3, reason="OmegaConf 2.4 resolves once what is named twice")
@pytest.mark.parametrize(
    ("template", "behind_a_value", "behind_all"),
    [
        ("a{at}: '{before}{before}'", 2**3 - 1, sum(2**at - 1 for at in range(1, 4))),
        ("a{at}: '${{.a{last}}}${{oc.select:vars.a{last}}}'", 2**3 - 1, sum(2**at - 1 for at in range(1, 4))),
        ("a{at}: ['{before}', '{before}']", 0, sum(2 ** (at + 1) - 2 for at in range(1, 4))),
        ("a{at}: '\\{before} ${{oc.env:HOME}}'", 1, 3),
        ("a{at}: '${{oc.env:NOWHERE,x}}${{oc.select:nowhere,vars}}${{vars.${{oc.env:ONE}}}}'", 1, 3),
    ],
)
def test_how_many_there_will_be_is_told_as_omegaconf_counts(
    template: str, behind_a_value: int, behind_all: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is foreseen is never more than what then is: nothing is refused that could be done."""
    monkeypatch.setenv("ONE", "a0")
    values: dict[str, Any] = {"a0": "x"}
    for at in range(1, 4):
        values |= yaml.safe_load(template.format(at=at, last=at - 1, before="${vars.a" + str(at - 1) + "}"))
    foreseen = Foreseen({"vars": values})
    assert foreseen.of(place_of("vars.a3")) == behind_a_value
    assert foreseen.of((), is_whole=True) == behind_all
    steps: list[None] = []
    interpolations.bound()
    monkeypatch.setattr(interpolations._under_way, "step", lambda: steps.append(None))
    OmegaConf.to_container(OmegaConf.create({"vars": values}), resolve=True)
    assert len(steps) == behind_all


def test_many_interpolations_are_none_of_these(plain: StashUnderTest, told: Told) -> None:
    many = "".join(f"  a{at}: ${{vars.a}}\n" for at in range(interpolations.MOST + 1))
    plain.write("conf/exp/m.yaml", f"{HEAD}vars:\n  a: x\n{many}")
    code, _, stderr = told("+exp=m", SHOWN)
    assert code == 0, stderr


def test_a_stash_is_found_though_its_root_config_is_none(stash: StashUnderTest) -> None:
    (stash.root / "conf" / "config.yaml").unlink()
    os.mkfifo(stash.root / "conf" / "config.yaml")
    assert find_stash(stash.root).root == stash.root


# Interrupts itself at the beginning of one import, as Ctrl-C would.
AT_IMPORT = """
import importlib.abc, os, signal, sys

MODULE = sys.argv[1]

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv = ["experimentstash", *sys.argv[2:]]
from experimentstash.__main__ import start
sys.exit(start())
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("experimentstash.execute.keeper", ["runs"]),
        ("experimentstash.cli.main", [GOOD]),
        ("experimentstash.cli.commands.runs", ["runs"]),
        ("hydra", [GOOD]),
        ("omegaconf", ["validate"]),
        ("antlr4" if IS_1_3 else "omegaconf.grammar_parser", ["run", "fig/good"]),
        ("experimentstash.launch.app", [GOOD]),
    ],
)
def test_ctrl_c_during_an_import(plain: StashUnderTest, module: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, module, *arguments],
        cwd=plain.root,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")
    assert not (plain.root / "outputs").exists()


def test_only_the_usual_handler_is_replaced() -> None:
    saved = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.ending_at_once():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, saved)
    with interrupts.ending_at_once():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is saved
