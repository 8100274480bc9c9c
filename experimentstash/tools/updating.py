"""``tool update``: the pin of a tool moves, with its environment, and with the tools in the same checkout."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, submodules, untrusted
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitindex import GITLINK, Entry
from experimentstash.adapters.git.objects import commit_named
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.adapters.git.work import work_in
from experimentstash.base.errors import StashError
from experimentstash.base.names import LinkMap, check_reference, check_tool_name, remote_problem
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash.layout import Stash
from experimentstash.tools import frozen_needs, places, registrations, subdirectories
from experimentstash.tools.places import Place
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.syncing import is_ready, recipe_of, sync_in
from experimentstash.tools.transaction import Report, Transaction, begin

# Commits that are listed of an update.
_MOST_COMMITS = 50


@dataclass(frozen=True)
class Updated:
    """What `tool update` has done."""

    name: str
    before: str
    after: str
    branch: str | None
    commits: tuple[str, ...]  # one line each, the newest first
    others: int  # commits that aren't listed
    gone: int  # commits of before that are not in after: a step back, or aside
    changed_files: tuple[str, ...]  # those that the environment is made from
    has_new_environment: bool
    to_commit: tuple[str, ...]
    also: tuple[str, ...] = ()  # tools in the same checkout, which have moved with it
    left: tuple[str, ...] = ()  # … and those of them whose registration names another commit, as before


def update(
    stash: Stash,
    name: str,
    *,
    to: str | None = None,
    is_for_all: bool = False,
    show_progress: bool = False,
    report: Report,
) -> Updated | None:
    """Move a tool's pin to a branch, tag or commit (default: the end of its branch); None if it is there already.

    Raises StashError if the checkout has changes, if other tools lie in it and it isn't to move ``is_for_all``, or if
    the new commit lacks a tool's directory or its environment can't be made; then all is as before.
    """
    check_tool_name(name)
    if to is not None:
        check_reference(to)
    with exclusive(stash, report) as project:
        config = registrations.read(stash, name)
        directory = tool_directory(stash, name, config, is_needed=False)
        if not config.path:
            python = shlex.quote(str(config.environment.interpreter))
            raise StashError(
                f"The tool {name!r} has no repository here: it is a package of {config.environment.interpreter}.",
                f"update it there, with `{python} -m pip install --upgrade …`, or what else it was installed by",
            )
        place = places.find(stash, project, name)
        tree, path = place.checkout, place.path(project)
        if not (tree / ".git").exists():
            raise StashError(
                f"{path} is no submodule that is checked out.",
                f"git submodule update --init {path}" if place.is_submodule else "move its files with git",
            )
        if toplevel(directory) != tree:
            raise StashError(
                f"{config.path} lies in a submodule of {stash.relative(tree)}, which says at which commit it is.",
                f"git -C {tree} submodule update --remote …, and commit that there",
            )
        _refuse_dirty(tree, name)
        before, before_branch = checkouts.head(tree)
        assert before is not None
        url = gitconfig.origin(tree) or ""
        is_local = remote_problem(url) is not None
        frozen = frozen_needs.kept_of_updated(stash, tree)  # before the remote may take away what refers to them
        with begin(stash, project, "update", name, report) as transaction:
            report(f"fetching {url} …")
            _fetch(tree, project, path, url, is_local, show_progress)
            after, branch = _target(tree, project, path, to, before_branch, is_local)
            if after == before:
                is_pinned = config.commit is None or after.startswith(config.commit)
                if is_pinned and [each.object for each in gitindex.index_entries(project, [path])] == [after]:
                    return None
            if after != before and not is_for_all:
                _refuse_for_others(stash, place, after, to)
            for each in (name, *place.others):
                inner = places.find(stash, project, each).inner
                subdirectories.refuse_missing(tree, after, inner)
            for line in frozen_needs.of_updated(stash, tree, frozen, after):
                report(line)
            old_recipe = _recipe_facts(stash, name)
            were_ready = [each for each in place.others if is_ready(stash, each)]
            links = LinkMap()
            without = submodules.left_out(tree)
            untrusted.inspect(tree, after, "", links, without)
            transaction.check_out(tree, after, branch)
            submodules.check_out_nested(tree, links, without, show_progress=show_progress)
            entries = [Entry(path, GITLINK, after)] if _is_submodule(project, path) else []
            pinned_there = [each for each in place.others if _pinned(stash, each, before)]
            changed = [stash.registration(each) for each in (name, *pinned_there)]
            for registration in changed:
                entries += _write_pin(transaction, project, registration, after)
            transaction.index(entries)
            new_recipe = _recipe_facts(stash, name)
            is_new = sync_in(transaction, stash, name, report)
            for each in were_ready:
                sync_in(transaction, stash, each, report)
            transaction.commit()
        lines = git(
            tree, "log", "--oneline", "--no-decorate", f"--max-count={_MOST_COMMITS}", f"{before}..{after}"
        ).text
        count = git(tree, "rev-list", "--count", f"{before}..{after}").number
        gone = git(tree, "rev-list", "--count", f"{after}..{before}").number
    commits = tuple(lines.splitlines())
    return Updated(
        name=name,
        before=before,
        after=after,
        branch=branch,
        commits=commits,
        others=count - len(commits),
        gone=gone,
        changed_files=tuple(_changed(old_recipe, new_recipe)),
        has_new_environment=is_new,
        to_commit=tuple(dict.fromkeys([path, *(each.relative_to(project.root).as_posix() for each in changed)])),
        also=place.others,
        left=tuple(each for each in place.others if _names_another(stash, each, tree, after)),
    )


def _refuse_for_others(stash: Stash, place: Place, after: str, to: str | None) -> None:
    """Raise StashError if tools would move along of which nobody has spoken."""
    if place.others:
        there = f" --to {shlex.quote(to)}" if to is not None else ""
        raise StashError(
            f"{', '.join(place.others)} {'lies' if len(place.others) == 1 else 'lie'} in the same checkout as"
            f" {place.tool}, {stash.relative(place.checkout)}, and would move to {after[:12]} too.",
            f"experimentstash tool update {place.tool}{there} --all-in-checkout, or give one of them its own checkout:"
            " experimentstash tool add OTHER_NAME URL --subdirectory … --separate",
        )


def _pinned(stash: Stash, name: str, commit: str) -> bool:
    """Tell whether a registration names just this commit, by its hash."""
    try:
        pinned = registrations.read(stash, name).commit
    except StashError:
        return False
    return pinned is not None and re.fullmatch("[0-9a-f]{7,64}", pinned) is not None and commit.startswith(pinned)


def _names_another(stash: Stash, name: str, tree: Path, commit: str) -> bool:
    try:
        pinned = registrations.read(stash, name).commit
        return pinned is not None and commit_named(tree, pinned) != commit
    except StashError:
        return True


def _write_pin(transaction: Transaction, project: Superproject, registration: Path, commit: str) -> list[Entry]:
    """Write a commit into a registration; return its entry for the index if it was staged just as it is."""
    before = registration.read_bytes()
    text = before.decode("utf-8", "surrogateescape")
    content = registrations.with_commit(text, commit).encode("utf-8", "surrogateescape")
    was_staged = _is_staged(project, registration)
    if content != before:
        transaction.replace(registration, content)
    return [gitindex.store(project, registration.relative_to(project.root).as_posix(), content)] if was_staged else []


def _is_submodule(project: Superproject, path: str) -> bool:
    return any(each.mode == GITLINK for each in gitindex.index_entries(project, [path]))


def _is_staged(project: Superproject, registration: Path) -> bool:
    """Tell whether the index has the registration just as the file is: then it is staged again."""
    path = registration.relative_to(project.root).as_posix()
    entries = gitindex.index_entries(project, [path])
    now = git(project.root, "hash-object", "--path", path, "--", registration).text
    return [each.object for each in entries] == [now]


def _refuse_dirty(tree: Path, name: str) -> None:
    for path in ("", *(inner for inner, _ in submodules.nested_repositories(tree))):
        work = work_in(tree / path, path)
        if work.changed or work.operation:
            lines = [line for line in work.describe() if "unpushed" not in line and "stash" not in line]
            raise StashError(
                f"The checkout of {name!r} has changes:\n" + "\n".join(f"  {line}" for line in lines),
                f"commit them, or put them away: git -C {tree} stash",
            )


def _fetch(tree: Path, project: Superproject, path: str, url: str, is_local: bool, show_progress: bool) -> None:
    declared = [each.get("url") for each in gitconfig.sections(project).values() if each.get("path") == path]
    # A path on this machine is read only if it is the one that was typed for this tool.
    settings = {"protocol.file.allow": "always"} if is_local and url in declared else None
    words = ["fetch", "--tags", "--prune", *(["--progress"] if show_progress else ["--quiet"]), "origin"]
    git(tree, *words, settings=settings, show_progress=show_progress, hint="look at the network and your access to it")
    git(tree, "remote", "set-head", "origin", "--auto", check=False, settings=settings)


def _target(
    tree: Path, project: Superproject, path: str, to: str | None, current: str | None, is_local: bool
) -> tuple[str, str | None]:
    """Return the commit to go to, and the local branch to move there (None: detached)."""
    wanted = to
    if wanted is None:
        declared = next((each for each in gitconfig.sections(project).values() if each.get("path") == path), {})
        wanted = declared.get("branch") or current
        if wanted is None or not checkouts.is_branch(tree, wanted):
            remote_head = git(tree, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", check=False)
            wanted = remote_head.text.removeprefix("origin/")
        if not wanted:
            raise StashError("Nothing says which branch to follow.", "--to BRANCH, --to TAG or --to COMMIT")
    commit = checkouts.resolve(tree, wanted, is_local=is_local)
    if not checkouts.is_branch(tree, wanted):
        return commit, None
    local = git(tree, "rev-parse", "--verify", "--quiet", f"refs/heads/{wanted}", check=False)
    if local.code == 0:
        # The branch is moved only if nothing of it is lost by that.
        unmerged = git(tree, "rev-list", "--max-count=1", f"refs/heads/{wanted}", f"^{commit}").out
        return commit, None if unmerged else wanted
    return commit, wanted if current is not None else None


def _recipe_facts(stash: Stash, name: str) -> dict[str, str | None]:
    try:
        recipe = recipe_of(stash, name)
    except StashError:
        return {}
    source = recipe.lock_path or recipe.file
    return {"key": recipe.key, str(source and os.path.basename(source)): recipe.lock}


def _changed(before: dict[str, str | None], after: dict[str, str | None]) -> list[str]:
    names = [
        name for name in {**before, **after} if name not in ("key", "None") and before.get(name) != after.get(name)
    ]
    return names or (["what its environment is made from"] if before.get("key") != after.get("key") else [])
