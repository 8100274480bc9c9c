"""Frozen code: what a run uses, who needs it, and what becomes of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.code import worktree_users, worktrees
from experimentstash.code.worktrees import Frozen
from experimentstash.launch.resume import reopen
from experimentstash.record import records
from experimentstash.record.run import State
from experimentstash.stash.schema import CallConfig, ToolConfig
from tests.code.test_provenance import files
from tests.code.test_snapshots import FILE_PROTOCOL, user_sees
from tests.testing.made_once import made_once, same_place
from tests.testing.run_parts import put, run_with
from tests.testing.stash import PATIENCE, StashUnderTest, git, wait_until
from tests.testing.tool_support import as_stash, commit, killed_at, no_report, refresh, repository

MAIN = "print(1)\n"


@pytest.fixture(autouse=True)
def no_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep our own looking from writing into the index."""
    monkeypatch.setenv("GIT_OPTIONAL_LOCKS", "0")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    yield from same_place(tmp_path)


@pytest.fixture
def tool(stash: StashUnderTest, tmp_path: Path) -> Path:
    """A tool that is a submodule with a submodule."""
    inner, upstream, tool = tmp_path / "inner", tmp_path / "upstream", stash.root / "tools" / "sub"

    def make() -> None:
        repository(inner, {"part.py": "part = 1\n"})
        repository(upstream, {"main.py": MAIN, ".gitignore": "data/\n"})
        git(*FILE_PROTOCOL, "submodule", "add", "-q", str(inner), "inner", cwd=upstream)
        commit(upstream, {})
        git(*FILE_PROTOCOL, "submodule", "add", "-q", str(upstream), "tools/sub", cwd=stash.root)
        git(*FILE_PROTOCOL, "submodule", "update", "-q", "--init", "--recursive", cwd=stash.root)
        stash.commit()

    made_once([stash.root, inner, upstream], make)
    refresh(stash.root, tool, tool / "inner")
    return tool


def secured(
    stash: StashUnderTest, tool: Path, user: str = "outputs/a", said: list[str] | None = None, **settings: Any
) -> Frozen:
    config = ToolConfig(path=f"tools/{tool.name}", entrypoint="main.py", **settings)
    announce = no_report if said is None else said.append
    found = worktrees.ensure_worktree(as_stash(stash), tool.name, tool, config, stash.root / user, announce)
    assert found is not None
    return found


def worktrees_of(root: Path) -> list[str]:
    """Return the worktrees that a repository knows besides the user's own."""
    listed = git("worktree", "list", "--porcelain", cwd=root).split("\n\n")[1:]
    return [entry.splitlines()[0].removeprefix("worktree ") for entry in listed if entry.strip()]


def record(stash: StashUnderTest, frozen: Frozen, place: str, state: State, resume: list[str] | None = None) -> Path:
    directory = stash.root / place
    directory.mkdir(parents=True)
    run = run_with("a", directory, tool="sub", state=state, resume=resume, code=frozen.provenance.code)
    records.write(run)
    return directory


def elsewhere(frozen: Frozen) -> None:
    """Have all who need frozen code be processes that have ended."""
    for path in (frozen.environments.parent / "users").iterdir():
        note = json.loads(path.read_text())
        note["submitter"]["start_time"] = 0
        path.write_text(json.dumps(note))


@pytest.mark.slow
def test_it_is_what_the_checkout_was(stash: StashUnderTest, tool: Path) -> None:
    (tool / "main.py").write_text("changed\n")
    (tool / "inner" / "part.py").write_text("part = 2\n")
    (tool / "new").symlink_to("main.py")
    (tool / ".env").write_text("KEY=1\n")
    before = [user_sees(place) for place in (stash.root, tool, tool / "inner")]
    expected = files(tool)
    said: list[str] = []
    frozen = secured(stash, tool, said=said)
    del expected[".env"]
    assert files(frozen.directory) == expected
    assert [user_sees(place) for place in (stash.root, tool, tool / "inner")] == before
    assert git("status", "--porcelain", cwd=frozen.directory) == ""
    assert git("rev-parse", "--show-toplevel", cwd=frozen.directory).strip() == str(frozen.directory)
    head = git("rev-parse", "HEAD", cwd=tool).strip()
    code = frozen.provenance.code
    assert (code.path, code.commit, code.branch, code.dirty) == (str(frozen.directory), head, "main", True)
    assert code.omitted == [".env"] and ".env" in said[1]
    assert code.snapshot == git("rev-parse", "HEAD", cwd=frozen.directory).strip() != head
    # Whatever happens to the checkout now:
    git("stash", "--include-untracked", cwd=tool)
    git("checkout", "-q", "--orphan", "other", cwd=tool)
    git("rm", "-rfq", ".", cwd=tool)
    git("reflog", "expire", "--expire=now", "--all", cwd=tool)
    git("gc", "--quiet", "--prune=now", cwd=tool)
    assert files(frozen.directory) == expected
    assert git("show", "HEAD:main.py", cwd=frozen.directory) == "changed\n"


