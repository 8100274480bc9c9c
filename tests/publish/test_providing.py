"""An environment is made as it was, and one that isn't is refused or noted: real uv, real packages."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.code import snapshots
from experimentstash.freeze.environment import store
from experimentstash.freeze.environment.recipes import plan
from experimentstash.publish import packages, providing
from experimentstash.publish.environments import Environments, FromIndex, from_index, why_no_packages, why_no_python
from experimentstash.publish.frozen import Code, Frozen, FrozenRun, Package, Python, Took
from experimentstash.publish.keeper import Keeper
from experimentstash.publish.kept_code import Codes
from experimentstash.publish.providing import secure_code, why_no_code
from experimentstash.publish.reproducing import Reproduction
from experimentstash.record import run as record
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import EnvironmentConfig, EnvironmentKind, ToolConfig
from tests.testing.finished import finished
from tests.testing.stash import StashUnderTest, git

pytestmark = pytest.mark.usefixtures("python_first_on_path")

PYTHON = Python("none", None, None, None, None, None, None)


def kept(python: Python) -> FrozenRun:
    code = Code("tools/t", True, None, "1" * 40, None, False, None, None)
    took = Took(None, None, None)
    return FrozenRun(
        "a", "runs/a", "t", None, None, {}, [], "/", None, code, code, python, None, took, inputs=[], outputs=[]
    )


@pytest.mark.slow
def test_without_a_lock_file_the_versions_of_then_are_installed(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "requirements.txt").write_text("six\n")
    tool = ToolConfig(environment=EnvironmentConfig(kind=EnvironmentKind.requirements))
    recipe = plan("t", tool, tmp_path / "t", None, tmp_path / "environments")
    assert recipe.directory is not None
    store.make(recipe)
    interpreter = store.interpreter(recipe)
    assert interpreter is not None
    told = packages.look(interpreter)
    assert [each.name for each in told.packages] == ["six"] and told.packages[0].sha256 is not None
    python = Python(
        "requirements", told.implementation, told.version, None, "requirements.txt", "0" * 64, told.packages
    )
    work = Environments(kept(python), print)
    work.make(recipe)  # it is there, and as it was
    shutil.rmtree(recipe.directory)
    work.make(recipe)  # it is made
    assert packages.look(interpreter) == told and work.notes == []

    other = [replace(told.packages[0], sha256="1" * 64)]
    noting = Environments(kept(replace(python, packages=other)), print)
    noting.make(recipe)
    assert noting.notes == [f"other builds of the same packages: six {told.packages[0].version}"]
    newer = [replace(told.packages[0], version="0.1")]
    with pytest.raises(StashError, match=r"It had other packages: six 0\.1 → "):
        Environments(kept(replace(python, packages=newer)), print).make(recipe)
    with pytest.raises(StashError, match=r"Its Python was 3\.1, and is"):
        Environments(kept(replace(python, version="3.1")), print).make(recipe)
    # Somebody installs something into it.
    site = next(recipe.directory.glob("lib/python3*/site-packages"))
    mark = recipe.directory / store.READY_MARK
    os.utime(mark, (site.stat().st_mtime - 60, site.stat().st_mtime - 60))
    with pytest.raises(StashError, match="was changed after it was made"):
        work.make(recipe)
    shutil.rmtree(recipe.directory)
    with pytest.raises(StashError, match="could not be made"):
        Environments(kept(replace(python, packages=[Package("six", "0.0.1", "1" * 64)])), print).make(recipe)
    assert not recipe.directory.exists()


def test_what_tells_two_environments_apart() -> None:
    one = [Package("A", "1", "x"), Package("b", "1", "y"), Package("own", "1", None)]
    two = [Package("a", "1", "z"), Package("c", "1", "y"), Package("own", "1", None)]
    assert packages.differences(one, one) == ([], [])
    assert packages.differences(one, two) == (["b 1 → missing", "c missing → 1"], ["a 1"])
    assert packages.constraints(one) == "A==1\nb==1\n"


def test_a_package_that_was_edited_is_another_one_and_of_an_editable_one_nobody_knows(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, text in (("listed", "import sys\n"), ("editable", "")):
        (site / f"{name}-1.dist-info").mkdir(parents=True)
        (site / f"{name}-1.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (site / f"{name}.py").write_text(text)
        (site / f"{name}-1.dist-info/RECORD").write_text(f"{name}.py,sha256=x,{len(text)}\n")
    (site / "editable-1.dist-info/direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nshift\nPYTHONPATH='{site}' exec '{sys.executable}' -S \"$@\"\n")
    python.chmod(0o755)
    before = packages.look(python).packages
    assert [each.name for each in before] == ["editable", "listed"]
    assert packages.look(python).packages == before
    assert "the code of editable is the same isn't known" in str(packages.unknown(before))
    assert packages.unknown(before[1:]) is None
    (site / "listed.py").write_text("import sys # other\n")
    assert packages.differences(before, packages.look(python).packages) == ([], ["listed 1"])


def test_no_other_commit_gets_to_where_a_submodule_belongs(stash: StashUnderTest, tmp_path: Path) -> None:
    git("update-index", "--add", "--cacheinfo", f"160000,{'2' * 40},tools/t", cwd=stash.root)
    git("commit", "-qm", "a submodule", cwd=stash.root)
    here = git("rev-parse", "HEAD", cwd=stash.root).strip()
    run = kept(PYTHON)
    own = replace(run.stash, path=None, commit=here)
    run = replace(run, stash=own, code=replace(run.code, is_own=False, url="https://example.org/t.git"))
    assert "git submodule update --init tools/t" in providing.why_no_code(Stash(stash.root), run, tmp_path)[0]
    with pytest.raises(StashError, match="git submodule update --init tools/t"):
        providing.secure_code(Stash(stash.root), run, tmp_path, print)
    assert not (stash.root / "tools/t").exists()


def committed(place: Path, name: str, **links: str) -> str:
    """Make a repository with a file, and other commits as its submodules; return its commit."""
    place.mkdir(parents=True, exist_ok=True)
    git("init", "-q", cwd=place)
    (place / "code.py").write_text(f"print({name!r})\n")
    git("add", "code.py", cwd=place)
    for path, commit in links.items():
        git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}", cwd=place)
    git("commit", "-qm", name, cwd=place)
    return git("rev-parse", "HEAD", cwd=place).strip()


def test_submodules_that_no_remote_has_are_kept_and_brought_as_well(stash: StashUnderTest, tmp_path: Path) -> None:
    """At all depths, and also one that was put at another commit, which only the run's patch tells."""
    tool, place = stash.root / "tools/t", tmp_path / "kept"
    deep = committed(tool / "lib/deep", "deep")
    lib = committed(tool / "lib", "lib", deep=deep)
    commit = committed(tool, "tool", lib=lib)
    (tool / "lib/code.py").write_text("print('changed')\n")
    git("commit", "-qam", "newer", cwd=tool / "lib")
    newer = git("rev-parse", "HEAD", cwd=tool / "lib").strip()
    (stash.root / ".gitignore").open("a").write("/tools/t\n")
    here = stash.commit()

    def frozen_run(patch: str | None) -> FrozenRun:
        run = finished(tmp_path / str(patch), "aaaaaaa", tool="t")
        (run.path / "tool.patch").write_text(git("diff", "HEAD", cwd=tool))
        own = record.Code(str(stash.root), here, dirty=False)
        run.spec = replace(run.spec, stash=own, code=record.Code(str(tool), commit, dirty=bool(patch), patch=patch))
        codes, notes = Codes(Stash(stash.root), Keeper(place)), list[str]()
        code, mine = codes.of(run, "runs/a")
        found = replace(kept(PYTHON), code=code, stash=mine, submodules=codes.submodules(run, notes))
        assert notes == []
        return found

    plain, changed = frozen_run(None), frozen_run("tool.patch")
    assert [(each.path, each.commit) for each in plain.submodules] == [
        ("tools/t/lib", lib),
        ("tools/t/lib/deep", deep),
    ]
    assert [each.commit for each in changed.submodules] == [newer, deep]
    assert all(each.bundle is not None for each in (*plain.submodules, *changed.submodules))
    for run in (plain, changed):
        shutil.rmtree(tool)
        assert why_no_code(Stash(stash.root), run, place) == []
        secure_code(Stash(stash.root), run, place, print)
        assert git("status", "--porcelain", cwd=tool) == ""
        assert snapshots.of_commit(tool, commit).nested["lib"].nested["deep"].commit == deep
        secure_code(Stash(stash.root), run, place, print)  # all is there
    assert git("cat-file", "-t", newer, cwd=tool / "lib").strip() == "commit"
    # Where another commit of the tool is checked out, which has no such submodule, none gets there.
    shutil.rmtree(tool / "lib")
    git("commit", "-qam", "without", cwd=tool)
    with pytest.raises(StashError, match="lib is no submodule of what is checked out"):
        secure_code(Stash(stash.root), plain, place, print)
    assert not (tool / "lib").exists()
    for each in (place / "bundles").iterdir():
        each.unlink()
    assert (
        "of the submodule tools/t/lib is neither here nor in a bundle"
        in why_no_code(Stash(stash.root), plain, place)[0]
    )


