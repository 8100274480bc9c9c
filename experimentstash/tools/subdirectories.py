"""Tools that are a directory of a repository with others in it: where it is, and what is certain about it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitindex import GITLINK
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.names import Url, inner_path_problem
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import EnvironmentKind
from experimentstash.tools.detect import detection
from experimentstash.tools.detect.candidate import Rank
from experimentstash.tools.detect.detection import Detection
from experimentstash.tools.transaction import Report


def check_name(subdirectory: str) -> str:
    """Return a subdirectory as it is written into a registration; StashError if it can't be one."""
    plain = subdirectory.rstrip("/")
    while plain.startswith("./"):
        plain = plain[2:]
    if plain in ("", "."):
        raise StashError(f"{subdirectory!r} is the repository itself, no directory in it.", "leave out --subdirectory")
    problem = inner_path_problem(plain)
    if problem is None and not plain.isprintable():
        problem = "it has control characters"
    if problem is None and (plain.startswith("-") or "\\" in plain or "${" in plain):
        problem = "it would be read as something else"
    if problem:
        raise StashError(f"{subdirectory!a} is no directory of a repository: {problem}.", "--subdirectory path/in/it")
    return plain


def refuse_missing(repository: Path, commit: str, inner: str) -> None:
    """Raise StashError unless a commit has the directory ``inner``, and no other that differs in its case alone."""
    above = ""
    for part in inner.split("/") if inner else ():
        listed = dict(_entries(repository, commit, above))
        shown = f"{above}/{part}" if above else part
        if listed.get(part) == "commit":
            raise StashError(
                f"{shown} is a submodule of that repository.", "add its own URL as a tool: then it is updated by itself"
            )
        if listed.get(part) != "tree":
            folders = sorted(name for name, kind in listed.items() if kind == "tree" and not name.startswith("."))
            raise StashError(
                f"The repository has no directory {shown} at commit {commit[:12]}.{did_you_mean(part, folders)}",
                f"{above or 'it'} has: {', '.join(folders[:20]) or 'none'}{' …' if len(folders) > 20 else ''}",
            )
        twins = [name for name in listed if name != part and name.casefold() == part.casefold()]
        if twins:
            raise StashError(
                f"The repository has {twins[0]!r} beside {part!r}: on some machines they are one directory.",
                "have one of them renamed there",
            )
        above = shown


def _entries(repository: Path, commit: str, above: str) -> Iterator[tuple[str, str]]:
    listed = git(repository, "ls-tree", "-z", "--full-tree", f"{commit}:{above}")
    return ((name, kind) for name, _, kind, _ in objects.tree_in(listed))


def refuse_links(checkout: Path, inner: str) -> None:
    """Raise StashError unless the directory in the checkout is there, with no link on the way."""
    directory = checkout / inner
    if not directory.is_dir() or directory.resolve() != checkout.resolve() / inner:
        raise StashError(
            f"{inner} is not in the checkout {checkout} as it is in the commit.",
            f"git -C {shlex.quote(str(checkout))} status",
        )


def with_environment_from_above(checkout: Path, inner: str, detected: Detection) -> Detection:
    """Return what was found, with the project or requirements of the directories above if the tool has none."""
    is_python = detected.best is not None and detected.best.rank < Rank.BUILT
    if detected.kind not in (EnvironmentKind.empty, EnvironmentKind.none) or not is_python:
        return detected
    directory = checkout / inner
    for above in directory.parents if inner else ():
        found = detection.detect_environment(above)
        if found.file is not None:
            up = os.path.relpath(above, directory)
            return replace(
                detected,
                kind=found.kind,
                file=f"{up}/{found.file}",
                requirements=tuple(f"{up}/{each}" for each in found.requirements),
                left=(*detected.left, *(f"{up}/{each}" for each in found.left)),
                lacking=(),
                python=detected.python or found.python,
                python_is_read=detected.python_is_read if detected.python else found.python_is_read,
                notes=(*detected.notes, f"it declares no environment of its own: {up}/{found.file} is taken"),
            )
        if above == checkout:
            break
    return detected


def existing_checkout(
    stash: Stash, project: Superproject, source: Url, branch: str | None, commit: str | None, report: Report
) -> Path | None:
    """Return the checkout of a submodule below tools/ with the same URL, at the commit that is asked for."""
    for settings in gitconfig.sections(project).values():
        path = settings.get("path", "")
        checkout = project.root / path
        if (
            not path
            or not checkout.is_relative_to(stash.root / paths.TOOLS)
            or not _is_same(settings.get("url"), source)
        ):
            continue
        if checkout.resolve() != project.root.resolve() / path:
            continue  # a link leads there
        shown = stash.relative(checkout)
        if not any(each.mode == GITLINK for each in gitindex.index_entries(project, [path])):
            continue
        if not (checkout / ".git").exists():
            raise StashError(
                f"{shown} is a submodule with this URL, and not checked out.",
                f"git submodule update --init --recursive {shlex.quote(shown)}, or --separate for another checkout",
            )
        head, _ = checkouts.head(checkout)
        wanted = _asked(checkout, source, branch, commit)
        if head is not None and wanted in (None, head):
            report(f"{shown} is a checkout of it already: it is used, at {head[:12]} (--separate makes another one)")
            return checkout
        report(f"{shown} is a checkout of it, but at {(head or 'no commit')[:12]}: another one is made")
    return None


def _asked(checkout: Path, source: Url, branch: str | None, commit: str | None) -> str | None:
    """Return the commit that is asked for; None: any. "" if it isn't known here."""
    if commit is not None:
        done = git(
            checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}", check=False
        )
        return done.text if done.code == 0 else ""
    if branch is None:
        return None
    settings = {"protocol.file.allow": "always"} if source.is_local else None
    names = [f"refs/heads/{branch}", f"refs/tags/{branch}^{{}}", f"refs/tags/{branch}"]
    listed = git(checkout, "ls-remote", "--", source.text, *names, settings=settings).text.splitlines()
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listed)}
    return next((found[name] for name in names if name in found), "")


def _is_same(url: str | None, source: Url) -> bool:
    return url is not None and _plain(url) == _plain(source.text)


def _plain(url: str) -> str:
    """Return a URL without what makes no difference: how the host is written, and what may stand at the end."""
    if url.startswith("/"):
        return os.path.realpath(url)
    parts = urlsplit(url)
    host = parts.netloc.lower()
    return f"{parts.scheme}|{host}|{parts.path.rstrip('/').removesuffix('.git')}"