@pytest.mark.slow
def test_the_same_code_is_the_same_tree(stash: StashUnderTest, tool: Path) -> None:
    one, same = secured(stash, tool), secured(stash, tool, "outputs/b")
    assert one == same
    stash.write("conf/exp/more.yaml", "a: 1\n")
    assert secured(stash, tool).directory == one.directory
    (tool / "main.py").write_text("changed\n")
    other = secured(stash, tool)
    assert other.directory != one.directory and one.directory.is_dir()  # this process needs both
    (tool / "main.py").write_text(MAIN)
    assert secured(stash, tool).directory == one.directory


def test_what_is_shared_is_a_link_to_the_checkouts_own(stash: StashUnderTest, tool: Path) -> None:
    for name in ("data/big.bin", "cache/deep/x", "weights"):
        (tool / name).parent.mkdir(parents=True, exist_ok=True)
        (tool / name).write_text("data\n")
    said: list[str] = []
    frozen = secured(stash, tool, said=said, shared=["data/", "cache/deep", "./weights"])
    assert len(said) == 1
    for name in ("data", "cache/deep", "weights"):
        assert os.readlink(frozen.directory / name) == str(tool / name)
    (frozen.directory / "data" / "from a run").touch()
    assert (tool / "data" / "from a run").exists()
    assert not frozen.provenance.code.dirty and frozen.provenance.patch == ""
    plain = secured(stash, tool, said=said)
    assert plain.directory != frozen.directory and not (plain.directory / "data").exists()
    assert "data" in said[2] and "shared: [data]" in said[2]
    # Removing the code leaves the data where they are.
    worktree_users.remove_all(as_stash(stash), "sub", no_report)
    assert (tool / "data" / "big.bin").read_text() == "data\n" and not frozen.directory.exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../other", "is not below the tool's directory"),
        ("/etc", "is not below the tool's directory"),
        (".", "is not below the tool's directory"),
        ("main.py", "is code: git tracks main.py"),
        ("inner", "is code: git tracks inner"),
        ("data", "data does not exist in tools/sub"),
    ],
)
def test_what_cannot_be_shared(stash: StashUnderTest, tool: Path, path: str, message: str) -> None:
    with pytest.raises(StashError, match=r"conf/tool/sub\.yaml: shared") as caught:
        secured(stash, tool, shared=[path])
    assert message in str(caught.value)


def test_configs_in_the_stash_are_frozen_too(stash: StashUnderTest, tool: Path) -> None:
    stash.write("conf/inner/a/b.yaml", "x: 1\n")
    call = CallConfig(config_dir="conf/inner", config_path="tools/sub/inner")
    frozen = secured(stash, tool, call=call)
    adapted = frozen.adapted(ToolConfig(call=call)).call
    assert adapted.config_path == str(frozen.directory / "inner")
    assert adapted.config_dir is not None and Path(adapted.config_dir, "a/b.yaml").read_text() == "x: 1\n"
    stash.write("conf/inner/a/b.yaml", "x: 2\n")
    assert Path(adapted.config_dir, "a/b.yaml").read_text() == "x: 1\n"
    later = secured(stash, tool, call=call).adapted(ToolConfig(call=call)).call
    assert later.config_dir is not None and later.config_dir != adapted.config_dir


def test_a_foreign_interpreter_is_the_checkouts_own_and_looks_into_the_frozen_code_first(
    stash: StashUnderTest, tool: Path
) -> None:
    frozen = secured(stash, tool)
    settings = ToolConfig()
    settings.environment.interpreter = ".venv/bin/python"
    assert frozen.adapted(settings).environment.interpreter == str(tool / ".venv/bin/python")
    settings.environment.interpreter = sys.executable
    assert frozen.adapted(settings).environment.interpreter == sys.executable
    python = Path(sys.executable)
    assert frozen.search_path(python, is_foreign=False) == []
    assert frozen.search_path(python, is_foreign=True) == [frozen.directory]


