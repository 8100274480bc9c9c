"""The tools of a stash: what they are and how they stand, their environments, and moving a pin."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experimentstash import environments, registrations, submodules
from experimentstash.errors import StashError
from experimentstash.names import LinkMap, check_reference, check_tool_name, remote_problem
from experimentstash.process import CommandError
from experimentstash.schema import EnvironmentKind
from experimentstash.submodules import Entry, Superproject, git
from experimentstash.toolpath import tool_directory
from experimentstash.transaction import Report, Transaction, begin, exclusive
from experimentstash.workspace import Stash

# Commits that are listed of an update.
_MOST_COMMITS = 50


@dataclass(frozen=True)
class Tool:
    """A tool and how it stands."""

    name: str
    path: str
    entrypoint: str
    style: str
    description: str
    experiments: tuple[str, ...]
    pinned: str | None  # the commit that the registration says
    url: str | None = None
    branch: str | None = None  # None: detached, or no repository of its own
    commit: str | None = None  # what is checked out
    work: tuple[str, ...] = ()  # what exists only here
    environment: str | None = None  # its kind, and what it is made from
    is_ready: bool = False
    python: str | None = None  # the interpreter
    problem: str | None = None  # why it can't be used


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


@dataclass(frozen=True)
class Synced:
    """What `tool sync` has done for one tool."""

    name: str
    environment: Path | None
    was_ready: bool
    problem: str | None = None


def tools(stash: Stash) -> list[Tool]:
    """Return all tools, by name. A tool that can't be used says why."""
    return [show(stash, name) for name in stash.tools()]


def show(stash: Stash, name: str) -> Tool:
    """Return a tool. StashError only if there is none of this name."""
    experiments = tuple(registrations.dependents(stash, name))
    try:
        config = registrations.read(stash, name)
    except StashError as error:
        if not stash.registration(name).is_file():
            raise
        return Tool(name, "", "", "", "", experiments, None, problem=error.message)
    tool = Tool(
        name=name,
        path=config.path,
        entrypoint=config.entrypoint,
        style=config.call.style.value,
        description=config.description,
        experiments=experiments,
        pinned=config.commit,
    )
    facts = dict(vars(tool))
    try:
        directory = tool_directory(stash, name, config)
    except StashError as error:
        return Tool(**{**facts, "problem": str(error)})
    if (directory / ".git").exists():
        try:
            commit, branch = submodules.head(directory)
            url = git(directory, "config", "remote.origin.url", check=False).text or None
            work = tuple(line for each in [submodules.work_in(directory)] for line in each.describe())
            facts.update(commit=commit, branch=branch, url=url, work=work)
        except CommandError as error:
            facts.update(problem=error.message)
    try:
        recipe = registrations.recipe(stash, name, config, directory)
        python = environments.interpreter(recipe)
        facts.update(
            environment=recipe.kind.value + (f" ({recipe.lock_file})" if recipe.lock_file else ""),
            is_ready=environments.is_ready(recipe),
            python=str(python) if python else None,
        )
    except StashError as error:
        facts.update(problem=str(error))
    return Tool(**facts)


def sync(stash: Stash, names: Sequence[str], *, offline: bool = False, report: Report) -> list[Synced]:
    """Make the environments of these tools now; one that can't be made doesn't stop the others."""
    found = []
    for name in dict.fromkeys(names):
        try:
            config = registrations.read(stash, name)
            recipe = registrations.recipe(stash, name, config, tool_directory(stash, name, config))
            was_ready = environments.is_ready(recipe)
            environments.make(recipe, offline=offline, announce=report)
            found.append(Synced(name, recipe.directory, was_ready))
        except StashError as error:
            found.append(Synced(name, None, False, str(error)))
    return found


def update(
    stash: Stash, name: str, *, to: str | None = None, show_progress: bool = False, report: Report
) -> Updated | None:
    """Move a tool's pin to a branch, tag or commit (default: the end of its branch); None if it is there already.

    Raises StashError if the checkout has changes, or the new commit's environment can't be made; then all is as before.
    """
    check_tool_name(name)
    if to is not None:
        check_reference(to)
    with exclusive(stash, report) as project:
        config = registrations.read(stash, name)
        tree = tool_directory(stash, name, config)
        path = tree.relative_to(project.root).as_posix()
        if not (tree / ".git").exists():
            raise StashError(
                f"{path} is no submodule that is checked out.",
                f"git submodule update --init {path}" if _is_submodule(project, path) else "move its files with git",
            )
        _refuse_dirty(tree, name)
        before, before_branch = submodules.head(tree)
        assert before is not None
        url = git(tree, "config", "remote.origin.url", check=False).text
        is_local = remote_problem(url) is not None
        with begin(stash, project, "update", name, report) as transaction:
            report(f"fetching {url} …")
            _fetch(tree, project, path, url, is_local, show_progress)
            after, branch = _target(tree, project, path, to, before_branch, is_local)
            if after == before:
                is_pinned = config.commit is None or after.startswith(config.commit)
                if is_pinned and [each.object for each in submodules.index_entries(project, [path])] == [after]:
                    return None
            old_recipe = _recipe_facts(stash, name)
            links = LinkMap()
            submodules.inspect(tree, after, "", links)
            transaction.check_out(tree, after, branch)
            submodules.check_out_nested(tree, links, show_progress=show_progress)
            registration = stash.registration(name)
            text = registration.read_bytes().decode("utf-8", "surrogateescape")
            content = registrations.with_commit(text, after).encode("utf-8", "surrogateescape")
            was_staged = _is_staged(project, registration)
            if content != registration.read_bytes():
                transaction.replace(registration, content)
            entries = [Entry(path, submodules.GITLINK, after)] if _is_submodule(project, path) else []
            if was_staged:
                stored = submodules.store(project, registration.relative_to(project.root).as_posix(), content)
                entries.append(stored)
            transaction.index(entries)
            new_recipe = _recipe_facts(stash, name)
            is_new = _sync_environment(transaction, stash, name, report)
            transaction.commit()
        lines = git(
            tree, "log", "--oneline", "--no-decorate", f"--max-count={_MOST_COMMITS}", f"{before}..{after}"
        ).text
        count = int(git(tree, "rev-list", "--count", f"{before}..{after}").text)
        gone = int(git(tree, "rev-list", "--count", f"{after}..{before}").text)
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
        to_commit=tuple(dict.fromkeys([path, registration.relative_to(project.root).as_posix()])),
    )


