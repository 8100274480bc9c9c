"""``experimentstash import-configs DIR``: brings the configuration of an older stash over, all of it or nothing."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import inside, make_private
from experimentstash.base.text import counted
from experimentstash.stash.layout import Stash, find_stash
from experimentstash.tools.older.older import Left, translate
from experimentstash.tools.older.older_trees import Submodule

# Files that are listed of those left for one reason.
_MOST_ALIKE = 5


EXAMPLES = (("import-configs ../old-stash", "all of it, or nothing"),)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="an older stash: it has configs/meta.yaml in it")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
    imported = import_configs(stash, given.directory)
    for path in imported.files:
        print(path)
    for tree, count in imported.copied.items():
        print(f"{tree}/ ({counted(count, 'file')}, as they were)")
    if imported.left:
        print("\nNot carried over, or to be looked at:")
        shown = list(_shown(imported.left))
        width = max(len(place) for place, _ in shown)
        for place, why in shown:
            print(f"  {place:<{width}}  {why}")
    missing = [each for each in imported.submodules if not os.path.lexists(stash.root / each.path)]
    if missing:
        print("\nThe tools' code, as the older stash had it:")
        for each in missing:
            print(f"  {each.command}")
    counts = f"{counted(imported.tools, 'tool')} and {counted(imported.experiments, 'experiment')}"
    print(f"\nImported: {counts}. Next: experimentstash validate")
    return 0


def _shown(left: tuple[Left, ...]) -> Iterator[tuple[str, str]]:
    """Yield what was left and why; of many files with one reason only the first."""
    by_reason: dict[str, list[Left]] = {}
    for each in left:
        by_reason.setdefault(each.why, []).append(each)
    for why, those in by_reason.items():
        for each in those[:_MOST_ALIKE]:
            yield _place(each), why
        if len(those) > _MOST_ALIKE:
            yield f"… and {len(those) - _MOST_ALIKE} more", why


@dataclass(frozen=True)
class Imported:
    """What was imported: the new files, relative to the stash's root, and what was left."""

    files: tuple[str, ...]
    tools: int
    experiments: int
    left: tuple[Left, ...]
    copied: Mapping[str, int]  # directories of tools' own configurations, with the number of their files
    submodules: tuple[Submodule, ...]


def import_configs(stash: Stash, directory: Path) -> Imported:
    """Write the tools and organizers of the older stash in ``directory`` into ``conf``, tools' own into ``configs``.

    Raises StashError, and writes nothing, if it is no older stash or a file is there already.
    """
    translation = translate(directory.absolute(), stash.tools())
    contents = {path: text.encode() for path, text in translation.files.items()}
    copied = {}
    for tree in translation.trees:
        if (stash.root / tree.path).exists() and tree.place.samefile(stash.root / tree.path):
            continue  # the older stash becomes the new one
        files = {f"{tree.path}/{path.relative_to(tree.place).as_posix()}": path for path in tree.files()}
        contents |= {name: path.read_bytes() for name, path in files.items()}
        copied[tree.path] = len(files)
    taken = [path for path in contents if os.path.lexists(stash.root / path)]
    if taken:
        raise StashError(
            f"Nothing is imported, because these exist already:\n  {_listed(taken)}", "move them away first"
        )
    _write(stash, contents)
    return Imported(
        tuple(translation.files),
        len(translation.tools),
        len(translation.experiments),
        translation.left,
        copied,
        translation.submodules,
    )


def _write(stash: Stash, files: Mapping[str, bytes]) -> None:
    """Write all files to a place beside, then give each its name; undo that if one can't have it."""
    make_private(stash.private)
    staging = Path(tempfile.mkdtemp(prefix="import-", dir=stash.private))
    made: list[Path] = []
    try:
        for number, content in enumerate(files.values()):
            (staging / str(number)).write_bytes(content)
        for number, path in enumerate(files):
            target = inside(stash.root, stash.root / path)
            for folder in reversed([each for each in target.parents if not each.exists()]):
                folder.mkdir()
                made.append(folder)
            os.link(staging / str(number), target)  # unlike a rename it never replaces a file
            made.append(target)
    except BaseException as error:
        for path_made in reversed(made):
            path_made.rmdir() if path_made.is_dir() else path_made.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StashError(f"Nothing is imported: {error}") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _place(left: Left) -> str:
    return left.file if left.key is None else f"{left.file}: {left.key}"


def _listed(paths: list[str]) -> str:
    shown = paths[:20]
    return "\n  ".join([*shown, *([f"… and {len(paths) - 20} more"] if len(paths) > 20 else [])])
