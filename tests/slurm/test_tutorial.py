"""The tutorial does what it says: its commands are typed in order, and what it shows is what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.testing.stash import GIT_IDENTITY, REPOSITORY

_BLOCK = re.compile(r"(?P<skip><!-- not run[^>]*-->\n)?```(?P<kind>bash|text)\n(?P<text>.*?)```", re.DOTALL)


class Step(NamedTuple):
    commands: str
    shown: str


def steps() -> Iterator[Step]:
    """Yield what is to be typed, each time with what is shown of what that prints."""
    commands = None
    for block in _BLOCK.finditer((REPOSITORY / "docs/tutorial.md").read_text()):
        if block["skip"]:
            continue
        if block["kind"] == "text":
            assert commands is not None
            yield Step(commands, block["text"])
            commands = None
            continue
        if commands is not None:
            yield Step(commands, "")
        commands = block["text"]
    if commands is not None:
        yield Step(commands, "")


def lines_as_patterns(shown: str) -> list[str]:
    """Return what is shown, line by line, as patterns: `…` is anything, and so is how wide columns are."""
    parts = ([re.escape(word) for word in line.split()] for line in shown.splitlines() if line.strip())
    return [r"\s+".join(words).replace("…", ".*") for words in parts]


@pytest.mark.slow
def test_it_does_what_it_says(tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **GIT_IDENTITY, "PATH": programs}
    folder = tmp_path / "a place"
    folder.mkdir()
    place = tmp_path / "where"
    place.write_text(str(folder))
    noted = shlex.quote(str(place))
    said = ""
    done = list(steps())
    assert len(done) > 10
    for step in done:
        script = f'cd "$(cat {noted})"\n{step.commands}\npwd > {noted}\n'
        ran = subprocess.run(
            ["bash", "-e", "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == 0, f"{step.commands}\n{said}"
        for pattern in lines_as_patterns(step.shown):
            assert re.search(pattern, said), f"{pattern!r} is shown in the tutorial; printed was:\n{said}"
    assert (folder / "paper/report.html").is_file() and (folder / "figure1.zip").is_file()
