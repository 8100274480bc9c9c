"""``new tool``: a directory of the stash becomes a tool, without a repository of its own."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.names import check_tool_name
from experimentstash.stash.layout import Stash
from experimentstash.tools import entrypoint_choice, first_configs, registering
from experimentstash.tools.detect import detection
from experimentstash.tools.registering import Registered
from experimentstash.tools.transaction import Report


def add(stash: Stash, name: str, directory: Path, entrypoint: str | None, report: Report) -> Registered:
    """Register what is in a directory below the stash's root as a tool, with an example of an experiment."""
    check_tool_name(name)
    place = Path(os.path.normpath(stash.root / directory))
    if not place.is_relative_to(stash.root) or place == stash.root:
        raise StashError(
            f"{directory} is no directory below the stash {stash.root}.", "experimentstash tool add NAME URL"
        )
    if not place.is_dir():
        raise StashError(
            f"There is no directory {stash.relative(place)}.",
            f"put the tool there, or say where it is: experimentstash new tool {name} DIR",
        )
    survey = detection.look(place)
    detected = survey.detect(entrypoint)
    chosen = detected.best
    again = f"experimentstash new tool {name} {stash.relative(place)} --entrypoint"
    if chosen is None or (entrypoint is None and not detected.is_clear):
        raise entrypoint_choice.unclear(survey, detected, again)
    path = place.relative_to(stash.root).as_posix()
    text = first_configs.registration_of(path, chosen, detected, None, None)
    return registering.register(stash, name, text, chosen, report)
