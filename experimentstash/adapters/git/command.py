"""Everything that asks git. ``GIT_*`` of a calling hook or rebase never reaches it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.git.root import root_of
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import EXIT_NOT_FOUND, StashError
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError, run, which

# These say where git's own programs, settings and keys are; the others would point it at another repository.
_KEPT = ("GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_ASKPASS")
# What a user's settings could change so that `git apply` no longer understands the patch.
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--unified=3", "--submodule=short")
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
# The same content shall be the same commit, whoever makes it and whenever.
_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ExperimentStash"), ("EMAIL", "experimentstash@localhost"), ("DATE", "@0 +0000"))
}


_IN_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"}
# What git says where a name stands for nothing; else it has an answer to nothing.
_NO_OBJECT = regex(
    r"Needed a single revision|unknown revision|bad (?:revision|object)|[Nn]ot a valid object name|expected commit type"
    r"|log for .* only has|does not exist in|exists on disk, but not in"
)
_NO_CHECKOUT = "not a git repository (or any"
_SAFE = regex(r"git config --global --add safe\.directory .+")
_BAD_INDEX = regex(
    r"index file (?:corrupt|smaller)|bad index|bad signature|unknown index|index uses .* extension|cache entry"
)
_FROM_GIT = regex(r"(?m)^(?:fatal|error): (.+)")


class GitError(CommandError):
    """git has no answer: it refuses one, something that it needs is broken, or it isn't here. Not: there is nothing."""

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str, root: Path) -> None:
        super().__init__(argv, returncode, stdout, stderr)
        quoted = shlex.quote(str(root))
        said = _FROM_GIT.search(stderr)
        safe = _SAFE.search(stderr)
        if returncode == EXIT_NOT_FOUND and which("git") is None:
            self.message = f"There is no git here, which would tell about {root}: no `git` is on PATH."
            self.mend = "install it (a cluster may have it as a module: module load git)"
        elif safe is not None:
            self.message = f"git refuses to tell about {root}, because somebody else owns it (dubious ownership)."
            self.mend = safe[0].strip()
        elif _BAD_INDEX.search(stderr):
            self.message = f"git can't read its index of {root}: {said[1] if said else stderr.strip()}."
            self.mend = f'rm "$(git -C {quoted} rev-parse --git-path index)" && git -C {quoted} reset'
        else:
            how = said[1] if said else (stderr.strip().splitlines() or [f"exit code {returncode}"])[-1]
            self.message = f"git can't tell about {root}: {how}."
            self.mend = f"git -C {quoted} status"


def explained(error: CommandError, root: Path) -> CommandError:
    """Return what to tell of a git command that has failed, where that is for want of git, or because it refuses."""
    is_missing = error.returncode == EXIT_NOT_FOUND and which("git") is None
    if not is_missing and _SAFE.search(error.stderr) is None:
        return error
    return GitError([], error.returncode, error.stdout, error.stderr, root)


