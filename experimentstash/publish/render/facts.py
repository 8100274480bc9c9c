"""What there is to know of a run that is kept, and of the one that was to have it again, next to each other."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from experimentstash.base.durations import describe
from experimentstash.base.text import counted, size
from experimentstash.publish import machine
from experimentstash.publish.frozen import FrozenRun, Machine
from experimentstash.publish.verdicts import JudgedRun
from experimentstash.record import run as record
from experimentstash.record.run import Run

_SHORT = 12
UNKNOWN = "not known"
_here = functools.cache(machine.look)


class Fact(NamedTuple):
    """Something that is known of both; "" is nothing."""

    name: str
    then: str
    now: str


def of(judged: JudgedRun) -> list[Fact]:
    """Return what is known of a run of then, and of now as far as there is one."""
    kept, run = judged.kept, judged.run
    facts = [
        Fact("Run", kept.id, "" if run is None else run.id),
        Fact("Begun", moment(kept.created), "" if run is None else moment(run.created)),
        Fact("Code", _commit(kept.code.commit, kept.code.dirty), "" if run is None else _code(run.spec.code)),
        Fact("Stash", _commit(kept.stash.commit, kept.stash.dirty), "" if run is None else _code(run.spec.stash)),
        *_environment(kept, run),
        *_machines(kept.machine, run),
        *_took(kept, run),
    ]
    if kept.inputs:
        files = counted(len(kept.inputs), "file")
        facts.append(Fact("Inputs", files, f"{files}, of the same hashes" if run is not None else ""))
    return facts


def moment(text: str | None) -> str:
    """Return a time of a record as people read it, to the minute."""
    if not text:
        return UNKNOWN
    zone = text[23:]
    return f"{text[:10]} {text[11:16]} {'UTC' if zone == '+00:00' else zone}"


def about(kept: FrozenRun) -> Iterator[tuple[str, str]]:
    """Yield what is only said of the run that is kept, and holds for both."""
    yield "Command", shlex.join(kept.argv)
    if kept.code.url is not None:
        yield "Code from", kept.code.url


def _commit(commit: str | None, dirty: bool | None) -> str:
    return f"commit {str(commit)[:_SHORT]}{', with changes that are kept as a patch' if dirty else ''}"


def _code(code: record.Code | None) -> str:
    return UNKNOWN if code is None or code.commit is None else _commit(code.commit, code.dirty)


def _environment(kept: FrozenRun, run: Run | None) -> Iterator[Fact]:
    python = kept.python
    now = None if run is None else run.spec.environment
    if python is None or python.kind == "none":
        return
    version = "" if run is None else UNKNOWN if now is None or now.version is None else now.version
    yield Fact("Python", python.version or UNKNOWN, version)
    if python.lock_sha256 is not None:
        lock = "" if run is None else "none" if now is None or now.lock is None else now.lock.removeprefix("sha256:")
        yield Fact(python.lock_name or "Lock file", f"SHA-256 {python.lock_sha256[:_SHORT]}", _hash(lock))
    if python.packages is not None:
        now_too = "" if run is None else "the same, but for what is noted"  # looked through before it began
        yield Fact("Packages", counted(len(python.packages), "package"), now_too)


def _hash(text: str) -> str:
    return text if text in ("", "none") else f"SHA-256 {text[:_SHORT]}"


def _machines(then: Machine | None, run: Run | None) -> Iterator[Fact]:
    is_here = run is not None and machine.is_here(run.attempt.host)
    earlier, later = ({} if each is None else _of_machine(each) for each in (then, _here() if is_here else None))
    lacking = ["none" if earlier else UNKNOWN, "" if run is None else "none" if later else UNKNOWN]
    for name in dict.fromkeys([*earlier, *later]):
        yield Fact(name, earlier.get(name, lacking[0]), later.get(name, lacking[1]))


def _of_machine(found: Machine) -> dict[str, str]:
    said = {
        "System": found.platform,
        "Processor": f"{found.cpu or found.architecture}, {counted(found.cores, 'core')}",
        "Memory": UNKNOWN if found.memory is None else size(found.memory),
    }
    if found.gpus:
        said["GPU"] = "\n".join(f"{each.name}, {each.memory}, driver {each.driver}" for each in found.gpus)
    return said


def _took(kept: FrozenRun, run: Run | None) -> Iterator[Fact]:
    now = None if run is None else run.attempt
    if kept.took.duration is not None:
        yield Fact("Took", describe(kept.took.duration), _described(now))
    if kept.took.peak_memory:
        memory = "" if now is None else UNKNOWN if not now.peak_memory else size(now.peak_memory)
        yield Fact("Memory taken", size(kept.took.peak_memory), memory)


def _described(attempt: record.Attempt | None) -> str:
    if attempt is None:
        return ""
    return UNKNOWN if attempt.duration is None else describe(attempt.duration)
