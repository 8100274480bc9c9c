"""Wherever runs go, they are found, and are no code."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from experimentstash.code import results
from experimentstash.record import run_places
from experimentstash.stash.layout import Stash
from tests.testing.stash import StashUnderTest, bare_stash, git
from tests.testing.tool_support import as_stash

TIME = "${now:%Y-%m-%d}/${now:%H-%M-%S-%f}"


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    """A stash whose tool writes a large log, and whose results git doesn't ignore."""
    stash.add_shell()
    script = "seq 2000; echo done > result.txt; echo $1"
    stash.add_script("one", f'cd "$EXPERIMENTSTASH_RUN_DIR"; {script}', "sh", "${params.n}")
    stash.write(".gitignore", "/.experimentstash/\n")
    stash.commit()
    return stash


def configured(stash: StashUnderTest, text: str) -> None:
    stash.write("conf/config.yaml", (stash.root / "conf" / "config.yaml").read_text() + text)
    stash.commit()


def listed(stash: StashUnderTest, *more: str) -> list[dict[str, Any]]:
    done = stash.cli("runs", "--json", *more)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout or "[]")
    assert isinstance(found, list)
    return found


def assert_clean(runs: list[dict[str, Any]]) -> None:
    for run in runs:
        assert (run["spec"]["stash"]["dirty"], run["spec"]["stash"]["patch"], run["spec"]["stash"]["omitted"]) == (
            False,
            None,
            [],
        ), run["id"]
        assert (run["spec"]["code"]["dirty"], run["spec"]["code"]["patch"]) == (False, None)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["results", "deep/er/results", "outside"])
def test_the_root_config_says_where_runs_go(plain: StashUnderTest, tmp_path: Path, place: str) -> None:
    where = f"{tmp_path}/scratch/runs" if place == "outside" else place
    configured(plain, f"hydra:\n  run:\n    dir: {where}/{TIME}\n  sweep:\n    dir: {where}/sweeps/{TIME}\n")
    for _ in range(3):
        assert plain.cli("run", "one").returncode == 0
    assert plain.cli("-m", "+exp=one", "params.n=1,2", "hydra/launcher=local").returncode == 0
    runs = listed(plain)
    assert len(runs) == 5
    assert_clean(runs)
    assert all(run["directory"].startswith(str(plain.root / where)) for run in runs)
    latest = runs[0]
    assert plain.cli("show", "latest", "--json").stdout == plain.cli("show", latest["id"], "--json").stdout
    assert plain.cli("logs", latest["id"]).stdout.startswith("1\n2\n")
    assert len(listed(plain, "--exp", "one")) == 5
    # What is known from the config needs no notes.
    shutil.rmtree(plain.root / ".experimentstash")
    assert len(listed(plain)) == 5
    # What the config says no longer is remembered.
    assert plain.cli("run", "one").returncode == 0
    git("checkout", "-q", "HEAD~1", "--", "conf/config.yaml", cwd=plain.root)
    assert len(listed(plain)) == 6


@pytest.mark.parametrize(
    "words",
    [
        ("hydra.run.dir=results/a",),
        ("hydra.run.dir=here",),
        (f"hydra.run.dir=results/{TIME}", "hydra.output_subdir=null"),
        (f"hydra.run.dir=results/{TIME}", "hydra.output_subdir=.configs"),
        ("-m", "hydra.sweep.dir=results/sweep", "params.n=1,2"),
        ("-m", "hydra.sweep.dir=sweep", "params.n=1,2", "hydra.sweep.subdir=${hydra.job.override_dirname}"),
        ("-m", "hydra.sweep.dir=results/sweep", "params.n=1,2", "hydra/launcher=local", "hydra.output_subdir=.c"),
        ("-m", "params.n=1,2", "hydra.sweep.subdir=../../../results/n${params.n}", "hydra/launcher=local"),
        ("-m", "params.n=1,2", "hydra.sweep.dir=sweeps/n${params.n}", "hydra/launcher=local"),
        ("hydra.run.dir={}/outside/a",),
        ("-m", "params.n=1,2", "hydra.sweep.dir={}/outside"),
    ],
    ids=" ".join,
)
def test_the_command_line_says_where_runs_go(plain: StashUnderTest, tmp_path: Path, words: tuple[str, ...]) -> None:
    given = [
        f"hydra.{word.split('=')[0][6:]}='{tmp_path}/outside{word[-2:] if word.endswith('/a') else ''}'"
        if "{}/outside" in word
        else word
        for word in words
    ]
    done = plain.cli("+exp=one", *given)
    assert done.returncode == 0, done.stderr
    first = listed(plain)
    assert len(first) == (2 if "-m" in words else 1)
    assert plain.cli("run", "one").returncode == 0
    runs = listed(plain)
    assert len(runs) == len(first) + 1 and runs[1:] == first
    assert_clean(runs)
    if "-m" in words and "n${params.n}" not in "".join(words):
        sweep = first[0]["sweep"]
        assert "ended already" in plain.cli("cancel", "--sweep", sweep).stderr
        resumed = plain.cli("resume", sweep)
        assert resumed.returncode == 0, resumed.stderr
        assert len(listed(plain)) == len(runs)


