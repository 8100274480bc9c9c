"""`gc`: what nothing needs goes, and what may be needed stays."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.base import files
from experimentstash.freeze.environment.store import READY_MARK
from experimentstash.record import records, run_places
from experimentstash.record.run import Apart, Environment, Run, State
from experimentstash.runs import removing
from experimentstash.tools import unused
from experimentstash.tools.syncing import recipe_of
from tests.code.test_worktrees import elsewhere, record, secured, tmp_path, tool, worktrees_of
from tests.testing.finished import finished
from tests.testing.run_parts import put, run_with
from tests.testing.stash import InProcess, StashUnderTest
from tests.testing.tool_support import as_stash

__all__ = ["tmp_path", "tool"]  # fixtures


@pytest.fixture
def made(stash: StashUnderTest) -> Callable[..., Path]:
    """Make what looks like an environment of the tool `t`, and a run that has used it."""
    stash.add_tool("t", "plain", "entrypoint: main.py\nenvironment: {kind: dependencies}\ndependencies: [six]\n")
    stash.add_experiment("e", "t")

    def make(key: str, state: State | None = None, second: int = 0, **fields: object) -> Path:
        directory = stash.root / ".experimentstash" / "environments" / "t" / key
        directory.mkdir(parents=True)
        (directory / READY_MARK).write_text("{}")
        (directory / "big").write_bytes(b"x" * 100_000)
        if state is not None:
            exp = fields.pop("exp", None)
            environment = Environment("dependencies", str(directory / "bin" / "python"), key=key)
            finished(stash.root, f"{key:a>7}", exp=exp, state=state, second=second, environment=environment, **fields)  # type: ignore[arg-type]
        return directory

    return make


def test_environments_that_nothing_needs(
    stash: StashUnderTest, made: Callable[..., Path], in_process: InProcess
) -> None:
    here = as_stash(stash)
    kept = [
        made(recipe_of(here, "t").key),
        made("running", State.RUNNING),
        made("queued", State.QUEUED),
        made("resumes", State.TIMED_OUT, resume=[]),
        made("newest", State.COMPLETED, second=9, exp="e"),
    ]
    gone = [made("old", State.COMPLETED, second=1, exp="e"), made("failed", State.FAILED, resume=[]), made("never")]
    other = stash.root / ".experimentstash" / "environments" / "removed-tool" / "key"
    other.mkdir(parents=True)
    os.link(gone[0] / "big", stash.root / "shared")  # as uv does with its cache

    for words, left in (((), True), (("--dry-run",), True), (("--yes",), False)):
        done = in_process(stash, "gc", *words)
        assert done.returncode == (2 if not words else 0), done.stderr
        assert all(path.exists() for path in kept)
        assert {path.exists() for path in (*gone, other)} == {left}
        assert done.stdout.count("\nenvironment ") == 4 and "is shared with others, such as uv's cache" in done.stdout
    assert "freed 2" in done.stderr  # some 200 kB of the 300
    assert "nothing that nothing needs" in in_process(stash, "gc").stderr


def test_what_can_not_be_known_stays(
    stash: StashUnderTest, made: Callable[..., Path], in_process: InProcess, tmp_path: Path
) -> None:
    path = made("never")
    run = finished(stash.root, "bbbbbbb")
    (run.path / "run.json").write_text("{")
    done = in_process(stash, "gc", "--yes")
    assert done.returncode == 0 and "what 1 may need whose records can't be read stays" in done.stderr
    shutil.rmtree(run.path)

    here, away = as_stash(stash), tmp_path / "some" / "disk" / "runs"
    away.mkdir(parents=True)
    run_places.remember(here, away)
    away.rmdir()
    done = in_process(stash, "gc", "--yes")
    assert done.returncode == 0 and f"the runs in {away} can't be seen now" in " ".join(done.stderr.split())
    assert path.exists()
    (note,) = here.places.iterdir()
    note.unlink()

    (stash.root / "conf/tool/t.yaml").write_text("path: [\n")
    done = in_process(stash, "gc", "--yes")
    assert "the environments of t stay" in done.stderr and path.exists()


def test_what_is_made_just_now_stays(stash: StashUnderTest, made: Callable[..., Path]) -> None:
    path = made("never")
    (each,) = unused.look(as_stash(stash)).unused
    with files.locked(path.with_name("never.lock")):
        assert not unused.remove(as_stash(stash), each)
    assert path.exists() and unused.remove(as_stash(stash), each) and not path.exists()


def test_what_is_needed_while_somebody_is_asked_stays(
    stash: StashUnderTest, made: Callable[..., Path], in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made("never")

    def agree(question: str) -> bool:
        environment = Environment("dependencies", str(path), key="never")
        finished(stash.root, "bbbbbbb", state=State.QUEUED, environment=environment)
        return True

    monkeypatch.setattr("experimentstash.cli.commands.gc.agrees", agree)
    done = in_process(stash, "gc")
    assert done.returncode == 0 and "it is needed by now" in done.stderr and path.exists()


def test_frozen_code_that_nothing_needs(stash: StashUnderTest, tool: Path, in_process: InProcess) -> None:
    frozen = secured(stash, tool, "outputs/a")
    directory = record(stash, frozen, "outputs/a", State.QUEUED)
    place = frozen.environments.parent

    def codes() -> list[Path]:
        return [each.path for each in unused.look(as_stash(stash)).unused]

    assert codes() == []
    elsewhere(frozen)
    assert codes() == []  # the run waits
    run: Run = records.read(directory)
    records.write(put(run, state=State.COMPLETED))
    assert codes() == [place]
    moved = put(run_with("b", stash.root / "outputs" / "moved", tool="sub", state=State.QUEUED), code=run.spec.code)
    records.claim(moved)  # nobody has noted that it needs it
    assert codes() == []
    apart = Apart(str(frozen.directory), str(place / "copies" / "b-x" / "sub"), str(tool))
    records.write(put(moved, state=State.FAILED, apart=apart, is_stranded=True))
    found = unused.look(as_stash(stash))
    assert not found.unused and "it holds what b has written and could not move" in found.remarks[0]
    shutil.rmtree(moved.path)
    done = in_process(stash, "gc", "--yes")
    assert done.returncode == 0 and "frozen code" in done.stdout
    assert not place.exists() and worktrees_of(tool) == worktrees_of(tool / "inner") == []


def test_what_an_interrupted_rm_has_left(stash: StashUnderTest, in_process: InProcess) -> None:
    run = finished(stash.root, "aaaaaaa")
    run.path.rename(run.path.with_name(f"{removing.ASIDE}x"))
    done = in_process(stash, "gc", "--yes")
    assert done.returncode == 0 and "left by rm" in done.stdout
    assert not list(stash.root.glob("outputs/*/.*")) and json.loads(in_process(stash, "runs", "--json").stdout) == []


def test_a_tree_of_code_that_is_no_tools_is_left_alone(stash: StashUnderTest) -> None:
    place = stash.root / ".experimentstash" / "code" / "t" / "mine"
    place.mkdir(parents=True)
    assert unused.look(as_stash(stash)).unused == []
    assert place.exists()
