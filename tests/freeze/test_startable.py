"""Whether a file can be started is told without doing it, and as the kernel itself would have it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.freeze.startable import why_not

PROGRAM = Path(os.path.realpath(shutil.which("true") or "/bin/true"))


def whole(program: bytes) -> bytes:
    return program


def of_another_machine(program: bytes) -> bytes:
    number = 183 if struct.unpack_from("<H", program, 18)[0] != 183 else 62
    return program[:18] + struct.pack("<H", number) + program[20:]


def with_another_loader(program: bytes) -> bytes:
    start = program.index(b"/lib", 0, 4096)
    end = program.index(b"\0", start)
    return program[:start] + b"/no/" + b"x" * (end - start - 4) + program[end:]


def half(program: bytes) -> bytes:
    return program[:40]


def without_its_end(program: bytes) -> bytes:
    return program[: len(program) // 4]


def text(content: str) -> Callable[[bytes], bytes]:
    return lambda program: content.encode()


CASES = {
    "a program": (whole, None),
    "a script": (text("#!/bin/sh\nexit 0\n"), None),
    "found on PATH": (text("#!/usr/bin/env sh\nexit 0\n"), None),
    "found on PATH, with options": (text("#!/usr/bin/env -S sh -e\nexit 0\n"), None),
    "another machine": (of_another_machine, "is a program for"),
    "another system": (with_another_loader, "which isn't here: it was built for another system"),
    "half a header": (half, "only the beginning"),
    "half a program": (without_its_end, "only the beginning"),
    "macOS": (text("\xcf\xfa\xed\xfe"), None),  # as text these are other bytes: nothing that is known
    "no interpreter": (text("#!/no/such/sh\n"), "started by /no/such/sh"),
    "none on PATH": (text("#!/usr/bin/env no-such-program\n"), "started by no-such-program"),
    "Windows": (text("#!/bin/sh\r\nexit 0\r\n"), "lines that end as on Windows"),
    "nothing in its line": (text("#!\n"), "names no program"),
    "nothing": (text(""), "is empty"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_told_is_what_the_kernel_does(tmp_path: Path, name: str) -> None:
    make, expected = CASES[name]
    file = tmp_path / "a program"
    file.write_bytes(make(PROGRAM.read_bytes()))
    file.chmod(0o755)
    why = why_not(file, os.environ["PATH"])
    assert (why is None) == (expected is None), why
    if why is not None and expected is not None:
        assert expected in why.what and str(file) in why.what
    if name == "macOS":
        return
    try:
        started = subprocess.run([file], capture_output=True).returncode == 0
    except OSError:
        started = False
    assert started == (expected is None)


def test_what_is_not_executable_or_no_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o644)
    found = why_not(file)
    assert found is not None and "is not executable" in found.what and "chmod +x" in str(found.hint)
    assert "is a directory" in str(vars(why_not(tmp_path) or object))
