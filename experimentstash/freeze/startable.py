"""Whether the kernel could start a file here: its mode, its kind, its architecture, and the interpreter it names."""

from __future__ import annotations

import contextlib
import os
import shlex
import struct
import sys
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.process import which

# Bytes of a file's beginning that are looked at: where an ELF file's table of contents is, and a `#!` line.
_START = 4096
_LONGEST_LINE = 255  # of which the kernel reads no more
_ELF, _MACH_O = b"\x7fELF", (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xcf")
_LOADED, _INTERPRETER = 1, 3  # kinds of entries in an ELF file's table
# ELF's numbers of machines, as `uname -m` calls them.
_MACHINES = {3: "i386", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# Which other machines' programs one runs, too.
_ALSO = {62: {3}, 183: {40}}
_BINFMT = Path("/proc/sys/fs/binfmt_misc")


@dataclass(frozen=True)
class Why:
    """Why a file can't be started."""

    what: str
    hint: str | None = None


def why_not(file: Path, search: str | None = None) -> Why | None:
    """Return why the kernel could not start a file; None: it could, as far as can be told without doing it.

    ``search`` is the PATH in which a `#!/usr/bin/env …` line looks.
    """
    if file.is_dir():
        return Why(f"{file} is a directory")
    try:
        with open(file, "rb") as stream:
            start = stream.read(_START)
            end = stream.seek(0, os.SEEK_END)
            if not os.access(file, os.X_OK):
                return Why(
                    f"{file} is not executable", f"chmod +x {shlex.quote(str(file))}, and have git keep that: commit it"
                )
            if start.startswith(_ELF):
                return _why_not_elf(file, start, end)
    except OSError as error:
        # A program may be started by those who can't read it.
        return None if os.access(file, os.X_OK) else Why(f"{file} can't be read: {error.strerror}")
    if start.startswith(_MACH_O) and sys.platform == "linux":
        return Why(f"{file} is a program for macOS", "have it built here: `build:` in its registration")
    if start.startswith(b"#!"):
        return _why_not_script(file, start[: _LONGEST_LINE + 1], search)
    return Why(f"{file} is empty") if not start else None


def _why_not_elf(file: Path, start: bytes, size: int) -> Why | None:
    header, own = _header(start), _header(_start_of(os.path.realpath("/proc/self/exe")))
    if header is None:
        return Why(f"{file} is only the beginning of a program", "have it built once more")
    if own is not None and not _runs(header, own):
        made_for, here = (_MACHINES.get(each.machine, f"machine {each.machine}") for each in (header, own))
        return Why(f"{file} is a program for {made_for}, and this machine is {here}", "have it built for this one")
    loader, end = _told(header, start)
    if size < end:
        return Why(f"{file} is only the beginning of a program", "have it built once more")
    if loader is not None and not os.path.exists(loader):
        return Why(
            f"{file} needs {loader}, which isn't here: it was built for another system", "have it built for this one"
        )
    return None


@dataclass(frozen=True)
class _Header:
    order: str  # of bytes, as `struct` writes it
    is_long: bool  # 64 bits
    machine: int
    table: int  # where it is, of entries of so many bytes, and how many there are
    entry: int
    count: int


def _header(start: bytes) -> _Header | None:
    if len(start) < 64 or start[4] not in (1, 2) or start[5] not in (1, 2):
        return None
    order, is_long = "<" if start[5] == 1 else ">", start[4] == 2
    (machine,) = struct.unpack_from(f"{order}H", start, 18)
    (table,) = struct.unpack_from(f"{order}{'Q' if is_long else 'I'}", start, 32 if is_long else 28)
    entry, count = struct.unpack_from(f"{order}HH", start, 54 if is_long else 42)
    return _Header(order, is_long, machine, table, entry, count)


def _told(header: _Header, start: bytes) -> tuple[str | None, int]:
    """Return what an ELF file's table says, as far as it was read: the program that loads it, and where it ends."""
    loader, end = None, 0
    with contextlib.suppress(struct.error):
        for number in range(header.count):
            place = header.table + number * header.entry
            (kind,) = struct.unpack_from(f"{header.order}I", start, place)
            form, first = ("QQQQ", 8) if header.is_long else ("IIII", 4)
            offset, _, _, length = struct.unpack_from(f"{header.order}{form}", start, place + first)
            end = max(end, offset + length) if kind == _LOADED else end
            name = start[offset : offset + length]
            if kind == _INTERPRETER and len(name) == length:
                loader = os.fsdecode(name.rstrip(b"\0"))
    return loader, end


def _runs(header: _Header, own: _Header) -> bool:
    if header.machine in {own.machine, *_ALSO.get(own.machine, ())}:
        return True
    with contextlib.suppress(OSError):  # something else may be registered for it: an emulator
        return bool({*os.listdir(_BINFMT)} - {"register", "status"})
    return False


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(64)
    except OSError:
        return b""


def _why_not_script(file: Path, start: bytes, search: str | None) -> Why | None:
    line = start[2:].split(b"\n", 1)[0]
    words = os.fsdecode(line).split()
    if not words:
        return Why(f"{file} names no program in its `#!` line")
    program = words[0]
    if line.endswith(b"\r"):
        return Why(
            f"{file} has lines that end as on Windows: there is no program {line.decode(errors='replace').strip()!r}"
            " with a carriage return in its name",
            f"sed -i 's/\\r$//' {shlex.quote(str(file))}",
        )
    if os.path.basename(program) == "env" and os.path.exists(program):
        named = [each for each in words[1:] if not each.startswith("-") and "=" not in each]
        if named and which(named[0], search) is None:
            return Why(f"{file} is started by {named[0]} (its `#!` line), which isn't on PATH", f"install {named[0]}")
        return None
    if which(program) is None:
        return Why(f"{file} is started by {program} (its `#!` line), which isn't here", "install it, or fix that line")
    return None
