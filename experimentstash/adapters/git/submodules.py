"""Every act of git on a stash's submodules. What a run asks git is in command.py."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO

from experimentstash.adapters import procfs
from experimentstash.adapters.git.command import GitError, environment, explained, looking_everywhere, toplevel
from experimentstash.adapters.git.nested import LeftOut, leaving_out
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import EXIT_NOT_FOUND, StashError
from experimentstash.base.failpoints import step
from experimentstash.base.names import LinkMap, Url, inner_path_problem, remote_problem
from experimentstash.base.process import CommandError, TooMuchError, keep_end, take, which

GITLINK = "160000"
# All that an entry of an index can be.
MODES = ("100644", "100755", "120000", GITLINK)
# Ours alone: commits that were fetched by their hash, so that they don't look like unpushed work, nor are collected.
PINS = "refs/experimentstash"
_NO_OBJECT = "0" * 40
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
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"


@dataclass(frozen=True)
class Done:
    """What a git command said."""

    code: int
    out: bytes
    error: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")


@dataclass(frozen=True)
class Superproject:
    """The repository that a stash is in; the stash may be a subdirectory of it."""

    root: Path
    git_directory: Path
    prefix: str  # of the stash below the root: "" or "papers/first/"

    @property
    def gitmodules(self) -> Path:
        return self.root / ".gitmodules"

    def path(self, tool: str) -> str:
        """Return the path of a tool's submodule, which is its name as well."""
        return f"{self.prefix}tools/{tool}"

    def module(self, name: str) -> Path:
        """Return where git keeps the repository of a submodule."""
        return self.git_directory / "modules" / name


@dataclass(frozen=True)
class Entry:
    """An entry of an index; no mode: none."""

    path: str
    mode: str | None = None
    object: str | None = None


@dataclass(frozen=True)
class Work:
    """What of a repository exists only in it."""

    path: str  # relative to the tool's directory; "" for the tool itself
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    unpushed: tuple[tuple[str, int], ...]  # branch (or "detached HEAD") and number of commits
    stashes: int
    operation: str | None  # a merge, rebase … that isn't finished

    @property
    def nothing(self) -> bool:
        return not (self.changed or self.untracked or self.unpushed or self.stashes or self.operation)

    def describe(self) -> list[str]:
        """Return a line for each kind of work."""
        where = f" in {self.path}" if self.path else ""
        lines = [f"{_number(count, 'unpushed commit')} on {name}{where}" for name, count in self.unpushed]
        for title, paths in (("changed", self.changed), ("untracked", self.untracked)):
            if paths:
                shown = ", ".join(paths[:5]) + (f" … and {len(paths) - 5} more" if len(paths) > 5 else "")
                lines.append(f"{_number(len(paths), f'{title} file')}{where}: {shown}")
        if self.stashes:
            lines.append(f"{_number(self.stashes, 'stash', 'stashes')}{where}")
        if self.operation:
            lines.append(f"an unfinished {self.operation}{where}")
        return lines


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def git(
    directory: Path,
    *words: str | Path,
    stdin: bytes | None = None,
    check: bool = True,
    variables: dict[str, str] | None = None,
    settings: dict[str, str] | None = None,
    show_progress: bool = False,
    patience: float | None = None,
    mend: str | None = None,
) -> Done:
    """Run git in ``directory`` to its end, or for ``patience`` seconds. Raises CommandError, unless ``check`` is false.

    If we are interrupted, git is told to stop and waited for; if we are killed, the kernel tells it, unless all that
    it does is to look.
    """
    if which("git") is None:
        raise GitError(["git"], EXIT_NOT_FOUND, "", "", directory)
    step(f"git {next((str(word) for word in words if not str(word).startswith('-')), '')}")
    chosen = {**_SETTINGS, **(settings or {})}
    options = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
    command = ["git", "-C", str(directory), *options, *map(str, words)]
    guard = [] if _only_looks(words) or which("setpriv") is None else ["setpriv", "--pdeathsig", "TERM"]
    with _spooled(stdin) as stream:
        try:
            process = Popen(
                [*guard, *command],
                stdin=stream or DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                env={**environment(), **({} if sys.stdin and sys.stdin.isatty() else _unasked()), **(variables or {})},
            )
        except OSError as error:
            raise CommandError(command, 127, "", str(error)) from error
        assert process.stdout is not None and process.stderr is not None
        out, shown = bytearray(), bytearray()
        copier = threading.Thread(target=_copy, args=(process.stderr, shown, show_progress), daemon=True)
        copier.start()
        watchdog = threading.Timer(patience or 0, process.terminate)
        if patience is not None:
            watchdog.start()
        try:
            while take(process.stdout.fileno(), out):
                pass
            code = process.wait()
            copier.join(_PATIENCE)
        except BaseException as error:
            process.terminate()
            with contextlib.suppress(Exception):
                process.wait(_PATIENCE)
            if process.poll() is None:
                process.kill()
                process.wait()
            if isinstance(error, TooMuchError):
                raise CommandError(command, 1, "", str(error)) from error
            raise
        finally:
            watchdog.cancel()
            process.stdout.close()
            if not copier.is_alive():  # something that git has started may still hold it open
                process.stderr.close()
    done = Done(code, bytes(out), shown.decode("utf-8", "replace"))
    if check and code != 0:
        brief = ["git", "-C", str(directory), *map(str, words)]
        raise explained(CommandError(brief, code, done.text, _last_states(done.error), mend), directory)
    return done


