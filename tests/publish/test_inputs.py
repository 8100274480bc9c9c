"""What a run reads is told by the words that it was given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.base.files import Unfit
from experimentstash.publish import kept_inputs
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Input
from experimentstash.publish.inputs import Inputs
from experimentstash.stash.layout import Stash
from tests.publish.test_providing import PYTHON, kept
from tests.testing.finished import finished


def test_a_directory_around_everything_is_no_input(here: Stash) -> None:
    run = finished(here.root, "aaaaaaa", {"root": "/."}, commit="1" * 40)
    assert Inputs(here).of(run, [], []) == []


def test_an_input_that_came_along_is_brought_to_where_it_belongs_and_nowhere_else(here: Stash, tmp_path: Path) -> None:
    place = here.frozen("fig")
    (here.root / "source").write_text("1\n")
    content = content_of(here.root / "source")
    names = ("data/deep/a.txt", "data/b.txt", "conf/tool/t.yaml", "data/.git/config", "../out.txt", "⟨home⟩/c.txt")
    inputs = [Input(name, content) for name in names]
    for each in inputs:
        copy = place / kept_inputs.name_of(each)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("1\n")
    (here.root / "data").mkdir()
    (here.root / "data/b.txt").write_text("somebody's own")
    assert [kept_inputs.can_be_brought(here, place, each) for each in inputs] == [True, *[False] * 5]
    said: list[str] = []
    run = replace(kept(PYTHON), inputs=inputs)
    kept_inputs.bring(here, run, place, said.append)
    assert len(said) == 1 and (here.root / "data/deep/a.txt").read_text() == "1\n"
    assert (here.root / "data/b.txt").read_text() == "somebody's own"
    found = sorted(str(each.relative_to(here.root)) for each in here.root.rglob("*") if each.is_file())
    assert [each for each in found if "frozen/" not in each and "data/" in each] == ["data/b.txt", "data/deep/a.txt"]
    assert not (here.root / "../out.txt").exists()
    assert "c.txt is a copy of it" in kept_inputs.where_else(here, place, inputs[-1])
    # Nothing is written through a link, and nothing that isn't what it was.
    os.symlink(tmp_path, here.root / "linked")
    linked = Input("linked/d.txt", content)
    (place / kept_inputs.name_of(linked)).write_text("1\n")
    with pytest.raises(Unfit):
        kept_inputs.bring(here, replace(run, inputs=[linked]), place, said.append)
    other = Input("data/e.txt", replace(content, sha256="1" * 64))
    assert not kept_inputs.can_be_brought(here, place, other) and not (tmp_path / "d.txt").exists()


def test_an_input_that_changes_while_others_run_is_read_again(here: Stash) -> None:
    data = here.root / "data.txt"
    data.write_text("1\n")
    work = Inputs(here)
    given = Input("data.txt", work.content(data))
    assert work.why_other(given) is None
    data.write_text("2, of another length\n")
    assert work.why_other(given) == "its input data.txt isn't what it was"
    data.unlink()
    assert work.why_other(given) == "its input data.txt isn't there"
