"""A directory of a run, or of a sweep, that was copied inside the stash: by an id the original is meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
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
    done = in_process(stash, "rm", "aaaaaaa", "--yes")
    assert done.returncode == 0 and not run.path.exists() and copy.is_dir(), done.stderr


def test_where_nothing_tells_which_is_the_copy_it_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa")
    for name in ("one", "two"):
        shutil.copytree(run.path, run.path.parent / name)
    shutil.rmtree(run.path)
    with pytest.raises(StashError, match=r"aaaaaaa is in 2 directories.*: .*/one, .*/two"):
        naming.find(Stash(tmp_path), "aaaaaaa")
    found = naming.find(Stash(tmp_path), str(run.path.parent / "two"))
    assert isinstance(found, Run) and found.path.name == "two"
