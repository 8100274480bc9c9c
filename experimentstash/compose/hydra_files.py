"""What Hydra writes before anybody is asked: noted beforehand, so that it can be undone where nothing runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError

# In a run's directory, in the one that hydra.output_subdir names.
KEPT = ("config.yaml", "hydra.yaml", "overrides.yaml")


@dataclass(frozen=True)
class Before:
    """What was at the places that Hydra writes to, before it did."""

    contents: Mapping[Path, bytes | None]
    missing: tuple[Path, ...]  # directories that weren't there, the innermost first
    entries: frozenset[Path]  # of the directory itself

    def put_back(self) -> None:
        """Bring it back to what it was; a directory in which there is something else stays."""
        with contextlib.suppress(OSError):
            for path, content in self.contents.items():
                if content is None:
                    path.unlink(missing_ok=True)
                else:
                    mode = path.stat().st_mode  # Hydra has written into the file that was there
                    files.write_atomically(path, content)
                    path.chmod(mode & 0o7777)
            for directory in self.missing:
                with contextlib.suppress(FileNotFoundError):
                    directory.rmdir()


def look(directory: Path, names: Sequence[str]) -> Before:
    """Return what is at these names in a directory; StashError if Hydra would write through a link, or hang."""
    contents: dict[Path, bytes | None] = {}
    folders = [directory, *directory.parents]
    for name in names:
        path = directory / name
        folders = [each for each in path.parents if each.is_relative_to(directory) and each not in folders] + folders
        try:
            contents[path] = files.read_regular(files.inside(directory, path))
        except (FileNotFoundError, NotADirectoryError):
            contents[path] = None
        except OSError as error:
            raise StashError(f"{error.filename} is in the way: {error.strerror}.", "look what it is") from error
    entries = frozenset(directory.iterdir()) if directory.is_dir() else frozenset()
    return Before(contents, tuple(each for each in folders if not each.exists()), entries)
