"""What a tool has written into its checkout, or into the copy of it that a run had for itself: it comes to the run."""

from __future__ import annotations

from pathlib import Path

from experimentstash.code import copies
from experimentstash.execute import collect
from experimentstash.record import attempts
from experimentstash.record.run import Run


def collect_outputs(run: Run, before: collect.Snapshot, *, may_go_on: bool) -> None:
    try:
        if run.apart is not None:
            run.attempt.collected = copies.keep(run, may_go_on=may_go_on)
        if run.spec.collect:
            base = None if run.spec.code is None else Path(run.spec.code.path)
            run.attempt.collected = collect.bring_together(
                [Path(path) for path in run.spec.collect], before, run.path, base
            )
    except OSError as error:
        where = "in its checkout" if run.apart is None else f"in {run.apart.path}, where it still is,"
        run.attempt.notes.append(f"what the tool wrote {where} could not all be moved here: {error}")
        run.attempt.is_stranded = True


def recover_copy(run: Run) -> None:
    """Keep what the tool wrote into the copy of its code that a run had, and on which nobody works any more."""
    if run.apart is not None:
        collect_outputs(run, {}, may_go_on=attempts.can_go_on(run))


def close_copy(run: Run) -> None:
    """Remove the copy of the code that a run had for itself, unless it may go on there."""
    if run.apart is not None and not attempts.can_go_on(run):
        copies.remove(run)
