"""A commit that is asked for is the commit that runs, or nothing does."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash.stash.layout import Stash
from experimentstash.validate.engine import validate
from tests.code.test_snapshots import FILE_PROTOCOL, user_sees
from tests.testing.made_once import made_once, same_place
from tests.testing.stash import InProcess, StashUnderTest, git
from tests.testing.tool_support import commit, refresh, repository

INTERPRETER = f"environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
EXPERIMENT = "# @package _global_\ndefaults:\n  - override /tool: sub\n"


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    yield from same_place(tmp_path)


@pytest.fixture
def commits(stash: StashUnderTest, tmp_path: Path) -> dict[str, str]:
    """A stash with a submodule that has two commits, `old` and `new`; the new one is checked out."""
    upstream = tmp_path / "upstream"

    def make() -> None:
        repository(upstream, {"main.py": "import part\nprint('old', part.name)\n"})
        commit(upstream, {"part.py": "name = 'old part'\n"})
        git("tag", "v1", cwd=upstream)
        git("branch", "side", cwd=upstream)
        commit(upstream, {"main.py": "import part\nprint('new', part.name)\n", "part.py": "name = 'new part'\n"})
        git(*FILE_PROTOCOL, "submodule", "add", "-q", str(upstream), "tools/sub", cwd=stash.root)
        stash.write("conf/tool/sub.yaml", f"path: tools/sub\nentrypoint: main.py\n{INTERPRETER}")
        stash.write("conf/exp/one.yaml", EXPERIMENT)
        stash.commit()

    made_once([stash.root, upstream], make)
    refresh(stash.root, stash.root / "tools" / "sub")
    old, new = git("rev-parse", "v1", "main", cwd=upstream).split()
    return {"old": old, "new": new, "upstream": str(upstream)}


@pytest.mark.parametrize("name", ["{old}", "v1", "{short}", "origin/side", "refs/tags/v1", "HEAD~1", "main~1"])
def test_frozen_code_is_the_commit_that_is_asked_for(stash: StashUnderTest, commits: dict[str, str], name: str) -> None:
    name = name.format(**commits, short=commits["old"][:8])
    before = user_sees(stash.root)
    done = stash.cli("run", "one", "code=frozen", f"tool.commit='{name}'")
    assert done.returncode == 0 and done.stdout == "old old part\n", done.stderr
    code = stash.record()["spec"]["code"]
    assert (code["commit"], code["dirty"], code["patch"], code["pin"]) == (commits["old"], False, None, name)
    assert (
        code["snapshot"] == commits["old"]
        and git("rev-parse", "HEAD", cwd=Path(code["path"])).strip() == commits["old"]
    )
    assert f"the checkout is at {commits['new'][:12]}" in done.stderr
    assert user_sees(stash.root) == before


@pytest.mark.parametrize("code", ["live", "auto"])
def test_live_code_at_another_commit_is_refused_with_the_two_ways_out(
    stash: StashUnderTest, commits: dict[str, str], in_process: InProcess, code: str
) -> None:
    tool = stash.root / "tools" / "sub"  # the commit in quotes, since its beginning may look like a number
    for words in (["run", "one"], ["run", "one", "dry_run=true"], ["run", "one", "validate_only=true"]):
        done = in_process(stash, *words, f"code={code}", f"tool.commit='{commits['old'][:9]}'")
        assert done.returncode == 2 and done.stdout == "", done.stdout
        assert commits["old"][:9] in done.stderr and f"tools/sub is at {commits['new'][:12]}" in done.stderr
        assert "code=frozen" in done.stderr
    assert stash.run_directories() == []
    command = next(line for line in done.stderr.splitlines() if "checkout" in line and "git -C" in line)
    assert os.system(command.strip().removeprefix("→ ") + " 2>&1") == 0
    assert git("rev-parse", "HEAD", cwd=tool).strip() == commits["old"]
    done = stash.cli("run", "one", f"code={code}", f"tool.commit='{commits['old'][:9]}'")
    assert done.returncode == 0 and done.stdout == "old old part\n", done.stderr
    found = stash.record()["spec"]["code"]
    assert (found["commit"], found["pin"], found["snapshot"]) == (commits["old"], commits["old"][:9], None)


@pytest.mark.parametrize("name", ["HEAD", "main", "origin/main", "{new}", "origin/HEAD"])
def test_names_of_what_is_checked_out(stash: StashUnderTest, commits: dict[str, str], name: str) -> None:
    path = stash.root / "conf" / "tool" / "sub.yaml"
    path.write_text(f"{path.read_text()}commit: {name.format(**commits)}\n")
    done = stash.cli("run", "one")
    assert done.returncode == 0 and done.stdout == "new new part\n", done.stderr
    assert stash.record()["spec"]["code"]["commit"] == commits["new"]


def test_a_branch_is_what_git_means_by_it(stash: StashUnderTest, commits: dict[str, str]) -> None:
    # The remote's branch alone is no branch here; the local one that is behind is where it is.
    done = stash.cli("run", "one", "code=frozen", "tool.commit=side")
    assert done.returncode == 2 and "origin/side" in done.stderr
    git("checkout", "-q", "-b", "side", "HEAD~1", cwd=stash.root / "tools" / "sub")
    git("checkout", "-q", "main", cwd=stash.root / "tools" / "sub")
    done = stash.cli("run", "one", "tool.commit=side")
    assert done.returncode == 2 and "checkout side" in done.stderr
    assert stash.cli("run", "one", "code=frozen", "tool.commit=side").stdout == "old old part\n"


@pytest.mark.parametrize("code", ["live", "frozen"])
@pytest.mark.parametrize(
    "name", ["nowhere", "0" * 40, "deadbeef", "-x", "--all", "A..B", "HEAD:main.py", ":/first", "12345678", "''", "' '"]
)
def test_what_is_no_commit_here_is_refused(
    stash: StashUnderTest, commits: dict[str, str], in_process: InProcess, code: str, name: str
) -> None:
    quoted = name if name.startswith("'") else f"'{name}'"
    done = in_process(stash, "run", "one", f"code={code}", f"tool.commit={quoted}")
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert f"to run commit {name.strip(chr(39))!r}" in done.stderr and "no such commit" in done.stderr
    assert stash.run_directories() == [] and not (stash.root / ".experimentstash" / "code").exists()


def test_a_commit_that_only_the_remote_has_is_not_fetched(stash: StashUnderTest, commits: dict[str, str]) -> None:
    newer = commit(Path(commits["upstream"]), {"main.py": "print('newer')\n"})
    done = stash.cli("run", "one", "code=frozen", f"tool.commit={newer}")
    assert done.returncode == 2 and newer in done.stderr
    command = next(line for line in done.stderr.splitlines() if "fetch" in line).strip().removeprefix("→ ")
    assert os.system(command + " -q 2>&1") == 0, command
    done = stash.cli("run", "one", "code=frozen", f"tool.commit={newer}")
    assert done.returncode == 0 and done.stdout == "newer\n", done.stderr


@pytest.mark.slow
def test_an_ambiguous_name_is_refused(stash: StashUnderTest, commits: dict[str, str]) -> None:
    tool = stash.root / "tools" / "sub"
    git("branch", "v1", "main", cwd=tool)
    prefix = commits["old"][:7]
    git("branch", prefix, "main", cwd=tool)
    for name in ("v1", prefix):
        for code in ("live", "frozen"):
            done = stash.cli("run", "one", f"code={code}", f"tool.commit='{name}'")
            assert done.returncode == 2 and f"'{name}' stands for several" in done.stderr, done.stderr
    assert stash.cli("run", "one", "code=frozen", "tool.commit=refs/tags/v1").stdout == "old old part\n"
    assert stash.cli("run", "one", "tool.commit=heads/v1").stdout == "new new part\n"


@pytest.mark.slow
def test_changes_are_no_part_of_a_frozen_commit_and_noted_beside_a_live_one(
    stash: StashUnderTest, commits: dict[str, str]
) -> None:
    tool = stash.root / "tools" / "sub"
    (tool / "part.py").write_text("name = 'changed'\n")
    (tool / "more.py").write_text("")
    done = stash.cli("run", "one", "code=frozen", f"tool.commit={commits['new']}")
    assert done.returncode == 0 and done.stdout == "new new part\n", done.stderr
    assert "part.py, more.py" in done.stderr and "tool.commit=null" in done.stderr
    first = stash.record()
    assert (first["spec"]["code"]["dirty"], first["spec"]["code"]["patch"]) == (False, None)
    assert any("no part of commit" in note for note in first["attempt"]["notes"])
    done = stash.cli("run", "one", f"tool.commit={commits['new']}")
    assert done.returncode == 0 and done.stdout == "new changed\n", done.stderr
    second = stash.record(stash.run_directories()[-1])
    assert (second["spec"]["code"]["dirty"], second["spec"]["code"]["patch"]) == (True, "tool.patch")
    assert any("asked for, and what is changed since" in note for note in second["attempt"]["notes"])
    done = stash.cli("run", "one", "code=frozen", "tool.commit=null")
    assert done.stdout == "new changed\n" and stash.record(stash.run_directories()[-1])["spec"]["code"]["dirty"] is True


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_a_sweep_over_commits(stash: StashUnderTest, commits: dict[str, str], launcher: str) -> None:
    names = f"{commits['old']},'{commits['new'][:10]}',v1"
    done = stash.cli("-m", "+exp=one", f"tool.commit={names}", "code=frozen", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    found = {
        stash.record(each)["spec"]["code"]["pin"]: (
            stash.record(each)["spec"]["code"]["commit"],
            (each / "output.log").read_text(),
        )
        for each in stash.run_directories()
    }
    assert found == {
        commits["old"]: (commits["old"], "old old part\n"),
        commits["new"][:10]: (commits["new"], "new new part\n"),
        "v1": (commits["old"], "old old part\n"),
    }


@pytest.mark.slow
def test_a_sweep_over_commits_of_a_tool_that_writes_into_its_checkout(
    stash: StashUnderTest, commits: dict[str, str]
) -> None:
    path = stash.root / "conf" / "tool" / "sub.yaml"
    path.write_text(f"{path.read_text()}collect: [made]\n")
    names = (commits["old"], commits["new"], "v1")
    for code in ("frozen", "auto"):
        before = {*stash.run_directories()}
        done = stash.cli("-m", "+exp=one", f"tool.commit={','.join(names)}", f"code={code}", "hydra/launcher=local")
        assert (done.returncode == 0) is (code == "frozen"), done.stderr
        made = {*stash.run_directories()} - before
        assert len(made) == 3
        for each in made:
            record = stash.record(each)
            is_new = f"tool.commit={commits['new']}" in record["spec"]["overrides"]
            if code == "auto" and not is_new:
                assert record["attempt"]["state"] == "failed" and "code=frozen" in record["attempt"]["reason"]
                continue
            word, wanted = ("new", commits["new"]) if is_new else ("old", commits["old"])
            assert (each / "output.log").read_text() == f"{word} {word} part\n"
            assert (
                record["spec"]["code"]["commit"] == wanted
                and f"tool.commit={record['spec']['code']['pin']}" in record["spec"]["overrides"]
            )


def test_in_a_sweep_only_the_run_of_another_commit_is_refused(stash: StashUnderTest, commits: dict[str, str]) -> None:
    done = stash.cli("-m", "+exp=one", f"tool.commit={commits['old']},{commits['new']}", "code=live")
    assert done.returncode != 0
    records = [stash.record(each) for each in stash.run_directories()]
    assert sorted(each["attempt"]["state"] for each in records) == ["completed", "failed"]
    (failed,) = (each for each in records if each["attempt"]["state"] == "failed")
    assert commits["old"][:12] in failed["attempt"]["reason"] and "code=frozen" in failed["attempt"]["reason"]


@pytest.mark.slow
@pytest.mark.usefixtures("python_first_on_path")
def test_the_environment_is_that_of_the_commit(stash: StashUnderTest, commits: dict[str, str]) -> None:
    tool = stash.root / "tools" / "sub"
    main = "import importlib.metadata as m\nprint(sorted(d.name for d in m.distributions()))\n"
    with_six = commit(tool, {"requirements.txt": "six\n", "main.py": main})
    commit(tool, {"requirements.txt": "iniconfig\n"})
    stash.write("conf/tool/sub.yaml", f"path: tools/sub\nentrypoint: main.py\ncommit: {with_six}\n")
    done = stash.cli("run", "one", "code=frozen")
    assert done.returncode == 0 and done.stdout == "['six']\n", done.stderr
    assert stash.cli("run", "one", "tool.commit=main").stdout == "['iniconfig']\n"


@pytest.mark.slow
def test_a_submodule_of_the_tool_is_at_the_commit_that_belongs_to_it(
    stash: StashUnderTest, commits: dict[str, str], tmp_path: Path
) -> None:
    inner = repository(tmp_path / "inner", {"lib.py": "name = 'first'\n"})
    upstream, tool = Path(commits["upstream"]), stash.root / "tools" / "sub"
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(inner), "inner", cwd=upstream)
    with_inner = commit(upstream, {"main.py": "from inner import lib\nprint(lib.name)\n"})
    commit(inner, {"lib.py": "name = 'second'\n"})
    git(*FILE_PROTOCOL, "pull", "-q", "origin", "main", cwd=upstream / "inner")
    newest = commit(upstream, {})
    git(*FILE_PROTOCOL, "fetch", "-q", cwd=tool)
    frozen = ("run", "one", "code=frozen")
    done = stash.cli(*frozen, f"tool.commit={with_inner}")
    assert done.returncode == 2 and "submodule inner" in done.stderr and "update --init" in done.stderr
    git("checkout", "-q", newest, cwd=tool)
    git(*FILE_PROTOCOL, "submodule", "update", "-q", "--init", cwd=tool)
    assert stash.cli(*frozen, f"tool.commit={with_inner}").stdout == "first\n"
    assert stash.cli(*frozen, "tool.commit=HEAD").stdout == "second\n"
    third = commit(inner, {"lib.py": "name = 'third'\n"})
    git(*FILE_PROTOCOL, "pull", "-q", "origin", "main", cwd=upstream / "inner")
    latest = commit(upstream, {})
    git(*FILE_PROTOCOL, "fetch", "-q", "--no-recurse-submodules", cwd=tool)
    done = stash.cli(*frozen, f"tool.commit={latest}")
    assert done.returncode == 2 and third in done.stderr and "fetch origin" in done.stderr


@pytest.mark.slow
def test_a_tool_of_the_stash_itself(stash: StashUnderTest) -> None:
    stash.write("lib/beside.py", "")
    tool = stash.add_tool("own", None, "entrypoint: main.py")
    (tool / "main.py").write_text("print('old')\n")
    stash.add_experiment("one", "own")
    old = stash.commit()
    stash.write("unrelated", "")
    unrelated = stash.commit()
    # What else is committed in the stash doesn't make the tool another one.
    assert stash.cli("run", "one", f"tool.commit={old}").stdout == "old\n"
    assert stash.record()["spec"]["code"]["commit"] == unrelated
    (tool / "main.py").write_text("print('new')\n")
    new = stash.commit()
    refused = stash.cli("run", "one", f"tool.commit={old}")
    assert refused.returncode == 2 and "code=frozen" in refused.stderr
    done = stash.cli("run", "one", f"tool.commit={old}", "code=frozen")
    assert done.returncode == 0 and done.stdout == "old\n", done.stderr
    code = stash.record(stash.run_directories()[-1])["spec"]["code"]
    assert (code["commit"], code["dirty"]) == (old, False)
    assert not (Path(code["path"]).parents[1] / "lib").exists()
    assert stash.cli("run", "one", "tool.commit=HEAD").stdout == "new\n"
    before = git("rev-list", "--max-parents=0", "HEAD", cwd=stash.root).strip()
    refused = stash.cli("run", "one", f"tool.commit={before}", "code=frozen")
    assert refused.returncode == 2 and "has no directory tools/own" in refused.stderr
    assert git("rev-parse", "HEAD", cwd=stash.root).strip() == new


def test_a_tool_in_no_repository_has_no_commit(stash: StashUnderTest) -> None:
    shutil.rmtree(stash.root / ".git")
    tool = stash.add_tool("own", None, "entrypoint: main.py")
    (tool / "main.py").write_text("print('runs')\n")
    stash.add_experiment("one", "own")
    assert stash.cli("run", "one").stdout == "runs\n"
    refused = stash.cli("run", "one", "tool.commit=HEAD")
    assert refused.returncode == 2 and "no git repository" in refused.stderr


@pytest.mark.slow
def test_shared_data_that_is_code_at_the_commit_is_refused(stash: StashUnderTest, commits: dict[str, str]) -> None:
    tool = stash.root / "tools" / "sub"
    tracked = commit(tool, {"data/x": "tracked\n"})
    git("rm", "-r", "-q", "--cached", "data", cwd=tool)
    commit(tool, {".gitignore": "data/\n"})
    path = stash.root / "conf" / "tool" / "sub.yaml"
    path.write_text(f"{path.read_text()}shared: [data]\n")
    refused = stash.cli("run", "one", "code=frozen", f"tool.commit={tracked}")
    assert refused.returncode == 2 and "shared: data is code at commit" in refused.stderr
    assert stash.cli("run", "one", "code=frozen", "tool.commit=HEAD").returncode == 0


@pytest.mark.slow
def test_configs_in_the_tools_repository_are_those_of_the_commit(
    stash: StashUnderTest, commits: dict[str, str]
) -> None:
    tool = stash.root / "tools" / "sub"
    main = "import sys\nprint(open(sys.argv[2] + '/x.yaml').read())\n"
    old = commit(tool, {"main.py": main, "shared_configs/x.yaml": "old\n", "part/main.py": main})
    commit(tool, {"shared_configs/x.yaml": "new\n"})
    call = "call: {style: hydra, config_dir: tools/sub/shared_configs}\n"
    for path in ("tools/sub", "tools/sub/part"):
        stash.write("conf/tool/sub.yaml", f"path: {path}\nentrypoint: main.py\n{INTERPRETER}{call}")
        done = stash.cli("run", "one", "code=frozen", f"tool.commit={old}", "experiment=x")
        assert done.returncode == 0 and done.stdout.startswith("old"), done.stderr


@pytest.mark.slow
def test_validate_finds_a_pin_that_does_not_match(stash: StashUnderTest, commits: dict[str, str]) -> None:
    path = stash.root / "conf" / "tool" / "sub.yaml"
    path.write_text(f"{path.read_text()}commit: v1\n")
    stash.write("conf/exp/two.yaml", f"{EXPERIMENT}tool: {{commit: nowhere}}\n")
    stash.write("conf/exp/three.yaml", f"{EXPERIMENT}code: frozen\n")
    stash.commit()
    problems = validate(Stash(stash.root)).problems
    assert {each.where for each in problems} == {"conf/tool/sub.yaml", "conf/exp/two.yaml"}
    assert len(problems) == 2, problems
    assert any("v1" in each.what and commits["new"][:12] in each.what for each in problems)
    assert any("'nowhere'" in each.what for each in problems)
    for words in (("tool", "show", "sub"), ("tool", "list")):
        listed = stash.cli(*words)
        assert listed.returncode == 0 and "is to run commit v1" in listed.stdout + listed.stderr
    path.write_text(path.read_text().replace("commit: v1", "commit: HEAD"))
    (stash.root / "conf/exp/two.yaml").unlink()
    stash.commit()
    assert validate(Stash(stash.root)).problems == ()


@pytest.mark.parametrize("is_pinned", [True, False])
@pytest.mark.parametrize("head", ["detached", "a branch", "a packed branch"])
def test_a_checkout_that_is_moved_while_a_run_waits(
    stash: StashUnderTest, commits: dict[str, str], is_pinned: bool, head: str
) -> None:
    tool = stash.root / "tools" / "sub"
    git("checkout", "-q", *(["--detach"] if head == "detached" else ["main"]), cwd=tool)
    move = ["checkout", "-q", "--detach", "v1"] if head == "detached" else ["reset", "-q", "--hard", "v1"]
    moves = f"import subprocess\nsubprocess.run({['git', *move]!r}, check=True)\nprint('moved')\n"
    moving = commit(tool, {"moves.py": moves})
    if head == "a packed branch":
        git("pack-refs", "--all", cwd=tool)
    pin = f"commit: {moving}\n" if is_pinned else ""
    stash.write("conf/tool/sub.yaml", f"path: tools/sub\nentrypoint: moves.py\n{INTERPRETER}{pin}")
    done = stash.cli("-m", "+exp=one", "+params.seed=1,2", "hydra/launcher=local", "hydra.launcher.n_jobs=1")
    first, second = (stash.record(each) for each in sorted(stash.run_directories()))
    assert first["attempt"]["state"] == "completed" and first["attempt"]["warnings"] == [], first
    assert done.returncode != 0
    assert second["attempt"]["state"] == "failed"
    if is_pinned:
        assert (
            "since this run was submitted" in second["attempt"]["reason"]
            and commits["old"][:12] in second["attempt"]["reason"]
        )
        assert second["attempt"]["process"] is None
    else:
        (warning,) = second["attempt"]["warnings"]
        assert "code=frozen" in warning and moving[:12] in warning and commits["old"][:12] in warning


@pytest.mark.slow
def test_a_commit_beside_a_tool_of_the_stash_itself_moves_nothing(stash: StashUnderTest) -> None:
    tool = stash.add_tool("own", None, "entrypoint: main.py")
    commits = "import subprocess\nsubprocess.run(['git', 'commit', '-q', '--allow-empty', '-m', 'x'])\n"
    (tool / "main.py").write_text(commits)
    stash.add_experiment("one", "own")
    stash.commit()
    done = stash.cli("-m", "+exp=one", "+params.seed=1,2", "hydra/launcher=local", "hydra.launcher.n_jobs=1")
    assert done.returncode == 0, done.stderr
    assert [stash.record(each)["attempt"]["warnings"] for each in stash.run_directories()] == [[], []]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_to_pass_over_is_recorded(
    stash: StashUnderTest, commits: dict[str, str], how: str
) -> None:
    tool = stash.root / "tools" / "sub"
    git("update-index", how, "main.py", cwd=tool)
    (tool / "main.py").write_text("print('mine')\n")
    before = user_sees(stash.root), git("ls-files", "-v", cwd=tool)
    for words in ([], ["tool.commit=HEAD"], ["code=frozen"]):
        done = stash.cli("run", "one", *words)
        assert done.stdout == "mine\n", done.stderr
        run = stash.run_directories()[-1]
        found = stash.record(run)["spec"]["code"]
        assert (found["commit"], found["dirty"], found["patch"]) == (commits["new"], True, "tool.patch"), words
        assert "+print('mine')" in (run / "tool.patch").read_text()
    done = stash.cli("run", "one", "code=frozen", "tool.commit=HEAD")
    assert done.stdout == "new new part\n" and "main.py" in done.stderr
    assert (user_sees(stash.root), git("ls-files", "-v", cwd=tool)) == before


def test_what_a_sparse_checkout_leaves_out_is_no_change(stash: StashUnderTest, commits: dict[str, str]) -> None:
    tool = stash.root / "tools" / "sub"
    (tool / "data").mkdir()
    commit(tool, {"data/large": "large\n"})
    git("sparse-checkout", "set", "--no-cone", "/*", "!/data", cwd=tool)
    assert not (tool / "data").exists()
    stash.cli("run", "one")
    assert stash.record()["spec"]["code"]["dirty"] is False


@pytest.mark.parametrize("place", ["a setting", ".gitmodules"])
def test_a_submodule_that_git_is_to_ignore_is_looked_at(
    stash: StashUnderTest, commits: dict[str, str], place: str
) -> None:
    tool = stash.root / "tools" / "sub"
    git(*FILE_PROTOCOL, "submodule", "add", "-q", commits["upstream"], "inner", cwd=tool)
    git("config", "-f", ".gitmodules", "submodule.inner.ignore", "all", cwd=tool)
    commit(tool, {"main.py": "import inner.part\nprint(inner.part.name)\n"})
    if place == "a setting":
        git("config", "-f", ".gitmodules", "--unset", "submodule.inner.ignore", cwd=tool)
        git("config", "diff.ignoreSubmodules", "all", cwd=tool)
        git("commit", "-q", "-a", "-m", "more", cwd=tool)
    git("checkout", "-q", "v1", cwd=tool / "inner")
    done = stash.cli("run", "one")
    assert done.stdout == "old part\n", done.stderr
    assert stash.record()["spec"]["code"]["dirty"] is True
    assert commits["old"] in (stash.run_directories()[-1] / "tool.patch").read_text()


def test_a_commit_that_was_replaced_is_still_what_its_hash_says(stash: StashUnderTest, commits: dict[str, str]) -> None:
    tool = stash.root / "tools" / "sub"
    git("replace", commits["new"], commits["old"], cwd=tool)
    for words in (["code=frozen", "tool.commit=HEAD"], ["code=live"], ["code=frozen"]):
        done = stash.cli("run", "one", *words)
        assert done.stdout == "new new part\n", done.stderr
        code = stash.record(stash.run_directories()[-1])["spec"]["code"]
        assert (code["commit"], code["dirty"]) == (commits["new"], False)


def test_a_change_in_a_submodule_that_git_was_told_to_pass_over_is_said(
    stash: StashUnderTest, commits: dict[str, str]
) -> None:
    tool = stash.root / "tools" / "sub"
    git(*FILE_PROTOCOL, "submodule", "add", "-q", commits["upstream"], "inner", cwd=tool)
    commit(tool, {"main.py": "import inner.part\nprint(inner.part.name)\n"})
    git("update-index", "--assume-unchanged", "part.py", cwd=tool / "inner")
    stash.cli("run", "one")
    assert stash.record()["spec"]["code"]["dirty"] is False
    (tool / "inner" / "part.py").write_text("name = 'mine'\n")
    done = stash.cli("run", "one")
    assert done.stdout == "mine\n", done.stderr
    assert stash.record(stash.run_directories()[-1])["spec"]["code"]["dirty"] is True
