"""What a tool that has failed said last: the line of its exception."""

from __future__ import annotations

from collections.abc import Iterator

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex
from experimentstash.record.run import Run, State
from experimentstash.runs import log

# Bytes of the end of a log that are read, and characters of a line that are told.
_TAIL, _LONGEST = 1 << 16, 1000
# Above a traceback. What stands before it (`[rank0]: `, the bars of an exception group) stands before all its lines.
_HEADING = regex(r"(.*?)(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):\s*")
# The name of an exception, alone or with what it says.
_EXCEPTION = regex(r"[^\W\d][\w.<>]*(?::(?: .*)?)?")
_UNCAUGHT = 1


@dataclass(frozen=True)
class LastWords:
    """The line that tells most of why a tool has failed."""

    text: str
    is_exception: bool  # else it is no more than the last line of its output


def of_run(run: Run) -> LastWords | None:
    """Return the last words of a run that has failed; None where there are none. They are masked like its log."""
    if run.attempt.state is not State.FAILED:
        return None
    try:
        lines, _ = log.end(run, _TAIL)
    except OSError:
        return None
    last = next((line.strip() for line in reversed(lines) if line.strip()), None)
    exception = next(reversed(list(_exceptions(lines))), None)
    # Some are logged, and gone over: by the one that nobody catches Python ends with 1.
    if exception is not None and (run.attempt.exit_code == _UNCAUGHT or exception == last):
        return LastWords(exception[:_LONGEST], is_exception=True)
    return None if last is None else LastWords(last[:_LONGEST], is_exception=False)


def _exceptions(lines: list[str]) -> Iterator[str]:
    """Yield the line of its exception for each traceback of Python's."""
    before: str | None = None  # what stands before each line of the traceback that we are in
    for number, line in enumerate(lines):
        if (heading := _HEADING.fullmatch(line)) is not None:
            before = heading[1]
            continue
        if before is None or not line.strip() or not line.startswith(before.rstrip()):
            continue  # another process may write between two lines
        own = _without(before, line)
        if not _EXCEPTION.fullmatch(own.rstrip()):
            continue  # where it was raised, and the code there
        if own.rstrip().endswith(":") and number + 1 < len(lines):  # what it says begins in the next line
            own = f"{own.rstrip()} {_without(before, lines[number + 1]).strip()}"
        before = None
        yield own.strip()


def _without(before: str, line: str) -> str:
    return line[len(before) :] if line.startswith(before) else line
