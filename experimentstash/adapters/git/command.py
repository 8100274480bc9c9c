"""The door to git: its environment, what it says, and the error that tells why it has no answer.

The command is asked, and not GitPython: that reads neither an index of version 4 or a split one nor a repository of
SHA-256, loses comments, and settings on the line of their section, where it writes a configuration, and takes as long
to import as eighty questions take. The tests have it read along.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import EXIT_NOT_FOUND, StashError
from experimentstash.base.failpoints import step
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError, run, which

# These say where git's own programs, settings and keys are; the others would point it at another repository.
_KEPT = ("GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_ASKPASS")
_IN_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"}
_SAFE = regex(r"git config --global --add safe\.directory .+")
_BAD_INDEX = regex(
    r"index file (?:corrupt|smaller)|bad index|bad signature|unknown index|index uses .* extension|cache entry"
)
_FROM_GIT = regex(r"(?m)^(?:fatal|error): (.+)")
# No settings of a foreign repository, no background work that outlives us, no programs instead of transports.
_SETTINGS = {
    "protocol.ext.allow": "never",
    "protocol.file.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "core.fsmonitor": "false",
    "advice.detachedHead": "false",
    "core.quotePath": "false",
    "diff.autoRefreshIndex": "false",
}
_LOOKING = {
    "cat-file",
    "diff",
    "diff-files",
    "for-each-ref",
    "log",
    "ls-files",
    "ls-tree",
    "rev-list",
    "rev-parse",
    "status",
    "symbolic-ref",  # nobody here gives it a second name
}
_LISTING = {"--list", "--get", "--get-regexp"}
# Seconds that a git which we interrupt has to tidy up after itself.
_PATIENCE = 10.0

# A snapshot is taken on the side: no program of the user's is started for it, and no background work outlives it.
_ON_THE_SIDE = tuple(
    word
    for setting in (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.safecrlf=false",  # it would refuse what only looks odd
        "core.splitIndex=false",
        "gc.auto=0",
        "maintenance.auto=false",
        "submodule.recurse=false",
    )
    for word in ("-c", setting)
)


class GitError(CommandError):
    """git has no answer: it refuses one, something that it needs is broken, or it isn't here. Not: there is nothing."""

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str, root: Path) -> None:
        super().__init__(argv, returncode, stdout, stderr)
        quoted = shlex.quote(str(root))
        said = _FROM_GIT.search(stderr)
        safe = _SAFE.search(stderr)
        if returncode == EXIT_NOT_FOUND and which("git") is None:
            self.message = f"There is no git here, which would tell about {root}: no `git` is on PATH."
            self.hint = "install it (a cluster may have it as a module: module load git)"
        elif safe is not None:
            self.message = f"git refuses to tell about {root}, because somebody else owns it (dubious ownership)."
            self.hint = safe[0].strip()
        elif _BAD_INDEX.search(stderr):
            self.message = f"git can't read its index of {root}: {said[1] if said else stderr.strip()}."
            self.hint = f'rm "$(git -C {quoted} rev-parse --git-path index)" && git -C {quoted} reset'
        else:
            how = said[1] if said else (stderr.strip().splitlines() or [f"exit code {returncode}"])[-1]
            self.message = f"git can't tell about {root}: {how}."
            self.hint = f"git -C {quoted} status"


def _explained(error: CommandError, root: Path) -> CommandError:
    """Return what to tell of a git command that has failed, where that is for want of git, or because it refuses."""
    is_missing = error.returncode == EXIT_NOT_FOUND and which("git") is None
    if not is_missing and _SAFE.search(error.stderr) is None:
        return error
    return GitError([], error.returncode, error.stdout, error.stderr, root)