@pytest.mark.slow
def test_killed_at_any_moment_it_is_made_again(stash: StashUnderTest, tool: Path) -> None:
    (tool / "main.py").write_text("changed\n")
    (tool / "inner" / "part.py").write_text("part = 2\n")
    before, expected = [user_sees(place) for place in (tool, tool / "inner")], files(tool)
    number, ended = 0, None
    while ended is None:
        number += 1
        ended = killed_at(number, lambda: secured(stash, tool))
        frozen = secured(stash, tool)
        assert files(frozen.directory) == expected
        assert [user_sees(place) for place in (tool, tool / "inner")] == before
        assert (len(worktrees_of(tool)), len(worktrees_of(tool / "inner"))) == (1, 1)
        worktree_users.remove_all(as_stash(stash), "sub", no_report)
    assert number > 5


@pytest.mark.slow
def test_removing_can_be_interrupted(stash: StashUnderTest, tool: Path) -> None:
    number, ended = 0, None
    while ended is None:
        number += 1
        secured(stash, tool)
        ended = killed_at(number, lambda: worktree_users.remove_all(as_stash(stash), "sub", no_report))
        worktree_users.remove_all(as_stash(stash), "sub", no_report)
        assert worktrees_of(tool) == worktrees_of(tool / "inner") == []
        assert not (stash.root / ".experimentstash" / "code" / "sub").exists()
    assert number > 4


@pytest.mark.slow
def test_a_tree_that_was_removed_by_hand_is_made_again(stash: StashUnderTest, tool: Path) -> None:
    frozen = secured(stash, tool)
    shutil.rmtree(frozen.directory)
    assert secured(stash, tool) == frozen and (frozen.directory / "main.py").exists()
    shutil.rmtree(frozen.environments.parent)
    assert secured(stash, tool) == frozen and (frozen.directory / "inner" / "part.py").exists()
    assert len(worktrees_of(tool)) == 1


@pytest.mark.slow
def test_code_that_a_run_has_left_in_a_tree_is_no_later_runs(stash: StashUnderTest, tool: Path) -> None:
    first = secured(stash, tool, "outputs/a")
    (first.directory / "inner" / "result.txt").write_text("a result is no code\n")
    assert secured(stash, tool, "outputs/b").directory == first.directory
    (first.directory / "sitecustomize.py").write_text("print(2)\n")
    second = secured(stash, tool, "outputs/c")
    assert second.directory != first.directory and not (second.directory / "sitecustomize.py").exists()


@pytest.mark.slow
def test_the_users_own_worktrees_stay(stash: StashUnderTest, tool: Path, tmp_path: Path) -> None:
    git("worktree", "add", "-q", "--detach", str(tmp_path / "theirs"), cwd=tool)
    git("worktree", "add", "-q", "--detach", str(tmp_path / "away"), cwd=tool)
    shutil.rmtree(tmp_path / "away")  # on a disk that isn't mounted now, say
    before = worktrees_of(tool)
    secured(stash, tool)
    (tool / "main.py").write_text("2\n")
    secured(stash, tool)
    worktree_users.remove_all(as_stash(stash), "sub", no_report)
    assert worktrees_of(tool) == before


NEEDED = [
    (State.QUEUED, None, True),
    (State.RUNNING, None, True),
    (State.COMPLETED, [], False),
    (State.FAILED, [], False),
    (State.TIMED_OUT, None, False),
    (State.TIMED_OUT, [], True),
    (State.CANCELLED, [], True),
    (State.LOST, [], True),
]


@pytest.mark.slow
@pytest.mark.parametrize(("state", "resume", "is_needed"), NEEDED)
def test_it_stays_while_a_run_needs_it(
    stash: StashUnderTest, tool: Path, state: State, resume: list[str] | None, is_needed: bool
) -> None:
    frozen = secured(stash, tool, "multirun/sweep")
    record(stash, frozen, "multirun/sweep/0", state, resume)
    elsewhere(frozen)
    (tool / "main.py").write_text("2\n")
    second = secured(stash, tool, "outputs/b")
    assert frozen.directory.exists() is is_needed
    assert len(worktrees_of(tool)) == len(worktrees_of(tool / "inner")) == 1 + is_needed
    if is_needed:
        shutil.rmtree(stash.root / "multirun")  # whoever deletes a run doesn't want to resume it
        (tool / "main.py").write_text("3\n")
        secured(stash, tool, "outputs/c")
        assert not frozen.directory.exists()
    assert second.directory.exists()


