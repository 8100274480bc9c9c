"""What a tool writes in its own checkout ends up in the run directory, and nothing else moves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from experimentstash.execute.collect import bring_together, snapshot


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return directory(tmp_path / "tool", {"keep.txt": "kept", "outputs/old/result.txt": "old", "main.py": "code"})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return directory(tmp_path / "run", {"run.json": "{}"})


def directory(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def content(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_what_is_new_is_moved(checkout: Path, run: Path) -> None:
    outputs = [checkout / "outputs", checkout / "logs"]  # logs isn't there yet
    before = snapshot(outputs)
    directory(checkout, {"outputs/2026/12-00/a.txt": "a", "outputs/2026/12-00/deep/b.txt": "b"})
    (checkout / "outputs" / "2026" / "empty").mkdir()
    (checkout / "elsewhere.txt").write_text("not asked for")
    assert bring_together(outputs, before, run) == [
        "outputs/2026/12-00/a.txt",
        "outputs/2026/12-00/deep/b.txt",
    ]
    assert content(run) == {
        "run.json": "{}",
        "outputs/2026/12-00/a.txt": "a",
        "outputs/2026/12-00/deep/b.txt": "b",
    }
    assert content(checkout) == {
        "keep.txt": "kept",
        "outputs/old/result.txt": "old",
        "main.py": "code",
        "elsewhere.txt": "not asked for",
    }
    assert os.listdir(checkout / "outputs") == ["old"]


def test_a_directory_that_was_not_there_is_gone_again(checkout: Path, run: Path) -> None:
    logs = [checkout / "logs"]
    before = snapshot(logs)
    directory(checkout, {"logs/run/events": "e"})
    assert bring_together(logs, before, run) == ["logs/run/events"]
    assert not (checkout / "logs").exists()


def test_several_directories_keep_their_names(checkout: Path, run: Path) -> None:
    both = [checkout / "outputs", checkout / "logs"]
    before = snapshot(both)
    directory(checkout, {"outputs/x": "x", "logs/x": "y"})
    assert bring_together(both, before, run) == ["logs/x", "outputs/x"]
    assert content(run) == {"run.json": "{}", "logs/x": "y", "outputs/x": "x"}


def test_what_is_changed_is_copied(checkout: Path, run: Path) -> None:
    outputs = [checkout / "outputs"]
    before = snapshot(outputs)
    old = checkout / "outputs" / "old" / "result.txt"
    old.write_text("appended to")
    assert bring_together(outputs, before, run) == ["outputs/old/result.txt"]
    assert (run / "outputs" / "old" / "result.txt").read_text() == old.read_text() == "appended to"
    # A file replaced by one of the same size at the same time is another one all the same.
    before = snapshot(outputs)
    stamps = old.stat()
    (checkout / "outputs" / "new").write_text("appended_to")
    os.replace(checkout / "outputs" / "new", old)
    os.utime(old, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert bring_together(outputs, before, run) == ["collected/outputs/old/result.txt"]
    assert (run / "collected" / "outputs" / "old" / "result.txt").read_text() == "appended_to"


def test_a_taken_name_goes_elsewhere(checkout: Path, run: Path) -> None:
    own = [checkout / "run.json"]
    for text, name in (("one", "collected/run.json"), ("two", "collected/run.json.2"), ("six", "collected/run.json.3")):
        before = snapshot(own)
        directory(checkout, {"run.json": text})
        assert bring_together(own, before, run) == [name]
        assert (run / name).read_text() == text
    assert (run / "run.json").read_text() == "{}"
    # A file where a folder would have to be.
    shutil.rmtree(run / "collected")
    before = snapshot(own)
    directory(checkout, {"run.json/deep": "seven"})
    assert bring_together(own, before, run) == ["collected/run.json/deep"]


def test_a_single_file(checkout: Path, run: Path) -> None:
    files = [checkout / "model.pt", checkout / "keep.txt", checkout / "never.pt", checkout / "sub" / "best.pt"]
    before = snapshot(files)
    directory(checkout, {"model.pt": "m", "keep.txt": "changed", "other.pt": "o", "sub/best.pt": "b"})
    assert bring_together(files, before, run, checkout) == ["keep.txt", "model.pt", "sub/best.pt"]
    assert content(run) == {"run.json": "{}", "model.pt": "m", "keep.txt": "changed", "sub/best.pt": "b"}
    assert not (checkout / "model.pt").exists() and (checkout / "keep.txt").read_text() == "changed"


def test_what_has_the_same_name_in_several_folders_keeps_its_place(checkout: Path, run: Path) -> None:
    runs = [checkout / "results" / "runs"]
    before = snapshot(runs)
    directory(checkout, {"results/runs/a/x": "1", "results/runs/b/x": "2"})
    assert bring_together(runs, before, run, checkout) == ["results/runs/a/x", "results/runs/b/x"]


def test_what_no_run_has_as_its_result_stays(checkout: Path, run: Path) -> None:
    outputs = [checkout / "outputs"]
    before = snapshot(outputs)
    directory(checkout, {"outputs/__pycache__/a.pyc": "", "outputs/.a.swp": "", "outputs/b~": "", "outputs/a": "a"})
    assert bring_together(outputs, before, run) == ["outputs/a"]


def test_links_are_moved_as_links(checkout: Path, run: Path, tmp_path: Path) -> None:
    target = directory(tmp_path / "data", {"big": "data"})
    outputs = [checkout / "outputs"]
    before = snapshot(outputs)
    (checkout / "outputs" / "new").mkdir()
    (checkout / "outputs" / "new" / "latest").symlink_to("nowhere")
    (checkout / "outputs" / "new" / "data").symlink_to(target)
    assert bring_together(outputs, before, run) == ["outputs/new/data", "outputs/new/latest"]
    new = run / "outputs" / "new"
    assert (os.readlink(new / "data"), os.readlink(new / "latest")) == (str(target), "nowhere")
    assert content(target) == {"big": "data"}
    assert os.listdir(checkout / "outputs") == ["old"]
    # The second dangling link finds its name taken, though it leads nowhere.
    before = snapshot(outputs)
    (checkout / "outputs" / "new").mkdir()
    (checkout / "outputs" / "new" / "latest").symlink_to("nowhere else")
    assert bring_together(outputs, before, run) == ["collected/outputs/new/latest"]
    assert os.readlink(new / "latest") == "nowhere"


def test_nothing_new_is_nothing_done(checkout: Path, run: Path) -> None:
    (checkout / "outputs" / "empty").mkdir()
    outputs = [checkout / "outputs"]
    before = snapshot(outputs)
    assert bring_together(outputs, before, run) == []
    assert (checkout / "outputs" / "empty").is_dir()
    assert content(run) == {"run.json": "{}"}
