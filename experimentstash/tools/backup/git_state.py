"""A git directory out of a backup: what of it may come back. Nothing has git run a program, or look elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from experimentstash.adapters.git.command import bare, git
from experimentstash.adapters.git.gitconfig import settings_in
from experimentstash.adapters.git.gitindex import MODES, entries_in
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.names import inner_path_problem, transport_problem
from experimentstash.base.patterns import regex

# Of a git directory: where its checkout stands, its references and what it had begun. Not among them: hooks, the
# directories that `commondir`, `worktrees` and `objects/info/alternates` lead to, the sockets of a daemon.
_FILES = regex(
    r"HEAD|packed-refs|description|shallow|index|sharedindex\.[0-9a-f]+|[A-Z_]+_HEAD|[A-Z]+_M(?:SG|ODE|ERGE)|COMMIT_EDITMSG"
    r"|BISECT_\w+|AUTO_MERGE|info/(?:exclude|attributes|sparse-checkout)"
    r"|(?:refs|logs|rebase-merge|rebase-apply|sequencer|lfs/objects|rr-cache)/.+"
)
_OBJECTS = regex(r"objects/(?:[0-9a-f]{2}/[0-9a-f]+|pack/[\w.-]+|info/(?:packs|commit-graph|commit-graphs/.+))")
# What is made anew, and so isn't missed.
_REMADE = regex(
    r"config|config\.worktree|gitdir|FETCH_HEAD|gc\.(?:pid|log)|.*\.lock|branches/.*|hooks/.*\.sample|lfs/.*|fsmonitor.*"
    r"|objects/(?:pack|info)/.*"
)
_FOLDERS = ("refs", "logs", "info", "objects", "branches")
_CONFIG = ("config", "config.worktree")
_MOST_BYTES = 1 << 20
_MOST_NAMES = 12

_WORD = regex(r"[\w@.,:/ +*=-]*")
# Keys whose values can do nothing but choose among git's own ways. Those of a section with a name in it: <name>.
_HARMLESS = {
    *("core.repositoryformatversion", "core.filemode", "core.bare", "core.logallrefupdates", "core.worktree"),
    *("core.ignorecase", "core.precomposeunicode", "core.symlinks", "core.autocrlf", "core.eol", "core.safecrlf"),
    *("core.sparsecheckout", "core.sparsecheckoutcone", "core.abbrev", "core.quotepath", "core.untrackedcache"),
    *("core.preloadindex", "core.splitindex", "core.commitgraph", "core.checkstat", "core.trustctime"),
    *("extensions.objectformat", "index.sparse", "user.name", "user.email", "commit.gpgsign", "tag.gpgsign"),
    *("pull.rebase", "pull.ff", "push.default", "push.autosetupremote", "push.followtags"),
    *("fetch.prune", "fetch.prunetags", "fetch.parallel", "merge.ff", "merge.conflictstyle", "rerere.enabled"),
    *("rebase.autosquash", "rebase.autostash", "diff.algorithm", "diff.renames", "diff.submodule", "gc.auto"),
    *("submodule.recurse", "lfs.repositoryformatversion"),
    *("remote.<name>.fetch", "remote.<name>.push", "remote.<name>.tagopt", "remote.<name>.prune"),
    *("branch.<name>.merge", "branch.<name>.rebase", "branch.<name>.description"),
    *("submodule.<name>.active", "submodule.<name>.branch", "submodule.<name>.ignore", "submodule.<name>.shallow"),
    *("submodule.<name>.fetchrecursesubmodules", "submodule.<name>.update"),
}
_HARMLESS_SECTIONS = ("advice.", "color.", "column.", "status.")
# Where git would fetch from, or push to.
_ADDRESSES = {"remote.<name>.url", "remote.<name>.pushurl", "submodule.<name>.url"}
_REMOTE_NAMES = {"branch.<name>.remote", "branch.<name>.pushremote", "remote.pushdefault"}
# A partial clone fetches what it lacks; what is rebuilt lacks nothing. Settings of a worktree become the repository's.
_MEANINGLESS = {"extensions.worktreeconfig", "extensions.partialclone", "remote.<name>.promisor"}
_MEANINGLESS |= {"remote.<name>.partialclonefilter"}

Pairs = list[tuple[str, str]]


def take_back(source: Path, target: Path, *, whole: bool = False) -> list[str]:
    """Copy a git directory from a backup to ``target``, which isn't there; return what of it is left out.

    ``whole``: with its objects, and the repositories of its submodules; otherwise those come from elsewhere.
    """
    left_out: list[str] = []
    target.mkdir(parents=True)
    for folder, folders, names in os.walk(source):
        here = "" if folder == str(source) else f"{os.path.relpath(folder, source)}/"
        if not here:
            folders[:] = [name for name in folders if name != "modules" and (whole or name != "objects")]
        if here.partition("/")[0] in _FOLDERS:
            (target / here).mkdir(parents=True, exist_ok=True)
        for path in (here + name for name in names):
            if _FILES.fullmatch(path) or _OBJECTS.fullmatch(path):
                (target / here).mkdir(parents=True, exist_ok=True)
                copy_file(source / path, target / path)
            elif not _REMADE.fullmatch(path):
                left_out.append(path)
    (target / "refs").mkdir(exist_ok=True)
    left_out += _take_config(source, target, keep_worktree=not whole)
    left_out += _take_rebase(target)
    if whole and (source / "modules").is_dir():
        left_out += [f"modules/{each}" for each in _take_modules(source / "modules", target / "modules")]
    return left_out


def _take_modules(source: Path, target: Path) -> list[str]:
    if is_repository(source):
        return take_back(source, target, whole=True)
    left_out: list[str] = []
    for entry in sorted(source.iterdir()):
        inner = _take_modules(entry, target / entry.name) if entry.is_dir() else [""]
        left_out += [os.path.join(entry.name, each) for each in inner]
    return left_out


def is_repository(directory: Path) -> bool:
    """Tell whether git would take a directory for a repository's."""
    return os.path.lexists(directory / "HEAD") and os.path.lexists(directory / "refs")