def bare(place: Path, *words: str, stdin: bytes | None = None, check: bool = True) -> Done:
    """Ask a git directory whose checkout may be missing or elsewhere."""
    return git(place, f"--git-dir={place}", f"--work-tree={place}", *words, stdin=stdin, check=check)


def _only_looks(words: Sequence[str | Path]) -> bool:
    """Tell whether git writes nothing, and comes to its end by itself."""
    verb = next((str(word) for word in words if not str(word).startswith("-")), "")
    return verb in _LOOKING or (verb == "config" and not _LISTING.isdisjoint(map(str, words)))


@contextlib.contextmanager
def _spooled(stdin: bytes | None) -> Iterator[IO[bytes] | None]:
    if stdin is None:
        yield None
        return
    with tempfile.TemporaryFile() as stream:
        stream.write(stdin)
        stream.seek(0)
        yield stream


def _copy(source: IO[bytes], kept: bytearray, is_shown: bool) -> None:
    with contextlib.suppress(OSError, ValueError):
        while chunk := os.read(source.fileno(), 65536):
            keep_end(kept, chunk)
            if is_shown:
                os.write(2, chunk)


def _last_states(text: str) -> str:
    """Return what is left of a progress display in the end."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _unasked() -> dict[str, str]:
    """Return variables with which git and ssh fail instead of asking, where there is nobody to answer."""
    own_ssh = {"GIT_SSH", "GIT_SSH_COMMAND"} & set(os.environ)
    return {"GIT_TERMINAL_PROMPT": "0", **({} if own_ssh else {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"})}


# --- the superproject ------------------------------------------------------------------------------------------------


def superproject(stash_root: Path) -> Superproject:
    """Return the repository that a stash is in. StashError if there is none."""
    root = toplevel(stash_root)
    if root is None:
        raise StashError(
            f"The stash {stash_root} is not a git repository, and a tool is a git submodule.", f"git init {stash_root}"
        )
    done = git(root, "rev-parse", "--absolute-git-dir")
    prefix = os.path.relpath(stash_root, root)
    return Superproject(root, Path(done.text), "" if prefix == "." else f"{prefix}/")


def sections(project: Superproject, text: bytes | None = None) -> dict[str, dict[str, str]]:
    """Return the submodules that .gitmodules (or ``text``) declares: name → its settings."""
    if text is None:
        text = project.gitmodules.read_bytes() if project.gitmodules.is_file() else b""
    if not text.strip():
        return {}
    return _sections_of(git(project.root, "config", "-z", "-f", "-", "--list", stdin=text))


def config_section(project: Superproject, name: str) -> list[tuple[str, str]]:
    """Return the settings of a submodule in the repository's own configuration."""
    listed = git(project.root, "config", "--local", "-z", "--list").out.decode("utf-8", "surrogateescape")
    pairs = [item.partition("\n")[::2] for item in listed.split("\0") if item]
    start = f"submodule.{name}."
    return [
        (key[len(start) :], value) for key, value in pairs if key.startswith(start) and "." not in key[len(start) :]
    ]


