"""A directory of a run, or of a sweep, that was copied inside the stash: by an id the original is meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experimentstash.adapters.wandb import places
from experimentstash.base.errors import StashError
from experimentstash.record import records
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.stash.layout import Stash
from tests.runs.test_removing import in_sweep
from tests.testing.finished import finished
from tests.testing.run_parts import put
from tests.testing.stash import InProcess, StashUnderTest


@pytest.mark.parametrize("name", ["12-00-00-aaaaaaa-copy", "a copy", "zz/12-00-00-aaaaaaa", "0/12-00-00-aaaaaaa"])
def test_an_id_means_the_original(stash: StashUnderTest, in_process: InProcess, name: str) -> None:
    run = finished(stash.root, "aaaaaaa", {"seed": 1}, {"acc": 1})
    copy = run.path.parent / name
    shutil.copytree(run.path, copy)
    for word in ("aaaaaaa", "aaaa"):
        found = naming.find(Stash(stash.root), word)
        assert isinstance(found, Run) and found.path == run.path
    shown = in_process(stash, "compare", "--over", "id").stdout
    assert f"left out: 1 with the same id as another, copied: {copy}" in shown and " for aaaaaaa" not in shown
    assert f"1 with the same id as another, copied: {copy}" in in_process(stash, "runs").stderr
    told = f"aaaaaaa is {run.path}; 1 with the same id as another, copied: {copy}"
    naming._say_once.cache_clear()
    assert told in in_process(stash, "show", "aaaaaaa").stderr
    naming._say_once.cache_clear()
    asked = in_process(stash, "rm", "aaaaaaa")
    assert asked.returncode == 2 and asked.stderr.index(told) < asked.stderr.index("needs a confirmation")
    done = in_process(stash, "rm", "aaaaaaa", "--yes")
    assert done.returncode == 0 and not run.path.exists() and copy.is_dir(), done.stderr


def test_what_the_original_has_elsewhere_stays_when_its_copy_goes(
    stash: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    run = finished(stash.root, "aaaaaaa")
    elsewhere = tmp_path / "wandb" / "offline-run-20260131_120000-abc"
    elsewhere.mkdir(parents=True)
    (elsewhere / "run-abc.wandb").touch()
    places.claim(str(elsewhere), run.id)
    records.write(put(run, wandb_elsewhere=[str(elsewhere)]))
    copy = run.path.parent / "copy"
    shutil.copytree(run.path, copy)
    done = in_process(stash, "rm", str(copy), "--yes")
    assert done.returncode == 0 and not copy.exists() and "W&B" not in done.stdout, done.stderr
    assert run.path.is_dir() and elsewhere.is_dir()
    done = in_process(stash, "rm", "aaaaaaa", "--yes", "--unsynced")
    assert done.returncode == 0 and "with its W&B run" in done.stdout and not elsewhere.exists(), done.stderr


@pytest.mark.parametrize("place", ["kept", "12-00-00-k3f9a2b/1 (copy)"])
def test_a_copy_of_a_run_is_none_of_its_sweep(stash: StashUnderTest, in_process: InProcess, place: str) -> None:
    sweep = in_sweep(Stash(stash.root), 0).path.parent
    run = in_sweep(Stash(stash.root), 1)
    copy = sweep.parent / place
    shutil.copytree(run.path, copy)
    done = in_process(stash, "rm", "k3f9a2b", "--yes")
    assert done.returncode == 0 and f"1 with the same id as another, copied: {copy}" in done.stderr, done.stderr
    assert "removed 2 runs" in done.stderr and not run.path.exists() and copy.is_dir()
    assert in_process(stash, "rm", str(copy), "--yes").returncode == 0 and not copy.exists()


def test_filters_mean_copies_too_and_say_so(stash: StashUnderTest, in_process: InProcess) -> None:
    run = finished(stash.root, "aaaaaaa")
    copy = run.path.parent / "copy"
    shutil.copytree(run.path, copy)
    asked = in_process(stash, "rm", "--exp", "fig/one")
    assert f"1 with the same id as another, copied: {copy}" in asked.stderr and "Remove 2 runs" in asked.stderr


def test_where_nothing_tells_which_is_the_copy_it_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa")
    for name in ("one", "two"):
        shutil.copytree(run.path, run.path.parent / name)
    shutil.rmtree(run.path)
    with pytest.raises(StashError, match=r"aaaaaaa is in 2 directories.*: .*/one, .*/two"):
        naming.find(Stash(tmp_path), "aaaaaaa")
    found = naming.find(Stash(tmp_path), str(run.path.parent / "two"))
    assert isinstance(found, Run) and found.path.name == "two"
