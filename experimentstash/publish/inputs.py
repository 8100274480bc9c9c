"""The files that a run reads besides its code, as far as it is told of them: those it declares and those it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import unseen
from experimentstash.adapters.git.submodules import nested_repositories
from experimentstash.base.errors import StashError
from experimentstash.base.files import Stamp, Unfit, stamp
from experimentstash.base.text import listed
from experimentstash.code import built
from experimentstash.code.results import REMAKEABLE
from experimentstash.freeze.inputs import is_in, named_in, words_of
from experimentstash.publish import outputs
from experimentstash.publish.contents import below, content_of
from experimentstash.publish.frozen import Content, Input
from experimentstash.publish.places import marked, marks, unmarked
from experimentstash.record import times
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash, as_kept

# Files that a directory which is named may have.
_MOST_FILES = 1_000_000
_NAMED = 3
_REMADE = (".egg-info", ".pyc")


class Inputs:
    """Files as they are now, each read once as long as it stays the same."""

    def __init__(self, stash: Stash) -> None:
        self._stash = stash
        self._known: dict[str, tuple[Stamp, Content]] = {}
        self._unkept: dict[str, list[str]] = {}

    def of(self, run: Run, declared: Iterable[str], notes: list[str]) -> list[Input]:
        """Return what a run reads; StashError for what is declared and isn't there, or was changed since the run.

        What may be something else than the run has read is noted.
        """
        found: dict[str, Path] = {}
        for name in declared:
            path = Path(os.path.normpath(self._stash.root / os.path.expanduser(name)))
            if not path.exists():
                raise StashError(f"inputs: there is no {self._stash.relative(path)}.", "bring it back, or take it out")
            found |= {as_kept(self._stash.root, each): each for each in _files(path)}
        code, made = _code(run), _built(run)
        for path in _named(run, self._stash):
            is_code = is_in(str(path), code)
            read = [each for each in _files(path) if not is_code or self._is_unkept(each, code)]
            read = [each for each in read if os.path.realpath(each) not in made]
            found |= {as_kept(self._stash.root, each): each for each in read}
        self._refuse_changed(run, found, notes)
        if unkept := self._other_unkept(run, code, [*made, *(os.path.realpath(each) for each in found.values())]):
            notes.append(
                f"git ignores {listed(unkept, _NAMED)} in its checkout: what is there isn't kept, nor looked at"
            )
        places = marks(self._stash, run.directory)
        return [Input(marked(name, places), self.content(path)) for name, path in sorted(found.items())]

    def _is_unkept(self, path: Path, code: str) -> bool:
        """Tell whether a file in a tool's checkout isn't kept with its commit: git ignores it, or it is elsewhere."""
        real = os.path.realpath(path)
        return not is_in(real, os.path.realpath(code)) or any(is_in(real, each) for each in self._ignored(code))

    def _ignored(self, code: str) -> list[str]:
        if code not in self._unkept:
            self._unkept[code] = list(_ignored(Path(os.path.realpath(code))))
        return self._unkept[code]

    def _other_unkept(self, run: Run, code: str, inputs: list[str]) -> list[str]:
        """Return what else a run's code may have read that its commit doesn't hold, relative to the checkout."""
        if is_in(code, str(self._stash.private)):  # frozen code has nothing else
            return []
        path = run.spec.command.path
        own = [
            *inputs,
            *([os.path.realpath(path)] if path is not None else []),
            run.directory,
            str(self._stash.private),
        ]
        found = [each for each in self._ignored(code) if not any(is_in(one, each) for one in own)]
        names = [os.path.relpath(each, os.path.realpath(code)) for each in found]
        return [each for each in names if not REMAKEABLE & {*each.split("/")} and not each.endswith(_REMADE)]

    def _refuse_changed(self, run: Run, found: dict[str, Path], notes: list[str]) -> None:
        """Raise StashError for files that were written after a run had ended: nobody knows what it has read."""
        began, ended = _began(run), ended_at(run)
        unsure = []
        for name, path in found.items():
            seen = os.stat(path)
            if max(seen.st_mtime, seen.st_ctime) <= began or self._is_of_commit(run, path):
                continue
            if seen.st_mtime > ended:
                raise StashError(
                    f"The input {name} was changed after {run.id} had ended: what that has read isn't known.",
                    f"bring it back as it was, or: experimentstash rerun {run.id}",
                )
            unsure.append(name)
        if unsure:
            notes.append(f"{listed(unsure, _NAMED)}: newer than it; whether it has read what is there now isn't known")

    def _is_of_commit(self, run: Run, path: Path) -> bool:
        """Tell whether a file is what the run's commit of the stash has there, and nothing else was there then."""
        own, root, real = run.spec.stash, toplevel(self._stash.root.resolve()), path.resolve()
        if own is None or own.dirty is not False or root is None or not real.is_relative_to(root):
            return False
        inside = real.relative_to(root).as_posix()
        then = objects.object_at(root, f"{own.commit}:{inside}")
        return then is not None and then == git(root, "hash-object", "--path", inside, "--", real).text

    def content(self, path: Path) -> Content:
        """Return what is in a file, which a link may lead to; one that has changed is read again."""
        real = os.path.realpath(path)
        known, now = self._known.get(real), stamp(os.stat(real))
        if known is None or known[0] != now:
            known = self._known[real] = (now, content_of(Path(real)))
        return known[1]

    def why_other(self, given: Input) -> str | None:
        """Return why a file isn't what a run has read; None: it is."""
        path = self._stash.root / unmarked(given.path, self._stash, self._stash.root)
        try:
            content = self.content(path)
        except (FileNotFoundError, NotADirectoryError):
            return f"its input {given.path} isn't there"
        except (OSError, Unfit) as error:
            return f"its input {given.path} can't be read: {error.strerror}"
        return None if content == given.content else f"its input {given.path} isn't what it was"


