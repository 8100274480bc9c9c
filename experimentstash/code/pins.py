"""The commit that a tool's registration names: what it stands for, and whether that is what is checked out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig


@dataclass(frozen=True)
class Pin:
    """A commit that is asked for."""

    name: str  # as it was written
    commit: str
    root: Path  # the checkout whose repository has it
    path: str  # all that counts of it: the tool's directory in the stash's own repository; "": everything

    @property
    def is_checked_out(self) -> bool:
        """Whether the committed files of the checkout are those of the commit."""
        head = objects.object_at(self.root, "HEAD^{commit}")
        if head == self.commit or not self.path:
            return head == self.commit
        return objects.object_at(self.root, f"HEAD:{self.path}") == objects.object_at(
            self.root, f"{self.commit}:{self.path}"
        )


def read(stash: Stash, name: str, tool: ToolConfig, directory: Path) -> Pin | None:
    """Return the commit that a tool in ``directory`` is to run, None if none is asked for; nothing is fetched.

    StashError if there is no such commit here, or it isn't certain which one is meant, or it lacks the directory.
    """
    if tool.commit is None:
        return None
    real = directory.resolve()
    root = toplevel(real)
    if root is None:
        raise StashError(
            f"The tool {name!r} is to run commit {tool.commit!r}, but {tool.path} is in no git repository: nothing"
            " tells what it is.",
            "leave out `commit:` (or tool.commit=null), or make the tool a repository",
        )
    commit = objects.commit_named(root, tool.commit)
    if commit is None:
        raise StashError(
            f"The tool {name!r} is to run commit {tool.commit!r}, but the repository of {tool.path} has no such"
            f" commit.{_hint(tool.commit)}",
            _fetch_command(root, tool.commit),
        )
    inner = "" if real == root else real.relative_to(root).as_posix()
    if inner and objects.object_type(root, f"{commit}:{inner}") != "tree":
        raise StashError(
            f"The tool {name!r} is to run commit {_named(tool.commit, commit)}, which has no directory {inner}.",
            f"git -C {shlex.quote(str(root))} ls-tree --name-only {commit} shows what it has",
        )
    is_own = root == toplevel(stash.root.resolve())
    return Pin(tool.commit, commit, root, inner if is_own else "")


def refuse_other(name: str, tool: ToolConfig, pin: Pin) -> None:
    """Raise StashError if something else is checked out than the commit that is asked for."""
    if pin.is_checked_out:
        return
    head = objects.object_at(pin.root, "HEAD^{commit}") or "no commit"
    target = pin.commit if re.fullmatch("[0-9a-fA-F]{4,40}", pin.name) else pin.name
    raise StashError(
        f"The tool {name!r} is to run commit {_named(pin.name, pin.commit)}, but {tool.path} is at {head[:12]}.",
        f"git -C {shlex.quote(str(pin.root))} checkout {shlex.quote(target)}\n"
        "  → or code=frozen, which runs that commit and leaves the checkout alone"
        " (tool.commit=null runs what is checked out)",
    )


def _named(name: str, commit: str) -> str:
    return name if commit.startswith(name) else f"{name} ({commit[:12]})"


def _hint(name: str) -> str:
    if re.fullmatch(r"[\d.e+]+|inf", name.lower()) and not re.fullmatch("[0-9a-f]{40}", name.lower()):
        return " (A hash that looks like a number needs quotes in YAML.)"
    return ""


def _fetch_command(root: Path, name: str) -> str:
    place = shlex.quote(str(root))
    known = objects.commit_named(root, f"refs/remotes/origin/{name}") if re.fullmatch(r"\w[\w./-]*", name) else None
    if known is not None:
        return f"write origin/{name}, which is a branch of the remote (or: git -C {place} branch {name} origin/{name})"
    if re.fullmatch("[0-9a-f]{40}", name):
        return f"git -C {place} fetch origin {name}:refs/experimentstash/{name}"
    return f"git -C {place} fetch --tags origin, if the remote has it"
