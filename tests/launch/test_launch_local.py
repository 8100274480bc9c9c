"""hydra/launcher=local as its users see it: real tools side by side, signals, failures, and what is left on disk."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.base.terminal import plain
from experimentstash.launch.expectation import Expectation
from experimentstash.launch.local_settings import Settings
from experimentstash.record.run import Run, State
from tests.testing.faults import below, is_alive, looking_away
from tests.testing.run_parts import run_with
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until

LOCAL = ("-m", "hydra/launcher=local")
WAIT = "wait_for() { i=0; while [ ! -e $1 ] && [ $i -lt 3000 ]; do sleep 0.01; i=$((i+1)); done; [ -e $1 ]; }; "


class Scripts(StashUnderTest):
    """A stash whose one tool is the shell; the scripts share a directory, $here."""

    @property
    def here(self) -> Path:
        return self.root.parent / "here"

    def script(self, text: str, more: str = "", name: str = "script") -> None:
        """Make an experiment of a script; $n tells its runs apart."""
        self.here.mkdir(exist_ok=True)
        whole = f"n=$1; here='{self.here}'; {WAIT}{text}"
        self.add_script(name, whole, "sh", "${params.n}", more=f"grace: {{seconds: 30}}\n{more}")

    def sweep(self, *arguments: str, n_jobs: int | None = 2, **environment: str) -> subprocess.Popen[str]:
        given = () if n_jobs is None else (f"hydra.launcher.n_jobs={n_jobs}",)
        return self.start(*LOCAL, "+exp=script", *given, *arguments, **environment)

    def runs(self) -> list[dict[str, Any]]:
        """Return the records in the order of the jobs."""
        return [self.record(path) for path in sorted(self.run_directories(), key=lambda path: int(path.name))]

    def written(self, pattern: str) -> list[str]:
        return sorted(path.name for path in self.here.glob(pattern))


@pytest.fixture
def scripts(stash: StashUnderTest) -> Iterator[Scripts]:
    made = Scripts(stash.root)
    made.add_shell()
    yield made
    assert left_of(made.root) == []


def left_of(root: Path) -> list[int]:
    """Return the living processes with a run directory of this stash in their environment."""
    entry = f"EXPERIMENTSTASH_RUN_DIR={root}/".encode()
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environment = Path("/proc", name, "environ").read_bytes()
        except OSError:
            continue
        if any(item.startswith(entry) for item in environment.split(b"\0")) and is_alive(int(name)):
            found.append(int(name))
    return found


def ended(process: subprocess.Popen[str], seconds: float = PATIENCE) -> tuple[int, str, str]:
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, stdout, stderr


# --- running ---------------------------------------------------------------------------------------------------------


def test_two_runs_wait_for_each_other(scripts: Scripts) -> None:
    scripts.script("echo output of $n; touch $here/at-$n; wait_for $here/at-$((1 - n))")
    code, stdout, stderr = ended(scripts.sweep("params.n=0,1"))
    assert code == 0
    first, second = scripts.runs()
    assert [run["attempt"]["state"] for run in (first, second)] == ["completed", "completed"]
    assert (
        first["attempt"]["started"] < second["attempt"]["ended"]
        and second["attempt"]["started"] < first["attempt"]["ended"]
    )
    assert first["attempt"]["supervisor"]["pid"] == second["attempt"]["supervisor"]["pid"]
    # The table on stdout, the progress on stderr, the tools' output in their logs.
    assert "output of" not in stdout + stderr
    assert (Path(first["directory"]) / first["attempt"]["log"]).read_text() == "output of 0\n"
    lines = [line for line in stderr.splitlines() if line.startswith("stash: ")]
    assert len(lines) == 4 and sum("▶ running" in line for line in lines) == 2
    assert "✓ completed" in lines[-1] and "script params.n=" in lines[-1]
    assert lines[-1].endswith("/output.log  (2 of 2)")
    assert stdout.count("✓ completed") == 2


def test_never_more_than_asked_for(scripts: Scripts) -> None:
    scripts.script("touch $here/at-$n; ls -d $here/at-* | wc -l > $here/seen-$n; sleep 0.1; rm $here/at-$n")
    assert ended(scripts.sweep("params.n=range(8)", n_jobs=3))[0] == 0
    seen = [int((scripts.here / name).read_text()) for name in scripts.written("seen-*")]
    assert len(seen) == 8 and max(seen) <= 3
    assert [run["spec"]["overrides"] for run in scripts.runs()] == [["+exp=script", f"params.n={n}"] for n in range(8)]


def test_one_at_a_time_shows_the_output(scripts: Scripts) -> None:
    scripts.script("echo output of $n")
    code, stdout, _ = ended(scripts.sweep("params.n=0,1,2", n_jobs=1))
    assert (code, stdout.splitlines()[:3]) == (0, ["output of 0", "output of 1", "output of 2"])
    assert all(one["attempt"]["ended"] <= other["attempt"]["started"] for one, other in pairwise(scripts.runs()))


def test_what_fails_does_not_stop_the_rest(scripts: Scripts) -> None:
    scripts.script("exit $n")
    code, stdout, stderr = ended(scripts.sweep("params.n=0,3,0", "timeout=1h,nonsense"))
    states = [run["attempt"]["state"] for run in scripts.runs()]
    assert (code, states) == (1, ["completed", "failed", "failed", "failed", "completed", "failed"])
    assert [run["attempt"]["exit_code"] for run in scripts.runs()] == [0, 2, 3, 2, 0, 2]
    assert "the tool ended with exit code 3" in stderr and "'nonsense' is not a duration" in stderr
    assert "(6 of 6, 4 failed)" in stderr
    assert stdout.count("✗ failed") == 4


def test_a_tool_that_cannot_be_started(scripts: Scripts) -> None:
    scripts.script("true")
    assert ended(scripts.sweep("tool.entrypoint=sh,not-there"))[0] == 1
    assert [(run["attempt"]["state"], run["attempt"]["exit_code"]) for run in scripts.runs()] == [
        ("completed", 0),
        ("failed", 127),
    ]


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.exhaustive)])
def test_many_runs(scripts: Scripts, count: int) -> None:
    scripts.script("true")
    code, stdout, _ = ended(scripts.sweep(f"params.n=range({count})"), 120)
    assert code == 0 and stdout.count("✓ completed") == count
    runs = scripts.runs()
    assert [run["attempt"]["state"] for run in runs] == ["completed"] * count
    assert [run["spec"]["overrides"][1] for run in runs] == [f"params.n={n}" for n in range(count)]


def test_runs_that_write_in_one_checkout_take_turns(scripts: Scripts) -> None:
    script = "mkdir busy || exit 9; echo $n > results/$n; sleep 0.1; rmdir busy"
    scripts.script(script, "tool: {collect: [results]}\n")
    (scripts.root / "tools/sh/results").mkdir()
    (scripts.root / "tools/sh/results/.gitkeep").touch()
    assert ended(scripts.sweep("params.n=range(4)", n_jobs=4))[0] == 0
    assert [run["attempt"]["collected"] for run in scripts.runs()] == [[f"results/{n}"] for n in range(4)]


@pytest.mark.slow
def test_wandb_runs_are_brought_to_their_end(stash: StashUnderTest) -> None:
    stash.add_tool("steady", "steady", "entrypoint: main.py")
    stash.add_experiment("logs", "steady", "params: {lines: 3, wandb: true, fail: 0}\nwandb: {mode: offline}\n")
    done = stash.cli(*LOCAL, "+exp=logs", "params.fail=0,7", "hydra.launcher.n_jobs=2")
    assert done.returncode == 1, done.stderr
    runs = [stash.record(path) for path in stash.run_directories()]
    assert [[each["exit_code"] for each in run["attempt"]["wandb"]] for run in runs] == [
        [run["attempt"]["exit_code"]] for run in runs
    ]


# --- asked to stop ---------------------------------------------------------------------------------------------------

# Two that save what they have, each only once the other has been told too.
SAVES = (
    "trap 'touch $here/told-$n; wait_for $here/told-$((1 - n)) && touch $here/saved-$n; exit 0' TERM;"
    " touch $here/at-$n; while true; do sleep 0.01; done"
)


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_all_are_told_at_once_and_nothing_further_starts(scripts: Scripts, number: signal.Signals, code: int) -> None:
    scripts.script(SAVES)
    sweep = scripts.sweep("params.n=range(20)")
    wait_until(lambda: scripts.written("at-*") == ["at-0", "at-1"] and len(scripts.run_directories()) == 4)
    sweep.send_signal(number)
    returned, stdout, stderr = ended(sweep)
    assert returned == code
    assert scripts.written("saved-*") == ["saved-0", "saved-1"]
    runs = scripts.runs()
    assert [run["attempt"]["state"] for run in runs] == ["cancelled"] * 4
    assert [run["attempt"]["started"] is None for run in runs] == [False, False, True, True]
    assert "not started: the sweep was interrupted" in runs[2]["attempt"]["reason"]
    assert stdout.count("✗ cancelled") == 4 and stdout.count("✗ cancelled, not started") == 2
    assert "the sweep was interrupted: 18 of 20 runs were not started" in stderr
    counts = "\n20 runs: 2 cancelled, 18 not started\n"
    assert stdout.endswith(counts)
    # Later nobody can tell what was never begun from what was removed.
    counts = "\n20 runs: 2 cancelled, 2 not started, 16 without a run (not begun, or removed since)\n"
    assert scripts.cli("show", runs[0]["sweep"]).stdout.endswith(counts)


def test_asked_to_stop_together_with_a_tools_own_end(scripts: Scripts) -> None:
    scripts.script("touch $here/at-$n; wait_for $here/go")
    sweep = scripts.sweep("params.n=0,1,2", n_jobs=1)
    wait_until(lambda: len(found := scripts.runs()) == 3 and scripts.written("at-*") and found[0]["attempt"]["process"])
    with looking_away(sweep.pid):
        (scripts.here / "go").touch()
        wait_until(lambda: not is_alive(scripts.runs()[0]["attempt"]["process"]["pid"]))
        sweep.send_signal(signal.SIGINT)
    returned, _, stderr = ended(sweep)
    assert returned == 130 and "to save their work" not in stderr and "Traceback" not in stderr
    assert {run["attempt"]["state"] for run in scripts.runs()[1:]} <= {"cancelled"} and scripts.written("at-*") == [
        "at-0"
    ]
    assert scripts.runs()[0]["attempt"]["state"] == "completed"


@pytest.mark.slow
def test_ctrl_c_twice_shortens_the_grace_of_all(scripts: Scripts) -> None:
    scripts.script("trap '' TERM INT; touch $here/at-$n; while true; do sleep 0.01; done")
    sweep = scripts.sweep("params.n=0,1,2")
    wait_until(lambda: len(scripts.written("at-*")) == 2)
    sweep.send_signal(signal.SIGINT)
    wait_until(lambda: all("asked to stop" in (run["attempt"]["reason"] or "") for run in scripts.runs()[:2]))
    sweep.send_signal(signal.SIGINT)
    assert ended(sweep, 10)[0] == 130  # of a grace of 30 s
    assert "the tool did not end within its grace and was killed" in scripts.runs()[1]["attempt"]["reason"]


def test_before_anything_has_started(scripts: Scripts) -> None:
    scripts.script("sleep 100")
    sweep = scripts.sweep("params.n=range(50)", n_jobs=1)
    wait_until(scripts.run_directories)
    sweep.send_signal(signal.SIGINT)
    assert ended(sweep)[0] == 130
    assert {run["attempt"]["state"] for run in scripts.runs()} == {"cancelled"}


def test_fail_fast(scripts: Scripts) -> None:
    scripts.script(
        "[ $n != 1 ] || { wait_for $here/at-0; exit 5; }; trap 'touch $here/saved; exit 0' TERM; touch $here/at-$n;"
        " while true; do sleep 0.01; done"
    )
    code, _, stderr = ended(scripts.sweep("params.n=range(20)", "hydra.launcher.fail_fast=true"))
    runs = scripts.runs()
    assert code == 1 and len(runs) < 20
    assert [(run["attempt"]["state"], run["attempt"]["exit_code"]) for run in runs[:2]] == [
        ("cancelled", 143),
        ("failed", 5),
    ]
    assert f"stopped because {runs[1]['id']} did not complete, and fail_fast is on" in runs[0]["attempt"]["reason"]
    assert {run["attempt"]["state"] for run in runs[2:]} == {"cancelled"} and scripts.written("*") == ["at-0", "saved"]
    assert "18 of 20 runs were not started" in stderr


@pytest.mark.slow
def test_ctrl_z_stops_them_all(scripts: Scripts) -> None:
    # It starts nothing: a shell whose child is stopped before it has executed its program waits for that, as "D".
    scripts.script("touch $here/at-$n; until [ -e $here/go ]; do :; done")
    # In our session: the only process group of a session can't be stopped.
    sweep = subprocess.Popen(
        [sys.executable, "-m", "experimentstash", *LOCAL, "+exp=script", "params.n=0,1"],
        cwd=scripts.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=os.setpgrp,
    )
    wait_until(lambda: len(scripts.written("at-*")) == 2 and all(run["attempt"]["process"] for run in scripts.runs()))
    tools = [run["attempt"]["process"]["pid"] for run in scripts.runs()]

    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    sweep.send_signal(signal.SIGTSTP)
    wait_until(lambda: [state(pid) for pid in (sweep.pid, *tools)] == ["T", "T", "T"])
    (scripts.here / "go").touch()
    sweep.send_signal(signal.SIGCONT)
    assert ended(sweep)[0] == 0
    assert [run["attempt"]["state"] for run in scripts.runs()] == ["completed", "completed"]


@pytest.mark.slow
def test_a_killed_launcher_leaves_records_that_one_look_closes(scripts: Scripts) -> None:
    scripts.script("setsid sleep 100 & touch $here/at-$n; while true; do sleep 0.01; done")
    sweep = scripts.sweep("params.n=range(20)", "grace.seconds=0.5")
    wait_until(lambda: len(scripts.written("at-*")) == 2 and len(scripts.run_directories()) == 4)
    processes = below(sweep.pid)
    sweep.kill()
    sweep.communicate()
    assert len(processes) >= 4
    assert scripts.cli("runs").returncode == 0
    assert [run["attempt"]["state"] for run in scripts.runs()] == ["lost"] * 4
    assert not [process for process in processes if is_alive(process.pid)]


# --- what tools leave behind -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_only_its_own_daemons_are_ended(scripts: Scripts) -> None:
    daemon = "setsid sh -c 'echo $$ > '\"$here\"'/pid-'$n'; exec sleep 100' & wait_for $here/pid-$n;"
    scripts.script(f"{daemon} wait_for $here/pid-0 && wait_for $here/pid-1 && [ $n = 0 ] || wait_for $here/go")
    sweep = scripts.sweep("params.n=0,1")
    wait_until(lambda: len(scripts.written("pid-*")) == 2)
    first, second = (int((scripts.here / f"pid-{n}").read_text()) for n in (0, 1))
    wait_until(lambda: scripts.runs()[0]["attempt"]["state"] == "completed")
    assert not is_alive(first) and is_alive(second)
    (scripts.here / "go").touch()
    assert ended(sweep)[0] == 0
    assert not is_alive(second)
    assert [run["attempt"]["notes"] for run in scripts.runs()] == [
        ["the tool left 1 processes behind; they were ended"]
    ] * 2


def test_what_hides_is_ended_with_the_sweep(scripts: Scripts) -> None:
    scripts.script("setsid env -i sh -c \"echo \\$\\$ > '$here/pid-$n'; exec sleep 100\" & wait_for $here/pid-$n")
    code, _, stderr = ended(scripts.sweep("params.n=0,1"))
    assert code == 0 and "runs had left 2 processes behind in disguise" in stderr
    assert not any(is_alive(int((scripts.here / f"pid-{n}").read_text())) for n in (0, 1))


# --- GPUs ------------------------------------------------------------------------------------------------------------


def test_each_gpu_serves_one_run_at_a_time(scripts: Scripts) -> None:
    meet = "touch $here/at-$n; [ $n -gt 1 ] || wait_for $here/at-$((1 - n)) &&"
    scripts.script(f"d=$here/$CUDA_VISIBLE_DEVICES; basename $d; mkdir $d && {meet} sleep 0.1 && rmdir $d")
    assert ended(scripts.sweep("params.n=range(6)", "hydra.launcher.gpus=[3,5]", n_jobs=None))[0] == 0
    given = [(Path(run["directory"]) / run["attempt"]["log"]).read_text().strip() for run in scripts.runs()]
    assert set(given) == {"3", "5"}


@pytest.mark.parametrize(
    "given, inherited, slots",
    [
        ({"n_jobs": 3}, "0,1", (None, None, None)),
        ({"gpus": 3}, None, ("0", "1", "2")),
        ({"gpus": 2}, "4,6,7", ("4", "6")),
        ({"gpus": 4, "gpus_per_run": 2}, None, ("0,1", "2,3")),
        ({"gpus": 3, "gpus_per_run": 2}, None, ("0,1",)),
        ({"gpus": [1, 1, "GPU-af3"], "n_jobs": 8}, None, ("1", "1", "GPU-af3")),
        ({"gpus": "2,3", "n_jobs": 1}, None, ("2",)),
    ],
)
def test_places(
    given: dict[str, Any], inherited: str | None, slots: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if inherited is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", inherited)
    assert settings(**given).slots == slots


def test_places_by_default() -> None:
    assert settings().slots == (None,) * len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "given", [{"n_jobs": 0}, {"gpus_per_run": -1}, {"gpus": 0}, {"gpus": 1, "gpus_per_run": 2}, {"gpus": "all"}]
)
def test_settings_that_make_no_sense(given: dict[str, Any]) -> None:
    with pytest.raises(StashError):
        settings(**given)


def test_more_gpus_than_we_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(StashError, match="leaves us 1"):
        settings(gpus=2)


def test_a_mistake_in_the_settings_is_said_before_anything_runs(scripts: Scripts) -> None:
    scripts.script("true")
    code, _, stderr = ended(scripts.sweep("params.n=0,1", n_jobs=0))
    assert (code, scripts.run_directories()) == (2, []) and "hydra.launcher.n_jobs is 0" in stderr
    assert "Traceback" not in stderr


def settings(**given: Any) -> Settings:
    return Settings.of(**{"n_jobs": None, "gpus": None, "gpus_per_run": 1, "fail_fast": False, **given})


# --- progress --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_live_table_on_a_terminal(scripts: Scripts) -> None:
    scripts.script("touch $here/at-$n; wait_for $here/go; exit $n", "estimated_runtime: 7m\n")
    terminal, theirs = pty.openpty()
    sweep = subprocess.Popen(
        [sys.executable, "-m", "experimentstash", *LOCAL, "+exp=script", "params.n=0,1", "hydra.launcher.n_jobs=2"],
        cwd=scripts.root,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150"},
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
            if b"2 running" in shown and b"about 6m" in shown:
                (scripts.here / "go").touch()
    except OSError:  # everybody has closed it
        pass
    finally:
        os.close(terminal)
    assert sweep.wait(PATIENCE) == 1
    text = shown.decode()
    assert "of about 7m00s" in text and "✗ failed" in text and "exit code 1" in text
    *_, row, _, counts = plain(text).rstrip().splitlines()
    assert row.split()[:4] == [scripts.runs()[0]["id"], "script", "params.n=0", "✓"]
    assert counts == "2 runs: 1 completed, 1 failed"


def run_of(organizer: str, **fields: Any) -> Run:
    return run_with("id", "directory", organizer=organizer, **fields)


def test_what_is_expected_of_a_run() -> None:
    expectation = Expectation()
    fresh = run_of("a", estimated_runtime=100.0)
    assert (expectation.of(None), expectation.of(fresh), expectation.of(run_of("b"))) == (None, 100.0, None)
    expectation.meet(fresh)
    assert expectation.of(None) == 100.0
    for seconds, state in ((10.0, State.COMPLETED), (30.0, State.COMPLETED), (1.0, State.FAILED)):
        expectation.learn(run_of("a", duration=seconds, state=state))
    assert (expectation.of(None), expectation.of(fresh), expectation.of(run_of("b"))) == (20.0, 20.0, 20.0)
