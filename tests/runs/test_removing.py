"""Removing runs: what goes, what stays, and what there is when it is interrupted."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.base import failpoints
from experimentstash.base.errors import StashError
from experimentstash.record import records, times
from experimentstash.record.run import Code, Run, State
from experimentstash.runs import listing, removing
from experimentstash.stash.layout import Stash
from tests.testing.faults import freeze
from tests.testing.finished import finished
from tests.testing.run_parts import put, run_with
from tests.testing.stash import InProcess, StashUnderTest
from tests.testing.terminals import Terminal, program

OFFLINE = "offline-run-20260131_120000-abc"


@pytest.fixture
def told(here: Stash, in_process: InProcess) -> Callable[..., tuple[int, str]]:
    """Run `rm` and return its exit code, and what it says, whitespace aside."""

    def call(*words: str) -> tuple[int, str]:
        done = in_process(StashUnderTest(here.root), "rm", *words)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return call


def in_sweep(stash: Stash, number: int, state: State = State.COMPLETED) -> Run:
    """Write a run of the one sweep there is, with what a sweep's directory holds."""
    sweep = stash.root / "multirun" / "2026-01-31" / "12-00-00-k3f9a2b"
    sweep.mkdir(parents=True, exist_ok=True)
    for name in (records.SWEEP_FILE, records.JOBS_FILE, records.LOCK):
        (sweep / name).touch()
    run = run_with(f"k3f9a2b-{number}", sweep / str(number), state=state, sweep=str(sweep), created=times.now())
    records.claim(run)
    return run


def wandb_run(folder: Path, *, is_sent: bool = False) -> Path:
    folder.mkdir(parents=True)
    log = folder / "run-abc.wandb"
    log.write_bytes(b"")
    if is_sent:
        log.with_name(f"{log.name}.synced").touch()
    return folder


def ids(stash: Stash) -> set[str]:
    return {run.id for run in listing.all_runs(stash)}


