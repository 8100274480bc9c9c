"""A run whose end could not be written down."""

from __future__ import annotations

from experimentstash.base.errors import StashError
from experimentstash.record import records
from experimentstash.record.run import Run


class RecordError(StashError):
    """What became of a run could not be written down."""

    exit_code = 1


def is_unrecorded(run: Run, error: OSError) -> bool:
    """Tell whether the record doesn't tell of a run's end, after this error; if it does, the error is its reason."""
    return isinstance(error, records.UnrecordedError) or not run.attempt.state.is_final


def cannot_record(run: Run, error: OSError) -> RecordError:
    """Return the error for a record that can't be written, with what it would have said."""
    how = (
        f"; the run itself: {run.attempt.state.value}, exit code {run.attempt.exit_code}"
        if run.attempt.state.is_final
        else ""
    )
    message = f"The record of {run.path} can't be written: {error.strerror}{how}."
    if isinstance(error, records.UnrecordedError) and error.kept is not None:
        return RecordError(f"{message}\nUntil it can be, {error.kept} keeps it.", f"experimentstash show {run.id}")
    return RecordError(message)
