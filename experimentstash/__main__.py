"""``python -m experimentstash``, and the program ``experimentstash``."""

import sys

# Objects that may come before Python looks for cycles among them: what is imported stays, and a look takes time.
_UNLOOKED_AT = 50_000


def start() -> int:
    """Run the command line, with a keeper if runs may be executed, and return the exit code."""
    if sys.argv[1:2] in (["-sc"], ["--shell-completion"]) and (told := _told_to_shell()) is not None:
        sys.stdout.buffer.write(told.encode("utf-8", "surrogateescape"))
        return 0
    import contextlib
    import gc

    from experimentstash.base.interrupts import ending_at_once

    with ending_at_once():
        from experimentstash.base import output
        from experimentstash.cli.main import executes, main
        from experimentstash.execute import keeper

        output.begin_in_unicode()
    try:
        with keeper.kept() if executes(sys.argv[1:]) else contextlib.nullcontext():
            gc.set_threshold(_UNLOOKED_AT)
            return main()
    except KeyboardInterrupt:  # before anything has begun, or after everything is over
        output.complain("interrupted")
        return 130


def _told_to_shell() -> str | None:
    """Return what a shell is told at a Tab, which waits for nothing that it doesn't need."""
    from experimentstash.cli import completion

    return completion.answer(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(start())