def is_used_elsewhere(project: Superproject, name: str) -> bool:
    """Tell whether another worktree of the stash's repository has a submodule checked out: both share its settings."""
    own = project.git_directory
    common = own.parent.parent if (own / "commondir").exists() else own
    return any((each / "modules" / name).is_dir() for each in (common, *common.glob("worktrees/*")) if each != own)


def set_config_section(
    project: Superproject, name: str, pairs: Sequence[tuple[str, str]], *, before: Sequence[tuple[str, str]]
) -> None:
    """Make the settings of a submodule exactly these, in place of those ``before``; without any, its section goes."""
    if before:
        git(project.root, "config", "--local", "--remove-section", f"submodule.{name}")
    for key, value in pairs:
        git(project.root, "config", "--local", "--add", f"submodule.{name}.{key}", value)


def gitmodules_text(
    project: Superproject,
    folder: Path,
    *,
    without: Iterable[str] = (),
    new: dict[str, dict[str, str]] | None = None,
    text: bytes | None = None,
) -> bytes | None:
    """Return what .gitmodules (or ``text``) would be without some sections and with new ones; None if empty."""
    draft = folder / "gitmodules"
    if text is None:
        text = project.gitmodules.read_bytes() if project.gitmodules.is_file() else b""
    draft.write_bytes(text)
    for name in without:
        git(project.root, "config", "-f", draft, "--remove-section", f"submodule.{name}")
    for name, settings in (new or {}).items():
        for key, value in settings.items():
            git(project.root, "config", "-f", draft, f"submodule.{name}.{key}", value)
    text = draft.read_bytes()
    draft.unlink()
    return text if text.strip() else None


def index_entries(project: Superproject, paths: Iterable[str]) -> list[Entry]:
    """Return the entries of the index at these paths and below them."""
    wanted = list(paths)
    if not wanted:
        return []
    listed = git(project.root, "--literal-pathspecs", "ls-files", "--stage", "-z", "--", *wanted).out
    found = []
    for item in listed.decode("utf-8", "surrogateescape").split("\0"):
        if item:
            head, _, path = item.partition("\t")
            mode, name, _ = head.split(" ")
            found.append(Entry(path, mode, name))
    return found


def set_index(project: Superproject, entries: Iterable[Entry]) -> None:
    """Put these entries into the index, all at once."""
    lines = [f"{each.mode or '0'} {each.object or _NO_OBJECT}\t{each.path}\0" for each in entries]
    if lines:
        text = "".join(lines).encode("utf-8", "surrogateescape")
        git(project.root, "update-index", "-z", "--index-info", stdin=text)


def store(project: Superproject, path: str, content: bytes) -> Entry:
    """Put a file's content into the object store and return the entry for the index."""
    stored = git(project.root, "hash-object", "-w", "--stdin", "--path", path, stdin=content).text
    return Entry(path, "100644", stored)


def refuse_unstaged_gitmodules(project: Superproject) -> None:
    """Raise StashError if .gitmodules has changes of the user's that aren't staged: ours would take them along."""
    if git(project.root, "ls-files", "--unmerged", "--", ".gitmodules").out:
        raise StashError(".gitmodules has a conflict that isn't resolved.", "resolve it, then: git add .gitmodules")
    if git(project.root, "diff-files", "--quiet", "--", ".gitmodules", check=False).code:
        # diff-files may be misled by a time stamp alone.
        git(project.root, "update-index", "-q", "--refresh", check=False)
        if git(project.root, "diff-files", "--quiet", "--", ".gitmodules", check=False).code:
            raise StashError(".gitmodules has changes that are not staged.", "git add .gitmodules (or undo them)")