@pytest.mark.slow
def test_a_stash_inside_a_larger_repository(plain: StashUnderTest, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    (outer / "src").mkdir(parents=True)
    shutil.rmtree(plain.root / ".git")
    (plain.root / ".gitignore").unlink()
    inner = StashUnderTest(outer / "the stash")
    shutil.move(plain.root, inner.root)
    git("init", "-q", "-b", "main", cwd=outer)
    (outer / "src" / "lib.py").write_text("lib = 1\n")
    git("add", "-A", cwd=outer)
    git("commit", "-q", "-m", "all", cwd=outer)
    for _ in range(2):
        assert inner.cli("run", "one").returncode == 0
        assert inner.cli("+exp=one", "-m", "params.n=1", "hydra.sweep.dir=../elsewhere/s${now:%f}").returncode == 0
    runs = listed(inner)
    assert len(runs) == 4
    assert_clean(runs)
    # A tool may use code of the repository around.
    (outer / "src" / "lib.py").write_text("lib = 2\n")
    (outer / "src" / "data.bin").write_text("untracked elsewhere\n")
    (outer / ".netrc").write_text("secret\n")
    git("add", "-f", ".netrc", cwd=outer)
    git("commit", "-q", "-m", "unwise", cwd=outer)
    (outer / ".netrc").write_text("another secret\n")
    assert inner.cli("run", "one").returncode == 0
    latest = listed(inner)[0]
    assert (latest["spec"]["stash"]["dirty"], latest["spec"]["stash"]["withheld"]) == (True, [".netrc"])
    patch = (Path(latest["directory"]) / "stash.patch").read_text()
    assert patch.count("diff --git") == 1 and "+lib = 2" in patch
    assert latest["spec"]["code"]["dirty"] is False


def test_results_under_version_control(plain: StashUnderTest) -> None:
    """Whoever commits results has no dirty stash when a run of these goes on."""
    words = ("-m", "hydra.sweep.dir=results/sweep", "params.n=1,2")
    assert plain.cli("+exp=one", *words).returncode == 0
    git("add", "-A", cwd=plain.root)
    git("commit", "-q", "-m", "results", cwd=plain.root)
    record = plain.root / "results/sweep/1/run.json"
    record.write_text(record.read_text().replace('"state": "completed"', '"state": "failed"'))
    assert plain.cli("resume", "results/sweep").returncode == 0
    (again,) = [run for run in listed(plain) if run["directory"].endswith("/1")]
    assert_clean([again])


def test_what_lies_beside_runs_is_code(plain: StashUnderTest) -> None:
    assert plain.cli("+exp=one", "hydra.run.dir=results/a").returncode == 0
    plain.write("results/evaluate.py", "print(1)\n")
    plain.write("results/b/notes.txt", "mine\n")
    plain.write("results/b/run.json", json.dumps({"id": "another program's"}))
    assert plain.cli("+exp=one").returncode == 0
    code = listed(plain)[0]["spec"]["stash"]
    assert code["dirty"] is True
    patch = (Path(listed(plain)[0]["directory"]) / "stash.patch").read_text()
    assert patch.count("diff --git") == 3 and "results/evaluate.py" in patch


@pytest.mark.parametrize("place", [".", "conf", "tools/sh", "tools"])
def test_a_run_among_code_hides_no_code(plain: StashUnderTest, place: str) -> None:
    assert plain.cli("+exp=one", f"hydra.run.dir={place}").returncode == 0
    plain.write("conf/exp/new.yaml", "a: 1\n")
    plain.write("tools/sh/new.py", "print(1)\n")
    plain.write("tools/other/main.py", "print(1)\n")
    (plain.root / "tools/sh/readme").write_text("changed\n")
    assert plain.cli("run", "one").returncode == 0
    assert plain.cli("show", "latest").returncode == 0
    runs = listed(plain)
    assert len(runs) == 2
    patch = (Path(runs[0]["directory"]) / "stash.patch").read_text()
    for name in ("conf/exp/new.yaml", "tools/sh/new.py", "tools/sh/readme", "tools/other/main.py"):
        assert f"diff --git a/{name}" in patch, name
    assert runs[0]["spec"]["code"]["dirty"] is True


def test_output_of_other_hydra_applications(plain: StashUnderTest) -> None:
    folder = "tools/sh/my outputs/1"
    for name in ("config", "hydra", "overrides"):
        plain.write(f"{folder}/.hydra/{name}.yaml", "a: 1\n")
    plain.write(f"{folder}/train.log", "x\n")
    plain.write("tools/sh/outputs/2/table.csv", "x\n")
    assert plain.cli("run", "one").returncode == 0
    assert listed(plain)[0]["spec"]["code"]["dirty"] is False
    # But code is code.
    plain.write(f"{folder}/plugin.py", "x = 1\n")
    plain.write("tools/sh/outputs/__init__.py", "x = 1\n")
    assert plain.cli("run", "one").returncode == 0
    latest = listed(plain)[0]
    assert latest["spec"]["code"]["dirty"] is True
    assert (Path(latest["directory"]) / "tool.patch").read_text().count("diff --git") == 2


def test_a_moved_stash(plain: StashUnderTest, tmp_path: Path) -> None:
    configured(plain, "hydra: {run: {dir: 'results/${now:%f}'}}\n")
    assert plain.cli("run", "one").returncode == 0
    assert plain.cli("+exp=one", "hydra.run.dir=elsewhere/a").returncode == 0
    assert plain.cli("+exp=one", "-m", "params.n=1,2", "hydra.sweep.dir=s/t").returncode == 0
    moved = StashUnderTest(tmp_path / "moved")
    shutil.move(plain.root, moved.root)
    runs = listed(moved)
    assert len(runs) == 4
    assert all(run["directory"].startswith(f"{moved.root}/") for run in runs)
    assert {run["sweep"] for run in runs} == {None, str(moved.root / "s" / "t")}
    assert moved.cli("logs", runs[0]["id"]).returncode == 0
    assert "ended already" in moved.cli("cancel", "--sweep", "s/t").stderr


def test_two_paths_of_one_place_are_one(plain: StashUnderTest, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(plain.root)
    assert plain.cli("+exp=one", f"hydra.run.dir='{tmp_path}/link/x/a'").returncode == 0
    assert plain.cli("+exp=one", "hydra.run.dir=x/b").returncode == 0
    run_places.remember(as_stash(plain), plain.root / "x" / "a")
    assert len(listed(plain)) == 2


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("results/${now:%Y}/x", "results"),
        ("results/run_${now:%Y}", "results"),
        ("results", "results"),
        ("${oc.env:EXPERIMENTSTASH_ROOT}/a/b/${now:%Y}", "a/b"),
        ("${oc.env:SOME_SCRATCH}/runs/${now:%Y}", "/scratch/me/runs"),
        ("${oc.env:UNSET_ONE,/scratch/you}/runs/${now:%Y}", "/scratch/you/runs"),
        ("/scratch/me/runs/${now:%Y}", "/scratch/me/runs"),
        ("${oc.env:SOME_SCRATCH}/${now:%Y}", None),  # all that somebody has there
        ("/scratch/${now:%Y}", None),
        ("${now:%Y}", None),
        ("../${now:%Y}", None),
        (".", None),
        ("${where}/x", None),
        ("${oc.env:UNSET_ONE}/x", None),
    ],
)
def test_what_a_template_has_in_common(
    plain: StashUnderTest, monkeypatch: pytest.MonkeyPatch, template: str, place: str | None
) -> None:
    monkeypatch.setenv("SOME_SCRATCH", "/scratch/me")
    configured(plain, f"hydra:\n  run: {{dir: {json.dumps(template)}}}\n")
    stash = Stash(plain.root)
    expected = [*stash.run_roots, *([plain.root / place] if place else [])]
    assert run_places.roots(stash) == expected


