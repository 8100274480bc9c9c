"""A patch without what is secret: the change of a file that holds a secret is left out of it as a whole.

Replaced in the text, a secret would leave a patch that makes other code than what has run, and doesn't say so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base.patterns import regex
from experimentstash.code.secret_files import has_secret, holds_secret

_FILE = regex(r"^(?=diff --git )", re.MULTILINE)
_PATHS = regex(
    r"^(?:\+\+\+ b/|--- a/|rename to |rename from |copy to )(.*?)\t?$|^(?:\+\+\+|---) (\"[ab]/.*)$", re.MULTILINE
)


def withhold(patch: str, root: Path, below: str = "") -> tuple[str, list[str]]:
    """Return a patch of git's for the checkout ``root`` without what is secret; and the files that it leaves out.

    ``below`` ("" or "inner/") is in front of its paths.
    """
    kept: list[str] = []
    withheld: list[str] = []
    for part in _FILE.split(patch):
        paths = _paths(part)
        if part.startswith("diff --git ") and _is_secret(part, [path.removeprefix(below) for path in paths], root):
            withheld.append(paths[0])
        else:
            kept.append(part)
    return "".join(kept), withheld


def parts(patch: str) -> dict[str, str]:
    """Return what a patch of git's says of each file that it changes."""
    return {_paths(part)[0]: part for part in _FILE.split(patch) if part.startswith("diff --git ")}


def without_below(patch: str, directory: str) -> str:
    """Return a patch of git's without what it changes in a directory, relative to the checkout."""
    pieces = _FILE.split(patch)
    return "".join(part for part in pieces if not all(f"{path}/".startswith(f"{directory}/") for path in _paths(part)))


def _is_secret(part: str, paths: Sequence[str], root: Path) -> bool:
    if any(holds_secret(root, path) for path in paths):
        return True
    changed = "\n".join(line[1:] for line in part.splitlines()[1:])  # also what is no longer there
    return has_secret(changed, paths[0])


def _paths(part: str) -> list[str]:
    """Return the paths of a file in a patch, that of the new one first."""
    head, _, _ = part.partition("\n@@ ")
    found = [plain or _unquoted(quoted)[2:] for plain, quoted in _PATHS.findall(head)]
    if not found:  # of a binary file, or of its mode alone, only the first line tells: twice the same path
        words = part.partition("\n")[0].removeprefix("diff --git ")
        old, new = words[: len(words) // 2], words[len(words) // 2 + 1 :]
        found = [_unquoted(new)[2:] if new.startswith('"') else new[2:] or old[2:]]
    return [*reversed(found)]


def _unquoted(path: str) -> str:
    """Return a path as it is, which git has quoted as C does; what Python knows of that is the same."""
    try:
        return bytes(ast.literal_eval(f"b{path}")).decode("utf-8", "surrogateescape")
    except (ValueError, SyntaxError):
        return path