@pytest.mark.slow
def test_it_stays_for_a_further_attempt_at_a_run_that_had_no_claim_to_it(stash: StashUnderTest, tool: Path) -> None:
    frozen = secured(stash, tool, "outputs/failed")
    failed = record(stash, frozen, "outputs/failed", State.FAILED, [])
    secured(stash, tool, "outputs/queued")
    queued = record(stash, frozen, "outputs/queued", State.QUEUED)
    elsewhere(frozen)
    (tool / "main.py").write_text("2\n")
    secured(stash, tool, "outputs/b")
    run = records.read(failed)
    put(run, argv=["true"])
    records.write(run)
    reopen(as_stash(stash), run)
    elsewhere(frozen)  # whoever has asked for it has gone
    shutil.rmtree(queued)
    (tool / "main.py").write_text("3\n")
    secured(stash, tool, "outputs/c")
    assert frozen.directory.exists()
    shutil.rmtree(failed)
    (tool / "main.py").write_text("4\n")
    secured(stash, tool, "outputs/d")
    assert not frozen.directory.exists()


@pytest.mark.slow
def test_it_stays_while_somebody_submits(stash: StashUnderTest, tool: Path) -> None:
    frozen = secured(stash, tool, "multirun/sweep")
    (note,) = (frozen.environments.parent / "users").iterdir()
    there = json.loads(note.read_text())
    there["submitter"] |= {"host": "another", "start_time": 0}
    note.write_text(json.dumps(there))
    assert [each.host for each in worktree_users.submitters(as_stash(stash), "sub")] == ["another"]
    (tool / "main.py").write_text("2\n")
    secured(stash, tool)
    assert frozen.directory.exists()
    os.utime(note, (0, 0))
    (tool / "main.py").write_text("3\n")
    secured(stash, tool)
    assert not frozen.directory.exists()


def test_a_run_of_another_snapshot_in_the_same_sweep_does_not_count(stash: StashUnderTest, tool: Path) -> None:
    one = secured(stash, tool, "multirun/sweep")
    elsewhere(one)
    (tool / "main.py").write_text("2\n")
    two = secured(stash, tool, "multirun/sweep")
    record(stash, two, "multirun/sweep/0", State.QUEUED)
    (tool / "main.py").write_text("3\n")
    elsewhere(two)
    secured(stash, tool)
    assert (one.directory.exists(), two.directory.exists()) == (False, True)


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def project(stash: StashUnderTest, python_first_on_path: None) -> StashUnderTest:
    """A stash with an in-tree tool whose environment is made, installed in editable mode."""
    stash.add_tool("plain", "plain", "entrypoint: main.py\ncall: {output: --out}\nenvironment: {kind: auto}")
    stash.write("tools/plain/requirements.txt", "")
    stash.add_experiment("one", "plain")
    stash.commit()
    return stash


@pytest.mark.slow
def test_a_run_with_frozen_code(project: StashUnderTest) -> None:
    stash = project
    with (stash.root / "tools/plain/main.py").open("a") as stream:
        stream.write("# changed\n")
    before = user_sees(stash.root)
    checked = stash.cli("run", "one", "code=frozen", "validate_only=true")
    assert checked.returncode == 0 and not (stash.root / ".experimentstash" / "code").exists()
    done = stash.cli("run", "one", "code=frozen")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Freezing the code") == 1 and "changed and not committed" in done.stderr
    assert user_sees(stash.root) == before
    run = stash.record()
    (place,) = (stash.root / ".experimentstash" / "code" / "plain").iterdir()
    directory = place / "tree" / "tools" / "plain"
    seen = json.loads((Path(run["directory"]) / "result.json").read_text())
    assert seen["cwd"] == run["spec"]["command"]["cwd"] == run["spec"]["code"]["path"] == str(directory)
    assert seen["argv"][0] == str(directory / "main.py")
    # Nothing of the tool is installed in its environment, so that one is shared with the live code.
    assert run["spec"]["environment"]["interpreter"].startswith(str(stash.root / ".experimentstash" / "environments"))
    assert (run["spec"]["code"]["dirty"], run["spec"]["code"]["patch"], run["spec"]["stash"]["dirty"]) == (
        True,
        "tool.patch",
        True,
    )
    assert (
        run["spec"]["code"]["commit"]
        == git("rev-parse", "HEAD", cwd=stash.root).strip()
        != run["spec"]["code"]["snapshot"]
    )
    assert "+# changed" in (Path(run["directory"]) / "tool.patch").read_text()
    assert "frozen in" in stash.cli("show", "latest").stdout
    again = stash.cli("run", "one", "code=frozen")
    assert again.returncode == 0 and "Freezing" not in again.stderr and "Making" not in again.stderr
    live = stash.cli("run", "one")
    assert live.returncode == 0
    assert stash.record(stash.run_directories()[-1])["spec"]["code"]["snapshot"] is None