def _ask(
    words: Sequence[str],
    root: Path,
    *,
    variables: Mapping[str, str] | None = None,
    stdin: str | None = None,
    also: Collection[int] = (),
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Ask git in ``root``. GitError for any exit code but 0 and those in ``also``, which say no."""
    argv = ["git", *words]
    env = {**environment(), **(variables or {})}
    try:
        done = run(argv, cwd=root, env=env, stdin=stdin, check=False, pass_fds=pass_fds)
    except CommandError as error:
        raise GitError(argv, error.returncode, error.stdout, error.stderr, root) from error
    if done.returncode not in (0, *also):
        raise GitError(argv, done.returncode, done.stdout, done.stderr, root)
    return done


@dataclass(frozen=True)
class Status:
    """What one `git status` tells of a checkout; paths are relative to ``root``."""

    root: Path
    commit: str | None  # None: no commit yet
    branch: str | None  # None: detached
    changed: tuple[str, ...]  # tracked files that differ from the commit
    untracked: tuple[str, ...]  # files that are neither tracked nor ignored
    littered: tuple[str, ...] = ()  # of the changed ones: submodules that are as committed, but for untracked files


def environment() -> dict[str, str]:
    """Return the environment for git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    # A commit is what its hash says, not what `git replace` puts in its place.
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", **_IN_ENGLISH}


def toplevel(directory: Path) -> Path | None:
    """Return the root of the checkout that ``directory`` is in, without asking git; None outside one."""
    root = root_of(str(directory))
    return None if root is None else Path(root)


def status(directory: Path) -> Status | None:
    """Return the state of the checkout that ``directory`` is in; None outside one. GitError where git can't tell."""
    root = toplevel(directory)
    if root is None:
        return None
    words = ["status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--no-renames"]
    # Whatever somebody's settings, or .gitmodules, have git pass over.
    words += ["--ignore-submodules=none"]
    try:
        with looking_everywhere(root) as variables:
            said = _ask(words, root, variables=variables).stdout
    except GitError as error:
        if _NO_CHECKOUT in error.stderr:  # what is called .git there is nothing of the kind
            return None
        raise
    return _with_nested(_parse_status(root, said))


def _with_nested(found: Status) -> Status:
    """Return a status with the submodules in which git has been told to pass over what is changed."""
    if not (found.root / ".gitmodules").is_file():
        return found
    changed = [*found.changed]
    for path in gitlinks(found.root):
        place = found.root / path
        if path in changed or not (place / ".git").exists():
            continue
        if _passed_over(place) or (place / ".gitmodules").is_file():
            inner = status(place)
            changed += [path] if inner is not None and inner.changed else []
    return replace(found, changed=tuple(changed))


def known_status(directory: Path) -> Status | None:
    """Return what ``status`` does, for whom it is as well if git can't tell."""
    try:
        return status(directory)
    except GitError:
        return None


def difference(
    directory: Path, commit: str, paths: tuple[str, ...], untracked: tuple[str, ...], without: tuple[str, ...] = ()
) -> str:
    """Return the patch (binary-safe) from ``commit`` to the files in ``directory``, named untracked files included.

    ``paths`` limits it ((): everything), and ``without`` are left out. Neither the checkout nor its index is touched:
    the untracked files are announced in a copy of the index.
    """
    root = toplevel(directory)
    assert root is not None
    variables: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        variables |= stack.enter_context(looking_everywhere(root))
        if untracked:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="experimentstash-")))
            if "GIT_INDEX_FILE" not in variables:
                _copy_index(root, scratch / "index")
                variables["GIT_INDEX_FILE"] = str(scratch / "index")
            _ask(
                ["add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"],
                root,
                # For each it would write an empty object, which nobody has asked for.
                variables={**variables, "GIT_LITERAL_PATHSPECS": "1", "GIT_OBJECT_DIRECTORY": str(scratch)},
                stdin="\0".join(untracked),
            )
        limits = (*(f":(top,literal){path}" for path in paths), *(f":(top,exclude,literal){path}" for path in without))
        pathspecs = ["--", *limits] if limits else []
        options = ["--binary", "--ignore-submodules=untracked", *_PLAIN, "--src-prefix=a/", "--dst-prefix=b/"]
        return _ask(["diff", *options, commit, *pathspecs], root, variables=variables).stdout


@contextlib.contextmanager
def looking_everywhere(root: Path) -> Iterator[dict[str, str]]:
    """Yield variables with which git looks at the files too that it has been told to take for unchanged.

    They run as they are, whatever `git update-index --assume-unchanged` or `--skip-worktree` says.
    """
    passed_over = _passed_over(root)
    if not passed_over:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as folder:
        index = Path(folder) / "index"
        _copy_index(root, index)
        _look_at(root, index, passed_over)
        yield {"GIT_INDEX_FILE": str(index)}


