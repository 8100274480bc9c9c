"""The life of a tool, on the real command line, with real git and real environments."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze.declared.option import Declared, Option
from experimentstash.stash.schema import CallStyle
from experimentstash.tools import adding, first_configs, removing, restoring, updating
from experimentstash.tools.detect import candidate
from experimentstash.tools.detect.candidate import Candidate, Rank
from tests.testing.stash import GIT_IDENTITY, PATIENCE, StashUnderTest, git
from tests.testing.tool_support import as_stash, commit, differences, is_healthy, no_report, repository, snapshot

ARGPARSE = """
import argparse, os, six
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--size", type=int, required=True)
    given = parser.parse_args()
    open(os.path.join(given.output_dir, "out.txt"), "w").write(f"{given.size} {six.__version__}")
"""
SCRIPT = '# /// script\n# requires-python = ">=3.10"\n# dependencies = ["six"]\n# ///\nimport six\nprint("six", 6)\n'
PLAIN = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("PATH", os.path.dirname(os.path.realpath(sys.executable)) + os.pathsep + os.environ["PATH"])
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")


def done(stash: StashUnderTest, *words: str) -> str:
    result = stash.cli(*words)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def commit_as_shown(stash: StashUnderTest, output: str) -> None:
    command = next(line for line in output.splitlines() if "git commit" in line).partition(":")[2].strip()
    subprocess.run(command, shell=True, cwd=stash.root, env={**os.environ, **GIT_IDENTITY}, check=True)


def without_repositories(stash: StashUnderTest) -> dict[str, bytes | str]:
    return snapshot(stash.root, without=(".git", "backups", "outputs"))


def test_an_example_asks_for_nothing_that_only_some_subcommands_need(stash: StashUnderTest) -> None:
    options = (Option("rate", True, False, None), Option("file", True, True, None))
    declared = Declared(options, ("train", "fetch"), needs_subcommand=True)
    chosen = Candidate("main.py", Rank.MAIN_FILE, "main.py", CallStyle.argparse, declared=declared)
    _, _, text, needs = first_configs.example(as_stash(stash), "t", chosen)
    assert needs == () and "# Some of its subcommands insist on these: rate, file" in text and "???" not in text


@pytest.mark.slow
def test_the_life_of_three_tools(stash: StashUnderTest, tmp_path: Path) -> None:
    project = '[project]\nname = "t"\nversion = "1"\ndependencies = ["six"]\nrequires-python = ">=3.10"\n'
    upstreams = {
        "hydra": repository(tmp_path / "h", {"requirements.txt": "hydra-core\n"}, copy="hydra_tool"),
        "options": repository(tmp_path / "o", {"main.py": ARGPARSE, "pyproject.toml": project}),
        "script": repository(tmp_path / "s", {"show.py": SCRIPT}),
    }
    for name, upstream in upstreams.items():
        commit_as_shown(stash, done(stash, "tool", "add", name, str(upstream)))
        assert git("status", "--porcelain", cwd=stash.root) == ""
    assert done(stash, "tool", "list").count("requirements (requirements.txt)") == 1
    experiments = as_stash(stash).experiments()
    assert experiments == ["hydra/tuned", "options/example", "script/example"]
    assert 'size: "???"  # int; the tool insists on it' in (stash.root / "conf/exp/options/example.yaml").read_text()
    assert "params.size must be given" in stash.cli("run", "options/example").stderr
    for name in experiments:
        done(stash, "run", name, *(["params.size=1"] if name == "options/example" else []))
    assert {stash.record(each)["attempt"]["state"] for each in stash.run_directories()} == {"completed"}

    commit(upstreams["options"], {"pyproject.toml": project.replace("six", "iniconfig"), "more.txt": "x\n"}, "newer")
    newest = commit(upstreams["options"], {"pyproject.toml": project, "main.py": ARGPARSE + "# new\n"}, "newest")
    said = done(stash, "tool", "update", "options", "--to", "main")
    assert "newer" in said and "newest" in said
    commit_as_shown(stash, said)
    assert f"commit: {newest}" in (stash.root / "conf/tool/options.yaml").read_text()
    assert "up to date" in stash.cli("tool", "update", "options").stderr

    before, index = without_repositories(stash), git("ls-files", "--stage", cwd=stash.root)
    backups = {}
    for name in upstreams:
        backups[name] = done(stash, "tool", "remove", name, "--yes")
    commit_as_shown(stash, backups["hydra"])
    assert not (stash.root / ".git" / "modules").exists()
    assert not (stash.root / ".gitmodules").exists()
    assert "submodule" not in (stash.root / ".git" / "config").read_text()
    assert as_stash(stash).tools() == [] and as_stash(stash).experiments() == []
    for name in reversed(list(upstreams)):
        done(stash, "tool", "restore", name)
    assert differences(without_repositories(stash), before) == []
    assert git("ls-files", "--stage", cwd=stash.root) == index
    is_healthy(stash)
    assert "made" in done(stash, "tool", "sync", "--all", "--offline")
    for name in experiments:
        done(stash, "run", name, *(["params.size=1"] if name == "options/example" else []))
    assert {stash.record(each)["attempt"]["state"] for each in stash.run_directories()} == {"completed"}
    assert json.loads(done(stash, "tool", "show", "hydra", "--json"))["is_ready"]


@pytest.mark.slow
def test_without_a_terminal_nothing_is_asked(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"a.py": PLAIN, "b.py": PLAIN})
    before = snapshot(stash.root)
    for words in ((), ("--yes",), ("--entrypoint", "c.py"), ("--entrypoint", "-m a.b"), ("--entrypoint", "c/d")):
        refused = stash.cli("tool", "add", "x", str(upstream), "--no-sync", *words)
        assert refused.returncode == 2 and differences(snapshot(stash.root), before) == []
        assert "  a.py " in refused.stderr and "  b.py " in refused.stderr
        assert words[:1] == ("--entrypoint",) or f"tool add x {upstream} --entrypoint a.py" in refused.stderr
    assert "b.py" in done(stash, "tool", "add", "x", str(upstream), "--no-sync", "--yes", "--entrypoint", "b.py")
    refused = stash.cli("tool", "remove", "x")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert (stash.root / "tools" / "x").exists()


@pytest.mark.slow
def test_at_a_terminal_one_is_asked(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"a.py": PLAIN, "b.py": PLAIN})
    add = ("add", "x", str(upstream), "--no-sync")
    for words, answer in (
        ((*add, "--entrypoint", "typo.py"), b"7\nc.py\n\n"),  # no such number, no such file, no answer
        ((*add, "--entrypoint", "typo.py"), b"7\nc.py\n2\n"),
        (("remove", "x"), b"y\n"),
    ):
        parent, child = pty.openpty()
        command = [sys.executable, "-m", "experimentstash", "tool", *words]
        process = subprocess.Popen(command, cwd=stash.root, stdin=child, stderr=child, stdout=subprocess.PIPE)
        os.close(child)
        os.write(parent, answer)
        seen = b""
        while process.poll() is None:
            try:
                seen += os.read(parent, 4096)
            except OSError:
                break
        assert process.wait(PATIENCE) == (2 if answer.endswith(b"\n\n") else 0), seen
        assert words[0] != "add" or (b"no file 'typo.py'" in seen and b"2  b.py" in seen), seen
        assert process.stdout is not None
        process.stdout.close()
        os.close(parent)
        if words[0] == "add" and not answer.endswith(b"\n\n"):
            assert "entrypoint: b.py" in (stash.root / "conf/tool/x.yaml").read_text()
    assert not (stash.root / "conf/tool/x.yaml").exists()


def test_the_next_try_fetches_only_what_is_new(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"a.py": PLAIN, "b.py": PLAIN})
    stash_, clones = as_stash(stash), stash.root / ".experimentstash" / "clones"
    with pytest.raises(StashError, match=r"b\.py"):
        adding.add(stash_, "x", str(upstream), make_environment=False, report=no_report)
    (kept,) = clones.iterdir()
    assert "a.py" in git("ls-tree", "--name-only", "HEAD", cwd=kept)
    newer = commit(upstream, {"new.txt": "x\n"})
    # What the clone has already, the remote need not send again.
    blob = git("rev-parse", "HEAD:a.py", cwd=upstream).strip()
    (upstream / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    added = adding.add(stash_, "x", str(upstream), entrypoint="b.py", make_environment=False, report=no_report)
    assert added.commit == newer and not clones.exists()
    assert not (stash.root / ".git/modules/tools/x/objects/info/alternates").exists()
    assert (stash.root / "tools/x/a.py").read_text() == PLAIN
    is_healthy(stash)


@pytest.mark.slow
def test_a_kept_clone_that_is_broken_is_no_obstacle(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"a.py": PLAIN, "b.py": PLAIN})
    stash_ = as_stash(stash)
    for broken in ("objects", "HEAD", "all"):
        with pytest.raises(StashError, match=r"b\.py"):
            adding.add(stash_, "x", str(upstream), make_environment=False, report=no_report)
        (kept,) = (stash.root / ".experimentstash" / "clones").iterdir()
        if broken == "objects":
            shutil.rmtree(kept / "objects")
            (kept / "objects").mkdir()
        elif broken == "HEAD":
            (kept / "HEAD").write_text("rubbish")
        else:
            shutil.rmtree(kept)
            kept.write_text("rubbish")
        adding.add(stash_, "x", str(upstream), entrypoint="b.py", make_environment=False, report=no_report)
        removing.remove(stash_, "x", report=no_report)
    is_healthy(stash)


@pytest.mark.slow
def test_what_neither_the_repository_nor_its_environment_has(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"a.py": PLAIN, "b.py": PLAIN})
    before = snapshot(stash.root)
    for entrypoint in ("-m no.such.module", "no-such-program train"):
        with pytest.raises(StashError, match=r"(?s)neither in the repository nor in its environment.*b\.py"):
            adding.add(as_stash(stash), "x", str(upstream), entrypoint=entrypoint, report=no_report)
        assert differences(snapshot(stash.root), before) == []
    added = adding.add(as_stash(stash), "x", str(upstream), entrypoint="-m timeit", report=no_report)
    assert added.entrypoint == "-m timeit"


@pytest.mark.slow
def test_a_tag_a_commit_a_branch(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})
    first = git("rev-parse", "HEAD", cwd=upstream).strip()
    git("tag", "v1", cwd=upstream)
    git("checkout", "-q", "-b", "side", cwd=upstream)
    side = commit(upstream, {"side.txt": "x"})
    git("checkout", "-q", "--detach", cwd=upstream)
    lost = commit(upstream, {"lost.txt": "x"})
    git("update-ref", "refs/hidden/lost", lost, cwd=upstream)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=upstream)
    git("checkout", "-q", "main", cwd=upstream)
    commit(upstream, {"later.txt": "x"})
    stash_, url = as_stash(stash), str(upstream)
    for name, options, wanted, branch in (
        ("tag", {"branch": "v1"}, first, None),
        ("short", {"commit": first[:9]}, first, None),
        ("branch", {"branch": "side"}, side, "side"),
        ("hidden", {"commit": lost}, lost, None),
    ):
        added = adding.add(stash_, name, url, make_environment=False, report=no_report, **options)  # type: ignore[arg-type]
        assert (added.commit, added.branch) == (wanted, branch)
        removing.remove(stash_, name, report=no_report)  # nothing of it is taken for unpushed work
        assert restoring.restore(stash_, name, report=no_report).commit == wanted
    with pytest.raises(StashError, match="no branch, tag or commit"):
        adding.add(stash_, "missing", url, commit="v2", make_environment=False, report=no_report)
    assert "branch = side" in (stash.root / ".gitmodules").read_text()
    is_healthy(stash)


@pytest.mark.slow
def test_an_update_that_fails_leaves_all_as_it_was(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN, "requirements.txt": "six\n"})
    stash_ = as_stash(stash)
    adding.add(stash_, "x", str(upstream), report=no_report)
    registration = stash.root / "conf/tool/x.yaml"
    registration.write_text("# mine\n" + registration.read_text().replace("commit: ", "commit:   ") + "# the end\n")
    stash.commit()
    before, index = without_repositories(stash), git("ls-files", "--stage", cwd=stash.root)
    commit(upstream, {"requirements.txt": "no-such-package-at-all==99\n"}, "bad")
    with pytest.raises(StashError):
        updating.update(stash_, "x", report=no_report)
    assert differences(without_repositories(stash), before) == []
    assert git("ls-files", "--stage", cwd=stash.root) == index
    assert git("branch", "--show-current", cwd=stash.root / "tools/x") == "main\n"
    good = commit(upstream, {"requirements.txt": "iniconfig\n"}, "good")
    (stash.root / "tools/x/main.py").write_text("mine\n")
    with pytest.raises(StashError, match="has changes"):
        updating.update(stash_, "x", report=no_report)
    git("checkout", "-q", "main.py", cwd=stash.root / "tools/x")
    updated = updating.update(stash_, "x", report=no_report)
    assert updated is not None and updated.after == good and len(updated.commits) == 2
    assert updated.changed_files == ("requirements.txt",) and updated.has_new_environment
    text = registration.read_text()
    assert text.startswith("# mine\n") and text.endswith("# the end\n") and f"commit: {good}\n" in text
    back = updating.update(stash_, "x", to=updated.before, report=no_report)
    assert back is not None and back.gone == 2 and back.branch is None
    is_healthy(stash)


def test_a_tool_whose_remote_has_gone_comes_back_whole(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})
    stash_ = as_stash(stash)
    adding.add(stash_, "x", str(upstream), make_environment=False, report=no_report)
    before = without_repositories(stash)
    shutil.move(upstream, tmp_path / "moved")
    removing.remove(stash_, "x", report=no_report)
    restoring.restore(stash_, "x", report=no_report)
    assert differences(without_repositories(stash), before) == []
    is_healthy(stash)


@pytest.mark.slow
def test_what_was_overwritten_on_the_remote_is_in_the_backup(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})
    commit(upstream, {"x": "first try"})
    stash_ = as_stash(stash)
    adding.add(stash_, "x", str(upstream), make_environment=False, report=no_report)
    git("commit", "-q", "--amend", "-m", "second try", cwd=upstream)
    git("reflog", "expire", "--expire=now", "--all", cwd=upstream)
    git("gc", "-q", "--prune=now", cwd=upstream)
    before = without_repositories(stash)
    removing.remove(stash_, "x", report=no_report)
    restoring.restore(stash_, "x", report=no_report)
    assert differences(without_repositories(stash), before) == []
    is_healthy(stash)


@pytest.mark.slow
def test_odd_content_comes_back(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN, ".gitignore": "ignored\n__pycache__/\n", "old": "old\n"})
    (upstream / "link").symlink_to("main.py")
    commit(upstream, {})
    stash_ = as_stash(stash)
    adding.add(stash_, "x", str(upstream), make_environment=False, report=no_report)
    tool = stash.root / "tools" / "x"
    (tool / "old").unlink()
    (tool / "main.py").chmod(0o755)
    (tool / "link").unlink()
    (tool / "link").symlink_to("nowhere")
    (tool / "ünï\n'x").write_bytes(b"\xff\0\r\n")
    (tool / "empty" / "dir").mkdir(parents=True)
    (tool / "ignored").write_text("data\n")
    (tool / "sub").mkdir()
    (tool / "sub" / "elsewhere").symlink_to("/etc/passwd")
    (tool / "__pycache__").mkdir()
    (tool / "__pycache__" / "x.pyc").write_text("rubbish")
    (tool / "staged").write_text("staged\n")
    git("add", "staged", cwd=tool)
    (tool / "staged").unlink()
    status = git("status", "--porcelain", "-uall", "--ignored", cwd=tool)
    before = without_repositories(stash)
    removed = removing.remove(stash_, "x", force=True, report=no_report)
    assert removed is not None and removed.skipped == ("__pycache__",)
    restoring.restore(stash_, "x", report=no_report)
    assert differences(without_repositories(stash), before) == ["tools/x/__pycache__/x.pyc"]
    assert git("status", "--porcelain", "-uall", "--ignored", cwd=tool) == status.replace("!! __pycache__/x.pyc\n", "")
    assert git("show", ":staged", cwd=tool) == "staged\n"
    is_healthy(stash)


def test_a_tool_that_is_no_python_and_has_lfs_pointers(stash: StashUnderTest, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    upstream = repository(
        tmp_path / "u", {".gitattributes": "*.bin -text\n", "w.bin": pointer, "go.sh": "#!/bin/sh\necho\n"}
    )
    (upstream / "go.sh").chmod(0o755)
    commit(upstream, {})
    added = adding.add(as_stash(stash), "x", str(upstream), report=no_report)
    assert added.entrypoint == "go.sh" and added.detection.best is not None
    assert added.detection.best.rank is candidate.Rank.EXECUTABLE
    assert any("Git LFS pointer" in note for note in added.notes)
    done(stash, "run", "x/example")


def test_what_cannot_be_added(stash: StashUnderTest, tmp_path: Path) -> None:
    stash_, before = as_stash(stash), snapshot(stash.root)
    empty = tmp_path / "empty"
    empty.mkdir()
    git("init", "-q", cwd=empty)
    (tmp_path / "nothing").mkdir()
    no_start = repository(tmp_path / "n", {"data.csv": "1\n"})
    for url, reason in ((empty, "no commit"), (tmp_path / "nothing", "does not"), (no_start, "how it is started")):
        with pytest.raises(StashError, match=reason):
            adding.add(stash_, "x", str(url), report=no_report)
        assert differences(snapshot(stash.root), before) == []
    good = str(repository(tmp_path / "g", {"main.py": PLAIN}))
    adding.add(stash_, "x", good, make_environment=False, report=no_report)
    with pytest.raises(StashError, match="tool 'x' already"):
        adding.add(stash_, "x", good, report=no_report)


def test_a_stash_that_is_no_repository(stash: StashUnderTest, tmp_path: Path) -> None:
    shutil.rmtree(stash.root / ".git")
    said = stash.cli("tool", "add", "x", str(repository(tmp_path / "u", {"main.py": PLAIN})))
    assert said.returncode == 2 and "git init" in said.stderr
    assert stash.cli("tool", "list").returncode == 0


@pytest.mark.slow
def test_a_stash_below_the_root_of_its_repository_or_in_a_worktree(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})
    outer = tmp_path / "outer"
    shutil.copytree(stash.root, outer / "papers" / "first")
    shutil.rmtree(outer / "papers" / "first" / ".git")
    git("init", "-q", "-b", "main", cwd=outer)
    commit(outer, {})
    git("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other", cwd=outer)
    for root in (outer, tmp_path / "tree"):
        inner = StashUnderTest(root / "papers" / "first")
        adding.add(as_stash(inner), "x", str(upstream), make_environment=False, report=no_report)
        assert git("submodule", "status", cwd=root).split()[1] == "papers/first/tools/x"
        assert git("status", "--porcelain", cwd=inner.root / "tools" / "x") == ""
        before, index = snapshot(inner.root, without=("backups",)), git("ls-files", "--stage", cwd=root)
        removing.remove(as_stash(inner), "x", report=no_report)
        assert git("status", "--porcelain", cwd=root) == ""
        restoring.restore(as_stash(inner), "x", report=no_report)
        assert differences(snapshot(inner.root, without=("backups",)), before) == []
        assert git("ls-files", "--stage", cwd=root) == index


@pytest.mark.slow
def test_a_tool_at_work_is_not_removed(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": "import time\nif __name__ == '__main__':\n    time.sleep(60)\n"})
    adding.add(as_stash(stash), "x", str(upstream), report=no_report)
    process = stash.start("run", "x/example")
    try:
        while not (stash.run_directories() and stash.record()["attempt"]["state"] == "running"):
            assert process.poll() is None
        with pytest.raises(StashError, match="at work"):
            removing.remove(as_stash(stash), "x", report=no_report)
    finally:
        process.terminate()
        process.communicate()
