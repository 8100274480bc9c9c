"""Settings of git: .gitmodules, and the repository's own configuration. Read by git alone, which knows how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experimentstash.adapters.git.command import Done, ask, git
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base import files
from experimentstash.base.names import inner_path_problem
from experimentstash.base.patterns import regex

_PATH = regex(r"(?m)^[ \t]*path[ \t]*=[ \t]*\"?(.*?)\"?[ \t]*$")


def declared_submodules(root: Path) -> dict[str, str]:
    """Return what .gitmodules of the checkout at ``root`` declares: path → URL."""
    if not (root / ".gitmodules").is_file():
        return {}
    declared = sections_in(ask(["config", "-z", "--file", ".gitmodules", "--list"], root))
    return {each["path"]: each.get("url", "") for each in declared.values() if each.get("path")}


def paths_seen(root: Path) -> list[str]:
    """Return the paths that .gitmodules of the checkout at ``root`` declares, as it is written there.

    Without asking git, for a first look that every run takes: one with escapes in it is passed over.
    """
    try:
        text = files.read_text(root / ".gitmodules", errors="surrogateescape")
    except OSError:
        return []
    return [path for path in _PATH.findall(text) if inner_path_problem(path) is None]


def sections(project: Superproject, text: str | None = None) -> dict[str, dict[str, str]]:
    """Return the submodules that .gitmodules (or ``text``) declares: name → its settings."""
    if text is None:
        content = project.gitmodules.read_bytes() if project.gitmodules.is_file() else b""
        text = content.decode("utf-8", "surrogateescape")
    return sections_from(project.root, text) if text.strip() else {}


def sections_from(directory: Path, text: str) -> dict[str, dict[str, str]]:
    """Return the submodules that a text like that of .gitmodules declares; git is asked in ``directory``."""
    return sections_in(git(directory, "config", "-z", "-f", "-", "--list", stdin=text))


def config_section(project: Superproject, name: str) -> list[tuple[str, str]]:
    """Return the settings of a submodule in the repository's own configuration."""
    start = f"submodule.{name}."
    return [
        (key[len(start) :], value or "")
        for key, value in settings_in(git(project.root, "config", "--local", "-z", "--list"))
        if key.startswith(start) and "." not in key[len(start) :]
    ]


def origin(root: Path) -> str | None:
    """Return the URL of the remote ``origin`` of the checkout at ``root``; None if it has none."""
    return git(root, "config", "--get", "remote.origin.url", check=False).text or None


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


def settings_in(listed: Done) -> Iterator[tuple[str, str | None]]:
    """Yield the settings that `config -z --list` lists; None: a key without a value, which means true."""
    for item in listed.items:
        key, separator, value = item.partition("\n")
        yield key, value if separator else None


def sections_in(listed: Done) -> dict[str, dict[str, str]]:
    """Return the sections of submodules in what `config -z --list` lists: name → settings."""
    found: dict[str, dict[str, str]] = {}
    for key, value in settings_in(listed):
        if key.startswith("submodule.") and key.count(".") >= 2:
            name, _, setting = key[len("submodule.") :].rpartition(".")
            found.setdefault(name, {})[setting] = value or ""
    return found
