"""What is said to the person at the terminal. Results go to stdout; everything about them goes to stderr, here."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from enum import Enum

from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.base.redaction import redact

if TYPE_CHECKING:
    from typing import Any, TextIO

PREFIX = "stash: "

# Seconds after which something takes long, and until more is said of it.
_LONG = 2.0
_INTERVAL = 10.0

USAGE = """\
Run one:      python -m experimentstash +exp=NAME [params.KEY=VALUE …]
Run many:     python -m experimentstash -m +exp=NAME,NAME [params.KEY=A,B …]
In short:     experimentstash run NAME, or experimentstash run 'figure1/*'
Look and act: experimentstash runs | show | logs | cancel | resume | sync
All verbs:    experimentstash --help (Hydra's own help: --hydra-help)"""


# What stands for a character that an encoding lacks; any other one is written as its number.
_MARKS = "✓✗▶·│─→…–—×“”„‘’•\N{NO-BREAK SPACE}"
_PLAIN = dict(zip(_MARKS, [*"vx>.|-", "->", "...", *"--x", *'"""', *"''", "*", " "], strict=True))
_IN_PLAIN = "experimentstash.plain"
# With this option (-X) we tell ourselves how stdout and stderr are encoded.
_OPTION = "experimentstash_streams"


def fit_streams() -> None:
    """Have stdout and stderr write whatever they are given, in ASCII where their encoding has nothing else for it."""
    encoding = sys._xoptions.get(_OPTION)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError, LookupError):  # none, or one of somebody else's
            stream.reconfigure(  # type: ignore[union-attr]
                encoding=encoding if isinstance(encoding, str) else None, errors=_IN_PLAIN
            )


def begin_in_unicode() -> None:
    """Begin anew where Python would take the names of files for anything but UTF-8; nothing has happened yet.

    What is written for people keeps the encoding of their terminal.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    words = [sys.executable, "-X", "utf8", "-X", f"{_OPTION}={encoding}", *sys.orig_argv[1:]]
    with contextlib.suppress(OSError):  # then in the way that it is
        os.execv(sys.executable, words)


def _in_plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    if "\udc80" <= part[0] <= "\udcff" and "A".encode(error.encoding) == b"A":
        return bytes([ord(part[0]) - 0xDC00]), error.start + 1  # a byte of a file's name that is no text
    letter = _PLAIN.get(part[0]) or part[0].encode("ascii", "backslashreplace").decode()
    return letter, error.start + 1


codecs.register_error(_IN_PLAIN, _in_plain)


def say(*messages: str, is_laid_out: bool = False) -> None:
    """Write messages to stderr, all at once; a terminal that has gone is no reason to fail.

    What ``is_laid_out``, the rows of a table say, is written as it is. Where somebody listens (``heard``), they get it.
    """
    if (listener := _listener.get()) is not None:
        listener.extend(redact(message, os.environ) for message in messages)
        return
    with contextlib.suppress(OSError, ValueError):
        told = [redact(PREFIX + message, os.environ) for message in messages]  # before its lines are broken
        if not is_laid_out:
            told = [as_prose(message, sys.stderr) for message in told]
        text = "".join(f"{message}\n" for message in told)
        print(text, end="", file=sys.stderr, flush=True)


_listener: ContextVar[list[str] | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what is said meanwhile, for a program that has another way of telling it."""
    messages: list[str] = []
    token = _listener.set(messages)
    try:
        yield messages
    finally:
        _listener.reset(token)


def complain(message: str) -> None:
    """Write an error to stderr."""
    with contextlib.suppress(OSError, ValueError):
        marked = paper_of(sys.stderr).paint("error:", Style.BAD)
        told = as_prose(redact(f"error: {message}", os.environ), sys.stderr)
        # At once, with its end: others write, too.
        print(f"{told.replace('error:', marked, 1)}\n", end="", file=sys.stderr, flush=True)


class _Guarded:
    """A text stream to which no secret is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact(text, os.environ))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let nothing secret be printed meanwhile, whoever prints it: a configuration, an error of Hydra's, a traceback."""
    saved = sys.stdout, sys.stderr
    for name, stream in zip(("stdout", "stderr"), saved, strict=True):
        if stream is not None:
            setattr(sys, name, _Guarded(stream))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = saved


