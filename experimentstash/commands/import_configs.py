"""``experimentstash import-configs DIR``: brings the configuration of an older stash over, all of it or nothing."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from experimentstash.errors import StashError
from experimentstash.files import inside
from experimentstash.older import Left, translate
from experimentstash.transaction import make_private
from experimentstash.workspace import Stash, find_stash


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="an older stash: it has configs/meta.yaml in it")


def main(given: argparse.Namespace) -> int:
    imported = import_configs(find_stash(), given.directory)
    for path in imported.files:
        print(path)
    if imported.left:
        print("\nNot carried over, or to be looked at:")
        width = max(len(_place(each)) for each in imported.left)
        for each in imported.left:
            print(f"  {_place(each):<{width}}  {each.why}")
    print(
        f"\n{imported.tools} tools and {imported.experiments} experiments are imported. Next: experimentstash validate"
    )
    return 0


@dataclass(frozen=True)
class Imported:
    """What was imported: the new files, relative to the stash's root, and what was left."""

    files: tuple[str, ...]
    tools: int
    experiments: int
    left: tuple[Left, ...]


def import_configs(stash: Stash, directory: Path) -> Imported:
    """Write the tools and organizers of the older stash in ``directory`` into ``conf``.

    Raises StashError, and writes nothing, if it is no older stash or a file is there already.
    """
    translation = translate(directory.absolute(), stash.tools())
    files = translation.files
    taken = [path for path in files if os.path.lexists(stash.root / path)]
    if taken:
        raise StashError(
            f"Nothing is imported, because these exist already:\n  {_listed(taken)}", "move them away first"
        )
    _write(stash, files)
    return Imported(tuple(files), len(translation.tools), len(translation.experiments), translation.left)


def _write(stash: Stash, files: dict[str, str]) -> None:
    """Write all files to a place beside, then give each its name; undo that if one can't have it."""
    make_private(stash.private)
    staging = Path(tempfile.mkdtemp(prefix="import-", dir=stash.private))
    made: list[Path] = []
    try:
        for number, text in enumerate(files.values()):
            (staging / str(number)).write_text(text, encoding="utf-8")
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
