"""One job of a sweep that can't be begun has its line and its reason, and the others run: with every launcher."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from tests.launch.test_launch_local import Scripts, scripts
from tests.testing.stash import StashUnderTest

__all__ = ["scripts"]

LONG = "x" * 300
ELSEWHERE = pytest.mark.exhaustive  # launchers that start a process of their own for every job


@pytest.fixture
def tool(scripts: Scripts) -> Scripts:
    """An experiment that runs, one that is no YAML, one that names no parameter there is, one with a wrong type."""
    words = json.dumps(["-c", "echo $1", "sh", "${params.n} ${params.name}"])
    for name, value in (("fine", "a"), ("unresolved", "${params.nope}"), ("of_the_environment", "${oc.env:NOT_SET}")):
        scripts.add_experiment(name, "sh", f"params: {{n: 0, name: '{value}'}}\narguments: {words}\n")
    scripts.add_experiment("typed", "sh", f"params: {{n: 0, name: a}}\narguments: {words}\ntimeout: [1]\n")
    scripts.add_experiment("lacking", "sh", "params: {name: a}\narguments: ['-c', 'echo ${params.name}']\n")
    scripts.write("conf/exp/broken.yaml", "this: [is no YAML")
    scripts.write("conf/exp/plain.yaml", "params: {n: 0}\n")  # in no package
    return scripts


def sweep(stash: StashUnderTest, launcher: str, *words: str) -> tuple[int, str, list[tuple[str, str]]]:
    """Return the exit code, the table, and each run's state and reason, in the order of the jobs."""
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    place = stash.root / "multirun" / launcher
    done = stash.cli("-m", f"hydra/launcher={launcher}", f"hydra.sweep.dir=multirun/{launcher}", *words)
    assert "Traceback" not in done.stderr and "this is a bug" not in done.stderr + done.stdout, done.stderr
    runs = [json.loads(path.read_text()) for path in place.glob("[!.]*/run.json")]
    runs.sort(key=lambda run: run["spec"]["job"])
    assert [run["spec"]["job"] for run in runs] == list(range(len(runs)))
    assert "run " in done.stdout, done.stderr
    rows = done.stdout[done.stdout.index("run ") :].splitlines()[1:]
    assert [row.split()[0] for row in rows[: len(runs)]] == [run["id"] for run in runs]
    return done.returncode, done.stderr, [(run["attempt"]["state"], run["attempt"]["reason"] or "") for run in runs]


LAUNCHERS = [
    "basic",
    "local",
    pytest.param("submitit_local", marks=ELSEWHERE),
    pytest.param("joblib", marks=ELSEWHERE),
]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_what_cannot_be_composed(tool: Scripts, launcher: str) -> None:
    names = "fine,broken,unresolved,of_the_environment,typed,plain,nope"
    code, said, runs = sweep(tool, launcher, f"+exp={names},fine", "params.n=7")
    assert code == 1
    assert [state for state, _ in runs] == ["completed", *["failed"] * 6, "completed"]
    reasons = [reason for _, reason in runs]
    for reason, words in zip(
        reasons[1:-1],
        ("conf/exp/broken.yaml, line 2", "params.nope", "NOT_SET", "timeout", "exp/plain.yaml", "'nope'"),
        strict=True,
    ):
        assert words in reason and "is a bug" not in reason
    assert said.count("will not run, the others do") == 4  # said before anything runs


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("chdir", ["false", pytest.param("true", marks=ELSEWHERE)])
def test_what_has_no_directory(tool: Scripts, launcher: str, chdir: str) -> None:
    place = tool.root / "multirun" / launcher
    place.mkdir(parents=True)
    (place / "file").touch()
    (place / "loop").symlink_to("loop")
    names = ["a", LONG, "file", "loop", "a", "/proc/nope", '"${params.nope}"', "c"]
    words = (f"params.name={','.join(names)}", "hydra.sweep.subdir=${params.name}", f"hydra.job.chdir={chdir}")
    code, _, runs = sweep(tool, launcher, "+exp=fine", *words)
    assert code == 1
    assert [number for number, (state, _) in enumerate(runs) if state == "completed"] == [0, 7]
    reasons = [reason for _, reason in runs]
    assert "File name too long" in reasons[1] and "multirun" in reasons[3]
    assert "Not a directory" in reasons[2] or "File exists" in reasons[2]
    assert "already holds a run" in reasons[4] and "/proc/nope" in reasons[5] and "params.nope" in reasons[6]
    assert (place / "file").read_text() == "" and [path.name for path in place.iterdir() if "x" in path.name] == []


