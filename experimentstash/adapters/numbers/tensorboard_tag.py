"""Scalars in TensorBoard's event files, read by TensorBoard's own library."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experimentstash.adapters.numbers.place import ALL, LISTED, Missing, Place
from experimentstash.adapters.numbers.take import TAKE, Taking
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass

if TYPE_CHECKING:
    from typing import Any

_NAMES = "*tfevents*"
_MOST_FILES = 1000
# Of an event: its length and the checksum of that are in front, a checksum of all behind.
_HEAD, _FRAME = struct.Struct("<QI"), 16
_SLOWER = 8  # than the reading of other files
_EXTRA = "it takes TensorBoard's library: pip install 'experimentstash[tensorboard]'"


class NoLibrary(Missing):
    """TensorBoard's library isn't here."""


class Scalar(NamedTuple):
    """A number that was logged under a tag."""

    tag: str
    step: int
    wall_time: float  # seconds since 1970
    value: float


@dataclass(frozen=True)
class Tensorboard:
    """A scalar by its tag. ``file`` is a directory with event files, or a pattern for several; else all are meant."""

    tensorboard: str
    file: str | None = None
    take: str = "last"

    def __str__(self) -> str:
        return f"{TAKE[self.take]} {self.tensorboard} in {self.file or 'the event files'}"

    def numbers(self, place: Place) -> dict[str, float]:
        """Return the number; or those of all scalars, if all are meant.

        The event files of a directory belong together. A tag that several directories have says too little.
        """
        found: dict[str, dict[str, Taking]] = {}
        for path in self._files(place):
            folder = os.path.relpath(path.parent, place.directory)
            for scalar in self._scalars(path):
                if self.tensorboard in (scalar.tag, ALL):
                    taking = found.setdefault(scalar.tag, {}).setdefault(folder, Taking(self.take))
                    taking.add(repr(scalar.value))
        if self.tensorboard == ALL:
            return {
                tag if len(folders) == 1 else f"{folder}/{tag}": taking.number()
                for tag, folders in found.items()
                for folder, taking in folders.items()
            }
        if not (folders := found.get(self.tensorboard, {})):
            raise Missing(f"they have no {self.tensorboard!r}")
        if len(folders) > 1:
            raise Missing(f"it is in {', '.join(sorted(folders)[:LISTED])}: give one of them as `file:`")
        return {self.tensorboard: next(iter(folders.values())).number()}

    def _scalars(self, path: Path) -> Iterator[Scalar]:
        """Yield a file's scalars; Missing for whatever stands in the way."""
        try:
            yield from scalars(path)
        except NoLibrary as error:
            raise Missing(f"{error}, then `experimentstash metrics refresh`") from None
        except Missing:
            raise
        except Exception as error:  # whatever the library stumbles over
            raise Missing(f"{path.name} can't be read: {error}") from error

    def _files(self, place: Place) -> list[Path]:
        meant = [place.directory] if self.file is None else sorted(place.directory.glob(self.file))
        files = [path for one in meant for path in ([one] if one.is_file() else one.rglob(_NAMES)) if path.is_file()]
        if not files:
            raise Missing(f"there are no event files{'' if self.file is None else f' in {self.file}'}")
        own = [path for path in files[:_MOST_FILES] if place.is_own(path)]
        if not own:
            raise Missing("the event files are from before this attempt, which has not written them")
        for path in own:
            place.refuse_large(path, path.name, _SLOWER)
        return sorted(own)  # their names begin with a time


def scalars(path: Path) -> Iterator[Scalar]:
    """Yield the scalars of an event file, as they come; what was cut off at the end is left out.

    Missing at damage, NoLibrary without TensorBoard's library, which itself may raise whatever it likes.
    """
    try:
        # Not its loader of events, which takes five times as long to make all alike.
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        raise NoLibrary(_EXTRA) from None
    others: set[str] = set()
    end = 0
    for raw in RawEventFileLoader(str(path)).Load():
        end += _FRAME + len(raw)
        event = Event.FromString(raw)
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            if kind == "tensor" and value.metadata.plugin_data.plugin_name not in ("", "scalars"):
                others.add(value.tag)  # only the first of them says it
            if kind == "simple_value":
                yield Scalar(value.tag, event.step, event.wall_time, value.simple_value)
            elif kind == "tensor" and value.tag not in others and _has_one(value.tensor):
                number = float(make_ndarray(value.tensor).item())
                yield Scalar(value.tag, event.step, event.wall_time, number)
    # The library stops at an event that was cut off when its tool was killed, and at one that is damaged, alike.
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(end)
        head = stream.read(_HEAD.size)
    if len(head) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        if masked_crc32c(head[:8]) != checksum or end + _FRAME + length <= size:
            raise Missing(f"{path.name} is damaged after {end:,} bytes")


def _has_one(tensor: Any) -> bool:
    return all(each.size == 1 for each in tensor.tensor_shape.dim)