def clear_stale_lock(lock: Path, since: float, report: Callable[[str], None]) -> None:
    """Remove a lock file that a git which was killed with us left, never one of a git that may be at work."""
    try:
        is_ours = lock.stat().st_mtime >= since - 1
    except OSError:
        return
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and lock.exists():
        time.sleep(0.05)
    if not lock.exists() or not is_ours or not Path("/proc/self").exists():
        return
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
        if procfs.executable_name(pid).startswith("git"):
            with contextlib.suppress(OSError):
                if Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(lock.parent.parent):
                    return
    lock.unlink(missing_ok=True)
    report(f"removed {lock}, which a git that was killed had left")


# --- a tool's repository ---------------------------------------------------------------------------------------------


def clone(
    url: Url, folder: Path, *, reference: str | None, known: Path | None = None, show_progress: bool
) -> tuple[Path, Path]:
    """Clone into ``folder/git`` and ``folder/tree``, without checking anything out, and return both.

    What an earlier clone, ``known``, has already isn't fetched again.
    """
    bare, tree = folder / "git", folder / "tree"
    words: list[str | Path] = ["clone", "--no-checkout", "--origin", "origin", "--separate-git-dir", bare]
    words += ["--no-local"] if url.is_local else []
    words += ["--branch", reference] if reference else []
    words += ["--reference-if-able", known, "--dissociate"] if known else []
    words += ["--progress"] if show_progress else ["--quiet"]
    git(
        folder,
        *words,
        "--",
        url.text,
        tree,
        settings={"protocol.file.allow": "always"} if url.is_local else None,
        show_progress=show_progress,
        mend="look at the URL, at the network and at your access to it" + (" (and at --branch)" if reference else ""),
    )
    return bare, tree


def resolve(directory: Path, reference: str, *, is_local: bool = False) -> str:
    """Return the commit that a branch of the remote, a tag or a hash stands for, fetched by its hash if need be."""
    for candidate in (f"refs/remotes/origin/{reference}", f"refs/tags/{reference}", reference):
        done = git(
            directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}", check=False
        )
        if done.code == 0:
            return done.text
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", reference):
        settings = {"protocol.file.allow": "always"} if is_local else None
        refspec = f"{reference}:{PINS}/{reference}"
        done = git(directory, "fetch", "--quiet", "--no-tags", "origin", refspec, check=False, settings=settings)
        if done.code == 0:
            return reference
    raise StashError(
        f"The repository has no branch, tag or commit {reference!r}.",
        f"git -C {directory} branch --all" if (directory / ".git").exists() else "look at its branches and tags",
    )


def head(directory: Path) -> tuple[str | None, str | None]:
    """Return the commit (None: there is none yet) and the branch (None: detached) of a checkout."""
    both = git(directory, "rev-parse", "--quiet", "HEAD^{commit}", "--symbolic-full-name", "HEAD", check=False)
    name, _, reference = both.text.partition("\n")
    if both.code == 0 and reference:
        return name, None if reference == "HEAD" else reference.removeprefix("refs/heads/")
    commit = git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False)
    branch = git(directory, "symbolic-ref", "--quiet", "--short", "HEAD", check=False)
    return (commit.text if commit.code == 0 else None), (branch.text if branch.code == 0 else None)


def files_of(directory: Path, commit: str) -> dict[str, str]:
    """Return the files of a commit: path → object."""
    listed = git(directory, "ls-tree", "-r", "-z", "--full-tree", commit).out.decode("utf-8", "surrogateescape")
    items = [item.partition("\t") for item in listed.split("\0") if item]
    return {path: description.split(" ")[2] for description, _, path in items}


def check_out(tree: Path, commit: str, branch: str | None, *, force: bool) -> None:
    """Check out a commit, on ``branch`` (which is moved there) or detached."""
    how = ["-B", branch] if branch else ["--detach"]
    git(tree, "checkout", "--quiet", *(["--force"] if force else []), *how, commit, "--")