def _passed_over(root: Path) -> list[str]:
    """Return the files that git doesn't look at; a sparse checkout's, which aren't there, are not among them."""
    listed = _ask(["ls-files", "-v", "-z"], root).stdout.split("\0")
    return [
        item[2:]
        for item in listed
        if item[:1].islower() or (item[:1] == "S" and os.path.lexists(os.path.join(root, item[2:])))
    ]


def _look_at(root: Path, index: Path, paths: Sequence[str]) -> None:
    """Have a copy of an index say nothing about these files."""
    for option in ("--no-assume-unchanged", "--no-skip-worktree"):
        words = ["update-index", option, "-z", "--stdin"]
        _ask(words, root, variables={"GIT_INDEX_FILE": str(index)}, stdin="\0".join(paths))


def _copy_index(root: Path, copy: Path) -> None:
    """Copy the index of the checkout at ``root``, if there is one.

    With its time: a file that is as old may have changed since, and so git looks into it. To a copy with a time of its
    own such a file would be as committed.
    """
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(_git_directory(root) / "index", copy)


def _git_directory(root: Path) -> Path:
    """Return where the repository of a checkout is kept; a submodule or worktree has a file that says where."""
    dot_git = root / ".git"
    if dot_git.is_dir():
        return dot_git
    return (root / files.read_text(dot_git, errors="surrogateescape").removeprefix("gitdir:").strip()).resolve()


def _parse_status(root: Path, text: str) -> Status:
    commit: str | None = None
    branch: str | None = None
    changed: list[str] = []
    untracked: list[str] = []
    littered: list[str] = []
    # The number of space-separated fields before the path, by the kind of an entry (git-status(1), porcelain v2).
    fields_before_path = {"1": 8, "u": 10}
    for entry in text.split("\0"):
        kind, _, rest = entry.partition(" ")
        if entry.startswith("# branch.oid "):
            commit = None if rest.endswith("(initial)") else entry.rpartition(" ")[2]
        elif entry.startswith("# branch.head "):
            branch = None if rest.endswith("(detached)") else rest.partition(" ")[2]
        elif kind == "?":
            untracked.append(rest)
        elif kind in fields_before_path:
            fields = entry.split(" ", fields_before_path[kind])
            changed.append(fields[-1])
            if fields[1:3] == [".M", "S..U"]:
                littered.append(fields[-1])
    return Status(root, commit, branch, tuple(changed), tuple(untracked), tuple(littered))


def submodules(root: Path) -> dict[str, str]:
    """Return what .gitmodules of the checkout at ``root`` declares: path → URL."""
    asked = ["config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.(path|url)$"]
    if not (root / ".gitmodules").is_file():
        return {}
    paths: dict[str, str] = {}
    urls: dict[str, str] = {}
    for setting in _ask(asked, root, also=[1]).stdout.split("\0"):
        key, _, value = setting.partition("\n")
        name, _, which = key.rpartition(".")
        (paths if which == "path" else urls)[name] = value
    return {path: urls.get(name, "") for name, path in paths.items() if path}


def gitlinks(root: Path) -> dict[str, str]:
    """Return the submodules in the index of the checkout at ``root``: path → commit."""
    listed = _ask(["ls-files", "--stage", "-z"], root).stdout
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry.startswith("160000 "))
    return {path: fields.split(" ")[1] for fields, _, path in entries}


def ignored(root: Path, paths: tuple[str, ...]) -> set[str]:
    """Return which of these paths git ignores, whether they exist or not."""
    asked = ["check-ignore", "-z", "--no-index", "--stdin"]
    said = _ask(asked, root, stdin="\0".join(paths), also=[1]).stdout
    return {path for path in said.split("\0") if path}


# --- snapshots: objects and worktrees, made without touching the checkout, its index, its HEAD or any reference ------


