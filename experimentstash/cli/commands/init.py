"""``experimentstash init [DIR]``: a new stash, which needs nothing but the installed package."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from experimentstash.adapters.git import command
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import Unfit, inside
from experimentstash.cli import installation
from experimentstash.stash import paths
from experimentstash.stash.layout import find_stash
from experimentstash.tools import editor_files

# Directories that a clone must have too; git keeps none that is empty.
_KEPT = (paths.REGISTRATIONS, paths.ORGANIZERS, paths.TOOLS, paths.OUTPUTS, paths.MULTIRUN)
# Brings the ExperimentStash that made the stash.
_REQUIREMENTS = "requirements.txt"
_TEMPLATES = {
    paths.ROOT_CONFIG: "config.yaml",
    ".gitignore": "gitignore",
    "README.md": "README.md",
    f"{paths.TOOLS}/example/example.py": "example.py",
    paths.registration("example"): "example_tool.yaml",
    paths.organizer("example/pi"): "example_experiment.yaml",
}
# Has the set-up validated at each push; read only at the root of a repository.
_WORKFLOW = ".github/workflows/validate.yml"


EXAMPLES = (
    ("init my-paper", "in a new directory"),
    ("init", "here"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), metavar="DIR", help="where (default: here)")


def main(given: argparse.Namespace) -> int:
    made = init(given.directory)
    here = made.root == Path.cwd()
    print(f"A new stash is in {made.root}{', a new git repository' if made.is_new_repository else ''}.")
    made_by = installation.here()
    if _REQUIREMENTS not in made.files:
        print(f"{_REQUIREMENTS} was there already: add to it  {made_by.requirement}")
    if made_by.note is not None:
        print(f"Look at how {_REQUIREMENTS} brings ExperimentStash: {made_by.note}.")
    print("Nothing is committed. Next:")
    if not here:
        print(f"  cd {shlex.quote(str(given.directory))}")
    print("  experimentstash run example/pi       # an example, to be removed when you like")
    print("  experimentstash tool add NAME URL    # or import-configs DIR, from an older stash")
    print("  experimentstash validate")
    return 0


@dataclass(frozen=True)
class NewStash:
    """A stash that was made: where, its files (relative), and whether it is a new git repository."""

    root: Path
    files: tuple[str, ...]
    is_new_repository: bool


def init(directory: Path) -> NewStash:
    """Make a stash in ``directory``, with a git repository unless it is in one; all of it or nothing.

    Raises StashError if a file of it exists already, or it would lie inside another stash.
    """
    root = directory.absolute()
    repository = toplevel(root)
    is_new_repository = repository is None
    files = _files(root.resolve().name)
    for theirs in (_REQUIREMENTS, editor_files.VSCODE, _WORKFLOW):
        if os.path.lexists(root / theirs):
            del files[theirs]  # it is somebody's own
    if repository not in (None, root.resolve()):
        files.pop(_WORKFLOW, None)
    _refuse_what_collides(root, files)
    try:
        with _undoing() as undo:
            for path, text in files.items():
                _make_directories((root / path).parent, undo)
                with (root / path).open("x", encoding="utf-8") as stream:
                    undo((root / path).unlink)
                    stream.write(text)
            if is_new_repository:
                undo(lambda: shutil.rmtree(root / ".git", ignore_errors=True))
                command.initialise(root)
    except OSError as error:
        raise StashError(f"No stash is made in {root}: {error.strerror or error}") from error
    return NewStash(root, tuple(files), is_new_repository)


def _files(name: str) -> dict[str, str]:
    templates = resources.files("experimentstash") / "scaffold"
    wanted = {**_TEMPLATES, _WORKFLOW: "validate.yml"}
    texts = {path: (templates / template).read_text(encoding="utf-8") for path, template in wanted.items()}
    texts["README.md"] = texts["README.md"].replace("{name}", name)
    made_by = installation.here()
    note = f"# {made_by.note}\n" if made_by.note else ""
    head = f"# What made this stash, and runs it: pip install -r {_REQUIREMENTS}\n"
    texts[_REQUIREMENTS] = f"{head}{note}{made_by.requirement}\n"
    return {**texts, **editor_files.of_every_stash(), **{f"{folder}/.gitkeep": "" for folder in _KEPT}}


def _refuse_what_collides(root: Path, files: dict[str, str]) -> None:
    if root.exists() and not root.is_dir():
        raise StashError(f"{root} is a file.", "give another directory")
    try:
        around = find_stash(root).root
    except StashError:
        around = None
    if around is not None:
        what = "is a stash already" if around == root else f"is inside the stash {around}"
        raise StashError(f"{root} {what}.", "give another directory")
    taken = [path for path in files if os.path.lexists(root / path)]
    taken += [str(place) for path in files if (place := _in_the_way(root, path)) is not None]
    taken += [path for path in _KEPT if os.path.lexists(root / path) and not (root / path).is_dir()]
    if (root / paths.CONF).exists() and not (root / paths.CONF).is_dir():
        taken.append(paths.CONF)
    if taken:
        raise StashError(
            f"Nothing is made, because {root} has these already: {', '.join(taken)}.",
            "move them away, or give another directory",
        )


def _in_the_way(root: Path, path: str) -> Path | None:
    """Return what stands where a directory of the stash must be, a link included: what is behind it isn't ours."""
    try:
        inside(root, root / path)
    except Unfit as error:
        return Path(error.filename).relative_to(root)
    return None


def _make_directories(directory: Path, undo: Callable[[Callable[[], object]], None]) -> None:
    for folder in reversed([each for each in (directory, *directory.parents) if not each.exists()]):
        folder.mkdir()
        undo(folder.rmdir)


@contextmanager
def _undoing() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Yield what notes how a step is undone; if anything is raised, Ctrl-C included, all of it is undone."""
    steps: list[Callable[[], object]] = []
    try:
        yield steps.append
    except BaseException:
        for step in reversed(steps):
            step()
        raise
