"""No output counts as the same that the run hasn't written itself, and that nobody has seen to be the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.publish import verdicts
from experimentstash.publish.comparators.comparator import How
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Output
from experimentstash.publish.verdicts import Judged, Verdict
from experimentstash.record.run import Run
from tests.testing.finished import finished

TEXT = "x\n1\n2\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has completed; what says what it was asked to do was there before."""
    made = finished(tmp_path, "aaaaaaa")
    (made.path / ".hydra").mkdir()
    (made.path / ".hydra" / "overrides.yaml").touch()
    return made


def judged(folder: Path, run: Run, how: How, *, is_kept: bool = True) -> Judged:
    """Compare what a run has written as r.csv with what was kept."""
    kept = folder / "kept" / "outputs" / "r.csv"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        kept.write_text(TEXT)
    output = Output("r.csv", content_of(kept), how, "outputs/r.csv" if is_kept else None)
    return verdicts.judge(output, folder / "kept", run)


def link_to_kept(path: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text(TEXT)
    os.link(kept, path)


def older(path: Path) -> None:
    """The same as before, copied with its times as caches do."""
    path.write_text(TEXT)
    moment = (path.parent / ".hydra" / "overrides.yaml").stat().st_mtime - 1
    os.utime(path, (moment, moment))


@pytest.mark.parametrize(
    ("make", "verdict", "why"),
    [
        (lambda path, kept: path.write_text(TEXT), Verdict.IDENTICAL, ""),
        (lambda path, kept: path.write_text("x\n1.0\n2\n"), Verdict.IDENTICAL, "by numbers; its bytes are others"),
        (lambda path, kept: path.write_text("x\n1\n3\n"), Verdict.DIFFERENT, "in row 2, column x"),
        (lambda path, kept: path.write_bytes(b"\xff\xfe"), Verdict.NOT_COMPARABLE, "no text in UTF-8"),
        (lambda path, kept: None, Verdict.MISSING, "has not written it"),
        (lambda path, kept: path.mkdir(), Verdict.NOT_COMPARABLE, "it is a directory"),
        (lambda path, kept: os.mkfifo(path), Verdict.NOT_COMPARABLE, "it is a FIFO"),
        (lambda path, kept: path.symlink_to(kept), Verdict.NOT_COMPARABLE, "it is a symbolic link"),
        (link_to_kept, Verdict.NOT_COMPARABLE, "it is the very file that was kept"),
        (lambda path, kept: older(path), Verdict.NOT_COMPARABLE, "it is older than the run"),
    ],
)
def test_what_is_in_the_place_of_an_output(
    tmp_path: Path, run: Run, make: Callable[[Path, Path], object], verdict: Verdict, why: str
) -> None:
    make(run.path / "r.csv", tmp_path / "kept" / "outputs" / "r.csv")
    found = judged(tmp_path, run, How("numbers"))
    assert found.verdict is verdict and why in found.why


def test_by_hash_other_bytes_are_another_file(tmp_path: Path, run: Run) -> None:
    (run.path / "r.csv").write_text("x\n1.0\n2\n")
    assert judged(tmp_path, run, How("hash"), is_kept=False).verdict is Verdict.DIFFERENT
    found = judged(tmp_path, run, How("numbers"), is_kept=False)  # too large to be kept, say
    assert found.verdict is Verdict.NOT_COMPARABLE and "no copy was kept" in found.why
    # It was, and isn't here: an archive may be without.
    gone = Output("r.csv", content_of(tmp_path / "kept/outputs/r.csv"), How("numbers"), "outputs/r.csv")
    (tmp_path / "kept/outputs/r.csv").unlink()
    found = verdicts.judge(gone, tmp_path / "kept", run)
    assert found.verdict is Verdict.NOT_COMPARABLE and "the copy that was kept isn't here" in found.why
    (run.path / "r.csv").write_text(TEXT)
    assert verdicts.judge(gone, tmp_path / "kept", run).verdict is Verdict.IDENTICAL


def test_what_another_version_compares_by(tmp_path: Path, run: Run) -> None:
    (run.path / "r.csv").write_text("x\n")
    found = judged(tmp_path, run, How("smell"))
    assert found.verdict is Verdict.NOT_COMPARABLE and "nothing here compares by 'smell'" in found.why


def test_a_folder_of_outputs_that_leads_elsewhere(tmp_path: Path, run: Run) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "r.csv").write_text(TEXT)
    (run.path / "inner").symlink_to(tmp_path / "elsewhere")
    output = Output("inner/r.csv", content_of(tmp_path / "elsewhere" / "r.csv"), How("numbers"))
    found = verdicts.judge(output, tmp_path / "kept", run)
    assert found.verdict is Verdict.NOT_COMPARABLE and "a directory must be" in found.why


def test_only_what_was_compared_and_all_of_it_is_reproduced(tmp_path: Path) -> None:
    same, other = Judged("a", Verdict.IDENTICAL), Judged("b", Verdict.NOT_RUN)
    kept, run = object(), finished(tmp_path, "aaaaaaa")
    for outputs, is_reproduced in (([], False), ([same], True), ([same, other], False)):
        assert verdicts.JudgedRun(kept, run, outputs).is_reproduced is is_reproduced  # type: ignore[arg-type]
    assert {each for each in Verdict if each.is_same} == {Verdict.IDENTICAL, Verdict.EQUIVALENT}
