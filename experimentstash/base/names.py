"""What a user or a foreign repository may call things: names, URLs, references and paths; with the reason if not."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.redaction import find_secret, redact

_LONGEST_NAME = 64
_NAME = regex(r"[a-z0-9][a-z0-9_-]*")
# What Windows takes for a device, whatever the directory: such a stash could not be checked out there.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
# Words that mean something else in a Hydra override (`tool=null`) or in YAML.
_RESERVED = {"null", "none", "true", "false", "yes", "no", "on", "off", "default", "all"}
# https://git-scm.com/docs/git-clone#_git_urls; `git://` is neither encrypted nor authenticated, `ext::` runs commands.
_REMOTE_SCHEMES = ("https", "http", "ssh")
_SCP_LIKE = regex(r"(?:(?P<user>[A-Za-z0-9._-]+)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>(?!:).+)", re.DOTALL)
_CREDENTIALS = "it holds credentials, which would be written into .gitmodules for everybody to read"
_LOCAL = "it is a path on this machine"
_SEPARATORS = regex(r"[-_.]+")
_REFERENCE = regex(r"[A-Za-z0-9_][A-Za-z0-9_./@+#-]*")


@dataclass(frozen=True)
class Url:
    """Where a repository is cloned from."""

    text: str  # as git gets it, and as it is recorded
    is_local: bool  # a path on this machine, which git reads only because the user typed it


def check_tool_name(name: str) -> str:
    """Return a tool's name if it can be one: lower-case ASCII letters, digits, `_`, `-`. StashError with the reason."""
    reason = _name_problem(name)
    if reason:
        raise StashError(
            f"{name!a} can't be a tool's name: {reason}.",
            f"use lower-case letters, digits, `_` and `-`{_proposal(name)}",
        )
    return name


def _name_problem(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} characters"
    if name.startswith("-"):
        return "it would be read as an option"
    if name.startswith("."):
        return "a name with a dot in front is hidden, or leads to another directory"
    if "/" in name or "\\" in name:
        return "it is a path, and a tool's directory lies directly in tools/"
    strange = [character for character in name if not character.isascii()]
    if strange:
        described = unicodedata.name(strange[0], "a nameless character")
        return f"{strange[0]!a} ({described}) may look like another character"
    if any(not character.isprintable() or character.isspace() for character in name):
        return "it has white space or control characters"
    if name.startswith("_"):
        return "it must begin with a letter or a digit"
    if not _NAME.fullmatch(name):
        bad = next(character for character in name if not re.match(r"[a-z0-9_-]", character))
        return f"{bad!r} is not allowed in it"
    if name in _DEVICES:
        return "Windows takes it for a device"
    if name in _RESERVED:
        return "in YAML or in an override it means something else"
    return None


