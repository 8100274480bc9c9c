"""The command line: a verb goes to its command, anything else to the Hydra app. Errors become exit codes here."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from experimentstash import __version__
from experimentstash.base import permissions
from experimentstash.base.errors import EXIT_INTERRUPTED, StashError, is_of_place, is_of_surroundings
from experimentstash.base.interrupts import ending_at_once
from experimentstash.base.output import COLOUR_WISHES, USAGE, as_prose, complain, fit_streams, guarded, wish_for_colour
from experimentstash.cli import verbs
from experimentstash.stash.layout import Stash, find_stash


def executes(arguments: Sequence[str]) -> bool:
    """Tell whether these arguments may lead to a run that is executed in this process."""
    if not arguments or "COMP_LINE" in os.environ or set(arguments) & {"--help", "-h", "help", "--version"}:
        return False
    try:
        verb, _ = verbs.split(arguments)
    except StashError:
        return False
    return verb is None or verb in verbs.GROUPS["Run"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    fit_streams()
    with permissions.restored(), guarded():
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(arguments: list[str]) -> int:
    try:
        return _dispatch(_without_colour_wish(arguments))
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`); nothing is wrong. Keep the interpreter's exit quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and (is_of_surroundings(error) or is_of_place(error)):
            complain(f"{error.filename or 'a file'} can't be read or written: {error.strerror}.")
        else:
            complain(f"this is a bug ({type(error).__name__}: {error}); the details are in {_write_bug()}")
        return 1


def _without_colour_wish(arguments: list[str]) -> list[str]:
    """Take note of `--color[=WHEN]`, which every way of running has, and return the other arguments."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    wish, kept = "auto", []
    words = iter(arguments[:end])
    for word in words:
        if word == "--color":
            word = f"--color={next(words, 'always')}"
        if not word.startswith("--color="):
            kept.append(word)
            continue
        wish = word.partition("=")[2]
        if wish not in COLOUR_WISHES:
            raise StashError(f"--color={wish}: it is always, auto or never.")
    wish_for_colour(wish)
    return [*kept, *arguments[end:]]


def _dispatch(arguments: list[str]) -> int:
    """Import and call what the arguments ask for; nothing that it doesn't need is imported."""
    if not arguments:
        print(as_prose(_overview(find_stash()), sys.stdout))
        return 0
    first = arguments[0]
    if first == "--version":
        print(f"experimentstash {__version__}")
        return 0
    if first == "help" or {"-h", "--help"} & set(arguments):
        from experimentstash.cli import overview

        told = overview.asked(arguments)
        if told is not None:
            print(told)
            return 0
    verb, words = verbs.split(arguments)
    if verb not in (None, "run"):
        from experimentstash.cli import parsing

        return int(parsing.command(verb).main(parsing.read(verb, words)))
    words = ["--help" if word == "--hydra-help" else word for word in words]  # its first screen is ours
    with ending_at_once():
        from experimentstash.cli.launching import launch
        from experimentstash.launch import app

        app.import_plugins()
    if verb == "run":
        from experimentstash.cli.commands import run

        words = run.hydra_arguments(find_stash(), words)
    return launch(words)


def _overview(stash: Stash) -> str:
    tools = ", ".join(stash.tools()) or "none yet"
    return "\n".join([f"Stash {stash.root}", "", stash.inventory(), "", f"Tools: {tools}", "", USAGE])


def _write_bug() -> str:
    """Write the current traceback to a file and return its path, or what is in the way."""
    import datetime
    import tempfile
    import traceback

    from experimentstash.base import files
    from experimentstash.base.redaction import redact

    try:
        folder = find_stash().bugs
        files.make_directory(folder)
    except (StashError, OSError):
        folder = Path(tempfile.gettempdir())
    name = f"{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.log"
    text = redact(traceback.format_exc(), os.environ)
    for place in (folder, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            files.write(place / name, text.encode("utf-8", "surrogateescape"), os.O_EXCL, 0o600)
            return str(place / name)
    return "no file: none can be written"