def is_branch(directory: Path, reference: str) -> bool:
    """Tell whether the remote has a branch of this name."""
    asked = f"refs/remotes/origin/{reference}"
    return git(directory, "rev-parse", "--verify", "--quiet", asked, check=False).code == 0


def inspect(directory: Path, commit: str, prefix: str, links: LinkMap, without: LeftOut) -> None:
    """Refuse a commit whose paths, links or submodules lead out of the tool, before it is checked out.

    ``prefix`` is where this repository lies inside the tool, ``links`` collects the links of all of them. Where a
    submodule that is left out comes from doesn't matter.
    """
    listed = git(directory, "ls-tree", "-r", "-z", "--full-tree", commit).out
    symbolic: list[tuple[str, str]] = []
    gitlinks: set[str] = set()
    for item in listed.decode("utf-8", "surrogateescape").split("\0"):
        if not item:
            continue
        description, _, path = item.partition("\t")
        mode, _, name = description.split(" ")
        problem = inner_path_problem(path)
        if problem:
            raise _hostile(f"it holds the path {prefix + path!a}: {problem}")
        if mode == "120000":
            symbolic.append((path, name))
            if path == ".gitmodules":
                raise _hostile("its .gitmodules is a symbolic link")
        elif mode == GITLINK:
            gitlinks.add(path)
    for (path, _), content in zip(symbolic, _blobs(directory, [name for _, name in symbolic]), strict=True):
        links.add(prefix + path, content.decode("utf-8", "surrogateescape"))
    out = links.leading_out()
    if out:
        path, target = out[0]
        raise _hostile(f"its symbolic link {path!a} leads out of it, to {target!a}")
    text = git(directory, "cat-file", "blob", f"{commit}:.gitmodules", check=False)
    if text.code == 0:
        declared = _sections_of(git(directory, "config", "-z", "-f", "-", "--list", stdin=text.out))
        for name, settings in declared.items():
            place = settings.get("path", "")
            _check_nested(name, settings, place in gitlinks and prefix + place not in without)


def _check_nested(name: str, settings: dict[str, str], is_fetched: bool) -> None:
    label = f"its submodule {name!a}"
    for what, value in (("name", name), ("path", settings.get("path", name))):
        problem = inner_path_problem(value)
        if problem or value.startswith("-"):
            raise _hostile(f"{label} has the {what} {value!a}: {problem or 'it would be read as an option'}")
    if settings.get("update", "").startswith("!"):
        raise _hostile(f"{label} wants to run a command (update = {settings['update']!a})")
    if is_fetched:
        url = settings.get("url", "")
        problem = None if url.startswith(("./", "../")) else remote_problem(url)
        if problem:
            raise _hostile(f"{label} has the URL {url!a}: {problem}", f"leave it out: {leaving_out(settings['path'])}")


def _hostile(reason: str, mend: str = "if it is yours, mend it there; nothing was added") -> StashError:
    return StashError(f"This repository is refused: {reason}.", mend)


def left_out(tree: Path) -> LeftOut:
    """Return which submodules of a checkout have been left out before."""
    places = [("", tree), *((f"{path}/", tree / path) for path, _ in nested_repositories(tree))]
    return LeftOut(prefix + path for prefix, place in places for path in _passed_over(place))


def _passed_over(tree: Path) -> list[str]:
    """Return the paths of the submodules that a checkout's own settings tell git not to fetch."""
    listed = git(tree, "config", "--local", "-z", "--get-regexp", r"^submodule\..*\.update$", check=False)
    names = [name for name, settings in _sections_of(listed).items() if settings.get("update") == "none"]
    declared = _sections_of(git(tree, "config", "-z", "-f", ".gitmodules", "--list", check=False)) if names else {}
    return [declared.get(name, {}).get("path", name) for name in names]


def _sections_of(listed: Done) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in listed.out.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        if key.startswith("submodule.") and key.count(".") >= 2:
            name, _, setting = key[len("submodule.") :].rpartition(".")
            found.setdefault(name, {})[setting] = value
    return found


