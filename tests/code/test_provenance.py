"""The identity of the code: commits, what differs from them, and a checkout that nobody has touched."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from experimentstash.adapters.git import command
from experimentstash.adapters.git.status import status_of
from experimentstash.code import provenance
from experimentstash.record.run import Code
from tests.testing.stash import StashUnderTest, git

LINES = "".join(f"line {number}\n" for number in range(40))


def identify(root: Path, tool: Path, run: Path) -> tuple[Code, Code]:
    run.mkdir()
    checkouts = provenance.Checkouts()
    origins = checkouts.identify(root, "stash.patch"), checkouts.identify(tool, "tool.patch")
    for origin in origins:
        origin.write(run)
    return origins[0].code, origins[1].code


def files(root: Path) -> dict[str, tuple[str, bytes]]:
    """Return the mode and content of every file of a checkout."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if ".git" not in path.relative_to(root).parts and (path.is_file() or path.is_symlink()):
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[name] = (oct(path.lstat().st_mode), content)
    return found


def git_files(root: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in (root / ".git").iterdir() if path.is_file()
    }  # HEAD, config, index, …


def change_everything(root: Path) -> None:
    """Change a checkout that has text, crlf, binary, gone, mode and spaced in every way that git knows."""
    (root / "text").write_text(LINES.replace("line 20\n", "") + "no newline at the end")
    (root / "crlf").write_bytes((root / "crlf").read_bytes().replace(b"line 20\r\n", b"changed\r\nlone\rreturn\r\n"))
    (root / "binary").write_bytes(bytes(range(255, -1, -1)) * 3)
    (root / "gone").unlink()
    (root / "mode").chmod(0o755)
    (root / "dir" / "with space é.txt").write_text("changed\n")
    (root / "new").write_text("new\n")
    (root / "new crlf").write_bytes(b"a\r\nb\r\n")
    (root / "new latin").write_bytes(b"caf\xe9\n")
    (root / "new binary").write_bytes(b"\0\1\2" * 100)
    (root / "new empty").touch()
    (root / "new: *[odd]?\nname").write_text("odd\n")
    (root / "new executable").write_text("#!/bin/sh\n")
    (root / "new executable").chmod(0o755)
    (root / "new link").symlink_to("text")
    (root / "staged").write_text("first\n")
    git("add", "staged", cwd=root)
    (root / "staged").write_text("second\n")


@pytest.fixture
def checkout(stash: StashUnderTest) -> Path:
    root = stash.root
    (root / "text").write_text(LINES)
    (root / "crlf").write_bytes(LINES.replace("\n", "\r\n").encode())
    (root / "binary").write_bytes(bytes(range(256)))
    (root / "gone").write_text("gone\n")
    (root / "mode").write_text("mode\n")
    stash.write("dir/with space é.txt", "before\n")
    stash.write("tools/t/main.py", "print(1)\n")
    stash.commit()
    return root


