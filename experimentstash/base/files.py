"""Files that are either whole or absent, those that must be ordinary ones, and locks between processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from experimentstash.base import permissions
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.errors import StashError

if TYPE_CHECKING:
    from typing import BinaryIO

# Bytes that a file which is read as a whole may have: a record, a note, a journal.
MOST_BYTES = 16 << 20
# Bytes of a block as `stat` counts them, whatever the file system's own are.
_BLOCK = 512
# Open flags with which nothing outside is reached, and nothing waited for: a FIFO blocks who opens it.
_ITSELF = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

# What tells a file from each other one that stands at its path before or after: (mtime in ns, size, inode). No two are
# written alike at a time.
Stamp = tuple[int, int, int]

# What a stash has for itself.
_OWN = (".experimentstash", "backups")

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unfit(OSError):
    """What stands at a path is not what must stand there; ``strerror`` says what it is."""

    def __init__(self, path: Path | str, what: str) -> None:
        super().__init__(errno.EINVAL, what, str(path))

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def open_regular(path: Path | str, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """Open what must be a regular file: no link is followed, no FIFO waited for. Unfit if it is something else.

    One that is made here is no more open to others than the directory it is in.
    For what others may have put in its place. It is also an opener: ``open(path, "rb", opener=open_regular)``.
    """
    try:
        if flags & os.O_CREAT:
            mode &= _openness(os.path.dirname(path) or ".")
            if flags & os.O_EXCL:
                return os.open(path, flags | os.O_NOFOLLOW, mode)  # what is made is a regular file, and empty
        descriptor = os.open(path, flags & ~os.O_TRUNC | _ITSELF, mode)
    except FileExistsError:
        raise
    except OSError as error:
        if (kind := kind_at(path)) not in (None, "a file"):
            raise Unfit(path, f"it is {kind}") from error
        raise
    try:
        if not stat.S_ISREG(found := os.fstat(descriptor).st_mode):
            raise Unfit(path, f"it is {_KINDS[stat.S_IFMT(found)]}")
        os.set_blocking(descriptor, True)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _openness(directory: str) -> int:
    """Return the mode that what is made in a directory may have at most: nothing for those who can do nothing there."""
    mode = os.stat(directory).st_mode
    return 0o700 | sum(others for others in (0o070, 0o007) if mode & others)


def read_regular(path: Path | str, limit: int = MOST_BYTES) -> bytes:
    """Return the content of what must be a regular file of at most so many bytes; Unfit if it is something else."""
    descriptor = open_regular(path)
    try:
        content = b""
        expected = os.fstat(descriptor).st_size + 1  # one more than there should be: most files take one read
        while len(content) <= limit and (part := os.read(descriptor, min(expected, limit + 1))):
            content += part
            expected = 1 << 20
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise Unfit(path, f"it is larger than {limit >> 20} MB")
    return content


def read_end(path: Path | str, most: int) -> bytes:
    """Return the last bytes of what must be a regular file, so many at the most; Unfit if it is something else."""
    with open(path, "rb", opener=open_regular) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - most))
        return stream.read(most)


def read_text(path: Path | str, limit: int = MOST_BYTES, errors: str = "strict") -> str:
    """Return a text that a user wrote, which links may lead to. Unfit if it is no regular file, or too large."""
    try:
        content = read_regular(path, limit)
    except Unfit:
        content = read_regular(os.path.realpath(path), limit)
    text = content.decode("utf-8", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def mark(path: Path | str) -> None:
    """Leave an empty file as a sign, unless something stands there already: its being there says it all."""
    with contextlib.suppress(FileExistsError):
        os.close(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def kind_at(path: Path | str) -> str | None:
    """Return what stands at a path: "a file", "a directory", "a symbolic link" …; None if nothing does."""
    try:
        return _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode))
    except OSError:
        return None


def inside(root: Path, path: Path) -> Path:
    """Return ``path`` if nothing between ``root`` and it is a link or no directory; Unfit otherwise.

    Then what is written or removed there is really below ``root``. What stands at the path itself isn't looked at.
    """
    place = root
    for part in _below(root, path)[:-1]:
        place /= part
        if (kind := kind_at(place)) not in ("a directory", None):
            raise Unfit(place, f"it is {kind}, where a directory must be")
    return path


def remove(path: Path) -> None:
    """Remove a file or a tree, read-only directories in it included. Links go themselves: they are never followed."""
    if kind_at(path) != "a directory":
        path.unlink(missing_ok=True)
        return
    import shutil  # here, because most of what a job does needs nothing of it

    def again(function: Callable[..., object], name: str, info: object) -> None:
        for each in (os.path.dirname(name), name):
            if kind_at(each) == "a directory":
                with contextlib.suppress(OSError):
                    os.chmod(each, 0o700)
        if function in (os.unlink, os.rmdir):
            function(name)
        elif kind_at(name) == "a directory":  # it could not be read
            shutil.rmtree(name)

    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path, onerror=again)


def measure(path: Path) -> tuple[int, int, str | None]:
    """Return how many bytes of the disk a tree takes, how many are free once it has gone, and what is mounted in it.

    What has several names counts once, and frees nothing as long as there are others elsewhere. No link is followed.
    """
    top = os.lstat(path)
    found: dict[tuple[int, int], os.stat_result] = {}
    seen: dict[tuple[int, int], int] = {}
    elsewhere = None
    for name in _tree(path):
        try:
            one = os.lstat(name)
        except FileNotFoundError:  # somebody is at work there
            continue
        if one.st_dev != top.st_dev:
            elsewhere = name
        key = one.st_dev, one.st_ino
        found[key], seen[key] = one, seen.get(key, 0) + 1
    whole = sum(each.st_blocks for each in found.values())
    kept = sum(
        each.st_blocks for key, each in found.items() if not stat.S_ISDIR(each.st_mode) and seen[key] < each.st_nlink
    )
    return whole * _BLOCK, (whole - kept) * _BLOCK, elsewhere


def _tree(path: Path) -> Iterator[str]:
    yield str(path)
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            yield os.path.join(folder, name)


def _below(root: Path, path: Path) -> tuple[str, ...]:
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    if not parts or ".." in parts:
        raise Unfit(path, f"it is not below {root}")
    return parts


def free(path: Path) -> Path:
    """Return ``path``, or if that is taken the path with the first free number."""
    candidate, number = path, 2
    while os.path.lexists(candidate):
        candidate, number = path.with_name(f"{path.name}.{number}"), number + 1
    return candidate


def make_private(directory: Path) -> None:
    """Make a directory that git ignores, without touching the user's .gitignore."""
    try:
        make_directory(directory)
        if not directory.is_symlink():  # elsewhere it would make git blind for what is there
            with open(directory / ".gitignore", "x", encoding="utf-8", opener=open_regular) as stream:
                stream.write("*\n")
    except FileExistsError:
        pass
    except Unfit as error:
        raise StashError(
            f"{error.filename} is in the way: {error.strerror}.", "look what it is, and move it away"
        ) from error