@pytest.mark.slow
def test_two_processes_at_once_make_one(project: StashUnderTest) -> None:
    processes = [project.start("run", "one", "code=frozen", "+params.sleep=1") for _ in range(3)]
    ended = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    assert "".join(stderr for _, stderr in ended).count("Freezing the code") == 1
    assert len(worktrees_of(project.root)) == 1
    assert len({project.record(each)["spec"]["code"]["path"] for each in project.run_directories()}) == 1


def test_a_git_that_outlives_us_is_waited_for(project: StashUnderTest, tmp_path: Path) -> None:
    # A filter that checks a file out only when it is told to.
    stash, began, go = project, tmp_path / "began", tmp_path / "go"
    stash.write("tools/plain/slow", "slow\n")
    stash.write("tools/plain/.gitattributes", "slow filter=slow\n")
    stash.commit()
    smudge = f"touch '{began}'; until [ -e '{go}' ]; do sleep 0.05; done; cat"
    git("config", "filter.slow.smudge", smudge, cwd=stash.root)
    killed = stash.start("run", "one", "code=frozen")
    wait_until(began.exists)
    killed.kill()
    killed.communicate(timeout=PATIENCE)
    following = stash.start("run", "one", "code=frozen")
    assert following.stderr is not None
    assert "Waiting for another process that freezes the code" in following.stderr.readline()
    go.touch()
    _, stderr = following.communicate(timeout=PATIENCE)
    assert following.returncode == 0, stderr
    assert len(worktrees_of(stash.root)) == 1
    code = stash.record(stash.run_directories()[-1])["spec"]["code"]["path"]
    assert git("status", "--porcelain", cwd=Path(code)) == "" and Path(code, "slow").read_text() == "slow\n"


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_a_sweep_uses_one_state_of_the_code(project: StashUnderTest, launcher: str) -> None:
    # The first run edits the tool's checkout: what is composed afterwards doesn't see it.
    stash, main = project, project.root / "tools" / "plain" / "main.py"
    one_by_one = ["hydra.launcher.n_jobs=1"] if launcher == "local" else []
    stash.write(
        "tools/plain/main.py", f"open({str(main)!r}, 'a').write('sys.exit(9)  # edited\\n')\n" + main.read_text()
    )
    done = stash.cli("-m", "+exp=one", "+params.fail=0,0", "code=frozen", f"hydra/launcher={launcher}", *one_by_one)
    assert done.returncode == 0, done.stderr
    first, second = (stash.record(each) for each in stash.run_directories())
    assert first["spec"]["code"] == second["spec"]["code"] and "edited" in main.read_text()
    for each in (first, second):
        assert "+sys.exit(9)" not in (Path(each["directory"]) / "tool.patch").read_text()


def test_an_environment_of_the_users_own_with_the_tool_installed_in_it(stash: StashUnderTest) -> None:
    tool = stash.add_tool("own", None, "entrypoint: scripts/run.py\nenvironment: {interpreter: .venv/bin/python}")
    stash.write("tools/own/.gitignore", ".venv\n")
    stash.write("tools/own/src/own/__init__.py", "VALUE = 'frozen'\n")
    stash.write(
        "tools/own/scripts/run.py", f"open({str(tool / 'src/own/__init__.py')!r}, 'w')\nimport own\nprint(own.VALUE)"
    )
    stash.add_experiment("one", "own")
    stash.commit()
    venv.create(tool / ".venv", symlinks=True)
    (packages,) = (tool / ".venv" / "lib").glob("python*/site-packages")
    (packages / "own.pth").write_text(f"{tool / 'src'}\n")  # as `pip install -e` does
    done = stash.cli("run", "one", "code=frozen")
    assert done.returncode == 0 and done.stdout == "frozen\n", done.stderr
    assert "Not part of it" not in done.stderr
    assert stash.record()["spec"]["environment"]["interpreter"] == str(tool / ".venv/bin/python")