def _blobs(directory: Path, names: Sequence[str]) -> list[bytes]:
    if not names:
        return []
    out = git(directory, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode()).out
    found, position = [], 0
    for _ in names:
        end = out.index(b"\n", position)
        size = int(out[position:end].split()[-1])
        found.append(out[end + 1 : end + 1 + size])
        position = end + 1 + size + 1
    return found


def check_out_nested(
    tree: Path, links: LinkMap, without: LeftOut, *, prefix: str = "", show_progress: bool = False
) -> None:
    """Fetch and check out the submodules of a checkout, and theirs, each refused if it leads out of the tool.

    Those ``without`` which it is to be aren't, and git is told so. StashError names one that can't be fetched.
    """
    listed = git(tree, "ls-files", "--stage", "-z").out.decode("utf-8", "surrogateescape")
    tracked = [item.partition("\t")[2] for item in listed.split("\0") if item.startswith(GITLINK)]
    if not tracked or not (tree / ".gitmodules").is_file() or head(tree)[0] is None:
        return
    git(tree, "submodule", "--quiet", "init")
    declared = _sections_of(git(tree, "config", "-z", "-f", ".gitmodules", "--list"))
    names = {settings.get("path", name): name for name, settings in declared.items()}
    skipped = [path for path in tracked if prefix + path in without]
    for path in skipped:
        git(tree, "config", f"submodule.{names.get(path, path)}.update", "none")
        without.found.append(prefix + path)
    ignored = {f"submodule.{names.get(path, path)}.url" for path in skipped}
    for item in git(tree, "config", "--local", "-z", "--list").out.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        if re.fullmatch(r"submodule\..*\.url", key, re.DOTALL) and key not in ignored:  # relative ones are resolved now
            problem = remote_problem(value)
            if problem:
                raise _hostile(f"its submodule {key[10:-4]!a} has the URL {value!a}: {problem}")
    options = ["--progress"] if show_progress else ["--quiet"]
    wanted = [path for path in tracked if path not in skipped and path in names]
    try:
        if wanted:
            # `update --quiet` says nothing, `update --progress` shows the clones'.
            git(tree, "submodule", "update", "--checkout", *options, "--", *wanted, show_progress=show_progress)
    except CommandError as error:
        undone = [each for each in wanted if not (tree / each / ".git").exists()]
        path = prefix + next((each for each in wanted if f"{each}'" in error.stderr), (undone or wanted)[0])
        said = "\n".join(f"    {line}" for line in error.stderr.strip().splitlines()[-6:])
        raise StashError(
            f"The submodule {path} of the repository can't be fetched:\n{said}",
            f"look at the network and your access to it, or leave it out: {leaving_out(path)}",
        ) from error
    for path in tracked:
        nested = tree / path
        if (nested / ".git").exists():
            commit, _ = head(nested)
            assert commit is not None
            inspect(nested, commit, f"{prefix}{path}/", links, without)
            check_out_nested(nested, links, without, prefix=f"{prefix}{path}/", show_progress=show_progress)


def nested_repositories(tree: Path) -> list[tuple[str, Path]]:
    """Return (path below ``tree``, repository) of the submodules that are checked out in it, at all depths."""
    found: list[tuple[str, Path]] = []

    def look(directory: Path, prefix: str) -> None:
        listed = git(directory, "ls-files", "--stage", "-z").out.decode("utf-8", "surrogateescape")
        for item in listed.split("\0"):
            path = item.partition("\t")[2]
            if item.startswith(GITLINK) and (directory / path / ".git").exists():
                place = Path(git(directory / path, "rev-parse", "--absolute-git-dir").text)
                found.append((prefix + path, place))
                look(directory / path, f"{prefix}{path}/")

    look(tree, "")
    return found


