"""Files and trees are put into their places, whole or not at all; their traces are removed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from pathlib import Path

from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.code.results import REMAKEABLE
from experimentstash.stash import paths


def remove_empty(directory: Path, project: Superproject) -> None:
    """Remove a directory, and those above it, if nothing is in them; those that every stash or git has stay."""
    lasting = {
        project.root / project.prefix / name
        for name in (paths.TOOLS, paths.CONF, paths.ORGANIZERS, paths.REGISTRATIONS, paths.PRIVATE)
    }
    lasting |= {project.root / project.prefix, project.root, project.git_directory, project.git_directory.parent}
    while directory not in lasting and (
        directory.is_relative_to(project.root) or directory.is_relative_to(project.git_directory)
    ):
        try:
            directory.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        directory = directory.parent


def rename(source: Path, target: Path) -> None:
    """Move a file or a tree to where nothing is, to another file system, too: never half of it is in place."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = partial_of(target)
        files.remove(partial)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, partial, symlinks=True)
        else:
            shutil.copy2(source, partial, follow_symlinks=False)
        os.rename(partial, target)
        files.remove(source)
    sync_directory(target.parent)


def partial_of(target: Path) -> Path:
    """Return where a tree is copied to on its way from another file system."""
    return target.with_name(f".{target.name}.experimentstash-partial")


def content_of(path: Path) -> bytes | None:
    """Return what is in a file that is to be replaced; None if there is none. StashError if it is no file."""
    try:
        return files.read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StashError(f"{path} can't be read: {error.strerror}.", "look what it is") from error


def put(path: Path, content: bytes | None, folder: Path) -> None:
    """Make ``content`` the file's, at once; None removes it. ``folder`` is the transaction's."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    draft = draft_of(path, folder)
    with open(draft, "wb", opener=files.open_regular) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.chmod(mode)
    os.replace(draft, path)


def draft_of(path: Path, folder: Path) -> Path:
    """Return where a transaction writes what is to be in a file."""
    return path.with_name(f".{path.name}.{folder.name}")


def fingerprint(path: Path) -> str:
    """Return what changes when somebody works in a tree: its files' sizes and times, and a repository's references."""
    digest = hashlib.sha256()
    is_repository = (path / "objects").is_dir() and (path / "HEAD").is_file()
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in REMAKEABLE and not name.endswith(".egg-info"))
        if is_repository and Path(folder) == path:
            folders[:] = [name for name in folders if name in ("refs", "logs")]
            names = [name for name in names if name in ("HEAD", "packed-refs")]
        for name in sorted({*names, *(each for each in folders if os.path.islink(os.path.join(folder, each)))}):
            file = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                found = os.lstat(file)
                text = f"{os.path.relpath(file, path)}\0{found.st_mode}\0{found.st_size}\0{found.st_mtime_ns}\n"
                digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on the disk, as far as the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
