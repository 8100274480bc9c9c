"""Brings what was frozen elsewhere into a stash, from an archive: everything is looked at before anything is there."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import git
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.output import Meter
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError
from experimentstash.base.text import listed, size
from experimentstash.code import frozen_names, origins
from experimentstash.publish import frozen, kept_inputs, placing
from experimentstash.publish.frozen import Content, Frozen
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

_AT_ONCE = 1 << 20  # bytes
_NAMED = 3
_FRONT = f"{paths.FROZEN}/"
_BUNDLE = regex(rf"{frozen_names.BUNDLES}/[\w-][\w.-]{{0,200}}\.bundle")
_LOCAL = {"protocol.file.allow": "always"}  # of bundles, and of nothing else


def import_(stash: Stash, archive: Path, name: str | None = None) -> tuple[Frozen, Path]:
    """Bring what an archive holds to frozen/NAME, the one it has there unless told otherwise; return it, and where.

    StashError if anything of it isn't as it was frozen, or is no part of that, and nothing is there.
    """
    with _opened(archive) as packed:
        own, members = _members(packed, archive)
        name = name or own
        with placing.new(stash, name, "--as ANOTHER_NAME") as draft:
            placing.begin(draft)
            _refuse_too_large(stash, archive, members)
            head = members.pop(frozen.FILE_NAME)
            if head.file_size > frozen_names.LARGEST:
                raise _refusal(archive, f"{head.filename} is larger than {size(frozen_names.LARGEST)}")
            _unpack(packed, head, draft / frozen.FILE_NAME, archive, None)
            kept = frozen.read_in(draft, f"{head.filename} in {archive}")
            if frozen.why_changed(stash, kept, draft) is not None:
                raise _refusal(archive, f"{head.filename} was changed after it was written")
            expected = _expected(kept)
            _refuse_others(archive, kept, members, expected)
            meter = Meter("unpacked", len(members), noun="files")
            for inside, info in sorted(members.items()):
                files.make_directory((draft / inside).parent)
                _unpack(packed, info, draft / inside, archive, expected.get(inside))
                meter.step()
            _refuse_lacking_code(archive, kept, draft)
    return kept, frozen.folder_of(stash, name)


# --- what is in it ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with open(archive, "rb", opener=files.open_regular) as stream, zipfile.ZipFile(stream) as packed:
            yield packed
    except FileNotFoundError as error:
        raise StashError(f"There is no file {error.filename}.") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError) as error:
        raise _refusal(archive, f"it can't be read: {error}") from error
    except OSError as error:
        raise StashError(f"{error.filename or archive} can't be read or written: {error.strerror}.") from error


def _members(packed: zipfile.ZipFile, archive: Path) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """Return under which name something is frozen in an archive, and the files that belong to it, by their names there.

    All else, such as documents, isn't looked at.
    """
    found = [each for each in packed.infolist() if each.filename.startswith(_FRONT) and not each.is_dir()]
    names = sorted({each.filename.split("/")[1] for each in found})
    if len(names) != 1:
        raise _refusal(archive, f"it holds {listed(names, _NAMED)}" if names else "nothing frozen is in it")
    members: dict[str, zipfile.ZipInfo] = {}
    for each in found:
        inside = each.filename.removeprefix(f"{_FRONT}{names[0]}/")
        kind = stat.S_IFMT(each.external_attr >> 16)
        if not frozen.is_inside(each.filename) or "\\" in each.filename:
            raise _refusal(archive, f"it has a file that leads elsewhere: {each.filename!a}")
        if kind not in (0, stat.S_IFREG):
            raise _refusal(archive, f"{each.filename} in it is no ordinary file")
        if each.flag_bits & 1 or each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refusal(archive, f"{each.filename} in it is encrypted, or packed in an unusual way")
        if inside in members:
            raise _refusal(archive, f"{each.filename} is in it twice")
        members[inside] = each
    if frozen.FILE_NAME not in members:
        raise _refusal(archive, f"it has no {_FRONT}{names[0]}/{frozen.FILE_NAME}")
    members.pop(frozen.ATTRIBUTES, None)  # ours is written
    return names[0], members


def _refuse_too_large(stash: Stash, archive: Path, members: dict[str, zipfile.ZipInfo]) -> None:
    """Raise StashError if what is packed isn't all in the file, or unpacked has no room here."""
    packed, unpacked = (
        sum(getattr(each, what) for each in members.values()) for what in ("compress_size", "file_size")
    )
    if packed > archive.stat().st_size:  # with parts that count several times few bytes become any number
        raise _refusal(archive, "its files overlap")
    if unpacked > (there := shutil.disk_usage(stash.root).free):
        raise StashError(f"Unpacked {archive} takes {size(unpacked)}, and {size(there)} are free in {stash.root}.")