class Meter:
    """Says from time to time, to whoever waits at a terminal, how many jobs of a sweep something is done with.

    Or whatever else the ``noun`` says that there are many of.
    """

    def __init__(self, what: str, total: int | None = None, *, noun: str = "jobs") -> None:
        self._what, self._noun = what, noun
        self._of = "" if total is None else f" of {total:,}"
        self._count = 0
        self._due = time.monotonic() + _LONG

    def step(self) -> None:
        """Count one more."""
        self._count += 1
        now = time.monotonic()
        if now >= self._due and is_terminal():
            self._due = now + _INTERVAL
            say(f"{self._count:,}{self._of} {self._noun} are {self._what} …")


def is_terminal() -> bool:
    """Tell whether there is a terminal to write on."""
    return _is_terminal(sys.stderr)


def _is_terminal(stream: TextIO | None) -> bool:
    with contextlib.suppress(ValueError, AttributeError):
        return stream is not None and stream.isatty()
    return False


# --- what is written on ----------------------------------------------------------------------------------------------


class Style(str, Enum):
    """How a text looks where there are colours: the parameters of ECMA-48's SGR."""

    HEADING = "1"
    GOOD = "32"
    BAD = "31"
    ODD = "33"
    AT_WORK = "36"
    FAINT = "2"


@dataclass(frozen=True)
class Paper:
    """What a text is written on."""

    width: int | None = None  # columns; None: as many as it takes
    is_coloured: bool = False
    encoding: str = "utf-8"

    @property
    def ellipsis(self) -> str:
        """What stands for what is left out: one character, whatever can be written."""
        return "…" if self.written("…") == "…" else "~"

    def written(self, text: str) -> str:
        """Return a text as it will stand there, in ASCII where the encoding has nothing else for it."""
        return text.encode(self.encoding, _IN_PLAIN).decode(self.encoding, "surrogateescape")

    def paint(self, text: str, style: Style | None) -> str:
        """Return a text in a style, if there are colours."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if style is not None and text and self.is_coloured else text


PLAIN = Paper()

COLOUR_WISHES = ("auto", "always", "never")
_colour_wish: ContextVar[str] = ContextVar("colour_wish", default="auto")
# Wider lines of prose are hard to read.
PROSE_WIDTH = 80
# The columns of a terminal that doesn't say how many it has.
_USUAL_WIDTH = 80


def wish_for_colour(when: str) -> None:
    """Have colours `always`, `never`, or (`auto`) where a terminal shows them and nobody has said NO_COLOR."""
    _colour_wish.set(when)


def paper_of(stream: TextIO | None) -> Paper:
    """Return what a stream writes on: a terminal as wide as it is, or a file as wide as it takes."""
    wish = _colour_wish.get()
    is_coloured = wish == "always" or (wish == "auto" and not os.environ.get("NO_COLOR") and can_redraw(stream))
    return Paper(_width(stream), is_coloured, getattr(stream, "encoding", None) or "utf-8")


def as_prose(text: str, stream: TextIO | None, *, indent: int = 2) -> str:
    """Return a text with its lines broken between words for a terminal; a file gets it as it is."""
    width = _width(stream)
    if width is None:
        return text
    from experimentstash.base.text import filled  # here, because a job's output is a file

    return filled(text, min(width, PROSE_WIDTH), indent=indent)


def can_redraw(stream: TextIO | None) -> bool:
    """Tell whether a stream goes to a terminal that knows colours and can move its cursor."""
    return _is_terminal(stream) and os.environ.get("TERM", "dumb") not in ("", "dumb")


def _width(stream: TextIO | None) -> int | None:
    if stream is None or not _is_terminal(stream):
        return None
    with contextlib.suppress(OSError, ValueError):
        actual = os.get_terminal_size(stream.fileno()).columns
        wished = os.environ.get("COLUMNS", "")
        wanted = int(wished) if wished.isascii() and wished.isdecimal() and len(wished) < 5 else 0
        return min(filter(None, (actual, wanted)), default=_USUAL_WIDTH)
    return _USUAL_WIDTH