def _proposal(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    proposed = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")[:_LONGEST_NAME]
    return f", for instance {proposed}" if proposed and _name_problem(proposed) is None else ""


def check_url(url: str, current: Path) -> Url:
    """Return where to clone from; a relative path starts at ``current``.

    Raises StashError for a transport that runs commands or isn't authenticated, an option in disguise, or a password.
    """
    problem = _text_problem(url)
    if problem:
        raise _bad_url(url, problem)
    if url.startswith("file://"):
        path = Path(urlsplit(url).path)
        if not path.is_absolute():
            raise _bad_url(url, "it names no absolute path")
        return Url(_existing(path, url), is_local=True)
    reason = remote_problem(url)
    if reason is None:
        return Url(url, is_local=False)
    reason = _secret_problem(url) if reason == _LOCAL else reason
    if reason is not None:
        raise _bad_url(url, reason)
    return Url(_existing(current / Path(url).expanduser(), url), is_local=True)


def remote_problem(url: str) -> str | None:
    """Return why this is no URL of another machine that may be cloned from; None if it is one."""
    problem = _text_problem(url)
    if problem:
        return problem
    if "::" in url.partition("/")[0]:
        return f"`{url.partition('::')[0]}::` would run a program"
    if "://" in url:
        try:
            parts = urlsplit(url)
            has_password, host, user = parts.password is not None, parts.hostname, parts.username
        except ValueError as error:
            return str(error)
        if parts.scheme not in _REMOTE_SCHEMES:
            return f"the transport {parts.scheme}:// is not one of {', '.join(_REMOTE_SCHEMES)}"
        if not host or host.startswith("-") or (user or "").startswith("-"):
            return "it names no host"
        if has_password or (user and parts.scheme != "ssh"):
            return _CREDENTIALS
        if parts.query or parts.fragment:
            return (
                f"what follows the `{'?' if parts.query else '#'}` would be written into .gitmodules, a token there too"
            )
        if not parts.path.strip("/"):
            return "it names no repository"
        return _secret_problem(url)
    match = _SCP_LIKE.fullmatch(url)
    if match is None or "/" in url.partition(":")[0]:
        return _LOCAL
    if match["path"].startswith("-") or (match["user"] or "").startswith("-"):
        return "a part of it would be read as an option"
    if re.match(r"[^/@:]+:[^/@]*@[^/:]+:", url):
        return _CREDENTIALS
    return _secret_problem(url)


def _secret_problem(url: str) -> str | None:
    found = find_secret([url], os.environ)
    if found is None:
        return None
    what = found if " " in found else f"the value of ${found}"
    return f"it holds {what}, which would be written into .gitmodules for everybody to read"


def transport_problem(url: str) -> str | None:
    """Return why git should not be given an address that stands in a configuration; None if it may.

    Other than what is typed it may hold credentials, or lead to another place of this machine: it was used before.
    """
    problem = _text_problem(url)
    if problem:
        return problem
    scheme, separator, _ = url.partition("://")
    if "::" in url.partition("/")[0]:
        return f"`{url.partition('::')[0]}::` would run a program"
    if separator and scheme not in (*_REMOTE_SCHEMES, "git", "file"):
        return f"the transport {scheme}:// is not one of git's own"
    host = url.partition("://")[2] if separator else url
    if re.match(r"(?:[^/@]*@)?-", host) or ":-" in url.partition("/")[0]:
        return "a part of it would be read as an option"
    return None


def _text_problem(url: str) -> str | None:
    if not url.strip():
        return "it is empty"
    if url.startswith("-"):
        return "it would be read as an option"
    if any(not character.isprintable() for character in url):
        return "it has control characters"
    return None


def _existing(path: Path, given: str) -> str:
    absolute = Path(os.path.abspath(path))
    if not absolute.exists():
        hint = f"for GitHub: https://github.com/{given}" if re.fullmatch(r"[\w.-]+/[\w.-]+", given) else None
        raise StashError(f"There is no repository at {absolute}.", hint)
    return str(absolute)


def _bad_url(url: str, reason: str) -> StashError:
    # What is secret in a URL must not appear in a message, which ends in logs.
    shown = re.sub(
        r"[?#].*", "?…", re.sub(r"^((?:[^/:]*://)?)[^/]*@", r"\1…@", redact(url, os.environ)), flags=re.DOTALL
    )
    return StashError(
        f"{shown!a} can't be cloned: {reason}.",
        "give an https:// or ssh:// URL, git@host:path, or a directory (credentials come from git's credential helper)",
    )


def check_reference(reference: str) -> str:
    """Return a branch, tag or commit that the user names, if it can be one. StashError with the reason."""
    is_bad = ".." in reference or "@{" in reference or reference.endswith((".lock", "/", "."))
    if is_bad or not _REFERENCE.fullmatch(reference):
        raise StashError(f"{reference!a} can't be a branch, tag or commit.", "give a name or a hash")
    return reference


def inner_path_problem(path: str) -> str | None:
    """Return why a path that a foreign repository gives doesn't stay inside its directory; None if it does."""
    if not path or "\0" in path:
        return "it is empty" if not path else "it has a NUL character"
    if path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", path):
        return "it is absolute"
    for part in path.split("/"):
        if part in ("..", ".", ""):
            return "it leaves its directory"
        if is_git_directory(part):
            return "it reaches into a .git directory"
    return None


def plain_package(name: str) -> str:
    """Return what a Python package is called by everybody, however its name is written (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def is_git_directory(part: str) -> bool:
    """Tell whether a part of a path is `.git` to some file system."""
    # HFS+ ignores some characters, NTFS trailing dots and spaces (CVE-2014-9390).
    plain = re.sub("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]", "", part).rstrip(" .").lower()
    return plain in (".git", "git~1")


class LinkMap:
    """The symbolic links of a tree that isn't checked out yet, to see which of them lead out of it."""

    _MOST_STEPS = 400

    def __init__(self) -> None:
        self.targets: dict[tuple[str, ...], str] = {}

    def add(self, path: str, target: str) -> None:
        self.targets[tuple(path.split("/"))] = target

    def leading_out(self) -> list[tuple[str, str]]:
        """Return (path, target) of every link through which one would leave the tree."""
        return [("/".join(path), target) for path, target in self.targets.items() if self._leaves(path)]

    def _leaves(self, link: tuple[str, ...]) -> bool:
        place: list[str] = []
        waiting = list(reversed(link))
        for _ in range(self._MOST_STEPS):
            if not waiting:
                return False
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not place:
                    return True
                place.pop()
                continue
            place.append(part)
            target = self.targets.get(tuple(place))
            if target is not None:
                if target.startswith("/"):
                    return True
                place.pop()
                waiting += reversed(target.split("/"))
        return False  # a loop: it leads nowhere
