"""The application as its users see it: the real command line, real tools, exit codes, and what is left on disk."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testing.faults import is_alive, looking_away
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest, git, wait_until

RUN = re.compile(r"outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-[2-9a-hjkmnp-z]{7}")
JOB = re.compile(r"multirun/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-[2-9a-hjkmnp-z]{7}/\d+")
PLAIN = "entrypoint: main.py"

# Reads a record over and over and fails at the first that isn't whole; prints the states that it saw.
READER = """
import json, pathlib, sys
root, states = pathlib.Path(sys.argv[1]), set()
found = []
while not found:
    found = list(root.glob("outputs/*/*/run.json"))
print("reading", flush=True)
while "completed" not in states:
    text = found[0].read_text()
    if text:  # a claim is an empty file for a moment
        states.add(json.loads(text)["attempt"]["state"])
    assert not states or text
print(sorted(states))
"""


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    """A stash with the plain tool and two experiments of a figure, one of a third kind."""
    stash.add_tool("plain", "plain", PLAIN)
    stash.add_experiment("fig/one", "plain", 'description: "The first"\nparams: {say: [hello], sleep: 0}\n')
    stash.add_experiment("fig/two", "plain", "params: {say: [bye], sleep: 0}\n")
    stash.add_experiment("told", "plain", 'params: {out: "${output_dir}", touch: null, sleep: 0, fail: 0}\n')
    stash.commit()
    return stash


def relative(stash: StashUnderTest) -> list[str]:
    return [path.relative_to(stash.root).as_posix() for path in stash.run_directories()]


def finished(process: subprocess.Popen[str], seconds: float = PATIENCE) -> tuple[str, str]:
    try:
        return process.communicate(timeout=seconds)
    finally:
        process.kill()


# --- running ---------------------------------------------------------------------------------------------------------


def test_one_experiment(plain: StashUnderTest) -> None:
    commit = git("rev-parse", "HEAD", cwd=plain.root).strip()
    overrides = [
        "+exp=fig/one",
        "tags=[a,b]",
        "experiment=inner",
        "+tool.env.MODE=${experiment}",
        "+params.out=${output_dir}",
    ]
    done = plain.cli(*overrides)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    (directory,) = relative(plain)
    assert RUN.fullmatch(directory)
    assert f"fig/one  →  {directory}" in done.stderr and "✓ completed in" in done.stderr
    record = plain.record()
    assert record["id"] == directory.rpartition("-")[2]
    assert record["directory"] == str(plain.root / directory)
    assert [record["spec"][name] for name in ("organizer", "experiment", "tool")] == ["fig/one", "inner", "plain"]
    assert (record["spec"]["description"], record["spec"]["tags"]) == ("The first", ["a", "b"])
    assert record["spec"]["overrides"] == overrides
    assert [record["attempt"][name] for name in ("state", "exit_code", "reason")] == ["completed", 0, None]
    assert record["sweep"] is None
    main = plain.root / "tools" / "plain" / "main.py"
    run = plain.root / directory
    argv = [sys.executable, str(main), "--say", "hello", "--sleep", "0", "--out", str(run)]
    assert record["spec"]["command"]["argv"] == argv
    assert record["spec"]["command"]["environment"]["MODE"] == "inner"
    assert (record["spec"]["stash"]["commit"], record["spec"]["stash"]["dirty"], record["spec"]["code"]["dirty"]) == (
        commit,
        False,
        False,
    )
    assert record["created"] <= record["attempt"]["started"] <= record["attempt"]["ended"]
    assert (run / "output.log").read_text() == "hello\n"
    assert {path.name for path in run.iterdir()} == {
        ".hydra",
        "run.json",
        "output.log",
        "supervisor.log",
        "result.json",
    }
    assert git("status", "--porcelain", cwd=plain.root) == ""


def test_a_sweep_from_inside_a_tool(plain: StashUnderTest) -> None:
    tool = plain.root / "tools" / "plain"
    done = plain.cli("-m", "+exp=fig/one,fig/two", cwd=tool)
    assert done.returncode == 0
    found = relative(plain)
    assert len(found) == 2 and all(JOB.fullmatch(directory) for directory in found)
    assert [directory.rpartition("/")[2] for directory in found] == ["0", "1"]
    records = [plain.record(plain.root / directory) for directory in found]
    assert [record["spec"]["organizer"] for record in records] == ["fig/one", "fig/two"]
    assert [record["sweep"] for record in records] == [str((plain.root / found[0]).parent)] * 2
    heading, *rows = done.stdout.splitlines()[-4:-1]
    assert heading.split() == ["run", "experiment", "state", "time", "log"]
    for record, row in zip(records, rows, strict=True):
        assert row.split()[:4] == [record["id"], record["spec"]["organizer"], "✓", "completed"]
        # Paths are shown as they are reached from here.
        shown = row[row.index("../") :]
        assert (tool / shown).read_text() == {"fig/one": "hello\n", "fig/two": "bye\n"}[record["spec"]["organizer"]]


@pytest.mark.slow
def test_a_launcher_makes_it_a_multirun(plain: StashUnderTest) -> None:
    done = plain.cli("+exp=fig/one,fig/two", "hydra/launcher=submitit_local", "++params.say=[there]")
    assert done.returncode == 0, done.stderr
    found = relative(plain)
    assert len(found) == 2 and all(JOB.fullmatch(directory) for directory in found)
    assert {plain.record(plain.root / directory)["attempt"]["state"] for directory in found} == {"completed"}
    assert {(plain.root / directory / "output.log").read_text() for directory in found} == {"there\n"}
    assert [line.split()[1:4] for line in done.stdout.splitlines()[-3:-1]] == [
        ["fig/one", "++params.say=[there]", "✓"],
        ["fig/two", "++params.say=[there]", "✓"],
    ]
    assert not (plain.root / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "experiments"),
    [
        (["run", "fig/one"], ["fig/one"]),
        (["run", "fig/one", "told", "params.sleep=0,1"], ["fig/one", "fig/one", "told", "told"]),
        (["run", "fig/*"], ["fig/one", "fig/two"]),
        (["run", "fig/*", "fig/one.yaml", "debug=false"], ["fig/one", "fig/two"]),
        (["run", "told", "-m", "params.fail=0,1"], ["told", "told"]),
        (["-m", "+exp=glob(fig/*)"], ["fig/one", "fig/two"]),
        (["+exp=glob(*/two)"], ["fig/two"]),
        (["run", "fig/*", "params.sleep=0"], ["fig/one", "fig/two"]),
        (["-m", "+exp=fig/one,told", "params.sleep=0"], ["fig/one", "told"]),
        (["+exp=told", "-m", "params.fail=0,1"], ["told", "told"]),
    ],
)
def test_ways_of_naming_experiments(
    plain: StashUnderTest, in_process: InProcess, arguments: list[str], experiments: list[str]
) -> None:
    done = in_process(plain, *arguments, "validate_only=true")
    assert done.returncode == 0
    commands = [line for line in done.stdout.splitlines() if "main.py" in line]
    assert len(commands) == len(experiments)
    for command, experiment in zip(commands, experiments, strict=True):
        expected = {"fig/one": "--say hello", "fig/two": "--say bye", "told": "--out"}[experiment]
        assert expected in command
    assert relative(plain) == []


def test_what_there_is(plain: StashUnderTest, in_process: InProcess) -> None:
    listed = "  fig/one  The first\n  fig/two\n  told\n"
    overview = plain.cli(cwd=plain.root / "conf" / "exp")
    assert overview.returncode == 0
    assert f"Stash {plain.root}\n" in overview.stdout
    assert listed in overview.stdout and "Tools: plain\n" in overview.stdout
    assert "python -m experimentstash -m +exp=NAME,NAME" in overview.stdout
    for arguments in (
        ["run"],
        ["run", "fig/three"],
        ["run", "nothing/*"],
        ["+exp=glob(nothing/*)"],
        ["+exp=fig/three"],
    ):
        done = in_process(plain, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert listed.rstrip() in done.stderr


def test_an_empty_stash_says_so(stash: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(stash)
    assert done.returncode == 0
    assert f"There are no experiments in {stash.root / 'conf' / 'exp'} yet." in done.stdout
    assert "Tools: none yet" in done.stdout


def test_outside_a_stash(tmp_path: Path, stash: StashUnderTest, in_process: InProcess) -> None:
    for arguments in ([], ["+exp=one"], ["run", "one"]):
        done = in_process(stash, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {tmp_path} is not inside a stash")
    helped = stash.cli("--help", cwd=tmp_path)
    assert helped.returncode == 0 and "+exp=NAME" in helped.stdout


@pytest.mark.slow
def test_what_hydra_can_do_still_works(plain: StashUnderTest, in_process: InProcess) -> None:
    config = plain.cli("+exp=fig/one", "--cfg", "job")
    assert config.returncode == 0
    assert "description: The first\n" in config.stdout and "path: tools/plain\n" in config.stdout
    assert "\nhydra:" not in config.stdout
    for asking in (["--hydra-help"], ["run", "fig/one", "--hydra-help"], ["+exp=fig/one", "--help"]):
        helped = in_process(plain, *asking)
        assert helped.returncode == 0
        assert "exp: told\n" in helped.stdout and "exp/fig: one, two\n" in helped.stdout
        assert "+exp=NAME" in helped.stdout and "validate_only" in helped.stdout
        assert "hydra/launcher: basic, " in helped.stdout and "--experimental-rerun : " in helped.stdout
        assert ("description: The first\n" in helped.stdout) == (asking != ["--hydra-help"])
    info = in_process(plain, "+exp=fig/one", "--info", "defaults")
    assert info.returncode == 0 and re.search(r"\| exp/fig/one +\|", info.stdout)
    assert in_process(plain, "--version").stdout.startswith("experimentstash 0.")
    assert not list(plain.root.glob("outputs/*/*")) and not list(plain.root.glob("multirun/*/*"))


def test_shell_completion(plain: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = plain.cli("-sc", "query=bash", COMP_LINE="experimentstash +exp=fig/o")
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "+exp=fig/one\n", "")
    monkeypatch.setenv("COMP_LINE", "experimentstash +exp=fig/one params.s")
    hydras = in_process(plain, "-sc", "query=bash")
    assert (hydras.returncode, hydras.stdout.split()) == (0, ["params.say.", "params.sleep="])
    installed = plain.cli("-sc", "install=bash")
    assert installed.returncode == 0 and "\ncomplete -o default -F _experimentstash experi" in installed.stdout


# --- what the tool gets ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_of_ours_reaches_the_tool(plain: StashUnderTest, tmp_path: Path) -> None:
    decoy = tmp_path / "decoy"
    decoy.mkdir()
    own = Path(sys.prefix) / "bin"
    done = plain.cli(
        "run",
        "told",
        VIRTUAL_ENV=sys.prefix,
        PYTHONPATH=str(decoy),
        PYTHONDONTWRITEBYTECODE="1",
        HYDRA_FULL_ERROR="1",
        PATH=f"{own}{os.pathsep}{decoy}{os.pathsep}{os.environ['PATH']}",
        KEPT="as it is",
    )
    assert done.returncode == 0, done.stderr
    (directory,) = plain.run_directories()
    seen = json.loads((directory / "result.json").read_text())
    environment = seen["environment"]
    assert environment["KEPT"] == "as it is"
    gone = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "HYDRA_FULL_ERROR", "EXPERIMENTSTASH_TOKEN"}
    assert not gone & set(environment)
    assert str(decoy) not in seen["path"]
    path = environment["PATH"].split(os.pathsep)
    assert str(decoy) in path
    if sys.prefix != sys.base_prefix:
        # The first is that of the tool's environment, which is this one here.
        assert own.resolve() not in {Path(entry).resolve() for entry in path[1:]}
    assert seen["cwd"] == str(plain.root / "tools" / "plain")
    assert environment["EXPERIMENTSTASH_RUN_DIR"] == str(directory)
    assert environment["EXPERIMENTSTASH_RUN_ID"] == plain.record()["id"]


def test_nothing_goes_through_a_shell(stash: StashUnderTest) -> None:
    stash.add_tool("shown", "shown", "entrypoint: show\ncall: {style: arguments}\nenvironment: {kind: none}\n")
    odd = ["$(touch x); echo", "`touch y`", "*", "a\nb", "'\"\\", "", "--", "~", "ü€"]
    stash.add_experiment("odd", "shown", f"arguments: {json.dumps(odd)}\n")
    done = stash.cli("run", "odd")
    assert (done.returncode, done.stdout.split("\n")) == (0, "\n".join(["show", *odd, ""]).split("\n"))
    assert stash.record()["spec"]["command"]["argv"][1:] == odd
    checked = stash.cli("run", "odd", "validate_only=true")
    assert shlex.split(checked.stdout) == [str(stash.root / "tools" / "shown" / "show"), *odd]
    assert {path.name for path in stash.root.rglob("[xy]")} == set()


def test_a_tool_that_reads_a_file(stash: StashUnderTest) -> None:
    stash.add_tool("reader", "file_reader", f"{PLAIN}\ncall: {{style: file, experiment: name, output: where}}")
    params = {"text": "a: b # c", "nested": {"list": [1, 1e-5, "1e-5", None, True]}, "umlaut": "ä"}
    stash.add_experiment("read", "reader", f"experiment: inner\nparams: {json.dumps(params)}\n")
    done = stash.cli("run", "read")
    assert done.returncode == 0, done.stdout
    (directory,) = stash.run_directories()
    assert json.loads(done.stdout) == {"name": "inner", **params, "where": str(directory)}
    assert stash.record()["spec"]["command"]["argv"][-1] == str(directory / "params.yaml")


def test_a_hydra_tool_shares_the_run_directory(stash: StashUnderTest) -> None:
    stash.add_tool("hydra", "hydra_tool", f"{PLAIN}\ncall: {{style: hydra, configs: configs}}")
    stash.add_experiment("tuned", "hydra", 'experiment: tuned\nparams: {seed: 3, +note: "a, b = \\\\${c}"}\n')
    stash.commit()
    done = stash.cli("run", "tuned", "debug=true")
    assert done.returncode == 0, done.stdout + done.stderr
    (directory,) = stash.run_directories()
    result = json.loads((directory / "result.json").read_text())
    assert result["config"] == {"model": {"width": 512}, "seed": 3, "note": "a, b = ${c}"}
    assert result["full_error"] == "1"
    # Hydra's own record of the tool stands beside ours, and neither overwrites the other.
    assert "experiment=tuned" in (directory / ".hydra" / "tool" / "overrides.yaml").read_text()
    assert (directory / ".hydra" / "overrides.yaml").read_text() == "- +exp=tuned\n- debug=true\n"
    assert (directory / "main.log").read_text().endswith("composed\n")
    assert {path.name for path in (stash.root / "tools" / "hydra").iterdir()} == {"main.py", "configs"}
    assert git("status", "--porcelain", cwd=stash.root) == ""


def test_debug_shows_each_step(plain: StashUnderTest) -> None:
    done = plain.cli("run", "told", "debug=true", "+tool.env.MY_TOKEN=${oc.env:REAL_TOKEN}", REAL_TOKEN="swordfish-1")
    assert done.returncode == 0, done.stderr
    (directory,) = plain.run_directories()
    environment = json.loads((directory / "result.json").read_text())["environment"]
    assert (environment["HYDRA_FULL_ERROR"], environment["MY_TOKEN"]) == ("1", "swordfish-1")
    steps = dict(
        line.removeprefix("stash: ").split(maxsplit=1)
        for line in done.stderr.splitlines()
        if re.match("stash: (organizer|environment|directory|cwd|command) ", line)
    )
    assert steps["organizer"] == "told"
    assert (steps["directory"], steps["cwd"]) == (str(directory), str(plain.root / "tools" / "plain"))
    assert shlex.split(steps["command"]) == plain.record()["spec"]["command"]["argv"]
    assert "MY_TOKEN (a secret)" in done.stderr and "swordfish" not in done.stderr


# --- its output ------------------------------------------------------------------------------------------------------


def test_output_is_live_complete_and_in_order(stash: StashUnderTest, tmp_path: Path) -> None:
    stash.add_tool("talker", "talker", PLAIN)
    stash.add_experiment("talk", "talker", "params: {lines: 2000}\n")
    go = tmp_path / "go"
    process = stash.start("run", "talk", f"+params.go={go}")
    assert process.stdout is not None
    first = b"".join(b"%d\n" % number for number in range(2000)) + b"\r 10%\r 50%\xff"
    shown = b""
    while len(shown) < len(first):  # all this comes while the tool runs
        chunk = os.read(process.stdout.fileno(), 65536)
        assert chunk, "the output ended early"
        shown += chunk
    assert shown == first
    (directory,) = stash.run_directories()
    assert stash.record()["attempt"]["state"] == "running"
    go.touch()
    rest = b""
    while chunk := os.read(process.stdout.fileno(), 65536):
        rest += chunk
    finished(process)
    assert rest == b"\r100%\r\ndone, without a line end"
    assert process.returncode == 0
    assert (directory / "output.log").read_bytes() == first + rest


def test_a_reader_that_goes_away_ends_nothing(stash: StashUnderTest, tmp_path: Path) -> None:
    stash.add_tool("talker", "talker", PLAIN)
    stash.add_experiment("talk", "talker", "params: {lines: 1}\n")
    go = tmp_path / "go"
    process = stash.start("run", "talk", f"+params.go={go}")
    assert process.stdout is not None and process.stderr is not None
    os.read(process.stdout.fileno(), 1)
    process.stdout.close()
    go.touch()
    assert process.wait(PATIENCE) == 0
    assert "Traceback" not in process.stderr.read()
    assert stash.record()["attempt"]["state"] == "completed"
    assert (stash.run_directories()[0] / "output.log").read_bytes().endswith(b"done, without a line end")


def test_the_record_is_whole_at_every_moment(plain: StashUnderTest, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    reader = subprocess.Popen([sys.executable, "-c", READER, str(plain.root)], stdout=subprocess.PIPE, text=True)
    process = plain.start("run", "told", f"params.touch={touched}", "params.sleep=1", "+tool.env.FLAG=up")
    pid = int(wait_until(lambda: touched.exists() and touched.read_text()))
    record = wait_until(lambda: (found := plain.record())["attempt"]["process"] and found)
    assert [record["spec"][name] for name in ("organizer", "tool")] == ["told", "plain"]
    assert [record["attempt"][name] for name in ("state", "ended")] == ["running", None]
    assert record["attempt"]["process"]["pid"] == pid
    assert record["attempt"]["supervisor"]["pid"] == process.pid
    assert record["spec"]["command"]["environment"]["FLAG"] == "up"
    assert record["spec"]["command"]["argv"][0] == sys.executable
    _, stderr = finished(process)
    assert process.returncode == 0, stderr
    seen, _ = finished(reader)
    assert reader.returncode == 0
    assert "'running'" in seen.splitlines()[-1]


# --- run directories -------------------------------------------------------------------------------------------------


def test_two_runs_at_once_never_share_a_directory(plain: StashUnderTest) -> None:
    processes = [plain.start("run", "told", "params.sleep=0.2") for _ in range(3)]
    for process in processes:
        _, stderr = finished(process)
        assert process.returncode == 0, stderr
    directories = plain.run_directories()
    assert len(directories) == 3
    argv = [json.loads((path / "result.json").read_text())["argv"] for path in directories]
    assert [words[words.index("--out") + 1] for words in argv] == [str(path) for path in directories]


@pytest.mark.parametrize("is_sweep", [False, True])
def test_a_directory_with_a_run_is_not_overwritten(plain: StashUnderTest, tmp_path: Path, is_sweep: bool) -> None:
    fixed = tmp_path / "fixed"
    arguments = ["-m", f"hydra.sweep.dir={fixed}"] if is_sweep else [f"hydra.run.dir={fixed}"]
    assert plain.cli(*arguments, "+exp=fig/one").returncode == 0
    assert (fixed / "0" if is_sweep else fixed).joinpath("run.json").exists()

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in fixed.rglob("*") if path.is_file()}

    before = content()
    done = plain.cli(*arguments, "+exp=fig/two")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {fixed} already holds a run" in done.stderr and "hydra.run.dir" in done.stderr
    assert content() == before


def test_of_two_runs_in_one_directory_the_later_leaves_the_earlier_whole(plain: StashUnderTest, tmp_path: Path) -> None:
    # An interpreter that takes its time to say its version: so both find the directory free, and only one can claim it.
    slow = tmp_path / "python"
    slow.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then touch "{tmp_path}/asked.$$"\n'
        f'while [ ! -e "{tmp_path}/go" ]; do sleep 0.02; done; fi\nexec "{sys.executable}" "$@"\n'
    )
    slow.chmod(0o755)
    fixed = tmp_path / "fixed"
    arguments = [f"hydra.run.dir={fixed}", f"tool.environment.interpreter={slow}"]
    processes = [plain.start("+exp=told", *arguments) for _ in range(2)]
    try:
        wait_until(lambda: len(list(tmp_path.glob("asked.*"))) == 2)
    finally:
        (tmp_path / "go").touch()
    errors = [finished(process)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], errors
    assert f"{fixed} already holds a run" in "".join(errors)
    assert plain.record(fixed)["attempt"]["state"] == "completed"
    assert (fixed / ".hydra" / "overrides.yaml").read_text().startswith("- +exp=told\n")
    assert (fixed / "result.json").exists()


# --- exit codes and ends ---------------------------------------------------------------------------------------------


def test_the_exit_code_is_the_tools(plain: StashUnderTest) -> None:
    done = plain.cli("run", "told", "params.fail=7", "+params.say=[to stdout, to stderr]")
    assert (done.returncode, done.stdout) == (7, "to stdout\nto stderr\n")
    record = plain.record()
    assert (record["attempt"]["state"], record["attempt"]["exit_code"]) == ("failed", 7)
    (directory,) = relative(plain)
    assert "✗ failed in" in done.stderr and f"log: {directory}/output.log" in done.stderr


def test_a_timeout(plain: StashUnderTest) -> None:
    done = plain.cli("run", "told", "params.sleep=600", "timeout=0.5s")
    assert done.returncode == 124
    record = plain.record()
    assert (record["attempt"]["state"], record["attempt"]["exit_code"]) == ("timed_out", 124)
    assert record["attempt"]["reason"].startswith("timeout of 0.5 s reached")
    assert 0.5 <= record["attempt"]["duration"] < PATIENCE


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_run_and_tool(plain: StashUnderTest, tmp_path: Path, number: signal.Signals, code: int) -> None:
    touched = tmp_path / "touched"
    process = plain.start("run", "told", f"params.touch={touched}", "params.sleep=60")
    pid = int(wait_until(lambda: touched.exists() and touched.read_text()))
    process.send_signal(number)
    _, stderr = finished(process)
    assert process.returncode == code
    assert not is_alive(pid)
    record = plain.record()
    assert (record["attempt"]["state"], record["attempt"]["exit_code"]) == ("cancelled", code)
    assert number.name in record["attempt"]["reason"] and record["attempt"]["ended"]
    assert "Traceback" not in stderr


@pytest.mark.slow
def test_a_failed_run_does_not_stop_a_sweep(plain: StashUnderTest) -> None:
    plain.add_tool("broken", None, "entrypoint: nowhere.py").joinpath("README").touch()
    plain.add_experiment("fig/broken", "broken")
    done = plain.cli("-m", "+exp=told,fig/broken,fig/one", "++params.fail=3,0")
    assert done.returncode == 1, done.stderr
    rows = done.stdout.splitlines()[-7:-1]
    assert [row.split()[1:5] for row in rows] == [
        ["told", "++params.fail=3", "✗", "failed"],
        ["told", "++params.fail=0", "✓", "completed"],
        ["fig/broken", "++params.fail=3", "✗", "failed"],
        ["fig/broken", "++params.fail=0", "✗", "failed"],
        ["fig/one", "++params.fail=3", "✗", "failed"],
        ["fig/one", "++params.fail=0", "✓", "completed"],
    ]
    records = [plain.record(directory) for directory in plain.run_directories()]
    assert sorted(record["attempt"]["exit_code"] for record in records) == [0, 0, 2, 2, 3, 3]
    (reason, _) = (record["attempt"]["reason"] for record in records if record["spec"]["organizer"] == "fig/broken")
    assert "conf/tool/broken.yaml: the entrypoint nowhere.py does not exist" in reason
    assert reason in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_basic_sweep(plain: StashUnderTest, tmp_path: Path, number: signal.Signals, code: int) -> None:
    touched = tmp_path / "touched"
    process = plain.start("-m", "+exp=told,fig/one", f"++params.touch={touched}", "++params.sleep=60")
    pid = int(wait_until(lambda: touched.exists() and touched.read_text()))
    process.send_signal(number)
    stdout, stderr = finished(process)
    assert process.returncode == code
    assert not is_alive(pid)
    assert [plain.record(directory)["attempt"]["state"] for directory in plain.run_directories()] == ["cancelled"]
    assert stdout.endswith("\n2 runs: 1 cancelled, 1 not started\n") and "experimentstash resume" in stderr
    assert stdout.splitlines()[-2].split()[1:5] == ["told", f"++params.touch={touched}", "++params.sleep=60", "✗"]
    assert "Traceback" not in stderr


def test_a_signal_together_with_a_tools_own_end_ends_a_basic_sweep(plain: StashUnderTest, tmp_path: Path) -> None:
    touched, go = tmp_path / "touched", tmp_path / "go"
    process = plain.start("-m", "+exp=told,fig/one", f"++params.touch={touched}", f"++params.until={go}")
    pid = int(wait_until(lambda: touched.exists() and touched.read_text()))
    wait_until(lambda: plain.record()["attempt"]["process"])
    with looking_away(process.pid):
        go.touch()
        wait_until(lambda: not is_alive(pid))
        process.send_signal(signal.SIGINT)
    _, stderr = finished(process)
    assert process.returncode == 130 and "Traceback" not in stderr
    assert [plain.record(directory)["attempt"]["state"] for directory in plain.run_directories()] == ["completed"]


def test_a_tool_that_cannot_be_started(plain: StashUnderTest) -> None:
    done = plain.cli("run", "told", "tool.entrypoint=no-such-program-anywhere", "tool.environment.kind=none")
    assert done.returncode == 127
    assert "no-such-program-anywhere could not be started: No such file or directory" in done.stderr
    assert plain.record()["attempt"]["state"] == "failed"


# --- validate_only ---------------------------------------------------------------------------------------------------


def test_validate_only_runs_nothing(plain: StashUnderTest, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    single = plain.cli("run", "told", f"params.touch={touched}", "validate_only=true")
    assert (single.returncode, single.stderr) == (0, "")
    assert shlex.split(single.stdout)[:2] == [sys.executable, str(plain.root / "tools" / "plain" / "main.py")]
    assert f"--touch {touched}" in single.stdout
    sweep = plain.cli("-m", "+exp=told", f"params.touch={touched}", "params.fail=1,2", "validate_only=true")
    assert sweep.returncode == 0
    commands = [shlex.split(line) for line in sweep.stdout.splitlines() if "main.py" in line]
    assert [command[command.index("--fail") + 1] for command in commands] == ["1", "2"]
    assert not touched.exists()
    assert not list(plain.root.glob("outputs/*")) and not list(plain.root.glob("multirun/*"))


def test_validate_only_with_another_launcher(plain: StashUnderTest) -> None:
    done = plain.cli("run", "told", "validate_only=true", "hydra/launcher=submitit_local")
    assert done.returncode == 0, done.stderr
    assert "main.py" in done.stdout


# --- tools that insist on a place of their own -----------------------------------------------------------------------


def test_what_a_tool_writes_in_its_checkout_is_moved(stash: StashUnderTest) -> None:
    stash.add_tool("own", "own_outputs", f"{PLAIN}\ncollect: [outputs]")
    stash.add_experiment("own", "own", "params: {text: mine}\n")
    stash.commit()
    done = stash.cli("run", "own")
    assert done.returncode == 0, done.stdout
    (directory,) = stash.run_directories()
    record = stash.record()
    # With the folders that they lay in, so that nothing of the tool's makes way for ours.
    names = ["figures/first.txt", "figures/second.txt", "first.txt", "run.json", "second.txt"]
    assert [
        re.sub(r"^outputs/[-\d]{10}/[-\d]{8}/", "", name) for name in sorted(record["attempt"]["collected"])
    ] == names
    assert (record["attempt"]["wrote"], record["attempt"]["warnings"]) == ([], [])
    for name in record["attempt"]["collected"]:
        assert set((directory / name).read_text().splitlines()) == {"mine"}
    assert git("status", "--porcelain", "--ignored", "tools", cwd=stash.root) == ""
    assert not (stash.root / "tools" / "own" / "outputs").exists()


def test_runs_that_write_in_one_checkout_take_turns(stash: StashUnderTest, tmp_path: Path) -> None:
    stash.add_tool("own", "own_outputs", f"{PLAIN}\ncollect: [outputs]")
    for name in ("first", "second"):
        params = {"text": name, "started": str(tmp_path / name), "go": str(tmp_path / "go")}
        stash.add_experiment(name, "own", f"params: {json.dumps(params)}\n")
    stash.commit()
    with contextlib.ExitStack() as clean_up:
        first = stash.start("run", "first")
        clean_up.callback(first.kill)
        wait_until((tmp_path / "first").exists)
        second = stash.start("run", "second")
        clean_up.callback(second.kill)
        assert second.stderr is not None
        wait_until(lambda: "waiting for another run" in second.stderr.readline())
        assert not (tmp_path / "second").exists()
        (tmp_path / "go").touch()
        for process in (first, second):
            _, stderr = finished(process)
            assert process.returncode == 0, stderr
    for directory in stash.run_directories():
        name = stash.record(directory)["spec"]["organizer"]
        written = {path.name: path.read_text().split() for path in directory.rglob("*.txt")}
        assert written == {"first.txt": [name], "second.txt": [name]}
    assert len(stash.run_directories()) == 2
    assert git("status", "--porcelain", "--ignored", "tools", cwd=stash.root) == ""


def test_cancelling_a_run_that_waits_for_its_turn(stash: StashUnderTest, tmp_path: Path) -> None:
    stash.add_tool("plain", "plain", f"{PLAIN}\ncollect: [outputs]")
    stash.add_experiment("first", "plain", f"params: {{sleep: 60, touch: '{tmp_path}/started'}}\n")
    stash.add_experiment("second", "plain")
    first = stash.start("run", "first")
    wait_until((tmp_path / "started").exists)
    (running,) = stash.run_directories()
    second = stash.start("run", "second")
    try:
        waiting = wait_until(lambda: next(iter(set(stash.run_directories()) - {running}), None), 60)
        wait_until(lambda: (waiting / "supervisor.log").exists())
        second.terminate()
        assert second.wait(PATIENCE) == 143
        record = stash.record(waiting)
        assert (record["attempt"]["state"], record["attempt"]["exit_code"]) == ("cancelled", 143)
    finally:
        first.terminate()
        first.communicate(timeout=PATIENCE)
        second.communicate(timeout=PATIENCE)
