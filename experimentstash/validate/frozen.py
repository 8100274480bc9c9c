"""Checks of what is frozen: whether all that it needs can still be had, as far as that is known without a network."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from experimentstash.adapters.git import objects
from experimentstash.code import frozen_names
from experimentstash.code.frozen_names import Frozen, Need, Where
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.validate.problem import Problem, warning


def check_frozen(stash: Stash, tool: str | None) -> list[Problem]:
    """Look whether the commits and the inputs of frozen names are there; of one tool alone, if it is named."""
    unread: list[str] = []
    found = []
    for frozen in frozen_names.look(stash, unread):
        if tool is None or any(each.tool == tool for each in frozen.needs):
            needs = [each for each in frozen.needs if tool is None or each.tool in (tool, None)]
            found += [problem for need in needs for problem in _of_commit(stash, need)]
            found += _of_inputs(stash, frozen)
    where = [f"{_place(name)}/{frozen_names.FILE_NAME}" for name in unread]
    return [*found, *(Problem("frozen", "it can't be read", each, f"git log -- {each}") for each in where)]


def frozen_commits_apart(stash: Stash, tool: str | None) -> list[str]:
    """Return which frozen names have another commit than their tool has now: nothing is wrong with that."""
    found = []
    for frozen in frozen_names.look(stash, []):
        for need in frozen.needs:
            root = need.repository(stash)
            if need.tool is None or need.is_own or need.is_inner or root is None or tool not in (None, need.tool):
                continue
            if objects.object_at(root, "HEAD^{commit}") != need.commit:
                found.append(f"{need.name} ({need.tool} {need.commit[:12]})")
    return list(dict.fromkeys(found))


def _of_commit(stash: Stash, need: Need) -> Iterator[Problem]:
    state = frozen_names.where(stash, need)
    what = f"commit {need.commit[:12]} of {need.what}"
    if state in (Where.NOT_HERE, Where.UNKNOWN):
        if need.url is None:
            why = f"{what} is neither here nor in a bundle, and no remote is known that has it"
            yield Problem("frozen", why, _place(need.name))
        elif state is Where.NOT_HERE:
            why = f"{what} isn't here, nor in a bundle: whether {need.url} has it isn't known"
            yield warning("frozen", why, _place(need.name), f"experimentstash reproduce {need.name} --check asks")
    elif state in (Where.ONLY_HERE, Where.LOOSE):
        may_go = ", and git may take it away" if state is Where.LOOSE else ""
        why = f"as far as is known only this machine has {what}{may_go}"
        words = ["git", "-C", os.path.relpath(need.directory(stash), stash.root), "push", "origin"]
        push = shlex.join([*words, f"{need.commit[:12]}:refs/heads/frozen-{need.name}"])
        yield warning("frozen", why, _place(need.name), None if need.url is None else push)


def _of_inputs(stash: Stash, frozen: Frozen) -> Iterator[Problem]:
    for each in frozen.inputs:  # those elsewhere begin with a mark
        if not os.path.isabs(each) and not each.startswith("⟨") and not os.path.exists(stash.root / each):
            yield warning("frozen", f"its input {each} isn't here", _place(frozen.name), "bring it back")


def _place(name: str) -> str:
    return f"{paths.FROZEN}/{name}"
