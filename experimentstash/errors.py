"""The errors that a user can mend, and the exit codes that every way of running shares."""

from __future__ import annotations

from collections.abc import Iterable

EXIT_USER_MISTAKE = 2
EXIT_TIMED_OUT = 124
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130


class StashError(Exception):
    """An expected error: what happened and where, and (``mend``) the command or edit that mends it."""

    exit_code = EXIT_USER_MISTAKE

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.mend}" if self.mend else self.message


class SecretError(StashError):
    """A secret's value is where it would be written to disk."""


def did_you_mean(wrong: str, valid: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest valid name, or an empty string."""
    import difflib  # which takes longer to import than most of what needs this module

    closest = difflib.get_close_matches(wrong, list(valid), n=1, cutoff=0.6)
    return f" Did you mean {closest[0]!r}?" if closest else ""
