"""Histories in TensorBoard's event files, read by TensorBoard's own library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters.histories.history import MOST_METRICS, History, Rows
from experimentstash.adapters.numbers.place import Missing
from experimentstash.adapters.numbers.tensorboard_tag import scalars


def read(paths: Iterable[Path], source: str) -> tuple[list[History], list[str]]:
    """Return the histories of the event files of one directory, which belong together, a tag each; and notes.

    What stands in front of damage counts.
    """
    tags: dict[str, Rows] = {}
    notes = []
    for path in paths:
        try:
            for scalar in scalars(path):
                if scalar.tag not in tags and len(tags) >= MOST_METRICS:
                    continue
                tags.setdefault(scalar.tag, Rows()).add(
                    {"step": scalar.step, "wall_time": scalar.wall_time, f"{_VALUE}{scalar.tag}": scalar.value}
                )
        except Missing as error:
            notes.append(str(error))
        except Exception as error:  # whatever the library stumbles over
            notes.append(f"{path.name} can't be read: {error}")
    found = []
    for tag, rows in tags.items():
        history = rows.history(source)
        if history is not None:
            found.append(History(source, history.xs, {tag: next(iter(history.ys.values()))}))
    return found, notes


_VALUE = "value of "  # in front of a tag, which may itself be called `step`