def copy_file(source: Path, target: Path) -> None:
    """Copy a regular file with its time, and its mode but for what would give it somebody's rights."""
    import shutil

    with open(source, "rb", opener=files.open_regular) as stream, open(target, "xb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        found = os.fstat(stream.fileno())
        copy.flush()
        os.fchmod(copy.fileno(), found.st_mode & 0o777)
        os.utime(copy.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


def check_index(place: Path) -> None:
    """Refuse an index whose paths would lead out of the checkout."""
    for path, mode, _ in entries_in(bare(place, "ls-files", "--stage", "-z")):
        if problem := inner_path_problem(path):
            raise StashError(f"The index in the backup holds the path {path!a}: {problem}.")
        if mode not in MODES:
            raise StashError(f"The index in the backup holds {path!a} with the mode {mode}.")


# --- configuration ---------------------------------------------------------------------------------------------------


def allowed(pairs: Iterable[tuple[str, str]]) -> tuple[Pairs, list[str]]:
    """Return those settings of a repository with which git runs nothing, and the keys of the others."""
    kept: Pairs = []
    left_out: list[str] = []
    for key, value in pairs:
        general = _general(key)
        if general in _MEANINGLESS:
            continue
        if _is_harmless(general, value):
            kept.append((key, value))
        else:
            left_out.append(key)
    return kept, left_out


def _is_harmless(key: str, value: str) -> bool:
    if "\0" in key or "\n" in key:
        return False
    if key in _ADDRESSES:
        return transport_problem(value) is None
    if key in _REMOTE_NAMES:
        return re.fullmatch(r"[\w./@+-]+", value) is not None and not value.startswith("-")
    if key in _HARMLESS:
        return not value.startswith(("!", "-"))
    return key.startswith(_HARMLESS_SECTIONS) and key.count(".") == 1 and _WORD.fullmatch(value) is not None


def _general(key: str) -> str:
    """Return a key as the table above has it: git gives section and last part in lower case."""
    section, _, rest = key.partition(".")
    _, dot, last = rest.rpartition(".")
    return f"{section}.<name>.{last}" if dot else key


def _listed(file: Path) -> Pairs:
    if not os.path.lexists(file):
        return []
    text = files.read_regular(file, _MOST_BYTES).decode("utf-8", "surrogateescape")
    listed = git(file.parent, "config", "-z", "--no-includes", "-f", "-", "--list", stdin=text)
    return [(key, "true" if value is None else value) for key, value in settings_in(listed)]


def _take_config(source: Path, target: Path, *, keep_worktree: bool) -> list[str]:
    """Give ``target`` the harmless settings of a repository: its very file if it has no others."""
    listed = [_listed(source / name) for name in _CONFIG]
    pairs = [(key, value) for each in listed for key, value in each if keep_worktree or key != "core.worktree"]
    kept, left_out = allowed(pairs)
    if kept == listed[0] and os.path.lexists(source / "config"):
        copy_file(source / "config", target / "config")
        return []
    (target / "config").touch()
    for key, value in kept:
        git(target, "config", "-f", target / "config", "--add", key, value)
    return [f"config: {key}" for key in left_out]


def _take_rebase(target: Path) -> list[str]:
    """Take an interrupted rebase away again that would go on with commands."""
    for name in ("rebase-merge", "rebase-apply", "sequencer"):
        place = target / name
        plans = [path for path in place.rglob("*") if "todo" in path.name or path.name == "done"]
        steps = "\n".join(path.read_text("utf-8", "replace") for path in plans if path.is_file())
        strategy = place / "strategy"
        is_odd = strategy.is_file() and not re.fullmatch(r"[\w-]*\s*", strategy.read_text("utf-8", "replace"))
        if is_odd or re.search(r"(?m)^\s*(?:x|exec)\s", steps):
            files.remove(place)
            return [f"{name} (it would run commands)"]
    return []


def tell(left_out: Sequence[str], where: Path) -> str | None:
    """Return the sentence about what doesn't come back; None if that is nothing."""
    if not left_out:
        return None
    # Of hooks it is enough that there are some; each setting may have been somebody's own.
    names = sorted(
        {re.sub(r"(^|/)hooks/.*", r"\1hooks/", each) for each in left_out}, key=lambda each: ("config: " in each, each)
    )
    shown = ", ".join(names[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")
    return f"not restored, because git would run it or look elsewhere: {shown}; what is wanted of it is in {where}"