def test_a_python_that_somebody_else_keeps_is_looked_at(tmp_path: Path) -> None:
    here = Path(sys.executable)
    told = packages.look(here)
    python = Python("interpreter", told.implementation, told.version, None, None, None, told.packages)
    assert why_no_python(kept(python), here) == []
    assert why_no_python(kept(python), tmp_path / "gone") == [f"its Python, {tmp_path}/gone, isn't here"]
    other = replace(python, version="3.1", packages=[*told.packages, Package("zzz", "1", None)])
    assert why_no_python(kept(other), here) == [
        f"its Python was 3.1, and is {told.version}",
        "it had other packages: zzz 1 → missing",
    ]


LOCK = """
[[package]]
name = "six"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "from-git"
source = { git = "https://example.org/a.git#1" }
[[package]]
name = "own"
source = { virtual = "." }
"""


@pytest.mark.slow
def test_what_an_index_has_is_asked_of_uv(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of packages in uv's cache no index is asked; where none is reached, nobody knows."""
    here = [Package("six", "1.17.0", "1" * 64)]
    for name in ("From_Git", "own", "editable"):
        here.append(Package(name, "1", None if name == "editable" else "1" * 64))
    version = ".".join(map(str, sys.version_info[:3]))
    run = kept(Python("pyproject", "CPython", version, "uv.lock", "uv.lock", "0" * 64, here))
    (tmp_path / run.folder).mkdir(parents=True)
    (tmp_path / run.folder / "uv.lock").write_text(LOCK)
    assert from_index(run, tmp_path) == FromIndex("six==1.17.0\n", ["From_Git"], is_told=True)
    assert run.python is not None
    unlocked = replace(run, python=replace(run.python, lock=None))
    assert from_index(unlocked, tmp_path) == FromIndex("six==1.17.0\nFrom_Git==1\nown==1\n", [], is_told=False)
    assert from_index(kept(PYTHON), tmp_path).requirements == ""
    (tmp_path / run.folder / "uv.lock").write_text(LOCK.replace("pypi.org", "example.org"))
    assert from_index(run, tmp_path).requirements == "--extra-index-url https://example.org/simple\nsix==1.17.0\n"
    (tmp_path / run.folder / "uv.lock").write_text(LOCK)

    index = tmp_path / "index" / "six"
    index.mkdir(parents=True)
    wheel = index / "six-1.17.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("six-1.17.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n")
        archive.writestr("six-1.17.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("six-1.17.0.dist-info/RECORD", "")
    (index / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.parent.as_uri())
    only_six = replace(run, python=replace(run.python, packages=here[:1]))
    work = Reproduction(Stash(stash.root), Frozen("fig", "", "", [only_six], {}), tmp_path, print)
    assert work.packages(only_six) == ([], [])
    assert work.packages(run) == ([], ["From_Git: it comes from no index"])
    assert not (tmp_path / "nowhere").exists()
    gone = replace(only_six, python=replace(run.python, packages=[Package("six", "9.9", "1" * 64)]))
    (said,), unclear = work.packages(gone)
    assert "no version of six==9.9" in said and unclear == []
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "other cache"))
    why_no_packages.cache_clear()
    missing, (said,) = work.packages(only_six)
    assert missing == [] and "127.0.0.1" in said