# Settings of a user, each of which changes what `git diff` or `git status` prints.
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"diff.noprefix": "true", "diff.context": "0", "color.ui": "always", "core.quotePath": "false"},
        {"diff.mnemonicPrefix": "true", "diff.external": "false", "diff.renames": "copies"},
        {"status.showUntrackedFiles": "no", "status.relativePaths": "false", "diff.wsErrorHighlight": "all"},
    ],
    ids=lambda settings: "+".join(settings) or "default",
)
def test_the_patch_makes_the_same_files(checkout: Path, tmp_path: Path, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        git("config", name, value, cwd=checkout)
    commit = git("rev-parse", "HEAD", cwd=checkout).strip()
    change_everything(checkout)
    (checkout / ".env").write_text("KEY=1\n")
    (checkout / "dir" / "server.pem").write_text("-----BEGIN\n")
    (checkout / "large").write_bytes(os.urandom(1024 * 1024 + 1))
    before, status = git_files(checkout), git("status", "--porcelain", cwd=checkout)
    stash, tool = identify(checkout, checkout / "tools" / "t", tmp_path / "run")
    assert git_files(checkout) == before
    assert git("status", "--porcelain", cwd=checkout) == status
    omitted = [".env", "dir/server.pem", "large"]
    assert stash == Code(str(checkout), commit, "main", True, "stash.patch", omitted, omitted[:2])
    assert tool == Code(str(checkout / "tools" / "t"), commit, "main", False, None, [])
    assert os.listdir(tmp_path / "run") == ["stash.patch"]
    clone = tmp_path / "clone"
    git("clone", "-q", str(checkout), str(clone), cwd=tmp_path)
    git("apply", str(tmp_path / "run" / "stash.patch"), cwd=clone)
    expected = files(checkout)
    for name in omitted:
        del expected[name]
    assert files(clone) == expected


def test_only_its_own_directory_counts_as_the_tools(checkout: Path, tmp_path: Path) -> None:
    (checkout / "tools" / "t" / "main.py").write_text("print(2)\n")
    (checkout / "tools" / "t" / "new.py").write_text("\n")
    (checkout / "tools" / "other.py").write_text("\n")
    # What the framework itself writes is no change of the code, even where nobody ignores it.
    (checkout / ".gitignore").write_text("")
    git("commit", "-qam", "ignore nothing", cwd=checkout)
    (checkout / "tools" / "t" / "main.py").write_text("print(3)\n")
    for name in ("outputs/x", "multirun/x", ".experimentstash/x"):
        (checkout / name).parent.mkdir()
        (checkout / name).touch()
    stash, tool = identify(checkout, checkout / "tools" / "t", tmp_path / "run")
    assert (stash.dirty, tool.dirty, stash.omitted) == (True, True, [])

    def names(patch: str) -> list[str]:
        return re.findall(r"(?m)^diff --git a/(.*) b/", (tmp_path / "run" / patch).read_text())

    assert names("tool.patch") == ["tools/t/main.py", "tools/t/new.py"]
    assert names("stash.patch") == ["tools/other.py", "tools/t/main.py", "tools/t/new.py"]
    git("add", "-A", "tools", cwd=checkout)
    git("commit", "-qm", "clean", cwd=checkout)
    stash, tool = identify(checkout, checkout / "tools" / "t", tmp_path / "clean")
    assert (stash.dirty, tool.dirty, stash.patch, tool.patch) == (False, False, None, None)


def test_a_change_right_after_a_commit_is_seen_later(checkout: Path, tmp_path: Path) -> None:
    git("config", "core.trustctime", "false", cwd=checkout)  # a file's ctime can't be set
    same_moment = (1_700_000_000, 1_700_000_000)
    script = checkout / "tools" / "t" / "main.py"
    for text in ("print(2)\n", "print(3)\n"):  # of the same size
        script.write_text(text)
        os.utime(script, same_moment)
        if text == "print(2)\n":
            git("commit", "-qam", "a moment before", cwd=checkout)
    os.utime(checkout / ".git" / "index", same_moment)
    script.with_name("new.py").touch()  # for it the patch needs an index of its own
    assert [origin.dirty for origin in identify(checkout, checkout / "tools" / "t", tmp_path / "run")] == [True, True]
    for patch in ("stash.patch", "tool.patch"):
        assert "+print(3)\n" in (tmp_path / "run" / patch).read_text()


def test_a_tool_with_a_repository_of_its_own(stash: StashUnderTest, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    git("init", "-q", "-b", "trunk", cwd=origin)
    (origin / "main.py").write_text("1\n")
    git("add", "-A", cwd=origin)
    git("commit", "-qm", "tool", cwd=origin)
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin), "tools/sub", cwd=stash.root)
    commit = stash.commit()
    tool = stash.root / "tools" / "sub"
    tool_commit = git("rev-parse", "HEAD", cwd=tool).strip()
    assert commit != tool_commit
    clean = identify(stash.root, tool, tmp_path / "clean")
    assert clean == (
        Code(str(stash.root), commit, "main", False, None, []),
        Code(str(tool), tool_commit, "trunk", False, None, []),
    )
    # A file that a run has left in a submodule makes both dirty, but there is no difference in the stash to write down.
    (tool / "left.txt").write_text("left\n")
    dirty = identify(stash.root, tool, tmp_path / "left")
    assert (dirty[0].dirty, dirty[0].patch, dirty[1].patch) == (True, None, "tool.patch")
    assert os.listdir(tmp_path / "left") == ["tool.patch"]
    (tool / "main.py").write_text("2\n")
    (tool / ".env").write_text("KEY=1\n")
    module = stash.root / ".git" / "modules" / "tools" / "sub"
    before = (module / "index").read_bytes(), sorted(os.listdir(module))
    dirty = identify(stash.root, tool, tmp_path / "changed")
    assert ((module / "index").read_bytes(), sorted(os.listdir(module))) == before
    assert dirty[1] == Code(str(tool), tool_commit, "trunk", True, "tool.patch", [".env"], [".env"])
    clone = tmp_path / "clone"
    git("clone", "-q", str(origin), str(clone), cwd=tmp_path)
    git("apply", str(tmp_path / "changed" / "tool.patch"), cwd=clone)
    assert ((clone / "main.py").read_text(), (clone / "left.txt").read_text()) == ("2\n", "left\n")
    # Checked out at a commit, without a branch.
    git("checkout", "-q", "--detach", cwd=tool)
    assert identify(stash.root, tool, tmp_path / "detached")[1].branch is None