def _expected(kept: Frozen) -> dict[str, Content]:
    """Return all files that there may be beside frozen.json and bundles, and what must be in them."""
    found = dict(kept.files)
    for run in kept.runs:
        found |= {f"{run.folder}/{frozen.OUTPUTS}/{each.path}": each.content for each in run.outputs if not each.kept}
        found |= {kept_inputs.name_of(each): each.content for each in run.inputs}
    return found


def _refuse_others(
    archive: Path, kept: Frozen, members: dict[str, zipfile.ZipInfo], expected: dict[str, Content]
) -> None:
    """Raise StashError for what belongs to nothing that is frozen, or is missing. It may have no copies of outputs."""
    if others := [name for name in members if name not in expected and not _BUNDLE.fullmatch(name)]:
        raise _refusal(archive, f"it holds what {frozen.FILE_NAME} knows nothing of: {listed(others, _NAMED)}")
    copies = {f"{run.folder}/{each.kept}" for run in kept.runs for each in run.outputs}
    if lacking := [name for name in kept.files if name not in members and name not in copies]:
        raise _refusal(archive, f"it lacks {listed(lacking, _NAMED)}")
    for name, content in expected.items():
        if name in members and members[name].file_size != content.size:
            raise _refusal(archive, f"{members[name].filename} in it isn't what was frozen")


def _unpack(
    packed: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, archive: Path, expected: Content | None
) -> None:
    """Write one file, which ends where it says that it does."""
    digest, count = hashlib.sha256(), 0
    with packed.open(info) as source, open(target, "xb", opener=files.open_regular) as stream:
        while part := source.read(_AT_ONCE):
            count += len(part)
            if count > info.file_size:
                break
            digest.update(part)
            stream.write(part)
    if count != info.file_size or (expected is not None and Content(count, digest.hexdigest()) != expected):
        raise _refusal(archive, f"{info.filename} in it isn't what was frozen")


def _refuse_lacking_code(archive: Path, kept: Frozen, draft: Path) -> None:
    """Raise StashError unless all code is in the bundles, or a remote is said to have it.

    git takes them apart for that, as it does when something is reproduced: what is damaged isn't taken.
    """
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        own = Path(scratch)
        git(own, "init", "--quiet", "--bare")
        for each in sorted((draft / frozen_names.BUNDLES).glob("*.bundle")):
            names = [f"{name}:refs/experimentstash/{commit}" for commit, name in origins.heads_of(each).items()]
            try:
                git(own, "fetch", "--quiet", "--no-tags", str(each), *names, settings=_LOCAL)
            except CommandError as error:
                raise _refusal(archive, f"{each.name} in it is no bundle that git can read") from error
        wanted = {str(code.commit): run.id for run in kept.runs for code in run.codes if code.url is None}
        for commit, run in wanted.items():
            if not objects.has_commit(own, commit):
                raise _refusal(archive, f"it lacks commit {commit[:12]}, which {run} ran")


def _refusal(archive: Path, why: str) -> StashError:
    return StashError(f"{archive} can't be imported: {why}.", "an archive is what `experimentstash export` has made")
