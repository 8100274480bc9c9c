"""What the page has of one run: how it went, its configuration, where it comes from, its log's end, and its files."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from experimentstash.base.text import counted
from experimentstash.record import archives
from experimentstash.record.run import Run
from experimentstash.report.page.model import Detail, File
from experimentstash.report.page.places import Links, is_plain
from experimentstash.report.page.shortened import Shortened, Shown, places_of
from experimentstash.runs import log as runs_log
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

    def __init__(self, stash: Stash, links: Links, shown: Shown) -> None:
        self._stash = replace(stash, here=stash.root)
        self._links = links
        self._shown = shown
        self._shortened = functools.lru_cache(lambda *places: Shortened(stash.root, places))

    def of(self, run: Run) -> Detail:
        """Return what is known of a run; what can't be read of it is said where it would stand."""
        short = self._short(run)
        rows = [(label, short(text)) for label, text in told.of_run(self._stash, run, asks=False)]
        rows = [row for row in rows if row[0] not in _SKIPPED]
        reason = run.attempt.reason
        log, log_is_cut = self._log(run)
        command = run.spec.command
        return Detail(
            state=words(run.attempt.state),
            reason=None if reason is None else short(in_local_time(reason)),
            used=[row for row in rows if _is_of_outcome(row[0])],
            command=short.command(command.argv, command.cwd),
            config=_config(self._shown(from_json(run.spec.params))),
            provenance=[row for row in rows if not _is_of_outcome(row[0])],
            patch=_patch(run),
            log=short(log),
            log_is_cut=log_is_cut,
            files=list(self._files(run)),
            href=self._links.to(run.path, ""),
        )

    def _short(self, run: Run) -> Shortened:
        """Return what shortens the texts of a run, whose record may speak of another place of the stash."""
        return self._shortened(*places_of([run]))

    def _log(self, run: Run) -> tuple[str, bool]:
        """Return the end of the log, masked, and whether there is more of it."""
        try:
            lines, is_cut = runs_log.end(run, _LOG)
        except FileNotFoundError:
            return "", False
        except OSError as error:
            return f"The log can't be read: {error.strerror}.", False
        return "\n".join(lines[-_LINES:]), is_cut or len(lines) > _LINES

    def _files(self, run: Run) -> Iterator[File]:
        found = sorted(_files_of(run.path))
        for name, size in found[:_FILES]:
            yield File(name, size, self._links.to(run.path, name, is_needed=False), is_plain(name))
        if others := found[_FILES:]:
            more = "or more " if len(found) >= _LOOKED_AT else ""
            yield File(f"… {counted(len(others), 'other file')} {more}".strip(), sum(size for _, size in others), None)


def _is_of_outcome(label: str) -> bool:
    return label in _OF_OUTCOME or label.endswith(" job")


def _config(params: Any) -> str:
    """Return the parameters that the tool was handed, as YAML."""
    import yaml  # here, because nobody else who looks at runs needs it

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    try:
        # A value stays in its line: who searches the page finds it.
        text = yaml.dump(params, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1 << 30)
    except yaml.YAMLError as error:
        return f"# It can't be shown: {error}"
    return _cut(text, _CONFIG, "#") if params else ""


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
        if archive is None:
            yield from _there(directory)
        else:
            yield from ((name, info.file_size) for name, info in archives.files_below(archive, directory))
    except OSError:
        return


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