def stamp(found: os.stat_result) -> Stamp:
    """Return what tells a file from what was there before, or will be."""
    return found.st_mtime_ns, found.st_size, found.st_ino


def write_atomically(
    path: Path | str, data: str | bytes, *, replace: bool = True, spare: Path | str | None = None, mode: int = 0o666
) -> Stamp:
    """Replace ``path`` by ``data`` in one step: a reader sees the old content or the new, never a part.

    What is replaced becomes no more open to others than it was.

    Without ``replace`` it raises FileExistsError if somebody else was faster; ``spare`` then becomes a second name of
    the file.
    """
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    staged = _beside(path)
    try:
        written = write(staged, content, os.O_EXCL, mode & _mode_for(path) if replace else mode)
        if replace:
            os.replace(staged, path)
        else:
            os.link(staged, path)
            if spare is None:
                os.unlink(staged)
            else:
                os.replace(staged, spare)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise
    return written


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """Yield a stream; what is in it at the end replaces ``path`` as ``write_atomically`` does, for what is large."""
    staged, mode = _beside(path), _mode_for(path)
    try:
        with open(
            staged, "w+b", opener=lambda name, _: open_regular(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        ) as stream:
            yield stream
        os.replace(staged, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise


def _beside(path: Path | str) -> str:
    """Return where a file is made that is to stand at a path."""
    # Not by tempfile, which takes longer than all the rest of a write.
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}")


def _mode_for(path: Path | str) -> int:
    """Return how open to others a file may be at most that replaces what stands at a path."""
    try:
        return os.lstat(path).st_mode & 0o777 | 0o600
    except OSError:
        return 0o666


def write(path: Path | str, content: bytes, flags: int = os.O_TRUNC, mode: int = 0o666) -> Stamp:
    """Write a file. A sweep writes thousands of small ones: without a stream each takes half the time."""
    descriptor = open_regular(path, os.O_WRONLY | os.O_CREAT | flags, mode)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        return stamp(os.fstat(descriptor))
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold an exclusive lock on ``path`` (made if missing) against other processes and threads.

    ``on_wait`` is called once if somebody else holds it. The kernel frees the lock of a process that dies.
    Yields the lock's file descriptor: a child that inherits it holds the lock too, until it ends.
    """
    descriptor = _open_lock(path)
    try:
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _no_locks(path, error) from error
        yield descriptor
    finally:
        os.close(descriptor)


def lock_if_free(path: Path) -> int | None:
    """Take the lock of ``locked`` if nobody holds it; it is held until the returned descriptor is closed."""
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise _no_locks(path, error) from error
    return descriptor


@contextlib.contextmanager
def locked_at_once(path: Path, busy: StashError) -> Iterator[None]:
    """Hold the lock of ``locked``; if somebody else holds it, ``busy`` is raised."""
    descriptor = lock_if_free(path)
    if descriptor is None:
        raise busy
    try:
        yield
    finally:
        os.close(descriptor)


def lock_beside(directory: Path) -> Path:
    """Return where the lock is of what is made in a directory."""
    return directory.with_name(f"{directory.name}.lock")


def remove_if_free(directory: Path, mark: str) -> bool:
    """Remove what was made in a directory, first the mark that it is complete; False if it is made just now."""
    held = lock_if_free(lock_beside(directory))
    if held is None:
        return False
    try:
        remove(directory / mark)
        remove(directory)
    finally:
        os.close(held)
    return True


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock of ``locked``."""
    descriptor = lock_if_free(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _open_lock(path: Path) -> int:
    """Open a lock's file, which nobody writes into; StashError if somebody has put something else there."""
    try:
        make_directory(path.parent)
        return open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except Unfit as error:
        place = error.filename
        raise StashError(f"{place} is in the way of a lock: {error.strerror}.", f"move it away: {place}") from error
    except OSError as error:
        raise StashError(f"The lock {path} can't be opened: {error.strerror}.") from error


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, unless it is there; Unfit if something else is.

    Each is no more open to others than the one it is in, and our own in a stash than the stash's settings say.
    """
    if os.path.isdir(path):
        return
    try:
        for each in [*(above for above in reversed(path.parents) if not os.path.lexists(above)), path]:
            if not os.path.lexists(each):
                mode = _openness(os.path.dirname(each) or ".")
                if each.name in _OWN:
                    mode &= ~permissions.in_stash(each.parent)
                with contextlib.suppress(FileExistsError):
                    os.mkdir(each, mode)
        if not os.path.isdir(path):
            raise FileExistsError
    except (FileExistsError, NotADirectoryError) as error:
        place = next(each for each in (path, *path.parents) if os.path.lexists(each))
        raise Unfit(place, f"it is {kind_at(place)}, where a directory must be") from error


def _no_locks(path: Path, error: OSError) -> StashError:
    return StashError(
        f"The file system of {path} has no file locks ({error.strerror}).",
        "keep the stash on a file system with locks (for Lustre: mounted with -o flock or localflock)",
    )
