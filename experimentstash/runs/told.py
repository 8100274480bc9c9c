"""Everything that is known about a run, in words: what `show` prints, and a report's page has of each run."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from experimentstash.adapters import schedulers
from experimentstash.adapters.numbers import objective
from experimentstash.base.durations import describe
from experimentstash.code.written import in_words
from experimentstash.record import added, archives
from experimentstash.record.run import Attempt, Build, Code, Run, State
from experimentstash.runs import last_words, usage
from experimentstash.runs.numbers import REFRESH, is_unread, numbers_of
from experimentstash.runs.summary import in_local_time, log_of, result, words
from experimentstash.runs.whereabouts import job_of, why_waiting
from experimentstash.stash.layout import Stash

# What a tool that has failed said last.
SAID_LAST = ("exception", "last line")
# Numbers that are listed at most.
_MOST_METRICS = 30
# Seconds for which it is read, at most, how long earlier runs took.
_LOOK_BACK = 0.3


def of_run(stash: Stash, run: Run, *, asks: bool = True) -> list[tuple[str, str]]:
    """Return what is known about a run as (label, text); what isn't known is left out.

    ``asks``: a scheduler is asked why it waits, and earlier runs are read for how long it will take.
    """
    rows = [
        ("run", run.id),
        ("state", words(run.attempt.state)),
        *(("warning", warning) for warning in run.attempt.warnings),
        ("why", None if run.attempt.reason is None else in_local_time(run.attempt.reason)),
        *_last_words(run),
        ("waits", why_waiting([run]).get(run.id) if asks else None),
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
        ("archived", archived(stash, run.path)),
        ("removed", None if run.removed is None else f"{in_local_time(run.removed)}: only its record is left"),
        ("log", log_of(stash, run)),
        ("started", None if run.attempt.started is None else in_local_time(run.attempt.started)),
        ("expected", _expected(stash, run) if asks else None),
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
        ("built", built(run.spec.build)),
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


def built(build: Build | None) -> str | None:
    """Return by what a tool was built, with which versions."""
    if build is None:
        return None
    commands = " && ".join(" ".join(shlex.join(each).split()) for each in build.commands)
    where = ", in the checkout itself" if build.is_in_checkout else ""
    used = "; ".join(f"{name}: {version}" for name, version in build.compilers.items())
    return f"{commands}{where}{f' ({used})' if used else ''}"


def archived(stash: Stash, directory: Path) -> str | None:
    """Return where a run or a sweep is archived, and how it comes back; None if it isn't."""
    archive = archives.holding(directory)
    return None if archive is None else f"in {stash.relative(archive)}: {archives.restoring(archive)}"


def _last_words(run: Run) -> list[tuple[str, str]]:
    said = last_words.of_run(run)
    return [] if said is None else [(SAID_LAST[not said.is_exception], said.text)]


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
