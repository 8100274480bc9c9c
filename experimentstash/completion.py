"""Tab completion of verbs, experiments and tools; what else there is, Hydra's own completion knows.

Hydra's shell functions (``eval "$(experimentstash -sc install=bash)"``) ask ``experimentstash -sc query=SHELL`` with
the line so far in ``COMP_LINE``. Hydra itself doesn't complete a group that is added with a plus sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from experimentstash.workspace import Stash

_GROUPS = re.compile(r"(?P<before>\+?(?P<group>exp|tool)=(?:[^,]*,)*)[^,]*")


def candidates(line: str, stash: Stash, verbs: Iterable[str]) -> list[str] | None:
    """Return what the last word of ``line`` may become; None if that is for Hydra to say."""
    words = line.split()
    current = "" if not words or line[-1:].isspace() else words.pop()
    match = _GROUPS.fullmatch(current)
    if match:
        names = stash.experiments() if match["group"] == "exp" else stash.tools()
        found = [match["before"] + name for name in names]
    elif len(words) == 1:
        found = [*verbs, *(f"+exp={name}" for name in stash.experiments())]
    elif words[1:2] == ["run"] and "=" not in current:
        found = stash.experiments()
    else:
        return None
    found = [candidate for candidate in found if candidate.startswith(current)]
    return found or None
