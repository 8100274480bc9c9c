"""The errors that a user can fix, and the exit codes that every way of running shares."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False  # from here, because what it guards takes long to import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

EXIT_USER_MISTAKE = 2
EXIT_TIMED_OUT = 124
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130


class StashError(Exception):
    """An expected error: what happened and where, and (``hint``) the command or edit that fixes it."""

    exit_code = EXIT_USER_MISTAKE

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class SecretError(StashError):
    """A secret's value is where it would be written to disk."""


class CommandLineError(StashError):
    """What the command line says has no meaning, or not for all that it is said of. A sweep doesn't begin with it."""


class SurroundingsError(StashError):
    """The machine doesn't let us: a disk is full, or broken. Nothing is wrong with what was asked for."""

    exit_code = 1


# What file systems and the kernel refuse for reasons of their own.
_OF_SURROUNDINGS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EAGAIN,
    errno.EFBIG,
}
_ROOM = {
    errno.ENOSPC: "make room on that disk (df -h, df -i), then run it again",
    errno.EDQUOT: "make room within your quota, then run it again",
}
# The same, where the path may be a mistake, or what stands there.
_OF_PLACE = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.EINVAL,
    errno.EBUSY,
    errno.ENXIO,
}
_IN_THE_WAY = {errno.ENOTDIR, errno.EEXIST, errno.ENOENT}


def is_of_surroundings(error: OSError) -> bool:
    """Tell whether the machine refuses something for reasons of its own."""
    return error.errno in _OF_SURROUNDINGS


def is_of_place(error: OSError) -> bool:
    """Tell whether what stands at a path, or the path itself, is the reason."""
    return error.filename is not None and error.errno in _OF_PLACE


def explain_refusal(error: OSError, place: str) -> StashError | None:
    """Return what to tell of a file, by default one below ``place``, that can't be written; None: it may be a bug."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else place
    message = f"{path} can't be written: {error.strerror}."
    if is_of_surroundings(error):
        return SurroundingsError(message, _ROOM.get(error.errno or 0))
    if error.errno in _IN_THE_WAY and (found := _in_the_way(path)) is not None:
        return StashError(f"{found}, where a directory must be.", "look what it is, and move it away")
    return StashError(message) if error.errno in _OF_PLACE else None


def _in_the_way(path: str) -> str | None:
    """Return what stands on the way to a path, or at it, and is no directory."""
    parts = path.split(os.sep)
    for length in range(1, len(parts) + 1):
        place = os.sep.join(parts[:length]) or os.sep
        if os.path.islink(place) and not os.path.exists(place):
            return f"{place} is a symbolic link that leads to {os.readlink(place)}, where nothing is"
        if os.path.lexists(place) and not os.path.isdir(place):
            return f"{place} is no directory"
    return None


def did_you_mean(wrong: str, valid: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest valid name, or an empty string."""
    import difflib  # which takes longer to import than most of what needs this module

    closest = difflib.get_close_matches(wrong, list(valid), n=1, cutoff=0.6)
    return f" Did you mean {closest[0]!r}?" if closest else ""


def refuse_unknown_key(given: Iterable[object], valid: Collection[str], where: str, hint: str) -> None:
    """Raise StashError for the first key that has no meaning; it names those that have one."""
    unknown = next((str(key) for key in given if key not in valid), None)
    if unknown is not None:
        message = f"{where}: unknown key {unknown!r}.{did_you_mean(unknown, valid)}"
        raise StashError(f"{message}\nValid: {', '.join(valid)}", hint)


def refuse_unknown_word(word: object, valid: Iterable[str], where: str, hint: str | None = None) -> None:
    """Raise StashError for what is none of the words that have a meaning; it names those."""
    known = list(valid)
    if word not in known:
        raise StashError(f"{where}: {word!r} is none of {', '.join(known)}.{did_you_mean(str(word), known)}", hint)
