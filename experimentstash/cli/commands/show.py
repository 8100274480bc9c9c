"""``experimentstash show RUN``: everything that is known about one run, or what a sweep has come to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.output import as_prose, paper_of
from experimentstash.base.text import tame
from experimentstash.cli.commands import choosing
from experimentstash.launch import sweep_asked
from experimentstash.record import archives, encoding, sweep_list, times
from experimentstash.record.run import Run, State
from experimentstash.runs import done_before, naming, told
from experimentstash.runs.naming import Sweep
from experimentstash.runs.summary import (
    in_local_time,
    lost_line,
    style_of,
    sweep_table,
    waiting_lines,
)
from experimentstash.runs.whereabouts import why_waiting
from experimentstash.stash.layout import Stash, find_stash

# No run is called so.
_BEFORE = ""
# What is written in sentences, and broken between words; all else is to be copied.
_PROSE = (
    "warning",
    "why",
    *told.SAID_LAST,
    "expected",
    "supposed",
    "advice",
    "description",
    "note",
    "noted",
    "waits",
    "can't go on",
)

EXAMPLES = (
    ("show", "the latest run"),
    ("show k3f9a2b", "a run, or what a sweep has come to"),
    ("show k3f9a2b-7 --json", "the record of a run of a sweep"),
    ("show k3f9a2b --diff x7m4", "what tells two runs apart"),
    ("show --diff", "the latest run, and the one before"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    choosing.add_one(parser)
    parser.add_argument("--json", action="store_true", help="print the record, or the difference, as JSON")
    parser.add_argument(
        "--diff",
        nargs="?",
        const=_BEFORE,
        metavar="RUN",
        help="only what differs from this run, from the `latest` of the same experiment or, if none is named, from the"
        " one before",
    )


def main(given: argparse.Namespace) -> int:
    """Print one run, line by line or as JSON, or a sweep with a table of its runs."""
    stash = find_stash()
    found = naming.find(stash, given.run)
    if given.diff is not None:
        _show_difference(stash, found, None if given.diff == _BEFORE else given.diff, as_json=given.json)
        return 0
    unread: list[Path] = []
    shown = [found] if isinstance(found, Run) else naming.runs_of(stash, found, unread)
    if given.json:
        print(encoding.as_json(shown[0] if isinstance(found, Run) else shown))
    elif isinstance(found, Run):
        _print(told.of_run(stash, found), state=found.attempt.state)
    else:
        every, earlier = done_before.and_own(stash, found.directory, shown)
        _print(show_sweep(stash, found, shown or every))
        print()
        paper = paper_of(sys.stdout)
        gone = done_before.gone(stash, found.directory, (run.spec.job for run in shown))
        lacking = sweep_list.unbegun(found.directory, len(every) + len(unread) + len(gone))
        table = sweep_table(stash, every, paper, most=None, earlier=earlier, gone=len(gone), lacking=lacking)
        lost = [lost_line(gone)] if gone else []
        print("\n".join([table, *lost, *waiting_lines(why_waiting(shown), paper)]))
    return 1 if unread else 0


def _show_difference(stash: Stash, found: Run | Sweep, name: str | None, *, as_json: bool) -> None:
    from experimentstash.report import run_diff  # here, because who only shows a run needs none of it
    from experimentstash.report.render import run_diff as rendering

    if isinstance(found, Sweep):
        raise StashError(f"{found.name} is a sweep: one run is compared with another.", "experimentstash compare")
    diff = run_diff.between(found, naming.find_other(stash, name, found))
    print(rendering.to_json(diff) if as_json else rendering.to_terminal(diff, paper_of(sys.stdout)))


def _print(rows: Sequence[tuple[str, str]], state: State | None = None) -> None:
    paper = paper_of(sys.stdout)
    column = max(len(label) for label, _ in rows) + 2
    for label, text in rows:
        shown = tame(text)
        if label == "state" and state is not None:
            shown = paper.paint(shown, style_of(state))
        line = f"{label:<{column}}{shown}"
        print(as_prose(line, sys.stdout, indent=column) if label in _PROSE else line)


def show_sweep(stash: Stash, sweep: Sweep, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return what is known about a sweep as (label, text)."""
    began = sorted((times.moment(run.created), run.created) for run in runs if run.created)
    ended = sorted((times.moment(run.attempt.ended), run.attempt.ended) for run in runs if run.attempt.ended)
    is_over = all(run.attempt.state.is_final for run in runs)
    rows = [
        ("sweep", sweep.name),
        ("directory", stash.relative(sweep.directory)),
        ("archived", told.archived(stash, sweep.directory)),
        ("experiments", ", ".join(dict.fromkeys(run.spec.organizer or run.spec.tool for run in runs))),
        ("began", in_local_time(began[0][1]) if began else None),
        ("ended", in_local_time(ended[-1][1]) if ended and is_over else None),
    ]
    if (
        is_over
        and archives.holding(sweep.directory) is None
        and not all(run.attempt.state is State.COMPLETED for run in runs)
    ):
        rows.append(_way_on(sweep))
    return [(label, text) for label, text in rows if text]


def _way_on(sweep: Sweep) -> tuple[str, str]:
    try:
        return "go on", sweep_asked.way_on(sweep.directory, sweep.name)
    except StashError as error:
        return "can't go on", str(error)
