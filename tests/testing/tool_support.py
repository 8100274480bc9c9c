"""Repositories to make tools of, snapshots of a stash, and a way to kill a tool command at a chosen step."""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

from experimentstash.base.failpoints import observer
from experimentstash.stash.layout import Stash
from tests.testing.made_once import made_once
from tests.testing.stash import ALONE, TOOLS, StashUnderTest, git

# The parts of a stash that tell nothing: what git writes anew, and the locks.
_UNTOLD = ("objects", "index", "COMMIT_EDITMSG")


def no_report(message: str) -> None:
    """Say nothing."""


def repository(directory: Path, files: dict[str, str] | None = None, copy: str | None = None) -> Path:
    """Make a repository with one commit out of ``files`` and a copy of tests/testing/tools/<copy>."""

    def make() -> None:
        if copy is not None:
            shutil.copytree(TOOLS / copy, directory, ignore=shutil.ignore_patterns("__pycache__"))
        directory.mkdir(parents=True, exist_ok=True)
        git("init", "-q", "-b", "main", cwd=directory)
        commit(directory, files or {}, "first")

    if directory.exists():  # something is there already, that is to be in it
        make()
    else:
        made_once([directory], make, copy, tuple((files or {}).items()))
    return directory


def commit(directory: Path, files: dict[str, str], message: str = "more") -> str:
    """Write ``files`` and commit everything; return the commit."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    git("add", "-A", cwd=directory)
    git(*ALONE, "commit", "-q", "--allow-empty", "-m", message, cwd=directory)
    return git("rev-parse", "HEAD", cwd=directory).strip()


def refresh(*checkouts: Path) -> None:
    """Have git see that files which were copied are as its index says: until then it looks closer at each."""
    for checkout in checkouts:
        git("update-index", "-q", "--refresh", cwd=checkout)


def snapshot(root: Path, *, without: tuple[str, ...] = ()) -> dict[str, bytes | str]:
    """Return everything that makes a stash: each file with its content and mode, and what git's index holds."""
    found: dict[str, bytes | str] = {"(index)": git("ls-files", "--stage", cwd=root)}
    for folder, folders, names in os.walk(root):
        relative = os.path.relpath(folder, root)
        if relative == ".git":
            folders[:] = [name for name in folders if name not in _UNTOLD]
            names = [name for name in names if name not in _UNTOLD]
        if relative == ".":
            folders[:] = [name for name in folders if name not in (".experimentstash", *without)]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        if relative != "." and not folders and not names:
            found[relative + "/"] = b""
        for name in [*names, *links]:
            path = os.path.join(folder, name)
            key = os.path.normpath(os.path.join(relative, name))
            if os.path.islink(path):
                found[key] = "→" + os.readlink(path)
            else:
                with open(path, "rb") as stream:
                    found[key] = stream.read() + b"\0x" * (os.stat(path).st_mode >> 6 & 1)
    return found


def differences(one: dict[str, bytes | str], other: dict[str, bytes | str]) -> list[str]:
    """Return the keys in which two snapshots differ."""
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def killed_at(number: int, act: Callable[[], object]) -> int | None:
    """Run ``act`` in a process of its own that is SIGKILLed when it comes to its step ``number``.

    Returns None if it was killed, else the number of steps that it took.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            count = 0

            def look(name: str) -> None:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            observer.set(look)
            act()
            os.write(write, str(count).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.WEXITSTATUS(status) == 0
    return int(text)


def is_healthy(stash: StashUnderTest) -> None:
    """Assert that nothing of a transaction is left, and that git finds nothing wrong."""
    left = [path for path in (stash.root / ".git").rglob("*") if path.suffix == ".lock" or path.name == "journal.json"]
    assert not left
    assert not (stash.root / ".git" / "experimentstash").exists()
    said = git("fsck", "--no-dangling", cwd=stash.root)
    assert said == ""
    for tool in (stash.root / "tools").iterdir():
        if (tool / ".git").is_file():
            assert git("fsck", "--no-dangling", cwd=tool) == ""


def as_stash(under_test: StashUnderTest) -> Stash:
    return Stash(under_test.root)
