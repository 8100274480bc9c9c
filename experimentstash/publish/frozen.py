"""frozen/NAME/: runs as they are kept under a name, to be had again years later, by anybody. Plain data.

frozen/NAME/
  .gitattributes        has git leave everything as it is
  frozen.json           all that is said of them (docs/frozen.schema.json), and of each other file its size and hash
  bundles/              commits that no remote has, as git bundles; after an import all others too, which need no hash
  runs/ID/
    record.json         the run's record, with marks for the places that differ between machines
    .hydra/             the configuration that it was composed from; tool/ is that of a tool that uses Hydra itself
    stash.patch, tool.patch, params.yaml, uv.lock …   what it was handed and what pins it, as far as there is such
    outputs/            what it has written, as far as it is compared by more than its hash
  inputs/HASH/          what runs have read; only after an import

Times, durations and sizes are as in records. Hashes are of SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash import __version__
from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.files import read_regular
from experimentstash.code.frozen_names import FILE_NAME as FILE_NAME
from experimentstash.code.frozen_names import LARGEST, NAME
from experimentstash.code.frozen_names import RUNS as RUNS
from experimentstash.code.frozen_names import names as names
from experimentstash.publish.comparators.comparator import How, Tolerance
from experimentstash.stash.layout import Stash

if TYPE_CHECKING:
    from experimentstash.record.run import Id, Name, Seconds, Time

# What a text is besides: reading refuses what isn't.
Inside = str  # a path that leads to nowhere else than below where it is said to be
Digest = str  # of SHA-256, in hexadecimal

FORMAT = 1
RECORD = "record.json"
OUTPUTS, INPUTS = "outputs", "inputs"
ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True)
class Content:
    """What a file held."""

    size: int
    sha256: Digest


@dataclass(frozen=True)
class Output:
    """A file that a run has written, and how it is compared; ``kept`` is where a copy of it is, in the run's folder."""

    path: Inside
    content: Content
    how: How
    kept: Inside | None = None


@dataclass(frozen=True)
class Input:
    """A file that a run has read, as far as it was told of it: below the stash's root, or absolute with a mark."""

    path: str
    content: Content


@dataclass(frozen=True)
class Code:
    """Which code a run had; ``bundle`` holds the commit if no remote has it."""

    path: str | None  # of the tool, relative to the stash's root
    is_own: bool  # it is in the repository of the stash
    url: str | None
    commit: str | None
    branch: str | None
    dirty: bool
    patch: Inside | None
    bundle: Inside | None


@dataclass(frozen=True)
class Package:
    """A package that was installed: ``sha256`` is of the list of its files and their hashes, where there is one."""

    name: str
    version: str
    sha256: Digest | None


@dataclass(frozen=True)
class Python:
    """The environment that a run had; ``lock`` is a copy of what pins it."""

    kind: str
    implementation: str | None
    version: str | None
    lock: Inside | None
    lock_name: str | None
    lock_sha256: Digest | None
    packages: list[Package] | None  # None: nobody knows

    @property
    def locked_by(self) -> str | None:
        """The lock file that says which packages belong in it; requirements may leave that open, and are none."""
        return self.lock_name if self.lock is not None and str(self.lock_name).endswith(".lock") else None


@dataclass(frozen=True)
class Gpu:
    """A GPU, as its driver calls it."""

    name: str
    memory: str
    driver: str


@dataclass(frozen=True)
class Machine:
    """The machine that a run was on."""

    platform: str
    architecture: str
    cpu: str | None
    cores: int
    memory: int | None
    gpus: list[Gpu] = field(default_factory=list)


@dataclass(frozen=True)
class Took:
    """What a run took."""

    duration: Seconds | None
    cpu_time: float | None
    peak_memory: int | None


@dataclass(frozen=True)
class FrozenRun:
    """A run that is kept; the argv and the working directory have marks for places that differ between machines."""

    id: Id
    folder: Inside
    tool: Name
    organizer: str | None
    experiment: str | None
    params: dict[str, Any]
    argv: list[str]
    cwd: str
    created: Time | None
    code: Code
    stash: Code
    python: Python | None
    machine: Machine | None  # None: it was frozen on another one than it ran on
    took: Took
    inputs: list[Input]
    outputs: list[Output]
    left_out: list[str] = field(default_factory=list)  # what it has written and that isn't compared
    notes: list[str] = field(default_factory=list)
    submodules: list[Code] = field(default_factory=list)  # of the tool, at all depths; an outer one comes first

    @property
    def codes(self) -> list[Code]:
        """All code that it had, in the order in which it is brought to where it belongs."""
        return [self.stash, self.code, *self.submodules]