def test_a_run_goes_with_all_that_is_its_own(here: Stash, told: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    run, other = finished(here.root, "aaaaaaa"), finished(here.root, "bbbbbbb")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("x")
    (run.path / "link").symlink_to(precious)
    (run.path / "closed").mkdir(mode=0o500)
    own = wandb_run(tmp_path / "elsewhere" / "wandb" / OFFLINE, is_sent=True)
    wandb_places.claim(str(own), run.id)
    foreign = wandb_run(tmp_path / "elsewhere" / "wandb" / OFFLINE.replace("abc", "xyz"), is_sent=True)
    wandb_places.claim(str(foreign), other.id)
    records.write(put(run, wandb_elsewhere=[str(own), str(foreign), str(precious)]))

    code, said = told("aaaaaaa")
    assert code == 2 and "needs a confirmation, and there is no terminal. → --yes" in said
    assert ids(here) == {"aaaaaaa", "bbbbbbb"}
    code, said = told("aaaaaaa", "--yes")
    assert code == 0 and "removed 1 run" in said and f"with its W&B run {own}" in said
    assert ids(here) == {"bbbbbbb"} and os.listdir(run.path.parent) == [other.path.name]
    assert (precious / "data").exists() and foreign.exists() and not own.exists()
    assert told("bbbbbbb", "--yes")[0] == 0
    assert os.listdir(here.root / "outputs") == []  # the day's directory was there for its runs


def test_who_is_asked_decides(here: Stash) -> None:
    finished(here.root, "aaaaaaa", exp="figure1/a_rather_long_name_of_an_experiment")
    for answer, code, left in (("n", 1, {"aaaaaaa"}), ("y", 0, set())):
        with Terminal(program("rm", "aaaaaaa"), cwd=here.root) as terminal:
            terminal.until(lambda screen: "[y/N]" in screen.text)
            assert max(map(len, terminal.lines)) <= 80 and terminal.lines[0].split()[:2] == ["run", "state"]
            terminal.type(f"{answer}\n")
            assert terminal.end() == code
        assert ids(here) == left


@pytest.mark.parametrize("state", [State.RUNNING, State.QUEUED, State.FROZEN])
def test_what_may_be_at_work_stays(here: Stash, told: Callable[..., tuple[int, str]], state: State) -> None:
    finished(here.root, "aaaaaaa", state=state)
    finished(here.root, "bbbbbbb")
    code, said = told("aaaaaaa", "bbbbbbb", "--yes")
    assert code == 1 and ids(here) == {"aaaaaaa"}
    assert f"aaaaaaa stays: it is {state.value}. → experimentstash cancel aaaaaaa" in said


def test_what_somebody_takes_up_meanwhile_stays(here: Stash) -> None:
    run = finished(here.root, "aaaaaaa", state=State.FAILED)
    (removable,), _ = removing.look(here, [run])
    records.write(put(records.read(run.path), state=State.RUNNING))
    with pytest.raises(StashError, match="aaaaaaa was not removed: it is running"):
        removing.remove(here, removable)
    assert ids(here) == {"aaaaaaa"}


@pytest.mark.parametrize("is_kept", [False, True])
def test_what_was_not_sent_needs_a_word_of_its_own(
    here: Stash, told: Callable[..., tuple[int, str]], is_kept: bool
) -> None:
    run = finished(here.root, "aaaaaaa")
    wandb_run(run.path / "wandb" / OFFLINE)
    options = ["--yes", *(["--keep-record"] if is_kept else [])]
    code, said = told("aaaaaaa", *options)
    assert code == 1 and (run.path / "wandb" / OFFLINE).exists()
    assert f"aaaaaaa stays: a W&B run of it was not sent yet ({OFFLINE})" in said and "sync aaaaaaa" in said
    code, said = told("aaaaaaa", "--unsynced", *options)
    assert code == 0 and f"1 W&B run that was never sent will be lost: {OFFLINE}" in said
    assert not (run.path / "wandb").exists()


def test_filters_choose_and_nothing_chooses_nothing(here: Stash, told: Callable[..., tuple[int, str]]) -> None:
    finished(here.root, "aaaaaaa", state=State.FAILED)
    finished(here.root, "bbbbbbb", state=State.FAILED, exp="fig/two", params={"lr": 1})
    finished(here.root, "ccccccc", exp="fig/two")
    for words in ((), ("--yes",), ("--keep-record", "--yes")):
        code, said = told(*words)
        assert code == 2 and "Which runs?" in said
    assert told("--state", "failed", "--exp", "*/two", "--yes")[0] == 0 and ids(here) == {"aaaaaaa", "ccccccc"}
    code, said = told("--exp", "none/*", "--yes")
    assert code == 2 and "None of these runs is of an experiment 'none/*'." in said
    (here.conf / "exp").mkdir(parents=True, exist_ok=True)
    (here.conf / "exp" / "new.yaml").write_text("tool: t\n")
    code, said = told("--exp", "new", "--yes")
    assert code == 0 and "of the experiment 'new' there are no runs yet" in said and "there are no such runs" in said
    for words in (("--exp", ""), ("--sweep", ""), ("--tool", ""), ("--since", ""), ("--where", ""), ("",), (" ",)):
        code, said = told(*words, "--yes")
        assert code == 2 and ids(here) == {"aaaaaaa", "ccccccc"}, (words, said)
    assert told("--where", "state == 'failed'", "--yes")[0] == 0 and ids(here) == {"ccccccc"}


def test_numbers_that_only_files_have_are_not_thrown_away(here: Stash, told: Callable[..., tuple[int, str]]) -> None:
    run = finished(here.root, "aaaaaaa", metrics={"loss": 1}, is_read=False)
    code, said = told("aaaaaaa", "--keep-record", "--yes")
    assert code == 1 and "its numbers are not in its record yet. → experimentstash metrics refresh aaaaaaa" in said
    assert (run.path / "metrics.json").exists()


def test_the_record_can_be_kept(here: Stash, told: Callable[..., tuple[int, str]], in_process: InProcess) -> None:
    code_of_then = Code("/t", "c" * 40, dirty=True, patch="tool.patch")
    run = finished(here.root, "aaaaaaa", state=State.TIMED_OUT, resume=[], code=code_of_then)
    for name in ("tool.patch", "output.log", "model.bin"):
        (run.path / name).write_text(name)
    code, said = told("aaaaaaa", "--keep-record", "--yes")
    assert code == 0 and "their records are kept" in said
    assert sorted(os.listdir(run.path)) == ["run.json", "tool.patch"]
    stash = StashUnderTest(here.root)
    shown = in_process(stash, "show", "aaaaaaa")
    assert shown.returncode == 0 and ": only its record is left" in shown.stdout and "timed out" in shown.stdout
    assert json.loads(in_process(stash, "show", "aaaaaaa", "--json").stdout)["removed"] is not None
    assert "aaaaaaa" in in_process(stash, "runs").stdout
    assert "were removed, and its log with them" in in_process(stash, "logs", "aaaaaaa").stderr
    assert "nothing from which it could go on" in in_process(stash, "resume", "aaaaaaa").stderr
    before = records.read(run.path).removed
    assert told("aaaaaaa", "--keep-record", "--yes")[0] == 0 and records.read(run.path).removed == before
    assert told("aaaaaaa", "--yes")[0] == 0 and not run.path.exists()


def test_with_its_last_run_a_sweep_goes(here: Stash, told: Callable[..., tuple[int, str]]) -> None:
    first, second = in_sweep(here, 0), in_sweep(here, 1, State.FAILED)
    sweep = Path(str(first.sweep))
    earlier = sweep / records.ASIDE / "1-1"
    earlier.mkdir(parents=True)
    records.claim(put(run_with("k3f9a2b-1", earlier, state=State.FAILED), sweep=str(sweep)))
    wandb_run(earlier / "wandb" / OFFLINE)
    assert told("k3f9a2b-0", "--yes")[0] == 0
    assert second.path.exists() and earlier.exists() and (sweep / records.SWEEP_FILE).exists()
    assert told("k3f9a2b", "--yes")[0] == 1  # what the earlier try recorded was never sent
    assert not second.path.exists() and earlier.exists()
    removable, _ = removing.look(here, listing.superseded(here))
    removing.remove(here, removable[0])
    assert os.listdir(here.root / "multirun") == []


def test_a_sweep_with_something_of_the_users_stays(here: Stash, told: Callable[..., tuple[int, str]]) -> None:
    run = in_sweep(here, 0)
    (Path(str(run.sweep)) / "notes.txt").write_text("mine")
    assert told("k3f9a2b", "--yes")[0] == 0
    assert (Path(str(run.sweep)) / "notes.txt").read_text() == "mine" and not run.path.exists()


def test_a_sweep_at_which_a_command_is_at_work_is_left_alone(here: Stash, told: Callable[..., tuple[int, str]]) -> None:
    run = in_sweep(here, 0)
    with open(Path(str(run.sweep)) / records.LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = told("k3f9a2b", "--yes")
    assert code == 1 and "k3f9a2b-0 stays: a command is at work on its sweep" in said and run.path.exists()


def test_a_directory_of_the_users_choice_goes_only_if_all_of_it_is_the_runs(
    here: Stash, told: Callable[..., tuple[int, str]]
) -> None:
    place = here.root / "outputs" / "mine"
    run = run_with("abcdefg", place, state=State.COMPLETED, created=times.as_text(2e9))
    records.claim(run)
    code, said = told("abcdefg", "--yes")
    assert code == 1 and "lies what was there before it: run.json" in said
    records.write(put(run, created=times.now()))
    records.claim(run_with("hijkmnp", place / "inside", state=State.COMPLETED, created=times.now()))
    code, said = told(str(place), "--yes")
    assert code == 1 and f"there are other runs in its directory: {place / 'inside'}" in said
    linked = here.root / "outputs" / "linked"
    linked.symlink_to(place / "inside")
    code, said = told(str(linked), "--yes")
    assert code == 1 and "linked is a symbolic link" in said and (place / "inside" / "run.json").exists()
    records.claim(run_with("qrstuvw", here.root, state=State.COMPLETED, created=times.now()))
    code, said = told(str(here.root), "--yes")
    assert code == 1 and "the stash itself lies in its directory" in said and here.conf.exists()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("is_kept", [False, True])
def test_what_is_interrupted_looks_like_no_run_and_can_be_finished(
    here: Stash, told: Callable[..., tuple[int, str]], tmp_path: Path, is_kept: bool
) -> None:
    survived = True
    for number in range(20):
        run = freeze(here, ["true"], state=State.COMPLETED)
        (run.path / "output.log").write_text("x")
        (run.path / "model").mkdir()
        own = wandb_run(tmp_path / str(number) / "wandb" / OFFLINE, is_sent=True)
        wandb_places.claim(str(own), run.id)
        records.write(put(run, wandb_elsewhere=[str(own)]))
        steps = 0

        def at(name: str, number: int = number) -> None:
            nonlocal steps
            steps += 1
            if steps > number:
                raise Killed(name)

        (removable,), _ = removing.look(here, [run])
        token = failpoints.observer.set(at)
        try:
            removing.remove(here, removable, keep_record=is_kept)
            survived = False
        except Killed:
            pass
        finally:
            failpoints.observer.reset(token)
        if is_kept:
            assert records.read(run.path).removed is not None
            removing.remove(here, removable, keep_record=True)
            assert os.listdir(run.path) == ["run.json"] and not own.exists()
        else:
            assert run.id not in ids(here)
            for aside in list(removing.leftovers(here)):
                removing.finish(here, aside)
            assert not own.exists() and not list(here.root.glob("outputs/*/.*"))
        if not survived:
            break
    assert not survived and number > 3
