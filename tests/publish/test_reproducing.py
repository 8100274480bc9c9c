"""What is frozen is had again, wherever the stash is by then, and each output gets the verdict that it has earned."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from experimentstash.base import files
from experimentstash.publish import frozen_schema
from experimentstash.publish.frozen import digest_of
from tests.testing.drawing import ORGANIZER, SAME, frozen, identity, verdicts
from tests.testing.stash import GIT_IDENTITY, PATIENCE, InProcess, StashUnderTest, git, wait_until


@pytest.mark.slow
def test_a_run_is_frozen_and_reproduced_also_elsewhere(drawing: StashUnderTest, tmp_path: Path) -> None:
    done = drawing.cli("freeze", "fig", identity(drawing), "--tag", "-m", "As submitted")
    assert done.returncode == 0, done.stderr
    data = frozen(drawing)
    jsonschema.Draft202012Validator(frozen_schema.schema()).validate(data)
    (run,) = data["runs"]
    assert {each["path"] for each in run["outputs"]} == set(SAME)
    assert [each["path"] for each in run["inputs"]] == ["data/numbers.txt"]
    assert run["left_out"] == [] and data["message"] == "As submitted"
    assert run["python"]["packages"] and run["machine"]["cores"] > 0 and run["took"]["duration"] > 0
    everything = "".join(
        each.read_text(errors="replace") for each in (drawing.root / "frozen").rglob("*") if each.is_file()
    )
    assert str(drawing.root) not in everything and json.dumps(str(drawing.root))[1:-1] not in everything
    assert git("tag", "--list", "-n", cwd=drawing.root).split() == ["frozen/fig", "As", "submitted"]
    assert git("status", "--porcelain", cwd=drawing.root) == ""
    assert verdicts(drawing, code=0) == SAME
    # A clean clone at another place has neither the run nor anything that was made for it.
    clone = StashUnderTest(tmp_path / "elsewhere" / "clone")
    clone.root.parent.mkdir()
    git("clone", "-q", str(drawing.root), str(clone.root), cwd=tmp_path)
    shutil.rmtree(drawing.root)
    assert clone.cli("reproduce", "fig", "--check").returncode == 0
    assert verdicts(clone, "hydra/launcher=local", code=0) == SAME
    assert clone.record(clone.run_directories()[-1])["sweep"] is not None
    # Nor does it make a difference who has it, with which home.
    moved = clone.root.rename(tmp_path / "moved")
    (tmp_path / "home").mkdir()
    another = {**GIT_IDENTITY, "HOME": str(tmp_path / "home"), "USER": "somebody", "LOGNAME": "somebody"}
    words = [*somebody_else(), sys.executable, "-m", "experimentstash", "reproduce", "fig"]
    found = subprocess.run(words, cwd=moved, env={**os.environ, **another}, capture_output=True, text=True)
    assert found.returncode == 0 and "reproduced: 4 outputs, 3 identical, 1 equivalent" in found.stdout, found


def somebody_else() -> list[str]:
    """Return what has a program be another user's, where that may be."""
    words = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    is_there = shutil.which("unshare") is not None
    return words if is_there and subprocess.run([*words, "true"], capture_output=True).returncode == 0 else []


