"""The names in a stash, and its root, found with next to no imports: for what is asked at each key.

Paths are texts here. What they mean, `layout` tells.
"""

from __future__ import annotations

import os

from experimentstash.stash import paths

TYPE_CHECKING = False  # from here, because what it guards takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterator

# Digits and letters that can't be taken for one another.
ID_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
ID_LENGTH = 7


def root_of(directory: str) -> str | None:
    """Return the root of the stash that a directory is in, looking upwards as git does; None outside one."""
    while not is_stash(directory):
        above = os.path.dirname(directory)
        if above == directory:
            return None
        directory = above
    return directory


def is_stash(directory: str) -> bool:
    """Tell a stash's root from another Hydra application's; git keeps no empty conf/tool/."""
    path = os.path.join(directory, paths.ROOT_CONFIG)
    has_registrations = os.path.isdir(os.path.join(directory, paths.REGISTRATIONS))
    return os.path.exists(path) and (has_registrations or "experimentstash" in text(path))


def text(path: str, most: int = 1 << 20) -> str:
    """Return the text in a regular file that is no larger than this; else nothing."""
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as file:
            found = file.read(most + 1)
    except (OSError, ValueError):
        return ""
    return found.decode("utf-8", "replace") if len(found) <= most else ""


def options(group: str) -> list[str]:
    """Return the names of the configs in a group's directory (figure1/pca), sorted."""
    return sorted(_options(group, "", (), False))


def _options(folder: str, prefix: str, above: tuple[str, ...], is_linked: bool) -> Iterator[str]:
    if is_linked and os.path.realpath(folder) in map(os.path.realpath, above):  # a link leads round in a circle
        return
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_dir():
                    if not name.startswith("__"):
                        folders.append((name, is_linked or entry.is_symlink()))
                elif name.endswith(".yaml"):
                    yield f"{prefix}{name[:-5]}"
    except OSError:
        return
    for name, is_by_link in folders:
        yield from _options(f"{folder}/{name}", f"{prefix}{name}/", (*above, folder), is_by_link)


def token_of(name: str) -> str | None:
    """Return the random part of the name of a run's or a sweep's directory: 12-00-00-k3f9a2b → k3f9a2b."""
    token = name.rpartition("-")[2]
    is_token = name != token and len(token) == ID_LENGTH and set(token) <= set(ID_ALPHABET)
    return token if is_token else None
