"""A sweep that was interrupted goes on in its directory: what has completed stays, the rest runs again."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from experimentstash.base import failpoints
from experimentstash.base.errors import StashError
from experimentstash.compose import sweepers
from experimentstash.launch import sweep_asked
from experimentstash.launch.continuation import Continuation
from experimentstash.record import records, sweep_list
from experimentstash.record.run import State
from experimentstash.runs.listing import superseded
from experimentstash.stash.layout import Stash
from tests.launch.test_launch_local import Scripts, scripts
from tests.testing.stash import PATIENCE, SHELL, StashUnderTest, wait_until

__all__ = ["scripts"]

# Each try of a run leaves a line; run 1 fails until the file `fixed` is there.
TRIES = 'echo try >> "$here/tries-$n"; [ $n != 1 ] || [ -e "$here/fixed" ]'


def sweep_directory(stash: StashUnderTest) -> Path:
    (found,) = stash.root.glob("multirun/*/*")
    return found


def tries(scripts: Scripts) -> list[int]:
    return [len(path.read_text().splitlines()) for path in sorted(scripts.here.glob("tries-*"))]


def states(scripts: Scripts) -> list[str]:
    return [run["attempt"]["state"] for run in scripts.runs()]


@pytest.mark.parametrize("launcher", ["local", "basic"])
def test_only_what_has_not_completed_runs_again(scripts: Scripts, launcher: str) -> None:
    scripts.script(TRIES)
    first = scripts.cli("-m", f"hydra/launcher={launcher}", "+exp=script", "params.n=range(4)")
    assert first.returncode == 1 and states(scripts) == ["completed", "failed", "completed", "completed"]
    (scripts.here / "fixed").touch()
    sweep = sweep_directory(scripts)
    kept = {path: path.read_bytes() for path in sweep.glob("[023]/**/*") if path.is_file()}
    second = scripts.cli("resume", str(sweep.relative_to(scripts.root)))
    assert second.returncode == 0, second.stderr
    assert states(scripts) == ["completed"] * 4 and tries(scripts) == [1, 2, 1, 1]
    assert {path: path.read_bytes() for path in kept} == kept
    assert json.loads((sweep / ".superseded/1-1/run.json").read_text())["attempt"]["state"] == "failed"
    third = scripts.cli("resume", str(sweep))
    assert third.returncode == 0 and tries(scripts) == [1, 2, 1, 1]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(scripts: Scripts) -> None:
    scripts.script('echo try >> "$here/tries-$n"; [ -e "$here/go" ] || sleep 60')
    process = scripts.sweep("params.n=range(6)")
    wait_until(lambda: len(scripts.written("tries-*")) == 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (scripts.here / "go").touch()
    done = scripts.cli("resume", str(sweep_directory(scripts)))
    assert done.returncode == 0, done.stderr
    assert states(scripts) == ["completed"] * 6 and tries(scripts) == [2, 2, 1, 1, 1, 1]


def test_a_run_that_can_resume_goes_on_in_its_directory(stash: StashUnderTest) -> None:
    text = 'case "$*" in *again*) [ -e "$0/part" ];; *) touch "$0/part"; kill -9 $$;; esac'
    stash.add_shell("resume: [again]\n")
    stash.add_script("script", text, "${output_dir}", "${params.n}")
    assert stash.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2").returncode == 1
    done = stash.cli("resume", str(sweep_directory(stash)), "timeout=1h")
    assert done.returncode == 0, done.stderr
    for directory in stash.run_directories():
        record = stash.record(directory)
        assert (record["attempt"]["state"], record["attempt"]["number"], record["attempt"]["terms"]["timeout"]) == (
            "completed",
            2,
            3600,
        )
        assert record["earlier"][0]["state"] == "killed" and (directory / "output.2.log").exists()


def test_a_sweep_that_is_at_work_is_left_alone(scripts: Scripts) -> None:
    scripts.script('wait_for "$here/go"')
    process = scripts.sweep("params.n=1,2")
    wait_until(lambda: [run["attempt"]["state"] for run in scripts.runs()] == ["running"] * 2)
    done = scripts.cli("resume", str(sweep_directory(scripts)))
    assert done.returncode == 2 and "Another command is at work on" in done.stderr
    (scripts.here / "go").touch()
    assert process.wait(PATIENCE) == 0 and states(scripts) == ["completed"] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["params.n=5"], "A sweep that is continued keeps its parameters: 'params.n=5'"),
        (["hydra/launcher=nope"], "There is no hydra/launcher=nope"),
    ],
)
def test_what_would_be_another_sweep_is_refused(scripts: Scripts, words: list[str], message: str) -> None:
    scripts.script(TRIES)
    assert scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=0,1").returncode == 1
    records: list[dict[str, Any]] = scripts.runs()
    done = scripts.cli("resume", str(sweep_directory(scripts)), *words)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert scripts.runs() == records and not list(sweep_directory(scripts).glob(".superseded"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "basic"])
def test_what_is_on_record_is_done_whatever_the_sweep_would_be_now(scripts: Scripts, launcher: str) -> None:
    """A shuffle comes out otherwise, a list in conf/ and a glob have changed, and directories bear the time."""
    scripts.script(TRIES)
    scripts.script(TRIES, name="more/other")
    root = (scripts.root / "conf/config.yaml").read_text()
    scripts.write("conf/config.yaml", root + "hydra: {sweeper: {params: {tags: '[a],[b]'}}}\n")
    words = [f"hydra/launcher={launcher}", "+exp=glob(*)", "params.n=shuffle(range(3))", "description=${now:%f}"]
    place = "hydra.sweep.subdir=${now:%H%M%S%f}/${hydra.job.num}"
    assert scripts.cli("-m", *words, place).returncode == 1
    sweep = sweep_directory(scripts)
    before = {path: path.parent.name for path in sweep.glob("[!.]*/*/run.json")}
    assert len(before) == 12 and tries(scripts) == [4, 4, 4]
    kept = {
        path: path.read_bytes() for path in before if json.loads(path.read_bytes())["attempt"]["state"] == "completed"
    }
    scripts.write("conf/config.yaml", root + "hydra: {sweeper: {params: {tags: '[b],[c],[a]'}}}\n")
    scripts.script(TRIES, name="new")
    (scripts.here / "fixed").touch()
    done = scripts.cli("resume", str(sweep))
    assert done.returncode == 0, done.stderr
    assert tries(scripts) == [4, 8, 4] and {path: path.read_bytes() for path in kept} == kept
    assert set(sweep.glob("[!.]*/*/run.json")) == set(before)
    numbers = [json.loads(path.read_bytes())["spec"]["job"] for path in before]
    assert sorted(numbers) == list(range(12)) and [str(number) for number in numbers] == list(before.values())


@pytest.mark.slow
def test_jobs_that_had_not_begun_are_those_that_were_meant(scripts: Scripts) -> None:
    """A sweep in batches that is killed has no record of those to come."""
    scripts.script('echo try >> "$here/tries-$n"; [ -e "$here/go" ] || sleep 60')
    process = scripts.sweep("params.n=shuffle(range(6))", "hydra.sweeper.max_batch_size=2")
    wait_until(lambda: len(scripts.written("tries-*")) == 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    sweep = sweep_directory(scripts)
    listed = [job[-1] for batch in json.loads((sweep / ".jobs.json").read_text()) for job in batch]
    (scripts.here / "go").touch()
    done = scripts.cli("resume", str(sweep))
    assert done.returncode == 0, done.stderr
    assert [run["spec"]["overrides"][-1] for run in scripts.runs()] == listed and sorted(tries(scripts)) == [
        1,
        1,
        1,
        1,
        2,
        2,
    ]


def test_what_changes_how_runs_are_done_takes_the_place_of_what_was_said(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2", "timeout=1h", "+resources.extra.nice=1")
    done = scripts.cli("resume", str(sweep_directory(scripts)), "timeout=2h", "+resources.extra.nice=5")
    assert done.returncode == 1, done.stderr
    again, kept = scripts.runs()
    assert (again["attempt"]["terms"]["timeout"], kept["attempt"]["terms"]["timeout"]) == (7200, 3600)
    assert again["attempt"]["terms"]["resources"]["extra"] == {"nice": 5} and tries(scripts) == [2, 1]


def test_the_same_directory_is_not_begun_anew_by_accident(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "+exp=script", "params.n=0,2", "hydra.sweep.dir=sweep")
    done = scripts.cli("-m", "+exp=script", "params.n=0,2", "hydra.sweep.dir=sweep")
    assert done.returncode == 2 and "to go on with what is there: experimentstash resume" in done.stderr
    assert tries(scripts) == [1, 1]


# --- hostile circumstances -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "it's", 'q"uote', "{x}", "$HOME", "a,b=c", "back\\", "back\\'s", "ümläut"])
def test_a_sweep_may_have_been_moved(scripts: Scripts, name: str) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2", "hydra.sweep.dir=multirun/here")
    moved = (scripts.root / "multirun/here").rename(scripts.root / "multirun" / name)
    (scripts.here / "fixed").touch()
    done = scripts.cli("resume", f"multirun/{name}")
    assert done.returncode == 0, done.stderr
    assert tries(scripts) == [2, 1] and {path.parent for path in scripts.root.glob("multirun/*/*/run.json")} == {
        moved / "0",
        moved / "1",
    }


def test_a_name_that_hydra_would_interpolate_is_refused(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2", "hydra.sweep.dir=multirun/here")
    (scripts.root / "multirun/here").rename(scripts.root / "multirun/${x}")
    done = scripts.cli("resume", "multirun/${x}")
    assert done.returncode == 2 and "rename the directory" in done.stderr


def test_a_launcher_that_would_do_it_all_again_is_refused(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2")
    sweep = str(sweep_directory(scripts))
    records = scripts.runs()
    done = scripts.cli("resume", sweep, "hydra/launcher=submitit_local")
    assert done.returncode == 2 and done.stdout == "" and "can't leave out what is done" in done.stderr
    assert scripts.runs() == records


@pytest.mark.slow
def test_the_basic_launcher_leaves_out_what_is_done(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=submitit_local", "+exp=script", "params.n=0,1,2")
    done = scripts.cli("resume", str(sweep_directory(scripts)), "hydra/launcher=basic")
    assert done.returncode == 1 and tries(scripts) == [1, 2, 1]


def test_jobs_that_hydra_prepares_keep_their_files(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1", "hydra.job.chdir=true")
    sweep = sweep_directory(scripts)
    kept = {path.name: path.read_text() for path in (sweep / "0/.hydra").iterdir()}
    (scripts.here / "fixed").touch()
    assert scripts.cli("resume", str(sweep)).returncode == 0
    again = {path.name: path.read_text() for path in (sweep / "0/.hydra").iterdir()}
    del kept["hydra.yaml"]  # says where the sweep is
    assert set(again) == {*kept, "hydra.yaml"} and again | kept == again
    assert {path.name for path in (sweep / ".superseded/0-1/.hydra").iterdir()} == set(again)


def test_progress_counts_what_is_to_be_done_in_each_batch(scripts: Scripts) -> None:
    scripts.script(TRIES)
    words = ["hydra/launcher=local", "+exp=script", "params.n=range(5)", "hydra.sweeper.max_batch_size=2"]
    assert scripts.cli("-m", *words).returncode == 1
    done = scripts.cli("resume", str(sweep_directory(scripts)))
    assert "(1 of 1, 1 failed)" in done.stderr


@pytest.mark.parametrize(
    ("changes", "way_on"),
    [
        ({}, "experimentstash resume NAME"),
        ({"launcher": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}, "hydra/launcher=slurm"),
        ({"launcher": "hydra_plugins.experimentstash_launcher.submitit.SubmititSlurmLauncher"}, "hydra/launcher=slurm"),
        ({"launcher": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}, "hydra/launcher=local"),
        ({"sweeper": "some.Optimiser"}, "it can't be continued run by run"),
        ({"sweeper": "some.Optimiser", "storage": "sqlite:///all.db"}, "experimentstash --multirun +exp=script"),
        ({"dir": "multirun/${hydra.job.num}"}, "may be in several directories"),
    ],
)
def test_the_way_on_that_is_named_is_one(tmp_path: Path, changes: dict[str, str], way_on: str) -> None:
    sweep = tmp_path / "sweep"
    sweep_list.keep(sweep, [[["+exp=script", "params.n=1"], ["+exp=script", "params.n=2"]]])
    hydra = {
        "overrides": {
            "hydra": ["hydra.mode=MULTIRUN", "hydra.sweep.dir=here"],
            "task": ["+exp=script", "params.n=1,2"],
        },
        "job": {"config_name": "config"},
        "runtime": {"config_sources": []},
        "launcher": {"_target_": changes.get("launcher", sweep_asked.BASIC_LAUNCHER)},
        "sweeper": {"_target_": changes.get("sweeper", sweepers.BASIC), "storage": changes.get("storage")},
        "sweep": {"dir": changes.get("dir", str(sweep))},
    }
    (sweep / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    try:
        named = sweep_asked.way_on(sweep, "NAME")
    except StashError as error:
        named = str(error)
        assert "begin it again" in named
        with pytest.raises(StashError):
            sweep_asked.command_line(sweep, [])
    assert way_on in named
    if "storage" in changes:
        assert named == "experimentstash --multirun +exp=script params.n=1,2"


@pytest.mark.slow
def test_what_show_names_goes_on_where_the_launcher_could_not(scripts: Scripts) -> None:
    scripts.script(TRIES)
    assert scripts.cli("-m", "hydra/launcher=submitit_local", "+exp=script", "params.n=0,1").returncode == 1
    shown = scripts.cli("show", str(sweep_directory(scripts))).stdout
    (command,) = re.findall(r"(?m)^go on +experimentstash (resume \w{7} hydra/launcher=local)$", shown)
    (scripts.here / "fixed").touch()
    done = scripts.cli(*command.split())
    assert done.returncode == 0 and tries(scripts) == [1, 2], done.stderr
    assert "go on" not in scripts.cli("show", str(sweep_directory(scripts))).stdout


@pytest.mark.slow
def test_a_configuration_from_elsewhere_is_found_again(scripts: Scripts) -> None:
    scripts.script(TRIES)
    (scripts.root / "conf/exp/script.yaml").rename(scripts.write("extra/exp/script.yaml", ""))
    first = scripts.cli("-m", "-cd", "extra", "+exp=script", "params.n=1,2")
    assert first.returncode == 1
    (scripts.here / "fixed").touch()
    done = scripts.cli("resume", str(sweep_directory(scripts)))
    assert done.returncode == 0 and tries(scripts) == [2, 1], done.stderr


def test_a_directory_that_says_nothing_of_its_sweep(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2")
    (sweep_directory(scripts) / ".jobs.json").unlink()
    done = scripts.cli("resume", str(sweep_directory(scripts)))
    assert done.returncode == 2 and "which says which jobs the sweep has" in done.stderr
    (sweep_directory(scripts) / "multirun.yaml").unlink()
    done = scripts.cli("resume", str(sweep_directory(scripts)))
    assert done.returncode == 2 and "it has no multirun.yaml" in done.stderr


def test_runs_outside_the_sweeps_directory(scripts: Scripts) -> None:
    scripts.script(TRIES)
    place = "hydra.sweep.dir=multirun/n${params.n}"
    done = scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2", place)
    assert done.returncode == 1 and "multirun/n1/0" in done.stdout and "multirun/n2/1" in done.stdout
    assert not (scripts.root / "multirun/n0").exists()
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=0,2", place.replace("/n", "/m"))
    done = scripts.cli("resume", "multirun/m0")
    assert done.returncode == 2 and "may be in several directories" in done.stderr and tries(scripts) == [1, 1, 2]


def test_an_earlier_try_is_found_by_sync(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1,2")
    sweep = sweep_directory(scripts)
    scripts.cli("resume", str(sweep))
    assert [run.path for run in superseded(Stash(scripts.root))] == [sweep / ".superseded/0-1"]


def test_whoever_comes_second_takes_nothing_away(scripts: Scripts) -> None:
    scripts.script('wait_for "$here/go"')
    process = scripts.sweep("params.n=1,2", "hydra.sweep.dir=multirun/a")
    wait_until(lambda: (scripts.root / "multirun/a/.lock").exists())
    done = scripts.cli("-m", "+exp=script", "params.n=3,4", "hydra.sweep.dir=multirun/a")
    assert done.returncode == 2 and done.stdout == ""
    (scripts.here / "go").touch()
    assert process.wait(PATIENCE) == 0 and (scripts.root / "multirun/a/multirun.yaml").exists()


def test_a_job_that_has_begun_is_never_without_a_record(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1")
    sweep = sweep_directory(scripts)
    left = {path.name for path in (sweep / "0").iterdir()}
    found: list[State] = []

    def look(_: str) -> None:
        found.append(records.read(sweep / "0").attempt.state)
        if len(found) == len(left):
            raise KeyboardInterrupt

    token = failpoints.observer.set(look)
    try:
        continuation = Continuation(Stash(scripts.root), sweep)
        with pytest.raises(KeyboardInterrupt), continuation.superseding(0, sweep / "0"):
            raise AssertionError
        assert {path.name for path in (sweep / "0").iterdir()} == left and not list((sweep / ".superseded").iterdir())
        with continuation.superseding(0, sweep / "0") as is_taken:
            run = records.read(sweep / "0")
            run.attempt.state = State.FROZEN
            records.claim(run, replace=is_taken)
    finally:
        failpoints.observer.reset(token)
    assert found == [State.FAILED] * 2 * len(left) and records.read(sweep / "0").attempt.state is State.FROZEN
    assert {path.name for path in (sweep / ".superseded/0-1").iterdir()} == left
    assert records.read(sweep / ".superseded/0-1").attempt.state is State.FAILED


def test_a_try_that_could_not_begin_anew_leaves_the_earlier_one_as_it_is(scripts: Scripts) -> None:
    scripts.script(TRIES)
    scripts.cli("-m", "hydra/launcher=local", "+exp=script", "params.n=1")
    sweep = sweep_directory(scripts)
    kept = {path: path.read_bytes() for path in (sweep / "0").rglob("*") if path.is_file()}
    registration = f"path: tools/sh\n{SHELL}".replace("none", "requirements")
    scripts.write("conf/tool/sh.yaml", f"{registration}python_version: '3.99'\n")
    scripts.write("tools/sh/requirements.txt", "")
    done = scripts.cli("resume", str(sweep))
    assert done.returncode == 1 and "3.99" in done.stderr
    assert {path: path.read_bytes() for path in (sweep / "0").rglob("*") if path.is_file()} == kept
    assert not (sweep / ".superseded").exists()
