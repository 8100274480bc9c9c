"""The page as it is asked for: one small file, one with everything in it, a directory, or a zip file of that."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import (
    inside,
    kind_at,
    make_directory,
    open_regular,
    read_regular,
    remove,
    replacing,
    write_atomically,
)
from experimentstash.base.output import Meter
from experimentstash.code.results import REPORT_MANIFEST, is_report
from experimentstash.report.page import write
from experimentstash.report.page.collect import Collected, Request, collect
from experimentstash.report.page.fitting import page_link
from experimentstash.report.page.model import as_data
from experimentstash.report.page.places import Beside, Copied, Embedded, address, way
from experimentstash.runs.differing import said
from experimentstash.stash.layout import Stash

# Bytes of a page that is one file, unless all is to be in it, and of one that has files beside it.
MOST, MOST_WITH_FILES = 1_000_000, 4_000_000
# What packing comes to is known almost exactly.
_SPARE = 10_000
_PAGES = (".html", ".htm")
USUAL = Path("report.html")
INDEX, RUNS, FILES = "index.html", "runs", "files"
_OWN = re.compile(r"[\w.-]{1,100}")


@dataclass(frozen=True)
class Written:
    """What was written: bytes of the page, files beside it, and what was left out."""

    path: Path
    runs: int
    size: int
    files: int
    total: int  # bytes of all
    left_out: tuple[str, ...]
    has_unread: bool


def make(stash: Stash, request: Request, path: Path, *, embeds: bool = False, is_zip: bool = False) -> Written:
    """Write what a path asks for by its name: FILE.html, FILE.zip, or a directory. StashError if it can't be."""
    is_zip, is_page = is_zip or path.suffix.lower() == ".zip", path.suffix.lower() in _PAGES
    if embeds and (is_zip or not is_page):
        raise StashError("--embed makes one page, no zip file or directory.", f"-o {path.with_suffix('.html')}")
    if is_zip:
        return zipped(stash, request, path)
    if not is_page:
        return directory(stash, request, path)
    return (embedded if embeds else one_file)(stash, request, path)


def one_file(stash: Stash, request: Request, path: Path) -> Written:
    """Write a page of at most ``MOST`` bytes; what is large is linked to where it is."""
    _check_file(path)
    taken = len(write.page(request.title or "", {}))
    found = collect(stash, request, Beside(path.parent), MOST - _SPARE - taken)
    if os.path.basename(os.path.expanduser("~")) in way(os.path.realpath(path.parent), stash.root).split(os.sep):
        found = _said(
            found, "links lead to the stash by the name of your home: -o DIRECTORY and --zip have copies instead"
        )
    if found.without_details:
        found = _said(found, f"{_details(found)}: --embed has all, and -o DIRECTORY as well")
    return _one(path, found)


def embedded(stash: Stash, request: Request, path: Path) -> Written:
    """Write a page that has everything in it."""
    _check_file(path)
    links = Embedded()
    found = collect(stash, request, links, None)
    return _one(path, _said(found, *links.remarks))


def directory(stash: Stash, request: Request, path: Path) -> Written:
    """Write a page into a directory, with all that it needs beside it. What is of an earlier page is replaced."""
    before = _written_before(path)
    site = _Site(stash, request)
    names: list[str] = []
    total = size = 0
    try:
        make_directory(path)
        for name, content in site.files():
            target = inside(path, path / name)
            if name not in before and kind_at(target) is not None:
                raise StashError(
                    f"{target} is in the way: it is of no report.", "move it away, or choose another place"
                )
            names.append(name)
            if name not in before:
                with open(path / REPORT_MANIFEST, "a", encoding="utf-8", opener=open_regular) as stream:
                    stream.write(f"{json.dumps(name)}\n")
            make_directory(target.parent)
            write_atomically(target, content)
            size, total = len(content), total + len(content)
        for name in sorted(before.difference(names)):
            if kind_at(inside(path, path / name)) == "a file":
                remove(path / name)
        write_atomically(path / REPORT_MANIFEST, "".join(f"{json.dumps(name)}\n" for name in names))
    except OSError as error:
        raise StashError(f"{error.filename or path} can't be written: {error.strerror}.") from error
    return site.written(path / INDEX, size, len(names) - 1, total)


