"""Checks for what is there twice, or inside of another one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.git.root import toplevel
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizer
from experimentstash.stash.schema import ToolConfig
from experimentstash.validate.problem import Problem, organizer_file, registration_file, warning


def check_duplicates(stash: Stash, organizers: Sequence[Organizer]) -> list[Problem]:
    """Look for experiments that are the same, and for names that are one where upper and lower case are."""
    found = []
    for names in _groups({each.name: each.name.casefold() for each in organizers}):
        for name in names[1:]:
            what = (
                f"its name differs from {names[0]!r} in upper and lower case only: on some machines they are one file"
            )
            found.append(Problem("duplicates", what, organizer_file(stash, name)))
    same = {each.name: f"{each.tool} {each.settings}" for each in organizers if each.problem is None}
    for names in _groups(same):
        for name in names[1:]:
            what = f"it does the same as {names[0]!r}"
            found.append(warning("duplicates", what, organizer_file(stash, name)))
    return found


def check_tool_names(stash: Stash, names: Sequence[str]) -> list[Problem]:
    """Look for tools whose names are one where upper and lower case are."""
    return [
        Problem(
            "duplicates",
            f"its name differs from {same[0]!r} in upper and lower case only",
            registration_file(stash, name),
        )
        for same in _groups({name: name.casefold() for name in names})
        for name in same[1:]
    ]


def check_nesting(stash: Stash, tools: Mapping[str, ToolConfig]) -> list[Problem]:
    """Look for tools of the stash's own repository that lie inside another one: neither has its files to itself."""
    own = toplevel(stash.root)
    places = {name: Path(os.path.normpath(stash.root / tool.path)) for name, tool in tools.items() if tool.path}
    return [
        Problem(
            "duplicates",
            f"path: {tools[name].path} lies inside the tool {other!r} ({tools[other].path})",
            registration_file(stash, name),
            "move one of them beside the other",
        )
        for name, place in places.items()
        for other, outer in places.items()
        if place != outer and place.is_relative_to(outer) and toplevel(place) == own
    ]


def _groups(keys: Mapping[str, str]) -> list[list[str]]:
    names = defaultdict(list)
    for name, key in keys.items():
        names[key].append(name)
    return [group for group in names.values() if len(group) > 1]
