"""A real stash in a temporary directory with an odd name, and the real command line run in it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.testing.prepared import READ_AT_START, Prepared

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = Path(__file__).resolve().parent / "tools"
# Seconds to wait for what takes as long as a busy machine, or a busy cluster, wants; only what fails takes so long.
PATIENCE = 300.0
ODD_NAME = "my stäsh's"
# A tool that is the shell: the script is among an experiment's `arguments`.
SHELL = "entrypoint: sh\ncall: {style: arguments}\nenvironment: {kind: none}\n"
GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
# No program that looks whether there is something to tidy up is started after a commit.
ALONE = ("-c", "maintenance.auto=false")

InProcess = Callable[..., "subprocess.CompletedProcess[str]"]


@functools.cache
def prepared() -> Prepared:
    """Return the process of this worker that commands are started from."""
    return Prepared.start()


@dataclass(frozen=True)
class StashUnderTest:
    """A stash on disk; ``cli`` runs the real program in it."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def add_tool(self, name: str, source: str | None = None, registration: str = "") -> Path:
        """Copy tests/testing/tools/<source> to tools/<name> and register it with this Python as its interpreter."""
        directory = self.root / "tools" / name
        if source is not None:
            shutil.copytree(TOOLS / source, directory, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            directory.mkdir(parents=True, exist_ok=True)
        if "call:" not in registration:  # our tools read lists so
            registration += "\ncall: {style: argparse, lists: spread, booleans: flag, nulls: omit}\n"
        if "environment:" not in registration:
            registration += f"\nenvironment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
        self.write(f"conf/tool/{name}.yaml", f"path: tools/{name}\n{registration}")
        return directory

    def add_shell(self, more: str = "") -> Path:
        """Have the shell as the tool `sh`, with ``more`` in its registration."""
        directory = self.add_tool("sh", registration=SHELL + more)
        (directory / "readme").write_text("The shell.\n")  # git keeps no directory in which there is nothing
        return directory

    def add_experiment(self, name: str, tool: str, text: str = "") -> Path:
        return self.write(
            f"conf/exp/{name}.yaml", f"# @package _global_\ndefaults:\n  - override /tool: {tool}\n{text}"
        )

    def add_script(self, name: str, text: str, *words: str, more: str = "") -> Path:
        """Add an experiment of the tool `sh` with the parameter `n`: a text, and words that are its $0, $1 …"""
        arguments = json.dumps(["-c", text, *words])
        return self.add_experiment(name, "sh", f"params: {{n: 0}}\narguments: {arguments}\n{more}")

    def commit(self) -> str:
        """Commit everything and return the commit."""
        git("add", "-A", cwd=self.root)
        git(*ALONE, "commit", "-q", "-m", "state", cwd=self.root)
        return git("rev-parse", "HEAD", cwd=self.root).strip()

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start the command line, in a session of its own so that signals reach nobody else; prepared as for `cli`."""
        settings = {**os.environ, **GIT_IDENTITY, **environment}
        if _may_be_prepared(environment):
            return cast("subprocess.Popen[str]", prepared().begin(arguments, cwd or self.root, settings))
        return subprocess.Popen(
            [sys.executable, "-m", "experimentstash", *arguments],
            cwd=cwd or self.root,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def cli(
        self, *arguments: str, cwd: Path | None = None, timeout: float = PATIENCE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; from a process that has imported Hydra, where that makes no difference."""
        if _may_be_prepared(environment):
            settings = {**os.environ, **GIT_IDENTITY, **environment}
            return prepared().run(arguments, cwd or self.root, settings, timeout)
        process = self.start(*arguments, cwd=cwd, **environment)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def run_directories(self) -> list[Path]:
        """Return all run directories, oldest first."""
        found = [*self.root.glob("outputs/*/*/run.json"), *self.root.glob("multirun/*/*/*/run.json")]
        return [path.parent for path in sorted(found, key=lambda path: path.stat().st_ctime_ns)]

    def record(self, directory: Path | None = None) -> dict[str, Any]:
        """Return the record of a run (default: the only one there is)."""
        if directory is None:
            (directory,) = self.run_directories()
        data = json.loads((directory / "run.json").read_text())
        assert isinstance(data, dict)
        return data


def _may_be_prepared(environment: Mapping[str, str]) -> bool:
    return sys.platform == "linux" and not any(name.startswith(READ_AT_START) for name in environment)


def git(*arguments: str, cwd: Path) -> str:
    # Without the examples of hooks: most of the files of a small repository, which would be copied with it.
    environment = {**os.environ, **GIT_IDENTITY, "GIT_TEMPLATE_DIR": ""}
    done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Return the first true value of ``condition``; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not true within {seconds} s")


def bare_stash(folder: Path) -> StashUnderTest:
    """Make a stash with nothing in it, at a path with a space, a quote and an umlaut in it; nothing is committed."""
    root = folder / ODD_NAME
    for name in ("conf/tool", "conf/exp", "tools"):
        (root / name).mkdir(parents=True)
    shutil.copy(REPOSITORY / "experimentstash" / "scaffold" / "config.yaml", root / "conf" / "config.yaml")
    git("init", "-q", "-b", "main", cwd=root)
    return StashUnderTest(root)
