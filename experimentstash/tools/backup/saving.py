"""The backup of a tool is written: what of its repositories its remote doesn't have, and how it was set up."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import time
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitindex, objects, submodules
from experimentstash.adapters.git.command import bare, git
from experimentstash.adapters.git.gitindex import GITLINK, Entry
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base.failpoints import step
from experimentstash.base.names import remote_problem
from experimentstash.tools.backup.kept_files import link, save_files, save_patches
from experimentstash.tools.backup.manifest import MANIFEST, Backup, Repository

# Of a git directory: what a clone and the bundle bring again, or what lies in a directory of its own in the backup.
_NOT_STATE = {
    "objects",
    "modules",
    "worktrees",
    "index.lock",
    "HEAD.lock",
    "config.lock",
    "gc.pid",
    "FETCH_HEAD",
    "lfs",
}
# Seconds that a remote gets to say what it has.
_PATIENCE = 20.0
_KEPT = "refs/backup"


def save(
    folder: Path,
    project: Superproject,
    *,
    tool: str,
    path: str,
    tree: Path | None,
    repository: Path | None,
    module: str,
    stash_files: list[tuple[str, Path]],
    section: list[tuple[str, str]],
    index: list[Entry],
    gitmodules: tuple[bytes | None, bytes | None],
    settings: dict[str, str],
    is_registration_alone: bool = False,
    is_installed: bool = False,
) -> Backup:
    """Write the backup of a tool into ``folder``, which is there and empty; the tool isn't touched.

    ``path`` is where its submodule belongs in the stash's repository, ``tree`` the checkout of that, ``repository``
    its git directory, either None if there is none.
    """
    for name, file in stash_files:
        target = folder / "stash" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target, follow_symlinks=False)
    repositories: list[Repository] = []
    absent: list[str] = []
    directories: list[str] = []
    skipped: list[str] = []
    commit = branch = None
    if tree is not None and repository is not None:
        commit, branch = checkouts.head(tree)
        parts = [("", repository), *submodules.nested_repositories(tree)]
        for number, (inner, place) in enumerate(parts):
            step("backup of a repository")
            repositories.append(
                _save_repository(folder / "repositories" / str(number), inner, place, repository, tree / inner)
            )
        save_files(folder / "files", tree, [inner for inner, _ in parts], absent, directories, skipped)
        save_patches(folder / "changes", tree, [inner for inner, _ in parts])
    elif repository is not None:
        repositories.append(_save_repository(folder / "repositories" / "0", "", repository, repository, None))
    backup = Backup(
        tool=tool,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        path=path,
        module=module,
        url=settings.get("url"),
        commit=commit,
        branch=branch,
        registered=bool(settings),
        section=[list(pair) for pair in section],
        index=[[each.path, each.mode, each.object] for each in index],
        gitmodules_before=_decoded(gitmodules[0]),
        gitmodules_after=_decoded(gitmodules[1]),
        stash_files=[name for name, _ in stash_files],
        absent=absent,
        directories=directories,
        skipped=skipped,
        repositories=repositories,
        has_checkout=tree is not None and repository is not None,
        is_registration_alone=is_registration_alone,
        is_installed=is_installed,
    )
    step("backup manifest")
    text = json.dumps(dataclasses.asdict(backup), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return backup


def _decoded(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _save_repository(folder: Path, path: str, place: Path, top: Path, tree: Path | None) -> Repository:
    state = folder / "state"
    state.mkdir(parents=True)
    for entry in sorted(place.iterdir()):
        if entry.name in _NOT_STATE or entry.name.startswith("index.experimentstash"):
            continue
        if entry.is_dir() and not entry.is_symlink():
            skip = shutil.ignore_patterns("*.sample") if entry.name == "hooks" else None
            shutil.copytree(entry, state / entry.name, symlinks=True, ignore=skip)
        else:
            shutil.copy2(entry, state / entry.name, follow_symlinks=False)
    url = git(folder, "config", "-f", place / "config", "--get", "remote.origin.url", check=False).text or None
    commit = bare(place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False).text or None
    # From a place on this machine a nested one isn't cloned again: all of it is kept.
    is_kept_whole = path != "" and url is not None and remote_problem(url) is not None
    known = None if is_kept_whole else _on_the_remote(place, url, folder)
    has_bundle = _bundle(folder, place, known or [])
    if has_bundle and (place / "lfs" / "objects").is_dir():
        shutil.copytree(place / "lfs", state / "lfs", symlinks=True, copy_function=link)
    module = "" if path == "" else os.path.relpath(place, top)
    return Repository(path, module, url, commit, has_bundle, known is None)


def _on_the_remote(place: Path, url: str | None, neutral: Path) -> list[str] | None:
    """Return the commits that the remote has right now and that are known here; None if it can't be asked.

    What was fetched once counts for nothing: it may have been overwritten there since.
    """
    if url is None:
        return None
    settings = {"protocol.file.allow": "always"} if remote_problem(url) else None
    words = ["ls-remote", "--quiet", "--heads", "--tags", "--", url]
    asked = git(neutral, *words, check=False, settings=settings, patience=_PATIENCE)
    if asked.code:
        return None
    names = sorted({line.partition("\t")[0] for line in asked.text.splitlines()})
    return [name for name, kind in objects.kinds(place, names, is_bare=True).items() if kind is not None]


def _bundle(folder: Path, place: Path, known: list[str]) -> bool:
    """Bundle what can be reached from any reference, reflog or the index and isn't ``known``; False if nothing is.

    The repository itself stays as it is: the references that a bundle needs are made in another one beside.
    """
    scratch = folder / "scratch"
    git(folder, "init", "--quiet", "--bare", scratch)
    (scratch / "objects" / "info").mkdir(exist_ok=True)
    (scratch / "objects" / "info" / "alternates").write_text(f"{place / 'objects'}\n", "utf-8", "surrogateescape")
    if (place / "shallow").exists():
        shutil.copy2(place / "shallow", scratch / "shallow")
    listed = bare(place, "for-each-ref", "--format=%(objectname)").text.split()
    names = ("HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge/orig-head")
    asked = "".join(f"{name}\n" for name in names)
    listed += bare(place, "cat-file", "--batch-check=%(objectname)", stdin=asked, check=False).text.split()
    for log in (place / "logs").rglob("*") if (place / "logs").is_dir() else ():
        if log.is_file():
            for line in log.read_bytes().splitlines():
                listed += [word.decode("ascii", "replace") for word in line.split(b" ")[:2]]
    wanted = sorted({name for name in listed if re.fullmatch("[0-9a-f]{40,64}", name) and name.strip("0")} - {*known})
    kinds = objects.kinds(scratch, wanted)
    existing = [name for name, kind in kinds.items() if kind is not None]
    existing += _staged(place, scratch)
    lines = "".join(f"create {_KEPT}/{number} {name}\n" for number, name in enumerate(existing))
    git(scratch, "update-ref", "--stdin", stdin=lines)
    found = False
    if existing:
        arguments = "".join(f"^{name}\n" for name in known)
        new = git(scratch, "rev-list", "--max-count=1", "--stdin", "--all", stdin=arguments)
        found = bool(new.out) or "tag" in kinds.values()
        if found:
            git(scratch, "bundle", "create", "--quiet", folder / "objects.bundle", "--stdin", "--all", stdin=arguments)
    shutil.rmtree(scratch)
    return found


def _staged(place: Path, scratch: Path) -> list[str]:
    """Return a commit that holds the staged files which are in no commit."""
    if not (place / "index").exists():
        return []
    listed = gitindex.entries_in(bare(place, "ls-files", "--stage", "-z"))
    staged = {name for _, mode, name in listed if mode != GITLINK}
    committed = bare(place, "ls-tree", "-r", "-z", "--full-tree", "HEAD", check=False)
    staged -= {name for _, _, _, name in objects.tree_in(committed)}
    if not staged:
        return []
    lines = "".join(f"100644 blob {name}\t{name}\0" for name in sorted(staged))
    tree = git(scratch, "mktree", "-z", "--missing", stdin=lines).text
    identity = {f"GIT_{who}_{what}": "experimentstash" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return [git(scratch, "commit-tree", tree, "-m", "staged files", variables=identity).text]