def test_a_remote_that_has_dropped_a_commit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    git("init", "-q", "-b", "main", str(there), cwd=tmp_path)
    commits = []
    for name in ("one", "two"):
        git("commit", "-q", "--allow-empty", "-m", name, cwd=there)
        commits.append(git("rev-parse", "HEAD", cwd=there).strip())
    git("init", "-q", "stash", cwd=tmp_path)
    git("commit", "-q", "--allow-empty", "-m", "stash", cwd=tmp_path / "stash")
    shell = tmp_path / "ssh"
    shell.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    shell.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(shell))
    stash, url = Stash(tmp_path / "stash"), f"ssh://there{there}"

    def why(commit: str, url: str = url) -> list[str]:
        code = Code("tools/t", False, url, commit, None, False, None, None)
        found = why_no_code(stash, replace(kept(PYTHON), code=code, stash=code), tmp_path)
        return [each.partition(" of the tool t isn't here, and ")[2] for each in found[1:]]

    gone = f"{url} doesn't give it: "
    assert why(commits[0]) == why(commits[1]) == []
    git("reset", "-q", "--hard", commits[0], cwd=there)
    git("reflog", "expire", "--expire=now", "--all", cwd=there)
    git("gc", "-q", "--prune=now", cwd=there)
    assert why(commits[0]) == [] and [each[: len(gone)] for each in why(commits[1])] == [gone]
    assert why(commits[0], f"{url}/nowhere") == [f"{url}/nowhere doesn't answer"]
    # Nothing is left of a checkout that nothing could be fetched into.
    code = Code("tools/t", False, url, commits[1], None, False, None, None)
    own = Code(None, True, None, git("rev-parse", "HEAD", cwd=tmp_path / "stash").strip(), None, False, None, None)
    run = replace(kept(PYTHON), code=code, stash=own)
    with pytest.raises(StashError, match="can't be fetched from ssh://there"):
        secure_code(stash, run, tmp_path, print)
    assert not (stash.root / "tools/t").exists()
    secure_code(stash, replace(run, code=replace(code, commit=commits[0])), tmp_path, print)
    assert git("rev-parse", "HEAD", cwd=stash.root / "tools/t").strip() == commits[0]