@dataclass(frozen=True)
class Frozen:
    """Runs that are kept under a name; ``digest`` is of all else that is said here, as ``digest_of`` has it."""

    name: Name
    message: str
    created: Time
    runs: list[FrozenRun]
    files: dict[str, Content]
    format: int = FORMAT
    version: str = __version__
    digest: Digest = ""


def _inside(value: Any, where: str) -> str:
    if not is_inside(typed.path(value, where)):
        raise typed.wrong(value, where, "a path inside")
    return str(value)


def is_inside(path: str) -> bool:
    """Tell whether a path leads to nothing that isn't below where it begins."""
    parts = path.split("/")
    return not path.startswith("/") and path.isprintable() and not {"", ".", ".."} & {*parts}


def _digest(value: Any, where: str) -> str:
    text = typed.text(value, where)
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise typed.wrong(value, where, "a hash of SHA-256")
    return text


PARTS = (Tolerance, How, Content, Output, Input, Code, Package, Python, Gpu, Machine, Took, FrozenRun)
_KNOWN: dict[str, Any] = {
    **typed.BASIC,
    "Inside": _inside,
    "Digest": _digest,
    "Time": typed.time,
    "Seconds": typed.duration,
    "Id": typed.file_name,
    "Name": typed.name,
}
for _kind in (*PARTS, Frozen):
    _KNOWN[_kind.__name__] = typed.builder(_kind, _KNOWN)


def plain(value: Any) -> Any:
    """Return one of these objects as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return plain(dict(vars(value))) if hasattr(value, "__dict__") else value


def digest_of(data: Mapping[str, Any]) -> str:
    """Return the hash of what frozen.json says, but for the hash itself: of JSON without spaces, sorted by keys."""
    said = {name: value for name, value in data.items() if name != "digest"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(frozen: Frozen) -> str:
    """Return frozen.json as it is written."""
    return f"{json.dumps(plain(frozen), indent=1)}\n"


def folder_of(stash: Stash, name: str) -> Path:
    """Return where runs are, or would be, kept under a name; StashError if it can't be one."""
    if not NAME.fullmatch(name) or name.endswith((".lock", ".")) or ".." in name:
        raise StashError(
            f"{name!r} can't be the name of something frozen.",
            "letters, digits, '_', '-' and '.', a letter or a digit first: figure1",
        )
    return stash.frozen(name)


def read(stash: Stash, name: str) -> Frozen:
    """Return what is kept under a name; StashError if nothing is, or what is there makes no sense or was changed."""
    try:
        return read_in(folder_of(stash, name), stash.relative(folder_of(stash, name) / FILE_NAME))
    except FileNotFoundError as error:
        known = names(stash)
        listed = f"\nFrozen: {', '.join(known)}" if known else "\nNothing is frozen yet."
        raise StashError(
            f"Nothing is frozen as {name!r}.{did_you_mean(name, known)}{listed}", f"experimentstash freeze {name} RUN…"
        ) from error


def read_in(place: Path, shown: str) -> Frozen:
    """Return what is kept in a directory; StashError as of ``read``, which calls it ``shown``."""
    try:
        data = typed.loads(read_regular(place / FILE_NAME, LARGEST))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StashError(f"{shown} can't be read: {error}.") from error
    if isinstance(data, dict) and data.get("format") != FORMAT:
        raise StashError(f"{shown} is of the format {data.get('format')!r}; known here: {FORMAT}.")
    try:
        return _built(data)
    except ValueError as error:
        raise StashError(f"{shown} makes no sense: {error}.") from error


def refuse_unreadable(frozen: Frozen) -> None:
    """Raise StashError for what could be written, and not be read again."""
    try:
        _built(plain(frozen))
    except ValueError as error:
        raise StashError(f"That can't be frozen, because nobody could read it again: {error}.") from error


def _built(data: Any) -> Frozen:
    frozen: Frozen = _KNOWN["Frozen"](data, "")
    if not frozen.runs:
        raise ValueError("there are no runs")
    return frozen


def why_changed(stash: Stash, frozen: Frozen, place: Path) -> str | None:
    """Return what of frozen.json isn't as it was written; None: nothing."""
    path = place / FILE_NAME
    data = typed.loads(read_regular(path, LARGEST))
    if digest_of(data) != frozen.digest:
        return f"{stash.relative(path)} was changed after it was written: its digest is another one"
    return None
