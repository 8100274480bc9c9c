"""What a run's tool has written, without the secrets that we know of."""

from __future__ import annotations

import os
from typing import BinaryIO

from experimentstash.base.errors import StashError
from experimentstash.base.files import Unfit
from experimentstash.base.masking import Mask
from experimentstash.base.terminal import states
from experimentstash.record import archives
from experimentstash.record.run import Run

_AT_ONCE = 1 << 20  # bytes


def copy(run: Run, destination: BinaryIO, attempt: int | None = None) -> None:
    """Write the log of a run's attempt (default: the latest), as far as it goes; StashError if there is none."""
    try:
        with opened(run, _name(run, attempt)) as stream:
            mask = Mask(os.environ)
            while part := stream.read(_AT_ONCE):
                destination.write(mask.feed(part))
            destination.write(mask.rest())
    except OSError as error:
        raise StashError(f"The log of {run.id} can't be shown: {error.strerror}.") from error


def opened(run: Run, name: str) -> BinaryIO:
    """Open a log in a run's directory; StashError if there is none."""
    path = run.path / name
    if not archives.exists(path):
        if run.removed is not None:
            raise StashError(f"The files of the run {run.id} were removed, and its log with them.")
        raise StashError(
            f"The run {run.id} has no log yet ({run.attempt.state.value}).", f"experimentstash show {run.id}"
        )
    try:
        return archives.open_file(path)
    except Unfit as error:
        raise StashError(f"{path} can't be shown: {error.strerror}.") from error


def end(run: Run, most: int) -> tuple[list[str], bool]:
    """Return the lines at the end of the log of a run's latest attempt, and whether there are others above.

    Of at most so many bytes, and as a terminal shows them. OSError if it can't be read.
    """
    content = archives.read_end(run.path / run.attempt.log, most + 1)
    text = Mask(os.environ).masked(content).decode(errors="replace")
    is_cut = len(content) > most
    return states(text)[0].rstrip("\n").split("\n")[is_cut:], is_cut  # the first one may have lost its beginning


def _name(run: Run, attempt: int | None) -> str:
    for each in reversed(run.every_attempt):
        if attempt in (None, each.number):
            return each.log
    raise StashError(f"The run {run.id} has had {run.attempt.number} attempts, not {attempt}.")
