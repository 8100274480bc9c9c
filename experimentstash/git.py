"""Everything that asks git. ``GIT_*`` of a calling hook or rebase never reaches it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from experimentstash.process import run

# These say where git's own programs, settings and keys are; the others would point it at another repository.
_KEPT = ("GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_ASKPASS")
# What a user's settings could change so that `git apply` no longer understands the patch.
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3")


@dataclass(frozen=True)
class Status:
    """What one `git status` tells of a checkout; paths are relative to ``root``."""

    root: Path
    commit: str | None  # None: no commit yet
    branch: str | None  # None: detached
    changed: tuple[str, ...]  # tracked files that differ from the commit
    untracked: tuple[str, ...]  # files that are neither tracked nor ignored


def environment() -> dict[str, str]:
    """Return the environment for git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}


def toplevel(directory: Path) -> Path | None:
    """Return the root of the checkout that ``directory`` is in, without asking git; None outside one."""
    for candidate in (directory, *directory.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def status(directory: Path) -> Status | None:
    """Return the state of the checkout that ``directory`` is in; None outside one, or where git can't tell."""
    root = toplevel(directory)
    if root is None:
        return None
    done = run(
        ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--no-renames"],
        cwd=root,
        env=environment(),
        check=False,
    )
    return None if done.returncode != 0 else _parse_status(root, done.stdout)


def difference(directory: Path, commit: str, paths: tuple[str, ...], untracked: tuple[str, ...]) -> str:
    """Return the patch (binary-safe) from ``commit`` to the files in ``directory``, named untracked files included.

    ``paths`` limits it ((): everything). Neither the checkout nor its index is touched: the untracked files are
    announced in a copy of the index.
    """
    root = toplevel(directory)
    assert root is not None
    git_environment = environment()
    index: Path | None = None
    try:
        if untracked:
            original = _git_directory(root) / "index"
            index = original.with_name(f"index.experimentstash-{os.getpid()}")
            if original.exists():
                index.write_bytes(original.read_bytes())
            git_environment["GIT_INDEX_FILE"] = str(index)
            run(
                ["git", "add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"],
                cwd=root,
                env={**git_environment, "GIT_LITERAL_PATHSPECS": "1"},
                stdin="\0".join(untracked),
            )
        pathspecs = ["--", *(f":(top,literal){path}" for path in paths)] if paths else []
        return run(
            ["git", "diff", "--binary", *_PLAIN, commit, *pathspecs],
            cwd=root,
            env=git_environment,
        ).stdout
    finally:
        if index is not None:
            index.unlink(missing_ok=True)


def _git_directory(root: Path) -> Path:
    """Return where the repository of a checkout is kept; a submodule or worktree has a file that says where."""
    dot_git = root / ".git"
    if dot_git.is_dir():
        return dot_git
    return (root / dot_git.read_text().removeprefix("gitdir:").strip()).resolve()


def _parse_status(root: Path, text: str) -> Status:
    commit: str | None = None
    branch: str | None = None
    changed: list[str] = []
    untracked: list[str] = []
    # The number of space-separated fields before the path, by the kind of an entry (git-status(1), porcelain v2).
    fields_before_path = {"1": 8, "u": 10}
    for entry in text.split("\0"):
        kind, _, rest = entry.partition(" ")
        if entry.startswith("# branch.oid "):
            commit = None if rest.endswith("(initial)") else entry.rpartition(" ")[2]
        elif entry.startswith("# branch.head "):
            branch = None if rest.endswith("(detached)") else rest.partition(" ")[2]
        elif kind == "?":
            untracked.append(rest)
        elif kind in fields_before_path:
            changed.append(entry.split(" ", fields_before_path[kind])[-1])
    return Status(root, commit, branch, tuple(changed), tuple(untracked))


def submodules(root: Path) -> dict[str, str]:
    """Return what .gitmodules of the checkout at ``root`` declares: path → URL."""
    asked = ["git", "config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.(path|url)$"]
    if not (root / ".gitmodules").is_file():
        return {}
    paths: dict[str, str] = {}
    urls: dict[str, str] = {}
    for setting in run(asked, cwd=root, env=environment(), check=False).stdout.split("\0"):
        key, _, value = setting.partition("\n")
        name, _, which = key.rpartition(".")
        (paths if which == "path" else urls)[name] = value
    return {path: urls.get(name, "") for name, path in paths.items() if path}


def gitlinks(root: Path) -> dict[str, str]:
    """Return the submodules in the index of the checkout at ``root``: path → commit."""
    listed = run(["git", "ls-files", "--stage", "-z"], cwd=root, env=environment(), check=False).stdout
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry.startswith("160000 "))
    return {path: fields.split(" ")[1] for fields, _, path in entries}


def ignored(root: Path, paths: tuple[str, ...]) -> set[str]:
    """Return which of these paths git ignores, whether they exist or not."""
    asked = ["git", "check-ignore", "-z", "--no-index", "--stdin"]
    said = run(asked, cwd=root, env=environment(), stdin="\0".join(paths), check=False).stdout
    return {path for path in said.split("\0") if path}