def zipped(stash: Stash, request: Request, path: Path) -> Written:
    """Write the same as one zip file."""
    _check_file(path)
    site = _Site(stash, request)
    folder = path.stem
    size = total = 0
    try:
        with replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{folder}/{REPORT_MANIFEST}", "")
            for name, content in site.files():
                archive.writestr(f"{folder}/{name}", content)
                size, total = len(content), total + len(content)
            count = len(archive.namelist()) - 2
    except OSError as error:
        raise StashError(f"{path} can't be written: {error.strerror}.") from error
    return site.written(path, size, count, total)


class _Site:
    """A page with files beside it."""

    def __init__(self, stash: Stash, request: Request) -> None:
        self._links = Copied(stash.root, FILES)
        self._found = collect(stash, request, self._links, MOST_WITH_FILES)
        self._counts = Counter(self._found.data["runs"]["ids"])

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything, the page itself last: nobody looks at one that leads nowhere."""
        found = self._found
        yield ".nojekyll", b""  # GitHub Pages is to serve it as it is
        meter = Meter("written", len(found.without_details), noun="pages of runs")
        for index in found.without_details:
            meter.step()
            if (made := found.detail(index)) is None:
                continue
            name = f"{RUNS}/{self._name(index)}.html"
            yield name, self._run_page(index, as_data(made))
            page_link(found.data, index, as_data(made.state), address(name))
        copying = Meter("copied", noun="files")
        for name, content in self._links.copies():
            copying.step()
            yield name, content
        self._found = _said(found, *self._links.remarks)
        yield INDEX, write.page(found.title, found.data)

    def _name(self, index: int) -> str:
        """Return what a run's page is called: its id, unless there are several of that id, as copies are."""
        ids = self._found.data["runs"]["ids"]
        name = str(ids[index])
        is_fit = _OWN.fullmatch(name) is not None and not name.startswith(".") and self._counts[name] == 1
        return name if is_fit else f"run-{index}"

    def _run_page(self, index: int, detail: dict[str, Any]) -> bytes:
        columns = {
            f"{kind}s": [
                (column["label"], said(column["values"][index]))
                for column in self._found.data["runs"]["columns"]
                if column["kind"] == kind and column["values"][index] is not None
            ]
            for kind in ("param", "metric")
        }
        for file in detail["files"]:  # from one folder further down
            if file["href"] is not None:
                file["href"] = f"../{file['href'].removeprefix('./')}"
        return write.run_page(self._found.title, self._found.data["runs"]["ids"][index], detail, columns, f"../{INDEX}")

    def written(self, path: Path, size: int, files: int, total: int) -> Written:
        found = self._found
        return Written(path, found.data["runs"]["count"], size, files, total, tuple(found.left_out), found.has_unread)


def _one(path: Path, found: Collected) -> Written:
    text = write.page(found.title, found.data)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise StashError(f"{path} can't be written: {error.strerror}.") from error
    return Written(path, found.data["runs"]["count"], len(text), 0, len(text), tuple(found.left_out), found.has_unread)


def _details(found: Collected) -> str:
    missing, count = len(found.without_details), found.data["runs"]["count"]
    return f"the details of {missing:,} of {count:,} runs are left out, to keep the page below {MOST // 1_000_000} MB"


def _said(found: Collected, *remarks: str) -> Collected:
    """Have the page, and whoever is told, say something more."""
    found.data["remarks"] += as_data(remarks)
    found.left_out.extend(remarks)
    return found


def _check_file(path: Path) -> None:
    """Raise StashError if something stands there that isn't ours."""
    kind = kind_at(path)
    if kind is None:
        if not path.parent.is_dir():
            raise StashError(f"{path} can't be written: there is no directory {path.parent}.")
        return
    if kind != "a file":
        raise StashError(f"{path} can't be written: it is {kind}.")
    if not is_report(str(path)):
        raise StashError(f"{path} is there, and is no report.", "-o another name, or remove it")


def _written_before(path: Path) -> set[str]:
    """Return what we have written into a directory; StashError if it isn't ours, and not empty."""
    if kind_at(path) is None:
        return set()
    if not path.is_dir():
        raise StashError(f"{path} can't be written into: it is {kind_at(path)}.", "-o DIRECTORY, or -o FILE.html")
    try:
        lines = read_regular(path / REPORT_MANIFEST).decode().splitlines()
        return {name for name in map(json.loads, lines) if isinstance(name, str)}
    except FileNotFoundError:
        if any(path.iterdir()):
            raise StashError(
                f"{path} has other things in it, and no report.", "choose a directory that is new, or empty"
            ) from None
        return set()
    except (OSError, ValueError) as error:
        raise StashError(
            f"{path / REPORT_MANIFEST} can't be read: {error}.", f"remove {path}, if it is a report"
        ) from error