def write_tree(
    root: Path, index: Path, path: str, untracked: Sequence[str] = (), submodules: Mapping[str, str] | None = None
) -> str:
    """Return the tree of the checkout at ``root`` as it is, but for what is changed outside ``path`` ("": nothing is).

    ``index`` is a scratch file, made from the checkout's own index if it isn't there yet. ``untracked`` files are
    included, ``submodules`` (path → commit) are at these commits.
    """
    if not index.exists():
        _copy_index(root, index)
        if passed_over := _passed_over(root):
            _look_at(root, index, passed_over)
    ours = {"GIT_INDEX_FILE": str(index)}
    _quietly(root, "add", "--update", "--", f":(top,literal){path}", variables=ours)
    if untracked:
        _quietly(root, "update-index", "--add", "--remove", "-z", "--stdin", stdin="\0".join(untracked), variables=ours)
    if submodules:
        entries = "".join(f"160000 {commit}\t{name}\0" for name, commit in submodules.items())
        _quietly(root, "update-index", "-z", "--index-info", stdin=entries, variables=ours)
    return _quietly(root, "write-tree", variables=ours)


def object_at(root: Path, name: str) -> str | None:
    """Return the object that ``name`` stands for (HEAD^{tree}, TREE:path, …); None if there is none."""
    return _named(["rev-parse", "--verify", "--quiet", name], root)


def _named(words: Sequence[str], root: Path) -> str | None:
    """Return what git says of a name; None if it stands for nothing."""
    done = _ask(words, root, also=[1, 128])
    if done.returncode == 128 and done.stderr.strip() and not _NO_OBJECT.search(done.stderr):
        raise GitError(["git", *words], done.returncode, done.stdout, done.stderr, root)
    return done.stdout.strip() if done.returncode == 0 else None


def commit_named(root: Path, name: str) -> str | None:
    """Return the commit that a name stands for in a checkout, by git's own rules and nothing fetched; None if none.

    StashError if it stands for more than one.
    """
    if not name.strip() or not name.isprintable():
        return None
    # What isn't here isn't fetched, as git would by itself where a clone is partial.
    ours = ("-c", "core.warnAmbiguousRefs=true", "-c", "protocol.allow=never")
    words = [*ours, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}"]
    done = _ask(words, root, variables={"LANGUAGE": ""}, also=[1, 128])
    if done.returncode == 128 and not _NO_OBJECT.search(done.stderr) and "is ambiguous" not in done.stderr:
        raise GitError(["git", *words], done.returncode, done.stdout, done.stderr, root)
    commit = done.stdout.strip()
    others = "is ambiguous" in done.stderr
    if commit and re.fullmatch("[0-9a-f]{4,39}", name.lower()) and not commit.startswith(name.lower()):
        # A reference that is called like the beginning of a hash.
        listed = _ask(["rev-parse", f"--disambiguate={name}"], root).stdout
        others = any(object_at(root, f"{each}^{{commit}}") for each in listed.split())
    if others:
        raise StashError(
            f"{name!r} stands for several commits in {root}.",
            f"write the whole hash (git -C {shlex.quote(str(root))} log --all), or refs/heads/… or refs/tags/…",
        )
    return commit if done.returncode == 0 and commit else None


def links_in(root: Path, commit: str, path: str = "") -> dict[str, str]:
    """Return the submodules of a commit at ``path`` ("": anywhere) and below: path → commit."""
    words = [
        "--literal-pathspecs",
        "ls-tree",
        "-r",
        "-z",
        "--full-tree",
        commit,
        *(["--", path] if path else []),
    ]
    listed = _ask(words, root).stdout
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry.startswith("160000 "))
    return {name: fields.split(" ")[2] for fields, _, name in entries}


def is_incomplete(root: Path, commit: str) -> bool:
    """Tell whether a partial clone lacks files of a commit, which git would fetch when it checks it out."""
    asked = ["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"]
    if not _ask(asked, root, also=[1]).stdout:
        return False
    words = ["git", "-c", "protocol.allow=never", "rev-list", "--objects", "--missing=print", "--no-walk", commit]
    done = run(words, cwd=root, env=environment(), check=False)
    return done.returncode != 0 or any(line.startswith("?") for line in done.stdout.splitlines())