def further_worktrees(repository: Path) -> list[Path]:
    """Return the other checkouts of a repository (`git worktree add`) that are there, or may come back."""
    found = []
    for entry in sorted(repository.glob("worktrees/*")):
        with contextlib.suppress(OSError):
            text = os.fsdecode(files.read_regular(entry / "gitdir")).rstrip("\n")
            place = Path(os.path.normpath(entry / text)).parent
            if os.path.lexists(place) or os.path.lexists(entry / "locked"):
                found.append(place)
    return found


def led_elsewhere(tree: Path, module: Path) -> Path | None:
    """Return the repository of a checkout that lies neither in it nor where the submodule's is kept; None otherwise."""
    if not (tree / ".git").is_file() or tree.is_symlink():
        return None
    done = git(tree, "rev-parse", "--absolute-git-dir", check=False)
    return None if done.code or Path(done.text).resolve() == module.resolve() else Path(done.text)


def settle(
    repository: Path, tree: Path, final_repository: Path, final_tree: Path, nested: Iterable[tuple[str, Path]]
) -> None:
    """Make a repository and its checkout, and those inside them, point at each other from where they will be."""
    for path, place in (("", repository), *nested):
        final = Path(os.path.realpath(final_repository)) / os.path.relpath(
            os.path.realpath(place), os.path.realpath(repository)
        )
        work = Path(os.path.realpath(final_tree.parent)) / final_tree.name / path
        (tree / path / ".git").write_text(f"gitdir: {os.path.relpath(final, work)}\n", "utf-8", "surrogateescape")
        git(tree.parent, "config", "-f", place / "config", "core.worktree", os.path.relpath(work, final))


def lfs_pointers(tree: Path) -> int:
    """Return how many files of a checkout are Git LFS pointers instead of what they stand for."""
    if not any((tree / name).exists() for name in (".gitattributes", ".lfsconfig")):
        return 0
    count = 0
    for path in git(tree, "ls-files", "-z").out.split(b"\0"):
        with contextlib.suppress(OSError):
            file = os.path.join(os.fsencode(tree), path)
            if path and os.path.isfile(file) and os.path.getsize(file) < 1024:
                with open(file, "rb") as stream:
                    count += stream.read(len(_LFS_POINTER)) == _LFS_POINTER
    return count


def work_in(tree: Path, path: str = "") -> Work:
    """Return what the repository of a checkout has that isn't on its remote, as far as it knows."""
    words = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty"]
    with looking_everywhere(tree) as variables:
        out = git(tree, *words, variables=variables).out.decode("utf-8", "surrogateescape")
    changed, untracked = [], []
    fields = {"1": 8, "u": 10}
    for entry in out.split("\0"):
        kind = entry[:1]
        if kind == "?":
            untracked.append(entry[2:])
        elif kind in fields:
            changed.append(entry.split(" ", fields[kind])[-1])
    unpushed = []
    elsewhere = ["--not", "--remotes", "--tags", f"--glob={PINS}/*"]
    commit, branch = head(tree)
    references = git(tree, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/stash").text.splitlines()
    if commit is not None:
        names = [name for name in references if name != "refs/stash"]
        if git(tree, "rev-list", "--max-count=1", "HEAD", "--branches", *elsewhere).out:
            for name in [*names, *([] if branch else ["HEAD"])]:
                count = int(git(tree, "rev-list", "--count", name, *elsewhere).text)
                if count:
                    shown = "the detached HEAD" if name == "HEAD" else name.removeprefix("refs/heads/")
                    unpushed.append((shown, count))
    stashes = 0
    if "refs/stash" in references:
        stashes = len(git(tree, "stash", "list", "--format=%H", check=False).text.split())
    place = Path(git(tree, "rev-parse", "--absolute-git-dir").text)
    operations = {
        "MERGE_HEAD": "merge",
        "rebase-merge": "rebase",
        "rebase-apply": "rebase",
        "CHERRY_PICK_HEAD": "cherry-pick",
        "REVERT_HEAD": "revert",
        "BISECT_LOG": "bisection",
    }
    operation = next((word for name, word in operations.items() if (place / name).exists()), None)
    return Work(path, tuple(changed), tuple(untracked), tuple(unpushed), stashes, operation)