def test_names_that_no_file_system_takes(tool: Scripts) -> None:
    text = (tool.root / "conf/exp/fine.yaml").read_text()
    tool.write("conf/exp/nul.yaml", text.replace("'a'", r'"n\0"'))
    tool.write("conf/exp/half.yaml", text.replace("'a'", r'"n\ud800"'))
    code, _, runs = sweep(tool, "local", "+exp=nul,half,fine", "hydra.sweep.subdir=${params.name}")
    assert code == 1 and [state for state, _ in runs] == ["failed", "failed", "completed"]
    assert "NUL" in runs[0][1] and "conf/exp/half.yaml, line 4" in runs[1][1]


@pytest.mark.exhaustive
@pytest.mark.parametrize("launcher", ["submitit_local", "joblib"])
def test_a_job_that_takes_its_worker_with_it(scripts: Scripts, launcher: str) -> None:
    (scripts.root.parent / "kill.py").write_text(
        "import json, os, sys\n"
        "with open(os.environ['EXPERIMENTSTASH_RUN_DIR'] + '/run.json') as record:\n"
        "    supervisor = json.load(record)['attempt']['supervisor']['pid']\n"
        "if sys.argv[1] == '1':\n"
        "    os.kill(supervisor, 9)\n"
    )
    scripts.script(f"{sys.executable} {scripts.root.parent}/kill.py $n")
    code, _, runs = sweep(scripts, launcher, "+exp=script", "params.n=0,1,2,3,4,5")
    assert code == 1
    states = [state for state, _ in runs]
    assert len(states) == 6 and states.count("completed") >= 4 and states[1] == "lost"


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_what_all_jobs_have_alike_is_said_once(tool: Scripts, launcher: str) -> None:
    done = tool.cli("-m", f"hydra/launcher={launcher}", "+exp=fine,lacking", "params.nope=1,2")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("params.nope") <= 2
    assert not list(tool.root.glob("multirun/*"))


def test_a_sweep_in_batches_goes_on_after_a_bad_one(tool: Scripts) -> None:
    words = ("+exp=broken,fine,unresolved", "hydra.sweeper.max_batch_size=1")
    code, _, runs = sweep(tool, "local", *words)
    assert code == 1 and [state for state, _ in runs] == ["failed", "completed", "failed"]


def test_what_could_not_be_begun_is_begun_when_the_sweep_is_resumed(tool: Scripts) -> None:
    names = f"params.name=a,{LONG}"
    root = (tool.root / "conf/config.yaml").read_text()
    subdirectory = "'${oc.env:NAMED,${params.name}}-${hydra.job.num}'"
    tool.write("conf/config.yaml", f"{root}hydra: {{sweep: {{subdir: {subdirectory}}}}}\n")
    words = ("+exp=fine,broken", names)
    assert [state for state, _ in sweep(tool, "local", *words)[2]] == ["completed", *["failed"] * 3]
    shutil.copy(tool.root / "conf/exp/fine.yaml", tool.root / "conf/exp/broken.yaml")
    done = tool.cli("resume", "multirun/local", NAMED="x")
    assert done.returncode == 0, done.stderr
    found = {path.parent.name for path in tool.root.glob("multirun/local/[!.]*/run.json")}
    assert found == {"a-0", "x-1", "x-2", "x-3"}


def test_a_dry_run_shows_the_others(tool: Scripts) -> None:
    done = tool.cli("-m", "+exp=fine,broken,unresolved", "dry_run=true")
    assert done.returncode == 1 and "fine" in done.stdout
    assert "broken.yaml" in done.stderr and "params.nope" in done.stderr
    assert not list(tool.root.glob("multirun/*"))


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_letters_of_all_kinds_in_a_locale_that_has_only_a_few(tool: Scripts, launcher: str) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = ("+exp=fine", "params.name='ümlaut','日本'", "hydra.sweep.dir=multirun/a")
    done = tool.cli("-m", f"hydra/launcher={launcher}", *words, **locale)
    assert done.returncode == 0, done.stderr
    for number, name in enumerate(("ümlaut", "日本")):
        directory = tool.root / "multirun/a" / str(number)
        assert (directory / "output.log").read_bytes() == f"0 {name}\n".encode()
        assert json.loads((directory / "run.json").read_text())["spec"]["params"]["name"] == name
