"""A tool for which nothing is fetched: it is registered, with an example of an experiment."""

from __future__ import annotations

from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.stash.layout import Stash
from experimentstash.tools import adding, first_configs
from experimentstash.tools.detect.candidate import Candidate
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.transaction import Report, begin


@dataclass(frozen=True)
class Registered:
    """A tool that was registered."""

    name: str
    entrypoint: str
    registration: Path
    organizer: Path
    experiment: str  # the organizer's name
    command: str | None  # what the example will execute; None: it needs values first
    needs: tuple[str, ...]
    to_commit: tuple[str, ...]


def register(stash: Stash, name: str, text: str, chosen: Candidate, report: Report) -> Registered:
    """Write a registration and an example, and see that they compose; nothing is there afterwards if they don't."""
    with exclusive(stash, report) as project:
        adding.refuse_existing(stash, name)
        with begin(stash, project, "add", name, report) as transaction:
            registration = stash.registration(name)
            transaction.replace(registration, text.encode())
            experiment, needs, examples = first_configs.write_example(transaction, stash, name, chosen)
            entries = adding.entries_of(project, [registration, *examples])
            transaction.index(entries)
            shown = first_configs.composed(transaction, stash, f"tool={name}" if needs else f"+exp={experiment}")
            transaction.commit()
    return Registered(
        name=name,
        entrypoint=chosen.entrypoint,
        registration=registration,
        organizer=examples[0],
        experiment=experiment,
        command=None if needs else shown,
        needs=needs,
        to_commit=tuple(each.path for each in entries),
    )
