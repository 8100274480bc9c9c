"""Files that are either whole or absent, and locks between processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from experimentstash.errors import StashError


def write_atomically(path: Path | str, data: str | bytes, *, replace: bool = True) -> None:
    """Replace ``path`` by ``data`` in one step: a reader sees the old content or the new, never a part.

    Without ``replace`` it raises FileExistsError if somebody else was faster.
    """
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    # Not by tempfile, which takes longer than all the rest of a write.
    folder, name = os.path.split(path)
    staged = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        write(staged, content, os.O_EXCL)
        if replace:
            os.replace(staged, path)
        else:
            os.link(staged, path)
            os.unlink(staged)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise


def write(path: Path | str, content: bytes, flags: int = os.O_TRUNC) -> None:
    """Write a file. A sweep writes thousands of small ones: without a stream each takes half the time."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o666)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold an exclusive lock on ``path`` (made if missing) against other processes and threads.

    ``on_wait`` is called once if somebody else holds it. The kernel frees the lock of a process that dies.
    Yields the lock's file descriptor: a child that inherits it holds the lock too, until it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as stream:
        try:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            raise _no_locks(path, error) from error
        yield stream.fileno()


def lock_if_free(path: Path) -> int | None:
    """Take the lock of ``locked`` if nobody holds it; it is held until the returned descriptor is closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise _no_locks(path, error) from error
    return descriptor


def _no_locks(path: Path, error: OSError) -> StashError:
    return StashError(
        f"The file system of {path} has no file locks ({error.strerror}).",
        "keep the stash on a file system with locks (for Lustre: mounted with -o flock or localflock)",
    )
