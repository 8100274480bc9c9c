"""Of a checkout, what a fresh one of the same commits wouldn't have."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.work import work_in
from experimentstash.code.results import REMAKEABLE


def save_files(
    target: Path, tree: Path, repositories: list[str], absent: list[str], directories: list[str], skipped: list[str]
) -> None:
    """Keep every file that a fresh checkout of the same commits wouldn't have, hard-linked where that is possible."""
    as_committed: set[str] = set()
    for path in repositories:
        prefix = f"{path}/" if path else ""
        work = work_in(tree / path)
        tracked = git(tree / path, "ls-files", "-z").items
        flagged = git(tree / path, "ls-files", "-v", "-z").items
        # Lower case: assume-unchanged; S: skip-worktree. `git status` doesn't look at them.
        unseen = {item[2:] for item in flagged if item[:1].islower() or item[:1] == "S"}
        staged = set(_staged_paths(tree / path))
        as_committed |= {prefix + name for name in tracked} - {
            prefix + name for name in (*work.changed, *unseen, *staged)
        }
        absent += [
            prefix + name for name in (*work.changed, *unseen, *staged) if not os.path.lexists(tree / path / name)
        ]
    for folder, folders, names in os.walk(tree):
        relative = os.path.relpath(folder, tree)
        prefix = "" if relative == "." else f"{relative}/"
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        left_out = [name for name in folders if name not in links and _is_remakeable(Path(folder, name))]
        tracked_below = [name for name in left_out if any(p.startswith(f"{prefix}{name}/") for p in as_committed)]
        left_out = [name for name in left_out if name not in tracked_below]
        skipped += [prefix + name for name in left_out]
        folders[:] = sorted(set(folders) - {*links, *left_out})
        if prefix and not folders and not names and not links and ".git" not in relative.split("/"):
            directories.append(relative)
        for name in sorted([*names, *links]):
            path = prefix + name
            if path in as_committed or _is_git_file(tree, path, repositories):
                continue
            if stat.S_ISSOCK(mode := os.lstat(tree / path).st_mode) or stat.S_ISFIFO(mode):
                continue
            (target / prefix).mkdir(parents=True, exist_ok=True)
            link(str(tree / path), str(target / path))


def _staged_paths(tree: Path) -> list[str]:
    words = ["--cached", "--name-only", "--no-renames", "--ignore-submodules", "-z"]
    return git(tree, "diff", *words, check=False).items


def _is_git_file(tree: Path, path: str, repositories: list[str]) -> bool:
    return any(path == (f"{each}/.git" if each else ".git") for each in repositories)


def _is_remakeable(directory: Path) -> bool:
    is_environment = (directory / "pyvenv.cfg").is_file()
    return directory.name in REMAKEABLE or directory.name.endswith(".egg-info") or is_environment


def link(source: str, target: str) -> None:
    """Make a file a hard link to another, or a copy where that can't be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target, follow_symlinks=False)


def save_patches(folder: Path, tree: Path, repositories: list[str]) -> None:
    """Keep what is changed as patches, for people."""
    for path in repositories:
        for name, option in (("staged", ["--cached"]), ("unstaged", [])):
            patch = git(
                tree / path, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", *option, check=False
            ).out
            if patch:
                folder.mkdir(exist_ok=True)
                label = f"{path.replace('/', '-')}-" if path else ""
                (folder / f"{label}{name}.patch").write_bytes(patch.encode("utf-8", "surrogateescape"))