@pytest.mark.parametrize("how", ["a path", "a finder", "a finder that maps"])
def test_a_package_of_a_monorepo_that_is_installed_in_editable_mode(stash: StashUnderTest, how: str) -> None:
    upstream = repository(
        stash.root / "tools" / "mono",
        {
            "app/run.py": "import lib\nprint(lib.VALUE)\n",
            "packages/lib/lib/__init__.py": "VALUE = 'frozen'\n",
            ".gitignore": ".venv\n",
        },
    )
    python = upstream / ".venv" / "bin" / "python"
    stash.write(
        "conf/tool/own.yaml",
        f"path: tools/mono/app\nentrypoint: run.py\nenvironment: {{interpreter: {json.dumps(str(python))}}}\n",
    )
    stash.write("conf/exp/one.yaml", "# @package _global_\ndefaults:\n  - override /tool: own\n")
    venv.create(upstream / ".venv", symlinks=True)
    (packages,) = (upstream / ".venv" / "lib").glob("python*/site-packages")
    place = upstream / "packages" / "lib"
    if how == "a path":
        (packages / "lib.pth").write_text(f"{place}\n")
    else:  # as setuptools writes it
        name = "lib" if how == "a finder" else "other"
        finder = FINDER.format(mapping={name: str(place / "lib")})
        (packages / "__editable___lib_1_finder.py").write_text(finder)
        (packages / "__editable__.lib-1.pth").write_text("import __editable___lib_1_finder as f; f.install()\n")
    old = git("rev-parse", "HEAD", cwd=upstream).strip()
    commit(upstream, {"packages/lib/lib/__init__.py": "VALUE = 'live'\n"})
    done = stash.cli("run", "one", "code=frozen", f"tool.commit={old}")
    if how == "a finder that maps":
        assert done.returncode == 2 and "other (" in done.stderr and "code=live" in done.stderr
    else:
        assert done.returncode == 0 and done.stdout == "frozen\n", done.stderr
        assert stash.cli("run", "one").stdout == "live\n"


FINDER = """
import importlib.util, os, sys
MAPPING = {mapping!r}
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return importlib.util.spec_from_file_location(name, os.path.join(MAPPING[name], "__init__.py"))
def install():
    sys.meta_path.append(Finder)
"""


def test_a_tool_that_writes_into_its_checkout(stash: StashUnderTest) -> None:
    stash.add_tool("own", "own_outputs", "entrypoint: main.py\ncollect: [outputs]")
    stash.add_experiment("one", "own", "params: {text: hello}\n")
    stash.commit()
    done = stash.cli("run", "one", "code=frozen")
    assert done.returncode == 0, done.stderr
    (run,) = stash.run_directories()
    (first,) = run.glob("outputs/*/*/first.txt")
    assert first.read_text() == "hello\n"
    assert not (stash.root / "tools" / "own" / "outputs").exists()


def test_what_git_does_not_know(stash: StashUnderTest) -> None:
    stash.write(".gitignore", "/tools/\n/outputs/\n/multirun/\n/.experimentstash/\n")
    stash.add_tool("plain", "plain", "entrypoint: main.py")
    stash.add_experiment("one", "plain")
    refused = stash.cli("run", "one", "code=frozen")
    assert refused.returncode == 2 and "code=live" in refused.stderr and "git add tools/plain" in refused.stderr
    assert stash.cli("run", "one").returncode == 0


