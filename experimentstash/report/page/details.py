"""What the page has of one run: how it went, its configuration, where it comes from, its log's end, and its files."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from experimentstash.base.masking import Mask
from experimentstash.base.terminal import states
from experimentstash.base.text import counted
from experimentstash.record import archives
from experimentstash.record.run import Run
from experimentstash.report.page.model import Detail, File
from experimentstash.report.page.places import Links, is_plain
from experimentstash.runs import told
from experimentstash.runs.summary import in_local_time, words
from experimentstash.stash.layout import Stash
from experimentstash.stash.parameters import from_json

# Bytes and lines of a log's end, characters of a configuration and of a patch, and files that are shown.
_LOG, _LINES, _CONFIG, _PATCH, _FILES = 16_000, 200, 64_000, 200_000, 200
# Files of a run that are looked at.
_LOOKED_AT = 5_000
_SKIPPED = ("run", "state", "why", "metric", "metrics", "command", "log")
# What tells how it went; the rest is where it comes from.
_OF_OUTCOME = (
    *("warning", *told.SAID_LAST, "supposed", "advice", "result", "objective", "started", "took", "used"),
    *("exit code", "signal", "host", "asked for", "of these", "attempt", "earlier", "note", "noted"),
    *("removed", "archived"),
)


class Details:
    """Tells everything of the runs of one stash. Absolute paths are relative to the stash, or to the home directory."""

    def __init__(self, stash: Stash, links: Links) -> None:
        self._stash = replace(stash, here=stash.root)
        self._links = links
        self._short = _Shortened(stash.root)

    def of(self, run: Run) -> Detail:
        """Return what is known of a run; what can't be read of it is said where it would stand."""
        rows = [(label, self._short(text)) for label, text in told.of_run(self._stash, run, asks=False)]
        rows = [row for row in rows if row[0] not in _SKIPPED]
        reason = run.attempt.reason
        log, log_is_cut = self._log(run)
        return Detail(
            state=words(run.attempt.state),
            reason=None if reason is None else self._short(in_local_time(reason)),
            used=[row for row in rows if _is_of_outcome(row[0])],
            command=self._command(run),
            config=_config(run),
            provenance=[row for row in rows if not _is_of_outcome(row[0])],
            patch=_patch(run),
            log=log,
            log_is_cut=log_is_cut,
            files=list(self._files(run)),
            href=self._links.to(run.path, ""),
        )

    def _command(self, run: Run) -> str:
        """Return the command that the tool was called with, to be copied into a shell in the stash."""
        command = run.spec.command
        place = os.path.relpath(command.cwd, self._stash.root) if self._is_inside(command.cwd) else command.cwd
        root = os.path.relpath(self._stash.root, command.cwd) if self._is_inside(command.cwd) else None
        argv = [word if root is None else self._short.from_elsewhere(word, root) for word in command.argv]
        return shlex.join(argv) if place == "." else f"cd {shlex.quote(place)} && {shlex.join(argv)}"

    def _is_inside(self, path: str) -> bool:
        return Path(path).is_relative_to(self._stash.root)

    def _log(self, run: Run) -> tuple[str, bool]:
        """Return the end of the log, masked, and whether there is more of it."""
        try:
            content = archives.read_end(run.path / run.attempt.log, _LOG + 1)
        except FileNotFoundError:
            return "", False
        except OSError as error:
            return f"The log can't be read: {error.strerror}.", False
        mask = Mask(os.environ)
        text = (mask.feed(content) + mask.rest()).decode(errors="replace")
        lines = states(text)[0].rstrip("\n").split("\n")
        is_cut = len(content) > _LOG or len(lines) > _LINES
        lines = lines[len(content) > _LOG :][-_LINES:]  # the first one may have lost its beginning
        return self._short("\n".join(lines)), is_cut

    def _files(self, run: Run) -> Iterator[File]:
        found = sorted(_files_of(run.path))
        for name, size in found[:_FILES]:
            yield File(name, size, self._links.to(run.path, name, is_needed=False), is_plain(name))
        if others := found[_FILES:]:
            more = "or more " if len(found) >= _LOOKED_AT else ""
            yield File(f"… {counted(len(others), 'other file')} {more}".strip(), sum(size for _, size in others), None)


class _Shortened:
    """Takes the stash's own place, and the user's home, out of texts."""

    def __init__(self, root: Path) -> None:
        roots = sorted({str(root), os.path.realpath(root)}, key=len, reverse=True)
        home = os.path.expanduser("~")
        self._root = re.compile(rf"(?<![\w.~/-])(?:{'|'.join(map(re.escape, roots))})(?![\w.-])(/?)")
        self._home = re.compile(rf"(?<![\w.~/-]){re.escape(home)}(?![\w.-])") if home.strip("/") else None

    def __call__(self, text: str) -> str:
        text = self._root.sub(lambda found: "" if found[1] else ".", text)
        return text if self._home is None else self._home.sub("~", text)

    def from_elsewhere(self, text: str, root: str) -> str:
        """Return a text with another path to the stash in it."""
        return self._root.sub(lambda found: f"{root}{found[1]}", text)


def _is_of_outcome(label: str) -> bool:
    return label in _OF_OUTCOME or label.endswith(" job")


def _config(run: Run) -> str:
    """Return the parameters that the tool was handed, as YAML."""
    import yaml  # here, because nobody else who looks at runs needs it

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    try:
        text = yaml.dump(from_json(run.spec.params), Dumper=dumper, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        return f"# It can't be shown: {error}"
    return _cut(text, _CONFIG, "#") if run.spec.params else ""


def _patch(run: Run) -> str | None:
    """Return what made the tool's code, and the stash, differ from their commits."""
    found = []
    for code in (run.spec.code, run.spec.stash):
        if code is None or code.patch is None:
            continue
        try:
            content = archives.read(run.path / code.patch, 64 << 20)
        except OSError as error:
            found.append(f"{code.patch} can't be read: {error.strerror}.\n")
        else:
            found.append(_cut(content.decode(errors="replace"), _PATCH, ""))
    return "".join(found) or None


def _cut(text: str, most: int, mark: str) -> str:
    """Return the beginning of a text, which says that there is more of it."""
    if len(text) <= most:
        return text
    return f"{text[: text.rfind(chr(10), 0, most) + 1]}{f'{mark} … {len(text) - most:,} more characters'.strip()}\n"


def _files_of(directory: Path) -> Iterator[tuple[str, int]]:
    """Yield the regular files of a run, and their sizes, there or in an archive; not all of very many."""
    archive = archives.holding(directory)
    try:
        yield from _archived(archive, directory) if archive is not None else _there(directory)
    except OSError:
        return


def _archived(archive: Path, directory: Path) -> Iterator[tuple[str, int]]:
    below = f"{directory.relative_to(archives.directory_of(archive)).as_posix()}/".removeprefix("./")
    for name, info in archives.members(archive).items():
        if name.startswith(below) and archives.kind_of(info) == "a file":
            yield name[len(below) :], info.file_size


def _there(directory: Path) -> Iterator[tuple[str, int]]:
    folders, count = [directory], 0
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                if count > _LOOKED_AT:
                    return
                if entry.is_dir(follow_symlinks=False):
                    if not os.path.lexists(os.path.join(entry.path, archives.RECORD)):  # a run of its own
                        folders.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield os.path.relpath(entry.path, directory), entry.stat(follow_symlinks=False).st_size