def _is_submodule(project: Superproject, path: str) -> bool:
    return any(each.mode == submodules.GITLINK for each in submodules.index_entries(project, [path]))


def _is_staged(project: Superproject, registration: Path) -> bool:
    """Tell whether the index has the registration just as the file is: then it is staged again."""
    path = registration.relative_to(project.root).as_posix()
    entries = submodules.index_entries(project, [path])
    now = git(project.root, "hash-object", "--path", path, "--", registration).text
    return [each.object for each in entries] == [now]


def _refuse_dirty(tree: Path, name: str) -> None:
    for path in ("", *(inner for inner, _ in submodules.nested_repositories(tree))):
        work = submodules.work_in(tree / path, path)
        if work.changed or work.operation:
            lines = [line for line in work.describe() if "unpushed" not in line and "stash" not in line]
            raise StashError(
                f"The checkout of {name!r} has changes:\n" + "\n".join(f"  {line}" for line in lines),
                f"commit them, or put them away: git -C {tree} stash",
            )


def _fetch(tree: Path, project: Superproject, path: str, url: str, is_local: bool, show_progress: bool) -> None:
    declared = [each.get("url") for each in submodules.sections(project).values() if each.get("path") == path]
    # A path on this machine is read only if it is the one that was typed for this tool.
    settings = {"protocol.file.allow": "always"} if is_local and url in declared else None
    words = ["fetch", "--tags", "--prune", *(["--progress"] if show_progress else ["--quiet"]), "origin"]
    git(tree, *words, settings=settings, show_progress=show_progress, mend="look at the network and your access to it")
    git(tree, "remote", "set-head", "origin", "--auto", check=False, settings=settings)


def _target(
    tree: Path, project: Superproject, path: str, to: str | None, current: str | None, is_local: bool
) -> tuple[str, str | None]:
    """Return the commit to go to, and the local branch to move there (None: detached)."""
    wanted = to
    if wanted is None:
        declared = next((each for each in submodules.sections(project).values() if each.get("path") == path), {})
        wanted = declared.get("branch") or current
        if wanted is None or not submodules.is_branch(tree, wanted):
            remote_head = git(tree, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", check=False)
            wanted = remote_head.text.removeprefix("origin/")
        if not wanted:
            raise StashError("Nothing says which branch to follow.", "--to BRANCH, --to TAG or --to COMMIT")
    commit = submodules.resolve(tree, wanted, is_local=is_local)
    if not submodules.is_branch(tree, wanted):
        return commit, None
    local = git(tree, "rev-parse", "--verify", "--quiet", f"refs/heads/{wanted}", check=False)
    if local.code == 0:
        # The branch is moved only if nothing of it is lost by that.
        unmerged = git(tree, "rev-list", "--max-count=1", f"refs/heads/{wanted}", f"^{commit}").out
        return commit, None if unmerged else wanted
    return commit, wanted if current is not None else None


def _recipe_facts(stash: Stash, name: str) -> dict[str, str | None]:
    try:
        config = registrations.read(stash, name)
        recipe = registrations.recipe(stash, name, config, tool_directory(stash, name, config))
    except StashError:
        return {}
    source = recipe.lock_path or recipe.file
    return {"key": recipe.key, str(source and os.path.basename(source)): recipe.lock}


def _changed(before: dict[str, str | None], after: dict[str, str | None]) -> list[str]:
    names = [
        name for name in {**before, **after} if name not in ("key", "None") and before.get(name) != after.get(name)
    ]
    return names or (["what its environment is made from"] if before.get("key") != after.get("key") else [])


def _sync_environment(transaction: Transaction, stash: Stash, name: str, report: Report) -> bool:
    config = registrations.read(stash, name)
    recipe = registrations.recipe(stash, name, config, tool_directory(stash, name, config))
    if recipe.kind in (EnvironmentKind.none, EnvironmentKind.interpreter) or environments.is_ready(recipe):
        return False
    assert recipe.directory is not None
    transaction.create(recipe.directory)
    environments.make(recipe, announce=report)
    return True