@pytest.mark.slow
def test_resuming_needs_the_code(stash: StashUnderTest) -> None:
    stash.add_tool("saver", "saver", "entrypoint: main.py\ncall: {output: --out}\nresume: []")
    stash.add_experiment("one", "saver")
    stash.commit()
    stash.cli("run", "one", "code=frozen", "timeout=1")
    record = stash.record()
    assert record["attempt"]["state"] == "timed_out"
    stash.write("tools/saver/main.py", "print('live')\n")
    resumed = stash.start("resume", "latest")
    wait_until(lambda: stash.record()["attempt"]["state"] == "running" and stash.record()["attempt"]["process"])
    assert stash.cli("cancel", "latest").returncode == 0
    resumed.communicate(timeout=PATIENCE)
    assert "live" not in (stash.run_directories()[0] / "output.2.log").read_text()
    shutil.rmtree(stash.root / ".experimentstash" / "code")
    refused = stash.cli("resume", "latest")
    assert refused.returncode == 2 and "has been removed" in refused.stderr
    assert record["spec"]["code"]["commit"][:12] in refused.stderr


WAITS = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\n"


@pytest.mark.slow
def test_a_tool_with_frozen_code_is_updated_removed_and_restored(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": "print('first')\n"})
    arguments = ("--entrypoint", "main.py", "--yes", "--no-sync")
    added = stash.cli("tool", "add", "sub", str(upstream), *arguments)
    assert added.returncode == 0, added.stderr
    registration = stash.root / "conf" / "tool" / "sub.yaml"
    registration.write_text(
        f"{registration.read_text()}environment: {{kind: interpreter, interpreter: {sys.executable}}}\n"
    )
    stash.write("conf/exp/one.yaml", "# @package _global_\ndefaults:\n  - override /tool: sub\n")
    stash.commit()
    frozen = ("run", "one", "code=frozen")
    assert "first" in stash.cli(*frozen).stdout
    commit(upstream, {"main.py": f"{WAITS}print('second')\n"})
    updated = stash.cli("tool", "update", "sub")
    assert updated.returncode == 0, updated.stderr
    waiting = stash.start(*frozen)
    places = stash.root / ".experimentstash" / "code" / "sub"
    tool = stash.root / "tools" / "sub"
    wait_until(lambda: len(runs := stash.run_directories()) == 2 and stash.record(runs[-1])["attempt"]["process"])
    (place,) = places.iterdir()  # that of the first commit has gone
    assert worktrees_of(tool) == [str(place / "tree")]
    refused = stash.cli("tool", "remove", "sub", "--yes")
    assert refused.returncode == 2 and "experimentstash cancel" in refused.stderr and place.exists()
    (place / "tree" / "go").touch()
    assert "second" in waiting.communicate(timeout=PATIENCE)[0]
    assert stash.cli("tool", "remove", "sub", "--yes").returncode == 0
    assert not places.exists() and not (stash.root / ".git" / "modules").exists()
    restored = stash.cli("tool", "restore", "sub")
    assert restored.returncode == 0, restored.stderr
    assert worktrees_of(tool) == []
    waiting = stash.start(*frozen)
    wait_until(lambda: len(runs := stash.run_directories()) == 3 and stash.record(runs[-1])["attempt"]["process"])
    (place / "tree" / "go").touch()
    assert "second" in waiting.communicate(timeout=PATIENCE)[0]


@pytest.mark.slow
def test_who_needs_it_is_not_noted_behind_a_link(stash: StashUnderTest, tool: Path, tmp_path: Path) -> None:
    users = secured(stash, tool).environments.parent / "users"
    shutil.rmtree(users)
    outside = tmp_path / "outside"
    outside.mkdir()
    users.symlink_to(outside)
    secured(stash, tool)
    assert list(outside.iterdir()) == [] and not users.is_symlink() and len(list(users.iterdir())) == 1


@pytest.mark.slow
def test_what_a_run_has_changed_in_frozen_code_is_no_other_run_s(stash: StashUnderTest, tool: Path) -> None:
    first = secured(stash, tool)
    assert secured(stash, tool).directory == first.directory
    (first.directory / "main.py").write_text("print('changed')\n")
    said: list[str] = []
    second = secured(stash, tool, said=said)  # the first is still needed
    assert second.directory != first.directory and (second.directory / "main.py").read_text() == MAIN
    assert (first.directory / "main.py").read_text() == "print('changed')\n" and "main.py" in said[0]
    assert secured(stash, tool).directory == second.directory
    elsewhere(first)
    third = secured(stash, tool)
    assert third.directory == first.directory and (third.directory / "main.py").read_text() == MAIN
    (third.directory / "inner" / "part.py").write_text("part = 2\n")
    assert secured(stash, tool).directory != third.directory
