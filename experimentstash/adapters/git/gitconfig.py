"""Settings of git: .gitmodules, and the repository's own configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from experimentstash.adapters.git.command import Done, ask, git
from experimentstash.adapters.git.superproject import Superproject


def declared_submodules(root: Path) -> dict[str, str]:
    """Return what .gitmodules of the checkout at ``root`` declares: path → URL."""
    asked = ["config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.(path|url)$"]
    if not (root / ".gitmodules").is_file():
        return {}
    paths: dict[str, str] = {}
    urls: dict[str, str] = {}
    for setting in ask(asked, root, also=[1]).stdout.split("\0"):
        key, _, value = setting.partition("\n")
        name, _, which = key.rpartition(".")
        (paths if which == "path" else urls)[name] = value
    return {path: urls.get(name, "") for name, path in paths.items() if path}


def sections(project: Superproject, text: bytes | None = None) -> dict[str, dict[str, str]]:
    """Return the submodules that .gitmodules (or ``text``) declares: name → its settings."""
    if text is None:
        text = project.gitmodules.read_bytes() if project.gitmodules.is_file() else b""
    if not text.strip():
        return {}
    return sections_of(git(project.root, "config", "-z", "-f", "-", "--list", stdin=text))


def config_section(project: Superproject, name: str) -> list[tuple[str, str]]:
    """Return the settings of a submodule in the repository's own configuration."""
    listed = git(project.root, "config", "--local", "-z", "--list").out.decode("utf-8", "surrogateescape")
    pairs = [item.partition("\n")[::2] for item in listed.split("\0") if item]
    start = f"submodule.{name}."
    return [
        (key[len(start) :], value) for key, value in pairs if key.startswith(start) and "." not in key[len(start) :]
    ]


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


def sections_of(listed: Done) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in listed.out.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        if key.startswith("submodule.") and key.count(".") >= 2:
            name, _, setting = key[len("submodule.") :].rpartition(".")
            found.setdefault(name, {})[setting] = value
    return found
