"""How this very ExperimentStash was installed, as a requirement that brings it back."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from experimentstash import __version__
from experimentstash.adapters.git.gitconfig import origin
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import status_of
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.names import remote_problem

_NAME = "experimentstash"


@dataclass(frozen=True)
class Installation:
    """A line for a requirements file, and what it can't tell."""

    requirement: str
    note: str | None = None


def here() -> Installation:
    """Return what brings back what runs here: the commit of a repository, or the version of an index."""
    told = _direct_url()
    url = str(told.get("url", ""))
    vcs = told.get("vcs_info")
    if isinstance(vcs, dict):
        commit = str(vcs.get("commit_id", ""))
        return Installation(f"{_NAME} @ git+{_plain(url)}@{commit}")
    if url.startswith("file:"):
        return _of_directory(Path(unquote(urlsplit(url).path)))
    if url:
        return Installation(f"{_NAME} @ {_plain(url)}")
    source = Path(__file__).resolve().parents[2]
    if not told and toplevel(source) == source and (source / "pyproject.toml").is_file():
        return _of_directory(source)  # started from a clone that nobody has installed
    return Installation(f"{_NAME}=={__version__}")


def _direct_url() -> dict[str, object]:
    """Return what pip or uv has noted of where a package comes from (PEP 610); nothing for one of an index."""
    try:
        told = json.loads(metadata.distribution(_NAME).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError, OSError):
        return {}
    return told if isinstance(told, dict) else {}


def _of_directory(directory: Path) -> Installation:
    status = status_of(directory)
    if status is None or status.commit is None:
        what = f"version {__version__} from {directory}, where no commit says what it is"
        return Installation(f"{_NAME} @ {directory.as_uri()}", f"{what}: on other machines it isn't there")
    remote = _remote(directory)
    if status.changed or status.untracked:
        note = f"made by commit {status.commit[:12]} with changes that are not committed"
    else:
        note = None
    if remote is None:
        there = f"{directory} is a path on this machine: put the URL of a repository there that others can reach"
        return Installation(
            f"{_NAME} @ git+{directory.as_uri()}@{status.commit}", "; ".join(filter(None, (note, there)))
        )
    return Installation(f"{_NAME} @ git+{remote}@{status.commit}", note)


def _remote(directory: Path) -> str | None:
    """Return where others get a repository from; None if that is nowhere."""
    url = _plain(origin(directory) or "")
    return url if url and remote_problem(url) is None else None


def _plain(url: str) -> str:
    """Return a URL without credentials, and as pip reads it."""
    scp = re.fullmatch(r"([\w.-]+@)?([\w.-]+):(?!/)(.+)", url)
    if scp is not None and "://" not in url:
        return f"ssh://{scp[1] or ''}{scp[2]}/{scp[3]}"
    return url if url.startswith("ssh://") else re.sub(r"^(\w+://)[^/@]*@", r"\1", url)