def object_type(root: Path, name: str) -> str | None:
    """Return what kind of object ``name`` stands for; None if there is none."""
    return _named(["cat-file", "-t", name], root)


def put_below(root: Path, tree: str, path: str) -> str:
    """Return the tree in which there is nothing but ``tree``, at ``path``."""
    for name in reversed(path.split("/")):
        tree = _quietly(root, "mktree", "-z", stdin=f"040000 tree {tree}\t{name}\0")
    return tree


def commit_tree(root: Path, tree: str, parent: str | None) -> str:
    """Return the commit of a tree, by nobody and at no time, which no reference knows."""
    parents = ["-p", parent] if parent else []
    return _quietly(root, "commit-tree", tree, *parents, "-m", "Code as it was submitted", variables=_NOBODY)


def changes(root: Path, old: str, new: str, path: str, shown_below: str = "") -> str:
    """Return the patch (binary-safe) between two trees, limited to ``path`` ("": everything).

    For `git apply` in a directory in which the checkout lies at ``shown_below`` ("" or "inner/").
    """
    prefixes = (f"--src-prefix=a/{shown_below}", f"--dst-prefix=b/{shown_below}")
    options = ["--binary", "--ignore-submodules=none", *_PLAIN, *prefixes]
    return _ask(["diff", *options, old, new, "--", f":(top,literal){path}"], root).stdout


def tracked(root: Path, paths: Sequence[str]) -> list[str]:
    """Return the files in the index at these paths and below them."""
    listed = _ask(["--literal-pathspecs", "ls-files", "-z", "--", *paths], root).stdout
    return [path for path in listed.split("\0") if path]


def deleted(root: Path) -> list[str]:
    """Return the tracked files that aren't there."""
    listed = run(["git", "ls-files", "-z", "--deleted"], cwd=root, env=environment(), check=False).stdout
    return list(dict.fromkeys(path for path in listed.split("\0") if path))


def unseen(root: Path, path: str) -> list[str]:
    """Return what git ignores at ``path`` and below; of a directory all of which is ignored only its name, with /."""
    words = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"]
    listed = _ask([*words, "--", f":(top,literal){path}"], root).stdout
    return [name for name in listed.split("\0") if name]


def path_of(root: Path, name: str) -> str:
    """Return where a file of git's own lies, relative to ``root`` if it isn't absolute."""
    return _ask(["rev-parse", "--git-path", name], root).stdout.rstrip("\n")


def initialise(root: Path) -> None:
    """Make a directory a repository."""
    _ask(["init", "--quiet"], root)


def add_worktree(root: Path, directory: Path, commit: str, lock: int) -> None:
    """Check out a commit, detached, in a new worktree of the repository of ``root``.

    git inherits the descriptor ``lock``, and so keeps the lock if we are killed before it ends.
    """
    # Forced, because of one that was there before and of which somebody has removed the directory alone.
    _quietly(root, "worktree", "add", "--force", "--detach", str(directory), commit, pass_fds=[lock])


def remove_worktree(root: Path, directory: Path, lock: int) -> None:
    """Have the repository of ``root`` forget a worktree, and remove its directory if it is there; ``lock`` as above."""
    words = ["worktree", "remove", "--force", "--force", str(directory)]
    run(["git", *_ON_THE_SIDE, *words], cwd=root, env=environment(), check=False, pass_fds=[lock])


def _quietly(
    root: Path,
    *words: str,
    stdin: str | None = None,
    variables: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> str:
    words = (*_ON_THE_SIDE, *words)
    return _ask(words, root, variables=variables, stdin=stdin, pass_fds=pass_fds).stdout.strip()
