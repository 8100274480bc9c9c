"""What failed is done once more from the start: in a sweep in its place, a single run as a new one."""

from __future__ import annotations

import json

from experimentstash.record.run import State
from tests.launch.test_launch_local import Scripts, scripts
from tests.launch.test_resume import states, sweep_directory, tries
from tests.testing.finished import finished
from tests.testing.stash import InProcess

__all__ = ["scripts"]

# Runs 1 and 3 fail until the file `fixed` is there; run 2 goes by a signal.
FAILING = """\
echo try >> "$here/tries-$n"; [ -e "$here/fixed" ] && exit 0
case $n in [13]) exit 1;; 2) kill -9 $$;; esac
"""


def test_of_a_sweep_those_that_failed_or_the_one_that_was_named(scripts: Scripts, in_process: InProcess) -> None:
    scripts.script(FAILING)
    assert scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=range(4)").returncode == 1
    sweep = sweep_directory(scripts)
    (scripts.here / "fixed").touch()
    second = scripts.cli("retry", scripts.runs()[1]["id"], "timeout=1h")
    assert second.returncode == 1 and states(scripts) == ["completed", "completed", "killed", "failed"]
    assert scripts.runs()[1]["attempt"]["terms"]["timeout"] == 3600 and tries(scripts) == [1, 2, 1, 1]
    third = scripts.cli("retry", sweep.name.rpartition("-")[2])
    assert third.returncode == 0, third.stderr
    assert states(scripts) == ["completed"] * 4 and tries(scripts) == [1, 2, 2, 2]
    assert json.loads((sweep / ".superseded/2-1/run.json").read_text())["attempt"]["state"] == "killed"
    assert all(run["attempt"]["number"] == 1 for run in scripts.runs())
    fourth = scripts.cli("retry", str(sweep))
    assert fourth.returncode == 0 and "none of these runs has failed" in fourth.stderr
    assert in_process(scripts, "archive", str(sweep), "--yes").returncode == 0  # earlier tries are no copies
    assert in_process(scripts, "archive", "--restore", str(sweep)).returncode == 0
    done = in_process(scripts, "rm", str(sweep), "--yes")
    assert done.returncode == 0 and not sweep.exists(), done.stderr


def test_a_single_run_is_done_as_a_new_one(scripts: Scripts) -> None:
    scripts.script(FAILING)
    first = scripts.cli("+exp=script", "params.n=1", "+hydra.job.env_set.SEEN=x")
    assert first.returncode == 1
    (scripts.here / "fixed").touch()
    before = scripts.record()
    done = scripts.cli("retry", before["id"])
    assert done.returncode == 0, done.stderr
    earlier, now = (scripts.record(path) for path in scripts.run_directories())
    assert earlier == before
    assert now["spec"]["overrides"] == before["spec"]["overrides"] and now["attempt"]["state"] == "completed"
    assert now["spec"]["command"]["environment"]["SEEN"] == "x"


def test_a_record_that_can_not_be_read_is_told_by_the_exit_code(scripts: Scripts, in_process: InProcess) -> None:
    finished(scripts.root, "aaaaaaa")
    (finished(scripts.root, "bbbbbbb").path / "run.json").write_text("{")
    done = in_process(scripts, "retry", "--exp", "*")
    assert done.returncode == 1 and "none of these runs has failed" in done.stderr
    done = in_process(scripts, "retry", "--state", "failed")
    assert done.returncode == 1 and "there are no such runs" in done.stderr
    assert "has failed" not in done.stderr


def test_what_did_not_fail_is_refused(scripts: Scripts, in_process: InProcess) -> None:
    finished(scripts.root, "aaaaaaa")
    finished(scripts.root, "bbbbbbb", state=State.RUNNING)
    finished(scripts.root, "ccccccc", state=State.FAILED)
    for words, said in (
        (["aaaaaaa"], "The run aaaaaaa has completed.\n  → experimentstash rerun aaaaaaa"),
        (["bbbbbbb"], "The run bbbbbbb has not ended."),
        (["ccccccc", "params.n=5"], "A run that is done once more keeps its parameters: 'params.n=5'"),
        (["timeout=5"], "Which runs?"),
    ):
        done = in_process(scripts, "retry", *words)
        assert done.returncode == 2 and said in done.stderr


def test_what_cant_be_composed_is_told_in_full_once(scripts: Scripts) -> None:
    scripts.script("exit 1")
    assert scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,'${nosuch}','${gone}'").returncode == 1
    done = scripts.cli("retry", sweep_directory(scripts).name.rpartition("-")[2])
    assert done.returncode == 1 and states(scripts) == ["failed"] * 3
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.partition("Interpolation")[2] for line in errors] == [
        " key 'nosuch' not found.",
        " key 'gone' not found.",
    ]
    assert done.stderr.count("key 'gone' not found") == 2  # when it happened, and at the end
    organizer = scripts.root / "conf" / "exp" / "script.yaml"
    organizer.write_text(f"{organizer.read_text()}timeout: ${{lost}}\n")
    done = scripts.cli("retry", scripts.runs()[0]["id"])  # which could begin when it was tried first
    assert done.returncode != 0 and "key 'lost' not found" in done.stderr
