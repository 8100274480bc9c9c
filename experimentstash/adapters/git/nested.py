"""The submodules of a tool: which of them it is to be without, and which it is without."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.base.errors import StashError


class LeftOut:
    """Which submodules of a tool are not fetched: those with these paths in it, or all."""

    def __init__(self, paths: Iterable[str] = (), *, is_all: bool = False) -> None:
        self._wanted = {path.strip("/") for path in paths}
        self._is_all = is_all
        self.found: list[str] = []  # those of them that there are

    def __contains__(self, path: str) -> bool:
        return self._is_all or path in self._wanted

    def refuse_unknown(self, tree: Path) -> None:
        """Raise StashError if one was named that the checkout doesn't have."""
        if unknown := sorted(self._wanted - {*self.found}):
            has = ", ".join(sorted({*_all(tree), *self.found})) or "none"
            raise StashError(f"The repository has no submodule {unknown[0]!r}.", f"it has: {has}")


def leaving_out(path: str) -> str:
    """Return the words of `tool add` that leave a submodule out."""
    return f"--without-submodule {shlex.quote(path)} (all of them: --no-submodules)"


def missing(tree: Path) -> list[str]:
    """Return the submodules of a checkout, at all depths, that aren't checked out."""
    return [path for path in _all(tree) if not (tree / path / ".git").exists()]


def _all(tree: Path, prefix: str = "") -> list[str]:
    found = []
    for path in sorted(gitlinks(tree / prefix)):
        inner = f"{prefix}/{path}" if prefix else path
        found.append(inner)
        if (tree / inner / ".git").exists():
            found += _all(tree, inner)
    return found
