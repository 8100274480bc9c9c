"""What a build has left: the mark that it is complete, and which files it has made, as they were then.

HOME/
  building      there while it is being built, and after a build that has come to no end
  built.json    set last
  build.log     what its commands said
  products/     what `{build}` stands for

A build in the code itself has these beside the worktree, which then is of this build alone: the code that its runs
share is one commit and one build, and both go when nobody needs them. Nothing is built in a worktree that others use
without that build. What is built in a live checkout, or in a place of its own from there, has them in
`.experimentstash/builds/`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.record import run as record_of

BEGUN, MARK, LOG, PRODUCTS = "building", "built.json", "build.log", "products"
# Of so many files it is looked whether they are as they were made: programs and libraries first.
_MOST_LOOKED_AT = 1000
_MOST_KEPT = 100_000

Stamp = tuple[int, int]  # size, and nanoseconds of its last change


@dataclass(frozen=True)
class Built:
    """A build that is complete."""

    key: str
    directory: str  # what it has made lies below
    products: Mapping[str, Stamp]
    programs: Sequence[str] = ()  # those among them that can be executed or loaded
    compilers: Mapping[str, str] = field(default_factory=dict)  # and other programs of the build: their versions
    platform: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    code: str = ""  # the commit, changes included
    made: str | None = None

    def changed(self) -> list[str]:
        """Return what isn't there any more as it was made."""
        programs = set(self.programs)
        looked_at = [*self.programs, *(each for each in self.products if each not in programs)][:_MOST_LOOKED_AT]
        return [each for each in looked_at if _stamp(self.directory, each) != self.products[each]]


def read(home: Path) -> Built | None:
    """Return the build that is complete in ``home``; None if there is none."""
    if (home / BEGUN).exists():
        return None
    try:
        data = typed.loads(files.read_regular(home / MARK))
        products = {
            typed.text(name, "products"): (int(size), int(moment)) for name, (size, moment) in data["products"].items()
        }
        return Built(
            key=typed.text(data["key"], "key"),
            directory=typed.path(data["directory"], "directory"),
            products=products,
            programs=[name for name in data["programs"] if name in products],
            compilers=_texts(data["compilers"]),
            platform=typed.text(data["platform"], "platform"),
            variables=_texts(data["variables"]),
            code=typed.text(data["code"], "code"),
            made=data.get("made"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_with(home: Path, key: str) -> Built | None:
    """Return the build that is complete in ``home`` if it is the one of this key."""
    found = read(home)
    return found if found is not None and found.key == key else None


def as_made(build: record_of.Build) -> record_of.Build:
    """Return what a record says of a build, with by what it was made, as far as that is known by now."""
    if build.compilers or build.log is None:
        return build
    found = read_with(Path(build.log).parent, build.key)
    if found is None:
        return build
    by = {"compilers": dict(found.compilers), "platform": found.platform, "variables": dict(found.variables)}
    return replace(build, **by)


def is_as_recorded(build: record_of.Build) -> bool:
    """Tell whether the build that a record names is the one that is there now, in a checkout with the files it had."""
    if build.log is None:
        return True
    found = read_with(Path(build.log).parent, build.key)
    return found is not None and not (build.is_in_checkout and found.changed())


def _texts(data: Mapping[str, object]) -> dict[str, str]:
    return {typed.text(name, ""): typed.text(value, name) for name, value in data.items()}


def write(home: Path, built: Built) -> None:
    """Set the mark that a build is complete."""
    text = json.dumps({**vars(built), "products": dict(list(built.products.items())[:_MOST_KEPT])}, indent=1)
    files.write_atomically(home / MARK, f"{text}\n")
    files.remove(home / BEGUN)


def listing(directory: Path) -> dict[str, Stamp]:
    """Return the files below a directory, but for git's own; links are not followed."""
    found: dict[str, Stamp] = {}
    for name in _names(directory):
        stamp = _stamp(directory, name)
        if stamp is not None:
            found[name] = stamp
    return found


def programs_among(directory: Path, names: Mapping[str, Stamp]) -> list[str]:
    """Return those files that can be executed, or are loaded by what is."""
    return [name for name in names if ".so" in name or os.access(directory / name, os.X_OK)]


def in_tree(home: Path, tree: Path) -> tuple[set[str], set[str]] | None:
    """Return what has been built in a worktree, relative to that, and what of it isn't as it was made.

    None if a build has begun there that isn't complete.
    """
    if (home / BEGUN).exists():
        return None
    built = read(home)
    if built is None:
        return set(), set()
    inside = os.path.relpath(built.directory, tree)

    def named(names: Iterable[str]) -> set[str]:
        return {os.path.normpath(os.path.join(inside, name)) for name in names}

    changed = built.changed()
    return named({*built.products} - {*changed}), named(changed)


def _names(directory: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name != ".git")
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            if name != ".git":
                yield os.path.relpath(os.path.join(folder, name), directory)


def _stamp(directory: Path | str, name: str) -> Stamp | None:
    try:
        found = os.lstat(os.path.join(directory, name))
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