def test_no_repository_or_no_commit(tmp_path: Path) -> None:
    root = tmp_path / "stash"
    (root / "tools" / "t").mkdir(parents=True)
    (root / "tools" / "t" / "main.py").touch()
    unknown = identify(root, root / "tools" / "t", tmp_path / "none")
    assert unknown == (Code(str(root)), Code(str(root / "tools" / "t")))
    git("init", "-q", "-b", "main", cwd=root)
    (stash, _) = identify(root, root / "tools" / "t", tmp_path / "empty")
    assert (stash.commit, stash.branch, stash.dirty, stash.patch) == (None, "main", True, None)
    git("add", "-A", cwd=root)
    git("commit", "-qm", "x", cwd=root)
    (root / ".git" / "HEAD").write_text("rubbish")
    assert identify(root, root / "tools" / "t", tmp_path / "broken")[0].dirty is None


def test_secrets_of_the_environment_are_not_in_the_patch(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X_API_KEY", "xyzzy-plugh")
    (checkout / "new").write_text("key = xyzzy-plugh\n")
    (checkout / "dir" / "with space é.txt").write_text("the key is xyzzy-plugh\n")
    (checkout / "text").write_text("harmless\n")
    stash, _ = identify(checkout, checkout / "tools" / "t", tmp_path / "run")
    patch = (tmp_path / "run" / "stash.patch").read_text()
    assert "xyzzy" not in patch and "X_API_KEY" not in patch and "+harmless" in patch
    assert (stash.omitted, stash.withheld) == (["new"], ["dir/with space é.txt", "new"])


def test_the_git_of_a_calling_hook_is_not_ours(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git("init", "-q", "-b", "other", cwd=elsewhere)
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    monkeypatch.setenv("GIT_INDEX_FILE", str(elsewhere / "index"))
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -x")
    status = status_of(checkout / "dir")
    assert status is not None and (status.root, status.branch) == (checkout, "main")
    environment = command.environment()
    assert environment["GIT_SSH_COMMAND"] == "ssh -x"
    assert not {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} & set(environment)


def test_asking_for_the_status_writes_nothing(checkout: Path) -> None:
    path = checkout / "text"
    os.utime(path, ns=(1, 1))  # git would like to note in its index that the file is unchanged
    before = git_files(checkout)
    status = status_of(checkout)
    assert status is not None and (status.changed, status.untracked) == ((), ())
    assert git_files(checkout) == before


def test_conflicts_count_as_changes(checkout: Path) -> None:
    git("checkout", "-qb", "theirs", cwd=checkout)
    (checkout / "text").write_text("theirs\n")
    git("commit", "-qam", "theirs", cwd=checkout)
    git("checkout", "-q", "main", cwd=checkout)
    (checkout / "text").write_text("ours\n")
    git("commit", "-qam", "ours", cwd=checkout)
    with pytest.raises(Exception, match="merge"):
        git("merge", "-q", "theirs", cwd=checkout)
    status = status_of(checkout)
    assert status is not None and status.changed == ("text",)