def environment() -> dict[str, str]:
    """Return the environment for git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    # A commit is what its hash says, not what `git replace` puts in its place.
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", **_IN_ENGLISH}


def _no_further_than(root: Path) -> dict[str, str]:
    """Keep git from looking above a checkout whose own repository is broken: what is there is another one."""
    return {"GIT_CEILING_DIRECTORIES": str(root.parent)} if os.path.lexists(root / ".git") else {}


@dataclass(frozen=True)
class Done:
    """What a git command said."""

    code: int
    out: str
    error: str

    @property
    def text(self) -> str:
        """What it said, without the line ends after it."""
        return self.out.rstrip("\n")

    @property
    def items(self) -> list[str]:
        """What it listed with ``-z``."""
        return [item for item in self.out.split("\0") if item]

    @property
    def number(self) -> int:
        """The number that it said; StashError if it said something else."""
        if not (self.text.isascii() and self.text.isdigit()):
            raise senseless(self.text)
        return int(self.text)

    def entries(self, number: int) -> Iterator[tuple[list[str], str]]:
        """Yield the words (so many) and the path of each item it listed; StashError if it listed something else."""
        for item in self.items:
            words, tab, path = item.partition("\t")
            fields = words.split(" ")
            if not tab or len(fields) != number:
                raise senseless(item)
            yield fields, path


def senseless(said: str) -> StashError:
    """Return the error for an answer that no git gives."""
    return StashError(f"git's answer makes no sense: {said[:80]!r}.", "look which git is first on PATH: type -a git")


def ask(
    words: Sequence[str],
    root: Path,
    *,
    variables: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    also: Collection[int] = (),
    pass_fds: Sequence[int] = (),
) -> Done:
    """Ask git in ``root``. GitError for any exit code but 0 and those in ``also``, which say no, if ``check``."""
    argv = ["git", *words]
    env = {**environment(), **_no_further_than(root), **(variables or {})}
    try:
        done = run(argv, cwd=root, env=env, stdin=stdin, check=False, pass_fds=pass_fds)
    except CommandError as error:
        raise GitError(argv, error.returncode, error.stdout, error.stderr, root) from error
    if check and done.returncode not in (0, *also):
        raise GitError(argv, done.returncode, done.stdout, done.stderr, root)
    return Done(done.returncode, done.stdout, done.stderr)


def quietly(
    root: Path,
    *words: str,
    stdin: str | None = None,
    variables: Mapping[str, str] | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
) -> str:
    """Have git do something on the side in the repository of ``root``; return what it says."""
    words = (*_ON_THE_SIDE, *words)
    return ask(words, root, variables=variables, stdin=stdin, check=check, pass_fds=pass_fds).out.strip()


def git(
    directory: Path,
    *words: str | Path,
    stdin: str | None = None,
    check: bool = True,
    variables: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    show_progress: bool = False,
    patience: float | None = None,
    hint: str | None = None,
) -> Done:
    """Run git in ``directory`` to its end, or for ``patience`` seconds. Raises CommandError, unless ``check`` is false.

    No setting of a foreign repository has it start a program. If we are interrupted, git is told to stop and waited
    for; if we are killed, the kernel tells it, unless all that it does is to look.
    """
    if which("git") is None:
        raise GitError(["git"], EXIT_NOT_FOUND, "", "", directory)
    step(f"git {_verb(words)}")
    chosen = {**_SETTINGS, **(settings or {})}
    options = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
    guard = [] if _only_looks(words) or which("setpriv") is None else ["setpriv", "--pdeathsig", "TERM"]
    try:
        done = run(
            [*guard, "git", "-C", str(directory), *options, *map(str, words)],
            env={
                **environment(),
                **_no_further_than(directory),
                **({} if sys.stdin and sys.stdin.isatty() else _unasked()),
                **(variables or {}),
            },
            stdin=stdin,
            check=False,
            show_progress=show_progress,
            timeout=patience,
            grace=_PATIENCE,
            is_ours=True,
        )
    except CommandError as error:
        if check or not error.is_without_answer:
            raise
        return Done(error.returncode, error.stdout, error.stderr)
    if check and done.returncode != 0:
        brief = ["git", "-C", str(directory), *map(str, words)]
        raise _explained(CommandError(brief, done.returncode, done.stdout, done.stderr, hint), directory)
    return Done(done.returncode, done.stdout, done.stderr)


def bare(place: Path, *words: str, stdin: str | None = None, check: bool = True) -> Done:
    """Ask a git directory whose checkout may be missing or elsewhere."""
    return git(place, f"--git-dir={place}", f"--work-tree={place}", *words, stdin=stdin, check=check)


def _only_looks(words: Sequence[str | Path]) -> bool:
    """Tell whether git writes nothing, and comes to its end by itself."""
    verb = _verb(words)
    return verb in _LOOKING or (verb == "config" and not _LISTING.isdisjoint(map(str, words)))


def _verb(words: Sequence[str | Path]) -> str:
    return next((str(word) for word in words if not str(word).startswith("-")), "")


def _unasked() -> dict[str, str]:
    """Return variables with which git and ssh fail instead of asking, where there is nobody to answer."""
    own_ssh = {"GIT_SSH", "GIT_SSH_COMMAND"} & set(os.environ)
    return {"GIT_TERMINAL_PROMPT": "0", **({} if own_ssh else {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"})}


def path_of(root: Path, name: str) -> str:
    """Return where a file of git's own lies, relative to ``root`` if it isn't absolute."""
    return ask(["rev-parse", "--git-path", name], root).text


def initialise(root: Path) -> None:
    """Make a directory a repository."""
    ask(["init", "--quiet"], root)
