"""A checkout as one commit, in every state that git knows, and the user's repository as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experimentstash.adapters.git import worktree
from experimentstash.base.files import locked
from experimentstash.code.snapshots import Snapshot, take
from tests.code.test_provenance import LINES, change_everything, files
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import commit, repository

FILE_PROTOCOL = ("-c", "protocol.file.allow=always")


def user_sees(root: Path) -> dict[str, str | bytes]:
    """Return all that a snapshot must leave alone in a repository and its checkout."""
    place = Path(git("rev-parse", "--absolute-git-dir", cwd=root).strip())
    found: dict[str, str | bytes] = {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and not {"objects", "worktrees"} & {*path.relative_to(place).parts}
    }
    ours = (".experimentstash/", "outputs/")
    found |= {f"file {name}": repr(what) for name, what in files(root).items() if not name.startswith(ours)}
    words = (
        ("status", "--porcelain=v2"),
        ("stash", "list"),
        ("branch", "--all"),
        ("for-each-ref",),
        ("ls-files", "-s"),
    )
    return found | {" ".join(each): git(*each, cwd=root) for each in words}


def checked_out(root: Path, taken: Snapshot, place: Path) -> dict[str, tuple[str, bytes]]:
    """Check a snapshot out and return its files."""
    with locked(place.with_name("lock")) as lock:
        worktree.add_worktree(root, place, taken.commit, lock)
        found = files(place)
        worktree.remove_worktree(root, place, lock)
    assert not place.exists() and git("worktree", "list", cwd=root).count("\n") == 1
    return found


@pytest.fixture(autouse=True)
def no_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep our own looking from writing into the index."""
    monkeypatch.setenv("GIT_OPTIONAL_LOCKS", "0")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of its own at an odd path, with text, binary, crlf, mode, gone and a path with a space in it."""
    root = repository(tmp_path / 'töol\'s "own" *[x]', {"text": LINES, "gone": "gone\n", "mode": "mode\n"})
    (root / "crlf").write_bytes(LINES.replace("\n", "\r\n").encode())
    (root / "binary").write_bytes(bytes(range(256)))
    (root / "target").mkdir()
    (root / "target" / "file").write_text("file\n")
    (root / ".gitignore").write_text("ignored/\n")
    (root / "ignored").mkdir()
    (root / "ignored" / "data").write_text("data\n")
    commit(root, {"dir/with space é.txt": "before\n"})
    return root


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    before = user_sees(checkout)
    taken = take(checkout)
    assert taken is not None
    head = git("rev-parse", "HEAD", cwd=checkout).strip()
    assert (taken.commit, taken.base, taken.branch, taken.is_dirty, taken.patch) == (head, head, "main", False, "")
    assert user_sees(checkout) == before


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"core.safecrlf": "true", "core.splitIndex": "true", "diff.noprefix": "true", "diff.submodule": "log"},
        {"commit.gpgSign": "true", "core.fsmonitor": "/bin/false", "status.showUntrackedFiles": "no"},
    ],
    ids=lambda settings: "+".join(settings) or "default",
)
def test_whatever_is_changed_is_in_it(checkout: Path, tmp_path: Path, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        git("config", name, value, cwd=checkout)
    change_everything(checkout)
    (checkout / "deleted-and-staged").touch()
    git("add", "deleted-and-staged", cwd=checkout)
    (checkout / "deleted-and-staged").unlink()
    git("rm", "-q", "--cached", "mode", cwd=checkout)  # no longer tracked, but there
    (checkout / "target" / "file").unlink()
    (checkout / "target").rmdir()
    (checkout / "target").symlink_to("dir")  # a directory has become a link …
    (checkout / "text").unlink()
    (checkout / "text").mkdir()
    (checkout / "text" / "inside").write_text("a file has become a directory\n")
    git("add", "--intent-to-add", "new", cwd=checkout)
    (checkout / ".env").write_text("KEY=1\n")
    (checkout / "large").write_bytes(os.urandom(1024 * 1024 + 1))
    expected = files(checkout)
    for name in (".env", "large", "ignored/data"):
        del expected[name]
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        (checkout / ".git" / "hooks").mkdir(exist_ok=True)
        (checkout / ".git" / "hooks" / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/hook'\n")
        (checkout / ".git" / "hooks" / name).chmod(0o755)
    before = user_sees(checkout)
    taken, again = take(checkout), take(checkout)
    assert taken is not None and taken == again  # the same content is the same commit
    assert taken.is_dirty and taken.base != taken.commit
    assert taken.omitted == ((".env", "large") if "status.showUntrackedFiles" not in settings else taken.omitted)
    assert checked_out(checkout, taken, tmp_path / "a plaçe") == expected
    assert not (tmp_path / "hook").exists()
    assert user_sees(checkout) == before
    # The patch says the same.
    git("clone", "-q", str(checkout), str(tmp_path / "clone"), cwd=tmp_path)
    (tmp_path / "patch").write_bytes(taken.patch.encode("utf-8", "surrogateescape"))
    git("apply", str(tmp_path / "patch"), cwd=tmp_path / "clone")
    assert files(tmp_path / "clone") == expected


def test_a_merge_that_is_not_finished_is_taken_as_the_files_are(checkout: Path, tmp_path: Path) -> None:
    git("checkout", "-qb", "theirs", cwd=checkout)
    commit(checkout, {"text": "theirs\n"})
    git("checkout", "-q", "main", cwd=checkout)
    commit(checkout, {"text": "ours\n"})
    with pytest.raises(Exception, match="merge"):
        git("merge", "-q", "theirs", cwd=checkout)
    before = user_sees(checkout)
    taken = take(checkout)
    assert taken is not None
    found = checked_out(checkout, taken, tmp_path / "tree")
    assert b"<<<<<<<" in found["text"][1] and b"theirs" in found["text"][1]
    assert user_sees(checkout) == before


def test_what_a_filter_stores_otherwise_comes_back(checkout: Path, tmp_path: Path) -> None:
    # As Git LFS does it.
    git("config", "filter.shift.clean", "tr a-z b-za", cwd=checkout)
    git("config", "filter.shift.smudge", "tr b-za a-z", cwd=checkout)
    commit(checkout, {".gitattributes": "*.big filter=shift\n", "one.big": "hello\n"})
    (checkout / "two.big").write_text("world\n")
    assert git("show", "HEAD:one.big", cwd=checkout) == "ifmmp\n"
    taken = take(checkout)
    assert taken is not None
    found = checked_out(checkout, taken, tmp_path / "tree")
    assert (found["one.big"][1], found["two.big"][1]) == (b"hello\n", b"world\n")


def test_only_the_tools_own_directory_counts_in_the_stashs_repository(stash: StashUnderTest, tmp_path: Path) -> None:
    stash.write("tools/my töol/main.py", "1\n")
    stash.write("tools/other/main.py", "1\n")
    stash.commit()
    first = take(stash.root, "tools/my töol")
    assert first is not None and not first.is_dirty
    assert set(checked_out(stash.root, first, tmp_path / "tree")) == {"tools/my töol/main.py"}
    stash.write("conf/exp/new.yaml", "a: 1\n")
    git("add", "conf", cwd=stash.root)
    stash.write("tools/other/main.py", "2\n")
    second = take(stash.root, "tools/my töol")
    stash.commit()
    third = take(stash.root, "tools/my töol")
    assert second is not None and third is not None
    assert first.commit == second.commit == third.commit
    assert first.base == second.base != third.base
    stash.write("tools/my töol/main.py", "2\n")
    dirty = take(stash.root, "tools/my töol")
    assert dirty is not None and dirty.is_dirty and dirty.commit != first.commit
    assert "tools/my t" in dirty.patch and "tools/other" not in dirty.patch
    stash.commit()
    committed = take(stash.root, "tools/my töol")
    assert committed is not None and (committed.commit, committed.is_dirty) == (dirty.commit, False)


@pytest.mark.slow
def test_a_submodule_and_those_inside_it_dirty_as_they_are(stash: StashUnderTest, tmp_path: Path) -> None:
    innermost = repository(tmp_path / "innermost", {"c.py": "1\n"})
    inner = repository(tmp_path / "inner", {"b.py": "1\n"})
    outer = repository(tmp_path / "outer", {"a.py": "1\n"})
    empty = repository(tmp_path / "unpopulated", {"d.py": "1\n"})
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(innermost), "deep er", cwd=inner)
    commit(inner, {})
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(inner), "inner", cwd=outer)
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(empty), "unpopulated", cwd=outer)
    commit(outer, {})
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(outer), "tools/sub", cwd=stash.root)
    tool = stash.root / "tools" / "sub"
    git(*FILE_PROTOCOL, "submodule", "update", "-q", "--init", "--recursive", "--", "inner", cwd=tool)
    stash.commit()
    clean = take(tool)
    assert clean is not None and not clean.is_dirty
    assert clean.commit == git("rev-parse", "HEAD", cwd=outer).strip()
    places = [tool, tool / "inner", tool / "inner" / "deep er"]
    assert list(clean.nested) == ["inner"] and list(clean.nested["inner"].nested) == ["deep er"]
    # Another commit of one of them, and changes in the innermost alone, of which the settings would have git not speak.
    commit(places[1], {"b.py": "2\n"})
    (places[2] / "c.py").write_text("2\n")
    (places[2] / "new.py").write_text("new\n")
    (places[2] / ".env").write_text("KEY=1\n")
    for place, name in ((places[0], "inner"), (places[1], "deep er")):
        git("config", f"submodule.{name}.ignore", "all", cwd=place)
    before = [user_sees(place) for place in places]
    dirty = take(tool)
    assert dirty is not None and dirty.is_dirty and dirty.omitted == ("inner/deep er/.env",)
    assert [user_sees(place) for place in places] == before
    inside = dirty.nested["inner"]
    assert git("ls-tree", dirty.commit, "inner", cwd=tool).split()[2] == inside.commit
    assert inside.base == git("rev-parse", "HEAD", cwd=places[1]).strip() != inside.commit
    assert git("show", f"{inside.nested['deep er'].commit}:new.py", cwd=places[2]) == "new\n"
    # What is recorded names only commits that others can have, and applies.
    assert f"+Subproject commit {inside.base}" in dirty.patch and inside.commit not in dirty.patch
    (tmp_path / "patch").write_text(dirty.patch)
    git("-C", str(places[2]), "checkout", "-q", "c.py", cwd=tool)
    (places[2] / "new.py").unlink()
    git("apply", "--include=inner/deep er/*", str(tmp_path / "patch"), cwd=tool)
    assert [(places[2] / name).read_text() for name in ("c.py", "new.py")] == ["2\n", "new\n"]


def test_untracked_paths_can_be_left_out(checkout: Path) -> None:
    for name in ("data/x.csv", "database.py"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("x\n")
    taken = take(checkout, without=["data"])
    assert taken is not None and "database.py" in taken.patch and "x.csv" not in taken.patch
    (checkout / "database.py").unlink()
    clean = take(checkout, without=["data"])
    assert clean is not None and not clean.is_dirty


def test_without_a_commit_or_without_git_there_is_none(tmp_path: Path, stash: StashUnderTest) -> None:
    (tmp_path / "plain").mkdir()
    assert take(tmp_path / "plain") is None
    git("init", "-q", cwd=tmp_path / "plain")
    assert take(tmp_path / "plain") is None
    stash.write(".gitignore", "/tools/hidden/\n")
    stash.write("tools/hidden/main.py", "1\n")
    assert take(stash.root, "tools/hidden") is None
