"""One file of what is frozen: whole or absent, with all that it takes to have that again, and nothing else."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from experimentstash.publish.export.documents.every import EVERY
from tests.testing.drawing import SAME, frozen, identity, verdicts
from tests.testing.stash import InProcess, StashUnderTest, git


@pytest.mark.slow
def test_what_was_exported_is_reproduced_where_it_is_unpacked(drawing: StashUnderTest, tmp_path: Path) -> None:
    assert drawing.cli("freeze", "fig", identity(drawing)).returncode == 0
    packed = tmp_path / "fig.zip"
    done = drawing.cli("export", "fig", "-o", str(packed))
    assert done.returncode == 0, done.stderr
    shutil.rmtree(drawing.root)
    there = StashUnderTest(tmp_path / "new place")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(there.root)
    git("init", "-q", cwd=there.root)  # who is handed it may want to note what they change
    assert there.cli("reproduce", "fig", "--check").returncode == 0
    assert verdicts(there, code=0) == SAME
    assert (there.root / "data/numbers.txt").read_text() == "1\n2\n3.25\n"


def test_what_is_in_an_archive(drawing: StashUnderTest, in_process: InProcess, tmp_path: Path) -> None:
    run = drawing.run_directories()[-1]
    name = identity(drawing)
    assert in_process(drawing, "freeze", "fig", name).returncode == 0
    data = frozen(drawing)
    kept = {"frozen/fig/frozen.json", "frozen/fig/.gitattributes", *(f"frozen/fig/{each}" for each in data["files"])}
    beside = {f"frozen/fig/runs/{name}/outputs/state.bin"}
    ours = {"conf/config.yaml", "ro-crate-metadata.json", "frozen/fig/bundles/stash.bundle", *EVERY}
    read = {f"frozen/fig/inputs/{data['runs'][0]['inputs'][0]['content']['sha256'][:16]}/numbers.txt"}
    packed = tmp_path / "fig.zip"

    def export(*words: str) -> tuple[set[str], str]:
        done = in_process(drawing, "export", "fig", "-o", str(packed), *words)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(packed) as archive:
            assert archive.testzip() is None
            assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            return set(archive.namelist()), done.stdout + done.stderr

    names, said = export()
    assert {*kept, *beside, *ours, *read} <= names and "4 of 4 outputs" in said and "isn't in it" not in said
    # Outputs that were changed since, or are gone, can't be taken along.
    (run / "state.bin").write_bytes(b"other")
    names, said = export("--yes")
    assert not beside & names and "state.bin isn't in it: it isn't in its run's directory as it was" in said
    # Inputs that aren't committed go along if that is wished.
    (drawing.root / "data/numbers.txt").write_text("9\n")
    assert read <= export("--yes")[0]
    names, said = export("--yes", "--no-outputs")
    assert not [each for each in names if "/outputs/" in each] and "isn't in it" not in said
    with zipfile.ZipFile(packed) as archive:
        assert b"no output is in this archive" in archive.read("codecheck.yml")
        archive.extractall(tmp_path / "unpacked")
    done = in_process(StashUnderTest(tmp_path / "unpacked"), "reproduce", "fig", "--check")
    assert done.returncode == 1 and "no copy is here of figure.png, results.csv, notes/log.txt" in done.stdout


def test_what_can_not_be_exported_is_refused_and_nothing_is_left(
    drawing: StashUnderTest, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, place = identity(drawing), tmp_path / "there"
    assert in_process(drawing, "freeze", "fig", name).returncode == 0
    place.mkdir()
    packed = place / "fig.zip"

    def refused(*words: str) -> str:
        done = in_process(drawing, "export", *words)
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stderr

    def refused_in(stash: StashUnderTest) -> str:
        done = in_process(stash, "export", "fig", "-o", str(packed))
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stderr

    assert "Did you mean 'fig'?" in refused("fog", "-o", str(packed))
    assert "an archive is a file .zip" in refused("fig", "-o", str(place / "fig.tar"))
    assert "there is no directory" in refused("fig", "-o", str(place / "nowhere" / "fig.zip"))
    (place / "dir.zip").mkdir()
    assert "it is a directory" in refused("fig", "-o", str(place / "dir.zip"))
    (place / "dir.zip").rmdir()
    kept = drawing.root / "frozen/fig/runs" / name / "outputs/results.csv"
    for path in (kept, drawing.root / "frozen/fig/frozen.json"):
        before = path.read_bytes()
        path.write_bytes(before.replace(b"2.5", b"2.6").replace(b'"cores": ', b'"cores": 1'))
        assert "isn't what was frozen" in (said := refused("fig", "-o", str(packed))) or "was changed" in said
        path.write_bytes(before)
    # Secrets of now, also in what was kept before they were any.
    monkeypatch.setenv("DRAWER_TOKEN", frozen(drawing)["runs"][0]["code"]["commit"])
    assert "$DRAWER_TOKEN" in refused("fig", "-o", str(packed))
    monkeypatch.delenv("DRAWER_TOKEN")
    assert os.listdir(place) == []
    packed.write_text("of somebody")
    assert "--yes" in refused("fig", "-o", str(packed)) and packed.read_text() == "of somebody"
    packed.unlink()
    # In an archive of its own it would lie elsewhere than its commits have it.
    (tmp_path / "large").mkdir()
    drawing.root.rename(tmp_path / "large/inner")
    (tmp_path / "large/inner/.git").rename(tmp_path / "large/.git")
    assert "a directory of a larger repository" in refused_in(StashUnderTest(tmp_path / "large/inner"))
    assert os.listdir(place) == []