def _began(run: Run) -> float:
    """Return when a run began, by the clock of its file system if that tells."""
    if (configured := outputs.configured(run)) is not None:
        return configured
    return times.moment(run.attempt.started) if run.attempt.started else 0.0


def ended_at(run: Run) -> float:
    """Return when a run ended at the latest, by the clock of its file system or of its machine."""
    ended = times.moment(run.attempt.ended) if run.attempt.ended else 0.0
    try:
        return max(ended, os.stat(run.path / run.attempt.log).st_mtime)
    except OSError:
        return ended


def _built(run: Run) -> set[str]:
    """Return what a run's build has made: it is made again from the code."""
    build, first = run.spec.build, run.spec.command.argv[0]
    if build is None or build.directory is None or build.log is None:
        return set()
    found = built.read(Path(build.log).parent)
    names = [] if found is None else [os.path.join(found.directory, name) for name in found.products]
    names += [first] if is_in(first, build.directory) else []
    return {os.path.realpath(name) for name in names}


def _code(run: Run) -> str:
    return run.spec.code.path if run.spec.code is not None else run.spec.command.cwd


def _ignored(code: Path) -> Iterator[str]:
    """Yield what git ignores in a checkout and in the repositories in it; nothing of a directory that it ignores."""
    root = toplevel(code)
    if root is None:
        return
    inside = "" if root == code else code.relative_to(root).as_posix()
    yield from (os.path.normpath(root / each) for each in unseen(root, inside))
    for name, _ in nested_repositories(code):
        yield from (os.path.normpath(code / name / each) for each in unseen(code / name, ""))


def _named(run: Run, stash: Stash) -> Iterator[Path]:
    """Yield the files and directories that a run's words name; not its own, nor its whole code, nor its environment."""
    command, code = run.spec.command, _code(run)
    mine = [run.directory, str(stash.private)]
    own = [*mine, *([run.sweep] if run.sweep is not None else []), *([] if command.path is None else [command.path])]
    texts = [*command.argv[1:], *command.environment.values(), *words_of(run.spec.params)]
    for text in texts:
        for name in named_in(text):
            path = os.path.normpath(os.path.join(command.cwd, os.path.expanduser(name)))
            is_own = any(is_in(path, each) for each in own)
            holds = any(is_in(each, path) for each in (*own, code))
            if not is_own and not holds and os.path.exists(path):
                yield Path(path)
    for name in run.spec.shared:
        path = os.path.normpath(os.path.join(code, name))
        if os.path.exists(path):
            yield Path(path)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.is_file() else []
    found = [path / each for each in below(path) if not REMAKEABLE & {*each.split("/")} and (path / each).is_file()]
    if len(found) > _MOST_FILES:
        raise StashError(f"{path} holds {len(found):,} files: too many to be noted one by one.")
    return found
