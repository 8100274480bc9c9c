"""``experimentstash show RUN``: everything that is known about one run, or what a sweep has come to."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.adapters import schedulers
from experimentstash.adapters.numbers import objective
from experimentstash.base.durations import describe
from experimentstash.base.errors import StashError
from experimentstash.base.output import as_prose, paper_of
from experimentstash.base.text import tame
from experimentstash.cli.commands import choosing
from experimentstash.code.written import in_words
from experimentstash.launch import sweep_asked
from experimentstash.record import added, archives, encoding, sweep_list, times
from experimentstash.record.run import Attempt, Code, Run, State
from experimentstash.runs import done_before, last_words, naming, usage
from experimentstash.runs.naming import Sweep
from experimentstash.runs.numbers import REFRESH, is_unread, numbers_of
from experimentstash.runs.summary import (
    in_local_time,
    log_of,
    lost_line,
    result,
    style_of,
    sweep_table,
    waiting_lines,
    words,
)
from experimentstash.runs.whereabouts import job_of, why_waiting
from experimentstash.stash.layout import Stash, find_stash

# Numbers that are listed at most.
_MOST_METRICS = 30
# No run is called so.
_BEFORE = ""
_SAID_LAST = ("exception", "last line")
# What is written in sentences, and broken between words; all else is to be copied.
_PROSE = (
    "warning",
    "why",
    *_SAID_LAST,
    "expected",
    "supposed",
    "advice",
    "description",
    "note",
    "noted",
    "waits",
    "can't go on",
)

# Seconds for which it is read, at most, how long earlier runs took.
_LOOK_BACK = 0.3

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
        _print(show(stash, found), state=found.attempt.state)
    else:
        every, earlier = done_before.and_own(stash, found.directory, shown)
        _print(show_sweep(stash, found, shown or every))
        print()
        paper = paper_of(sys.stdout)
        gone = done_before.gone(stash, found.directory, (run.spec.job for run in shown))
        unbegun = sweep_list.unbegun(found.directory, len(every) + len(unread) + len(gone))
        table = sweep_table(stash, every, paper, most=None, unbegun=unbegun, earlier=earlier, gone=len(gone))
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
        told = tame(text)
        if label == "state" and state is not None:
            told = paper.paint(told, style_of(state))
        line = f"{label:<{column}}{told}"
        print(as_prose(line, sys.stdout, indent=column) if label in _PROSE else line)


def show_sweep(stash: Stash, sweep: Sweep, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return what is known about a sweep as (label, text)."""
    began = sorted((times.moment(run.created), run.created) for run in runs if run.created)
    ended = sorted((times.moment(run.attempt.ended), run.attempt.ended) for run in runs if run.attempt.ended)
    is_over = all(run.attempt.state.is_final for run in runs)
    rows = [
        ("sweep", sweep.name),
        ("directory", stash.relative(sweep.directory)),
        ("archived", _archive(stash, sweep.directory)),
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


def show(stash: Stash, run: Run) -> list[tuple[str, str]]:
    """Return what is known about a run as (label, text); what isn't known is left out."""
    rows = [
        ("run", run.id),
        ("state", words(run.attempt.state)),
        *(("warning", warning) for warning in run.attempt.warnings),
        ("why", None if run.attempt.reason is None else in_local_time(run.attempt.reason)),
        *_last_words(run),
        ("waits", why_waiting([run]).get(run.id)),
        (
            "supposed",
            None
            if run.attempt.job_end is None or run.attempt.job_end.is_known
            else "SLURM has not yet said why it ended the job",
        ),
        ("advice", run.attempt.advice),
        ("result", result(run) or None),
        ("objective", None if run.spec.objective is None else objective.words(run.spec.objective)),
        *_metrics(run),
        ("experiment", run.spec.organizer),
        ("in the tool", f"{run.spec.tool}: {run.spec.experiment}" if run.spec.experiment else run.spec.tool),
        ("description", run.spec.description or None),
        ("tags", ", ".join(added.tags_of(run)) or None),
        ("overrides", shlex.join(run.spec.overrides) or None),
        ("directory", stash.relative(run.path)),
        ("archived", _archive(stash, run.path)),
        ("removed", None if run.removed is None else f"{in_local_time(run.removed)}: only its record is left"),
        ("log", log_of(stash, run)),
        ("started", None if run.attempt.started is None else in_local_time(run.attempt.started)),
        ("expected", _expected(stash, run)),
        ("took", None if run.attempt.duration is None else describe(run.attempt.duration)),
        ("used", usage.of_run(run).words or None),
        ("exit code", None if run.attempt.exit_code is None else str(run.attempt.exit_code)),
        ("signal", run.attempt.signal),
        ("host", run.attempt.host),
        *_job(run),
        ("asked for", _asked(run)),
        ("of these", _borrowed(run)),
        ("attempt", str(run.attempt.number) if run.attempt.number > 1 else None),
        ("code", _code(run.spec.code)),
        ("stash", _code(run.spec.stash)),
        ("left out of a patch", _left_out(run.spec.code, run.spec.stash)),
        (
            "Python",
            f"{run.spec.environment.version} ({run.spec.environment.interpreter})"
            if run.spec.environment and run.spec.environment.interpreter
            else None,
        ),
        ("command", shlex.join(run.spec.command.argv)),
        ("in", run.spec.command.cwd),
        ("collected", in_words(run.attempt.collected) or None),
        ("left in the checkout", in_words(run.attempt.wrote or []) or None),
        ("deleted from it", in_words(run.attempt.deleted) or None),
    ]
    rows += [("W&B", f"{each['id']}: {_wandb(each)}") for each in _wandb_runs(run)]
    rows += [("earlier", f"attempt {each.number}: {words(each.state)}{_log(run, each)}") for each in run.earlier]
    rows += [("note", in_local_time(note)) for note in run.attempt.notes]
    rows += [("noted", f"{in_local_time(note.time)}: {note.text}") for note in added.read(run).notes]
    return [(label, text) for label, text in rows if text is not None]


def _archive(stash: Stash, directory: Path) -> str | None:
    archive = archives.holding(directory)
    return None if archive is None else f"in {stash.relative(archive)}: {archives.restoring(archive)}"


def _last_words(run: Run) -> list[tuple[str, str]]:
    said = last_words.of_run(run)
    return [] if said is None else [(_SAID_LAST[not said.is_exception], said.text)]


def _expected(stash: Stash, run: Run) -> str | None:
    """Return how long a run that is at work will take, as far as earlier ones tell."""
    if run.attempt.state is not State.RUNNING:
        return None
    from experimentstash.runs.past import Past

    past = Past(stash)
    past.read(_LOOK_BACK)
    estimate = past.of(run)
    if estimate is None:
        return None
    left = estimate.left(run, time.time())
    return f"{describe(estimate.seconds)}, {left}: the median of {estimate.basis}"


def _metrics(run: Run) -> list[tuple[str, str]]:
    """Return the numbers that a run has come to, a line for each."""
    if is_unread(run):
        return [("metrics", f"nobody has read them: {REFRESH} {run.id}")]
    shown = [("metric", f"{name} = {number:.6g}") for name, number in numbers_of(run).items()]
    more = len(shown) - _MOST_METRICS
    return [*shown[:_MOST_METRICS], *([("metrics", f"{more:,} more, with --json")] if more > 0 else [])]


def _wandb_runs(run: Run) -> list[dict[str, Any]]:
    """Return what became of the W&B runs of the last attempt that had some."""
    return next((each.wandb for each in reversed(run.every_attempt) if each.wandb), [])


def _log(run: Run, attempt: Attempt) -> str:
    return f", {attempt.log}" if archives.exists(run.path / attempt.log) else ""


def _code(code: Code | None) -> str | None:
    if code is not None and code.unknown is not None:
        return f"unknown: {code.unknown.partition(chr(10))[0]}"
    if code is None or code.commit is None:
        return None
    branch, changes = f" ({code.branch})" if code.branch else "", ", with changes" if code.dirty else ""
    return f"{code.commit[:12]}{branch}{changes}{f', frozen in {code.path}' if code.snapshot else ''}"


def _left_out(*checkouts: Code | None) -> str | None:
    """Return which files' changes a run's patches don't have because they look like secrets."""
    found = dict.fromkeys(path for code in checkouts if code is not None for path in code.withheld)
    return f"{', '.join(found)}: looks like a secret" if found else None


def _wandb(outcome: dict[str, object]) -> str:
    where = "online" if outcome.get("online") else "offline"
    return f"{where}, {'ended on the server' if outcome.get('delivered') else 'to be sent by `experimentstash sync`'}"


def _borrowed(run: Run) -> str | None:
    """Return which of what it was submitted with nobody had asked for."""
    given = ", ".join(f"{name}={value}" for name, value in run.attempt.terms.borrowed.items())
    return f"from the environment: {given}" if given else None


def _job(run: Run) -> list[tuple[str, str]]:
    job = job_of(run)
    return [] if job is None else [(f"{schedulers.of(job).title} job", job.id)]


def _asked(run: Run) -> str | None:
    """Return what a run was submitted with."""
    if run.attempt.queued is None:
        return None
    seconds = run.attempt.terms.resources.get("time")
    shown = (
        {**run.attempt.terms.resources, "time": describe(seconds)}
        if isinstance(seconds, (int, float))
        else run.attempt.terms.resources
    )
    return " ".join(f"{name}={value}" for name, value in shown.items()) or None