def rewritten(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.slow
def test_what_was_changed_since_it_was_frozen_is_never_the_same(drawing: StashUnderTest) -> None:
    assert drawing.cli("freeze", "fig", identity(drawing)).returncode == 0
    place = drawing.root / "frozen" / "fig"
    (folder,) = (place / "runs").iterdir()
    commit = frozen(drawing)["runs"][0]["code"]["commit"]
    runs = len(drawing.run_directories())
    for path, old, new, why in (
        (place / "frozen.json", commit, "1" * 40, "its commit is 111111111111 in frozen.json, and"),
        (place / "frozen.json", '"size": ', '"size": "x", "was": ', "makes no sense"),
        (place / "frozen.json", '"cores": ', '"cores": 1', "frozen.json was changed after it was written"),
        (place / "frozen.json", '"rtol": 0.0', '"rtol": 0.5', "frozen.json was changed after it was written"),
        (folder / "record.json", '"0.5"', '"0.6"', "record.json isn't what was frozen"),
        (folder / ".hydra/overrides.yaml", "draw", "draw ", "overrides.yaml isn't what was frozen"),
        (drawing.root / "data/numbers.txt", "1\n", "1.0\n", "its input data/numbers.txt isn't what it was"),
    ):
        before = path.read_text()
        rewritten(path, old, new)
        done = drawing.cli("reproduce", "fig")
        assert done.returncode != 0 and why in done.stdout + done.stderr, (why, done.stdout, done.stderr)
        assert "identical" not in done.stdout
        path.write_text(before)
    assert len(drawing.run_directories()) == runs
    # What was kept of one output, and the commit's own history.
    kept = folder / "outputs" / "results.csv"
    rewritten(kept, "2.5", "2.6")
    found = verdicts(drawing, code=1)
    assert found["results.csv"] == (
        "not comparable",
        "what was kept of it in outputs/results.csv isn't what was frozen",
    )
    assert found["state.bin"] == SAME["state.bin"]


@pytest.mark.slow
def test_what_comes_out_otherwise_is_told_with_its_place(drawing: StashUnderTest) -> None:
    """The tool looks for a file that nobody has told of: what it finds there makes its numbers others."""
    first = identity(drawing)
    main = drawing.root / "tools/drawer/main.py"
    rewritten(main, "SCALE = 2.0\n", "SCALE = 2.0 + (1e-9 if os.path.exists('/proc/self/cwd/../unseen') else 0)\n")
    drawing.commit()
    drawing.cli("+exp=draw")
    first = identity(drawing)
    assert drawing.cli("freeze", "exact", first).returncode == 0
    drawing.add_experiment("draw", "drawer", ORGANIZER.replace("{'*.txt'", "{results.csv: {rtol: 1e-6}, '*.txt'"))
    assert drawing.cli("freeze", "near", first).returncode == 0
    git("checkout", "-q", ".", cwd=drawing.root)
    drawing.write("tools/unseen", "")
    found = verdicts(drawing, code=1, name="exact")
    assert found["results.csv"][0] == "different" and "in row 3, column y" in found["results.csv"][1]
    found = verdicts(drawing, code=0, name="near")
    assert found["results.csv"][0] == "equivalent" and found["results.csv"][1].startswith("rtol 1e-06 (the largest")


@pytest.mark.slow
def test_a_run_that_is_not_frozen_and_several_times(drawing: StashUnderTest) -> None:
    assert drawing.cli("+exp=draw", "params.noise=1e-9").returncode == 0
    noisy = identity(drawing)
    page = drawing.root / "r.html"
    done = drawing.cli("reproduce", noisy, "--times", "2", "-o", str(drawing.root / "r.json"), "-o", str(page))
    assert done.returncode == 1 and f"{noisy} isn't frozen" in done.stderr
    said = json.loads((drawing.root / "r.json").read_text())
    assert len(said["tries"]) == 2 and not said["reproduced"]
    text = page.read_text(encoding="utf-8")
    assert "Not reproduced: 2 of 8 outputs of 2 runs" in text and text.count('alt="figure.png, then"') == 2
    assert "What varies by itself" in text and f"experimentstash reproduce {noisy} --times 2" in text
    (varying,) = [each for each in said["variations"] if each["output"] == "results.csv"]
    assert varying["largest"]["absolute"] < 1e-5 and set(varying["proposed"]) == {"rtol"}
    assert f"rtol: {varying['proposed']['rtol']}" in done.stdout


def held(fifo: Path) -> int | None:
    """Return a descriptor by which nothing comes out of a FIFO, once somebody waits for that; None: nobody does yet."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize(("number", "is_frozen"), [(signal.SIGTERM, True), (signal.SIGHUP, False)])
def test_who_ends_it_leaves_nothing_and_no_other_run_is_begun(
    drawing: StashUnderTest, tmp_path: Path, number: signal.Signals, is_frozen: bool
) -> None:
    """The tool waits for a file that wasn't there when it was frozen."""
    fifo, scratch = tmp_path / "fifo", tmp_path / "scratch"
    scratch.mkdir()
    named = []
    for _ in range(2 if is_frozen else 1):
        assert drawing.cli("+exp=draw", f"+params.shift_from={fifo}").returncode == 0
        named.append(identity(drawing))
    if is_frozen:
        assert drawing.cli("freeze", "fig", *named).returncode == 0
    os.mkfifo(fifo)
    runs = len(drawing.run_directories())
    process = drawing.start("reproduce", "fig" if is_frozen else named[0], TMPDIR=str(scratch))
    waits = wait_until(lambda: held(fifo))
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    os.close(waits)
    assert process.returncode == 128 + number, said
    assert os.listdir(scratch) == [] and len(drawing.run_directories()) == runs + 1
    assert drawing.record(drawing.run_directories()[-1])["attempt"]["state"] not in ("running", "completed")


def test_what_can_not_be_frozen_is_refused_and_nothing_is_left(
    drawing: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = identity(drawing)
    record = drawing.run_directories()[-1] / "run.json"
    for name, words, change, why in (
        ("../fig", [first], None, "can't be the name of something frozen"),
        ("fig", [], None, "Which runs?"),
        ("fig", [first], ('"state": "completed"', '"state": "failed"'), "hasn't completed"),
        ("fig", [first], ('"dirty": false', '"dirty": true'), "that aren't committed"),
        ("fig", [first], ('"commit": "', '"commit": "11111'), "is no longer in"),
    ):
        before = record.read_text()
        if change is not None:
            rewritten(record, *change)
        done = in_process(drawing, "freeze", name, *words)
        assert done.returncode == 2 and why in done.stderr, done.stderr
        record.write_text(before)
    monkeypatch.setenv("DRAWER_TOKEN", "s3cr3t-Zq8xKw72LmNp")
    results = drawing.run_directories()[-1] / "notes" / "log.txt"
    before = results.read_text()
    for text in ("token", "token\n" * (1 << 18)):
        results.write_text(f"{text} s3cr3t-Zq8xKw72LmNp")
        done = in_process(drawing, "freeze", "fig", first)
        assert done.returncode == 2 and "$DRAWER_TOKEN" in done.stderr and "s3cr3t" not in done.stderr
    results.write_text(before)
    done = in_process(drawing, "freeze", "fig", first, "-m", "as s3cr3t-Zq8xKw72LmNp")
    assert done.returncode == 2 and "$DRAWER_TOKEN" in done.stderr
    named, overrides = results.with_name("s3cr3t-Zq8xKw72LmNp"), results.parents[1] / ".hydra/overrides.yaml"
    before = overrides.read_text()
    for place in (named, overrides):
        place.write_text("- s3cr3t-Zq8xKw72LmNp\n")
        done = in_process(drawing, "freeze", "fig", first)
        assert done.returncode == 2 and "$DRAWER_TOKEN" in done.stderr
        named.unlink(missing_ok=True)
    overrides.write_text(before)
    with overrides.open("w") as stream:  # reproducing wouldn't read it
        stream.truncate(files.MOST_BYTES + 1)
    done = in_process(drawing, "freeze", "fig", first)
    assert done.returncode == 2 and "configurations have 17 MB at most" in done.stderr
    overrides.write_text(before)
    assert not (drawing.root / "frozen").exists()
    drawing.write("frozen/.other.part/runs/x/record.json", "of one that was killed")
    data = json.loads(record.read_text())
    data["earlier"] = [{**data["attempt"], "state": "timeout", "duration": 1000.0, "cpu_time": None}]
    record.write_text(json.dumps(data))
    late = os.stat(record.parent / data["attempt"]["log"]).st_mtime + 30
    os.utime(record.parent / "results.csv", (late, late))
    done = in_process(drawing, "freeze", "fig", first)
    assert done.returncode == 0 and "push it before that is rewritten" in done.stderr
    (kept,) = frozen(drawing)["runs"]
    assert kept["took"]["duration"] == 1000.0 + data["attempt"]["duration"] and kept["took"]["cpu_time"] is None
    assert any("it took 2 attempts" in each for each in kept["notes"]), kept["notes"]
    assert any("results.csv seems to have been changed" in each for each in kept["notes"]), kept["notes"]
    done = in_process(drawing, "freeze", "fig", first)
    assert done.returncode == 2 and "is there already" in done.stderr
    assert [each.name for each in (drawing.root / "frozen").iterdir()] == ["fig"]
    done = in_process(drawing, "reproduce", "fog")
    assert done.returncode == 2 and "Did you mean 'fig'?" in done.stderr
    done = in_process(drawing, "reproduce", "fig", "--run", "nope")
    assert done.returncode == 2 and "isn't frozen as fig" in done.stderr
    done = in_process(drawing, "reproduce", "fig", "-o", "nowhere/report.md")
    assert done.returncode == 2 and "there is no directory nowhere" in done.stderr
    (drawing.root / "report.md").mkdir()
    done = in_process(drawing, "reproduce", "fig", "-o", str(drawing.root / "report.md"))
    assert done.returncode == 2 and "can't be written: it is a directory" in done.stderr
    (drawing.root / "report.md").rmdir()
    done = in_process(drawing, "reproduce", "fig", "--check", "-o", "report.md")
    assert done.returncode == 2 and "--check runs nothing" in done.stderr
    done = in_process(drawing, "reproduce", "fig", "params.shift=1")
    assert done.returncode == 2 and "'params.shift=1' would change them" in done.stderr


@pytest.mark.slow
def test_an_input_that_was_changed_since_is_not_what_the_run_has_read(
    drawing: StashUnderTest, in_process: InProcess
) -> None:
    first, data = identity(drawing), drawing.root / "data/numbers.txt"
    content = data.read_text()
    later = time.time() + 100
    for other in ("9\n", content):
        data.write_text(other)
        os.utime(data, (later, later))
        done = in_process(drawing, "freeze", "fig", first)
        if other == content:  # git knows that it is what it was
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 2 and "was changed after" in done.stderr and "rerun" in done.stderr
    (drawing.root / ".gitignore").open("a").write("/elsewhere\n")
    home = drawing.root.parent / "home"
    drawing.commit()
    for place in (drawing.root / "elsewhere", home):
        place.mkdir()
        (place / "own.txt").write_text(content)
        assert drawing.cli("+exp=draw", f'params.data="{place}/own.txt"').returncode == 0
        (place / "own.txt").rename(place / "other")
        (place / "other").rename(place / "own.txt")  # nobody knows what that is
        done = drawing.cli("freeze", place.name, identity(drawing), HOME=str(home))
        assert done.returncode == 0 and "own.txt: newer than it" in done.stderr
    (kept,) = frozen(drawing, "home")["runs"][0]["inputs"]
    assert kept["path"] == "⟨home⟩/own.txt"
    moved = home.rename(home.with_name("moved"))
    assert drawing.cli("reproduce", "home", "--check", HOME=str(moved)).returncode == 0
    assert drawing.cli("reproduce", "home", "--check", HOME="/nowhere").returncode == 1


def test_what_git_ignores_in_the_checkout_and_a_run_names_is_an_input(
    drawing: StashUnderTest, in_process: InProcess
) -> None:
    tool = drawing.root / "tools/drawer"
    (drawing.root / ".gitignore").open("a").write("/tools/drawer/data/\n/tools/drawer/linked\nlocal_*.py\n")
    (drawing.root / "tools/elsewhere").mkdir()
    for place in (tool / "data", drawing.root / "tools/elsewhere"):
        place.mkdir(exist_ok=True)
        (place / "own.txt").write_text("1\n")
    (tool / "linked").symlink_to("../elsewhere")
    (tool / "local_settings.py").write_text("LEVEL = 1\n")
    drawing.commit()
    for name in ("data", "linked"):
        assert drawing.cli("+exp=draw", f'params.data="{tool}/{name}/own.txt"').returncode == 0
        done = in_process(drawing, "freeze", name, identity(drawing))
        assert done.returncode == 0 and "local_settings.py in its checkout" in done.stderr, done.stderr
        (kept,) = frozen(drawing, name)["runs"][0]["inputs"]
        assert kept["path"] == f"tools/drawer/{name}/own.txt"
        assert in_process(drawing, "reproduce", name, "--check").returncode == 0
        (tool / name / "own.txt").write_text("1.05\n")
        done = in_process(drawing, "reproduce", name, "--check")
        assert done.returncode == 1 and "own.txt isn't what it was" in done.stdout


def test_what_is_no_file_is_told_and_what_nobody_could_read_is_refused(
    drawing: StashUnderTest, in_process: InProcess
) -> None:
    first, run = identity(drawing), drawing.run_directories()[-1]
    (run / "best.csv").symlink_to("results.csv")
    done = in_process(drawing, "freeze", "fig", first)
    assert done.returncode == 0 and "best.csv isn't compared: it is a symbolic link" in done.stderr
    (run / "a\N{NO-BREAK SPACE}b.csv").write_text("x\n1\n")
    done = in_process(drawing, "freeze", "odd", first)
    assert done.returncode == 2 and "nobody could read it again" in done.stderr
    assert not (drawing.root / "frozen/odd").exists()
    (run / "a\N{NO-BREAK SPACE}b.csv").unlink()
    shutil.copytree(run, run.with_name(f"{run.name}-copied"), symlinks=True)
    done = in_process(drawing, "freeze", "twice", str(run), f"{run}-copied")
    assert done.returncode == 2 and "are copies of one run" in done.stderr
    done = in_process(drawing, "reproduce", "fig", "--run", "")
    assert done.returncode == 2 and "isn't frozen as fig" in done.stderr
    path = drawing.root / "frozen/fig/frozen.json"
    data = frozen(drawing)
    for change, why in (
        ({"runs": []}, "there are no runs"),
        ({"runs": [{**data["runs"][0], "code": {**data["runs"][0]["code"], **OUTSIDE}}]}, "is outside of the stash"),
    ):
        changed = {**data, **change}
        path.write_text(json.dumps({**changed, "digest": digest_of(changed)}))
        done = in_process(drawing, "reproduce", "fig")
        assert done.returncode != 0 and why in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (drawing.root.parent / "outside").exists()


OUTSIDE = {"path": "../outside", "is_own": False, "url": "https://example.org/t.git"}


@pytest.mark.slow
def test_git_keeps_what_is_frozen_byte_by_byte(drawing: StashUnderTest, tmp_path: Path) -> None:
    drawing.write(".gitattributes", "* text=auto eol=lf\n")
    drawing.commit()
    main = drawing.root / "tools/drawer/main.py"
    rewritten(main, '"x,y\\n"', '"x,y\\r\\n"')
    drawing.commit()
    assert drawing.cli("+exp=draw").returncode == 0
    assert drawing.cli("freeze", "fig", identity(drawing), "--tag").returncode == 0
    assert git("status", "--porcelain", cwd=drawing.root) == ""
    git("clone", "-q", str(drawing.root), str(tmp_path / "clone"), cwd=tmp_path)
    (kept,) = (tmp_path / "clone/frozen/fig/runs").glob("*/outputs/results.csv")
    assert b"\r\n" in kept.read_bytes()
    clone = StashUnderTest(tmp_path / "clone")
    assert clone.cli("reproduce", "fig", "--check").returncode == 0
    kept.write_bytes(b"x,y\n")
    done = clone.cli("reproduce", "fig", "--check")
    assert done.returncode == 1 and "results.csv isn't what was frozen" in done.stdout


@pytest.mark.slow
def test_a_commit_that_no_remote_has_comes_in_a_bundle(drawing: StashUnderTest, tmp_path: Path) -> None:
    """A tool with a repository of its own, which is nowhere else; the stash goes on without it."""
    tool = drawing.root / "tools/drawer"
    git("init", "-q", cwd=tool)
    StashUnderTest(tool).commit()
    (drawing.root / ".gitignore").open("a").write("/tools/drawer/\n")
    git("rm", "-rq", "--cached", "tools/drawer", cwd=drawing.root)
    drawing.commit()
    assert drawing.cli("+exp=draw").returncode == 0
    assert drawing.cli("freeze", "fig", identity(drawing), "--tag").returncode == 0
    code = frozen(drawing)["runs"][0]["code"]
    assert code["bundle"] is not None and not code["is_own"] and code["url"] is None
    clone = StashUnderTest(tmp_path / "clone")
    git("clone", "-q", str(drawing.root), str(clone.root), cwd=tmp_path)
    shutil.rmtree(drawing.root)
    assert not (clone.root / "tools/drawer").exists()
    done = clone.cli("reproduce", "fig", "--check")
    assert done.returncode == 0, done.stdout
    assert verdicts(clone, code=0) == SAME
    assert git("rev-parse", "HEAD", cwd=clone.root / "tools/drawer").strip() == code["commit"]
    bundle = clone.root / "frozen" / "fig" / code["bundle"]
    content = bundle.read_bytes()
    bundle.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    shutil.rmtree(clone.root / "tools/drawer")
    assert {verdict for verdict, _ in verdicts(clone, code=1).values()} == {"not run"}


@pytest.mark.slow
def test_changes_that_are_not_committed_are_frozen_as_a_patch(drawing: StashUnderTest) -> None:
    main = drawing.root / "tools/drawer/main.py"
    rewritten(main, "SCALE = 2.0", "SCALE = 3.0")
    assert drawing.cli("+exp=draw").returncode == 0
    done = drawing.cli("freeze", "fig", identity(drawing))
    assert done.returncode == 2 and "--dirty" in done.stderr
    assert drawing.cli("freeze", "fig", identity(drawing), "--dirty").returncode == 0
    run = frozen(drawing)["runs"][0]
    assert run["code"]["patch"] == "tool.patch" and run["code"]["dirty"]
    git("checkout", "-q", ".", cwd=drawing.root)
    assert verdicts(drawing, code=0)["results.csv"] == SAME["results.csv"]


def test_what_is_frozen_in_a_stash_is_no_change_of_its_code(drawing: StashUnderTest, in_process: InProcess) -> None:
    assert "nothing is frozen yet" in in_process(drawing, "frozen").stderr
    first = identity(drawing)
    assert in_process(drawing, "freeze", "fig", first, "-m", "As submitted").returncode == 0
    done = in_process(drawing, "frozen")
    assert done.returncode == 0 and "fig " in done.stdout and "As submitted" in done.stdout
    (said,) = json.loads(in_process(drawing, "frozen", "--json").stdout)
    assert said["name"] == "fig" and said["runs"] == {first: "draw"}
    assert f"{first} is frozen as fig: what is kept there stays" in in_process(drawing, "rm", first).stdout
    drawing.write("tools/drawer/frozen/weights.txt", "a tool's own folder of that name")
    assert drawing.cli("+exp=draw").returncode == 0
    spec = drawing.record(drawing.run_directories()[-1])["spec"]
    assert not spec["stash"]["dirty"] or "fig" not in (drawing.run_directories()[-1] / "stash.patch").read_text()
    assert spec["code"]["dirty"]