@pytest.mark.parametrize("text", ["hydra: 7\n", "hydra: {run: x}\n", "hydra: {run: {dir: 7}}\n", "hydra: [dir\n"])
def test_a_root_config_that_says_nothing_sensible(plain: StashUnderTest, text: str) -> None:
    configured(plain, text)
    assert run_places.roots(Stash(plain.root)) == list(Stash(plain.root).run_roots)


def test_notes_that_are_rubbish(plain: StashUnderTest, tmp_path: Path) -> None:
    assert plain.cli("+exp=one", "hydra.run.dir=x/a").returncode == 0
    notes = plain.root / ".experimentstash" / "places"
    (note,) = notes.iterdir()
    assert note.read_text() == "x/a\n"
    (notes / "garbage").write_bytes(b"\xff\0\n")
    (notes / "empty").touch()
    (notes / "gone").write_text("y/z\n")
    (notes / "folder").mkdir()
    (notes / "link").symlink_to(note)
    os.mkfifo(notes / "fifo")
    assert len(listed(plain)) == 1


def test_many_results_are_looked_at_quickly(tmp_path: Path) -> None:
    root = bare_stash(tmp_path).root
    names = [f"results/{number}/run.json" for number in range(50)]
    for name in names:
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text('{\n  "id": "a",\n  "directory": "b"\n}\n')
    asked: list[int] = []

    def tracked() -> list[str]:
        asked.append(1)
        return []

    found = results.among(root, [*names, "code.py"], code=[root / "conf"], tracked=tracked)
    assert found == set(names) and len(asked) == 1


def test_a_place_that_is_away_is_said(plain: StashUnderTest, tmp_path: Path) -> None:
    assert plain.cli("-m", "+exp=one", "params.n=1").returncode == 0
    (plain.root / "outputs").symlink_to(tmp_path / "not mounted")
    for words in (["runs"], ["show", "latest"], ["cancel", "--all"]):
        done = plain.cli(*words)
        assert done.stderr.count("the runs in outputs can't be seen") == 1 and "not mounted" in done.stderr, done.stderr
