"""The command line: a verb goes to its command, anything else to the Hydra app. Errors become exit codes here."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from experimentstash import __version__, completion
from experimentstash.errors import EXIT_INTERRUPTED, StashError
from experimentstash.output import USAGE, complain
from experimentstash.workspace import Stash, find_stash

VERBS = ("run",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
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
        complain(f"this is a bug ({type(error).__name__}: {error}); the details are in {_write_bug()}")
        return 1


def _dispatch(arguments: list[str]) -> int:
    """Import and call what the first argument asks for; nothing that it doesn't need is imported."""
    if not arguments:
        print(_overview(find_stash()))
        return 0
    first = arguments[0]
    if first == "--version":
        print(f"experimentstash {__version__}")
        return 0
    if first in ("--help", "-h", "help") and not _is_in_stash():
        print(USAGE)
        return 0
    if first in ("-sc", "--shell-completion") and "COMP_LINE" in os.environ:
        found = completion.candidates(os.environ["COMP_LINE"], find_stash(), VERBS)
        if found is not None:
            print("\n".join(found))
            return 0
    if first == "run":
        from experimentstash.commands.run import hydra_arguments

        arguments = hydra_arguments(find_stash(), arguments[1:])
    from experimentstash import app

    return app.main(arguments)


def _is_in_stash() -> bool:
    try:
        find_stash()
    except StashError:
        return False
    return True


def _overview(stash: Stash) -> str:
    tools = ", ".join(stash.tools()) or "none yet"
    return "\n".join(
        [
            f"Stash {stash.root}",
            "",
            stash.inventory(),
            "",
            f"Tools: {tools}",
            "",
            USAGE,
        ]
    )


def _write_bug() -> Path:
    """Write the current traceback to a file and return its path."""
    import datetime
    import tempfile

    from experimentstash.redaction import redact

    try:
        folder = find_stash().private / "bugs"
        folder.mkdir(parents=True, exist_ok=True)
    except (StashError, OSError):
        folder = Path(tempfile.gettempdir())
    path = folder / f"{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.log"
    path.write_text(redact(traceback.format_exc(), os.environ), encoding="utf-8", errors="surrogateescape")
    return path
