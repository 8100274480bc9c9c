"""The files that a run reads besides its code, as far as it is told of them: those it declares and those it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.files import Unfit
from experimentstash.freeze.inputs import named_in, words_of
from experimentstash.publish.contents import below, content_of
from experimentstash.publish.frozen import Content, Input
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash, as_kept

# Files that a directory which is named may have.
_MOST_FILES = 1_000_000


class Inputs:
    """Files as they are now, each read once."""

    def __init__(self, stash: Stash) -> None:
        self._stash = stash
        self._known: dict[str, Content] = {}

    def of(self, run: Run, declared: Iterable[str]) -> list[Input]:
        """Return what a run reads; StashError for what is declared and isn't there."""
        found: dict[str, Path] = {}
        for name in declared:
            path = Path(os.path.normpath(self._stash.root / os.path.expanduser(name)))
            if not path.exists():
                raise StashError(f"inputs: there is no {self._stash.relative(path)}.", "bring it back, or take it out")
            found |= {as_kept(self._stash.root, each): each for each in _files(path)}
        for path in _named(run, self._stash):
            found |= {as_kept(self._stash.root, each): each for each in _files(path)}
        return [Input(name, self.content(path)) for name, path in sorted(found.items())]

    def content(self, path: Path) -> Content:
        """Return what is in a file, which a link may lead to."""
        real = os.path.realpath(path)
        if real not in self._known:
            self._known[real] = content_of(Path(real))
        return self._known[real]

    def why_other(self, given: Input) -> str | None:
        """Return why a file isn't what a run has read; None: it is."""
        path = self._stash.root / given.path
        try:
            content = self.content(path)
        except (FileNotFoundError, NotADirectoryError):
            return f"its input {given.path} isn't there"
        except (OSError, Unfit) as error:
            return f"its input {given.path} can't be read: {error.strerror}"
        return None if content == given.content else f"its input {given.path} isn't what it was"


def _named(run: Run, stash: Stash) -> Iterator[Path]:
    """Yield the files and directories that a run's words name; not its own, nor its code, nor its environment."""
    command = run.spec.command
    code = run.spec.code.path if run.spec.code is not None else command.cwd
    mine = [run.directory, str(stash.private)]
    own = [*mine, *([run.sweep] if run.sweep is not None else []), *([] if command.path is None else [command.path])]
    texts = [*command.argv[1:], *command.environment.values(), *words_of(run.spec.params)]
    for text in texts:
        for name in named_in(text):
            path = os.path.normpath(os.path.join(command.cwd, os.path.expanduser(name)))
            inside = [each for each in (*own, code) if path == each or path.startswith(f"{each}/")]
            holds = any(f"{each}/".startswith(f"{path}/") for each in (*own, code))
            if not inside and not holds and os.path.exists(path):
                yield Path(path)
    for name in run.spec.shared:
        path = os.path.normpath(os.path.join(code, name))
        if os.path.exists(path):
            yield Path(path)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.is_file() else []
    found = [path / name for name in below(path) if (path / name).is_file()]
    if len(found) > _MOST_FILES:
        raise StashError(f"{path} holds {len(found):,} files: too many to be noted one by one.")
    return found
