"""``new tool``: a directory of the stash becomes a tool, without a repository of its own."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.names import check_tool_name
from experimentstash.stash.layout import Stash
from experimentstash.tools import adding, entrypoint_choice, first_configs
from experimentstash.tools.detect import detection
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.transaction import Report, begin


@dataclass(frozen=True)
class AddedDirectory:
    """What ``new tool`` has done."""

    entrypoint: str
    registration: Path
    organizer: Path
    experiment: str  # the organizer's name
    command: str | None  # what the example will execute; None: it needs values first
    needs: tuple[str, ...]
    to_commit: tuple[str, ...]


def add(stash: Stash, name: str, directory: Path, entrypoint: str | None, report: Report) -> AddedDirectory:
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
    with exclusive(stash, report) as project:
        adding.refuse_existing(stash, name)
        with begin(stash, project, "add", name, report) as transaction:
            registration = stash.registration(name)
            path = place.relative_to(stash.root).as_posix()
            text = first_configs.registration_of(path, chosen, detected, None, None)
            transaction.replace(registration, text.encode())
            experiment, needs, examples = first_configs.write_example(transaction, stash, name, chosen)
            entries = adding.entries_of(project, [registration, *examples])
            transaction.index(entries)
            shown = first_configs.composed(transaction, stash, f"tool={name}" if needs else f"+exp={experiment}")
            transaction.commit()
    return AddedDirectory(
        chosen.entrypoint,
        registration,
        examples[0],
        experiment,
        None if needs else shown,
        needs,
        tuple(each.path for each in entries),
    )
