"""Builds a tool: once for each state of its code, under a lock, and so that nothing half-made is ever used."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.git import gitindex, objects, worktree
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import durations, files, permissions, typed
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.files import write_atomically
from experimentstash.base.output import is_terminal
from experimentstash.base.process import CommandError, which
from experimentstash.base.redaction import redact
from experimentstash.code import built, worktree_place
from experimentstash.code.built import Built, Stamp
from experimentstash.freeze.build.builds import Build, by_whom, code_of_checkout
from experimentstash.freeze.build.commands import Command, is_for_shell
from experimentstash.record import times
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig

_SHOWN_LINES = 15
_WIDEST = 60
_END = 16 << 10
# Seconds that a command has for its end once it is told to, and between two looks at it.
_GRACE = 5.0
_INTERVAL = 0.05
# What compilers make, by the ends of names: a half-made one would count as made for whoever goes by times alone.
_OBJECTS = (".o", ".obj", ".a", ".so", ".lo", ".la", ".d", ".mod", ".dylib", ".class", ".pyc", ".gch", ".ko")
_MAGIC = (b"\x7fELF", b"!<arch>")


class NotBuilt(StashError):
    """A build has failed, or could not be begun."""

    exit_code = 1


def make(stash: Stash, tool: ToolConfig, build: Build, announce: Callable[[str], None]) -> None:
    """Build unless that is done; of several processes at once, one does it and the others wait.

    Raises NotBuilt with the last lines of what the commands said. What it has left then is used by nobody: the next try
    begins anew.
    """
    if build.is_ready():
        return
    try:
        files.make_directory(build.home.parent)
        with files.locked(
            build.lock,
            on_wait=lambda: announce(f"Waiting for another process that builds {build.name!r} …"),
        ) as lock:
            if build.is_ready():
                return
            _make(stash, tool, build, lock, announce)
    except (OSError, CommandError) as error:
        raise NotBuilt(f"{build.name!r} could not be built: {error}") from error


def _make(stash: Stash, tool: ToolConfig, build: Build, lock: int, announce: Callable[[str], None]) -> None:
    started = time.monotonic()
    _begin_anew(build, lock)
    before = {} if build.is_apart else built.listing(build.directory)
    around = built.listing(build.directory) if build.is_apart and build.place is not None else {}
    environment = build.environment
    used, platform, variables = build.compilers, build.platform, build.variables
    if build.in_job:
        used, platform, variables = by_whom(build.written, build.directory, environment)
    where = f" in {stash.relative(build.directory)} itself" if build.is_in_checkout else ""
    announce(f"Building {build.name!r}{where}: {' && '.join(map(_shown, build.written))}")
    begun = {"key": build.key, "before": before} if build.is_in_checkout else {"key": build.key}
    write_atomically(build.home / built.BEGUN, json.dumps(begun))
    step("a build has begun")
    deadline = None if build.timeout is None else started + build.timeout
    with open(build.log, "wb", buffering=0) as log:
        for command in build.commands:
            _execute(build, command, environment, log.fileno(), lock, deadline)
    step("a build has ended")
    products = _made(build, before)
    code = build.code
    if build.place is None:
        code = _confirmed(stash, tool, build, products)
    elif build.is_apart and _made(build, around, build.directory):
        announce(
            f"Building {build.name!r} has also written into its code, which is frozen: put all of it into {{build}}"
        )
    built.write(
        build.home,
        Built(
            key=build.key,
            directory=str(build.products),
            products=products,
            programs=built.programs_among(build.products, products),
            compilers=used,
            platform=platform,
            variables=variables,
            code=code,
            made=times.now(),
        ),
    )
    announce(f"Built {build.name!r} in {time.monotonic() - started:.1f} s.")


def _made(build: Build, before: Mapping[str, Stamp], directory: Path | None = None) -> dict[str, Stamp]:
    """Return what has appeared or changed, but for what is no code."""
    now = built.listing(directory or build.products)
    own = tuple(f"{os.path.normpath(each)}/" for each in build.shared)
    return {name: stamp for name, stamp in now.items() if before.get(name) != stamp and not f"{name}/".startswith(own)}


def _confirmed(stash: Stash, tool: ToolConfig, build: Build, products: Mapping[str, Stamp]) -> str:
    """Return which code a checkout is without what was built there; NotBuilt if somebody has changed it meanwhile."""
    left = () if build.is_apart else products
    now = code_of_checkout(stash, build.name, tool, build.directory, left)
    if now == build.code:
        return now
    changed = _differing(build, now)
    if changed is not None and not build.is_apart and all(each in products for each in changed):
        return now  # what it has made anew had been there before, as part of the code
    named = f" ({', '.join(sorted(changed)[:3])})" if changed else ""
    raise NotBuilt(
        f"The code of {build.name!r} was changed while it was built{named}: of which code it is can't be told.",
        "do it again: it is built anew",
    )


def _differing(build: Build, now: str) -> list[str] | None:
    """Return in which files the checkout differs from what it was when the build was planned; None: nobody knows."""
    real = build.directory.resolve()
    root = toplevel(real)
    if root is None or " " in now or " " in build.code:
        return None
    then, here = (objects.files_of(root, each) for each in (build.code, now))
    names = [name for name in {*then, *here} if then.get(name) != here.get(name)]
    return [os.path.relpath(root / name, real) for name in names]


# --- beginning anew --------------------------------------------------------------------------------------------------


def _begin_anew(build: Build, lock: int) -> None:
    """Have nothing there of an earlier build that would count as made."""
    begun = build.home / built.BEGUN
    if build.is_apart:
        files.remove(build.products)
        files.make_directory(build.products)
    elif build.place is not None:
        if begun.exists() or (build.home / built.MARK).exists():
            _reset(build, lock)
    else:
        files.make_directory(build.home)
        known = built.read(build.home)
        if known is not None:
            kept = {*known.changed(), *gitindex.tracked(build.directory, ["."])}
            _remove(build.directory, [each for each in known.products if each not in kept])
        elif begun.exists():
            before = _before(begun)
            now = built.listing(build.directory)
            new = [each for each in now if each not in before] if before is not None else []
            _remove(build.directory, [each for each in new if _is_object(build.directory / each)])
    files.remove(build.home / built.MARK)


def _before(begun: Path) -> set[str] | None:
    """Return what was in a checkout when a build began that has come to no end; None if nobody knows."""
    try:
        return {*typed.loads(files.read_regular(begun))["before"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_object(path: Path) -> bool:
    """Tell whether a file is what a compiler makes, complete or not; who has lost it has it made again."""
    if path.is_symlink():
        return False
    if path.name.endswith(_OBJECTS):
        return True
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        start = stream.read(8)
        return start.startswith(_MAGIC) or (os.access(path, os.X_OK) and (not start or start == bytes(8)))
    return False


def _remove(directory: Path, names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            files.inside(directory, directory / name).unlink()


def _reset(build: Build, lock: int) -> None:
    """Have frozen code be as its commit is, with the links to what it shares with the checkout."""
    assert build.place is not None
    links = {}
    for each in build.shared:
        place = build.directory / each
        if place.is_symlink():
            links[place] = os.readlink(place)
    for _, tree in worktree_place.registered(build.place):
        worktree.reset_worktree(tree, lock)
    for place, target in links.items():
        if not os.path.lexists(place):
            files.make_directory(place.parent)
            place.symlink_to(target)


# --- commands --------------------------------------------------------------------------------------------------------


def _execute(
    build: Build,
    command: Command,
    environment: Mapping[str, str],
    log: int,
    lock: int,
    deadline: float | None,
) -> None:
    """Run one command to its end; NotBuilt if that is a failure, or doesn't come in time."""
    os.write(log, f"$ {shlex.join(command)}\n".encode("utf-8", "surrogateescape"))
    _refuse_missing(build, command)
    guard = [] if which("setpriv") is None else ["setpriv", "--pdeathsig", "TERM", "--"]
    umask = permissions.of_user()
    process = subprocess.Popen(
        [*guard, *command],
        cwd=build.directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        pass_fds=[lock],
        umask=-1 if umask is None else umask,
    )
    with _ended(process):
        shown = _Shown(build.log) if is_terminal() else None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_INTERVAL)
            if shown is not None:
                shown.go_on()
            if process.returncode is not None:
                break
            if deadline is not None and time.monotonic() > deadline:
                took = durations.describe(build.timeout or 0)
                raise _failure(build, command, f"was not done after {took} (build_timeout)")
    if process.returncode:
        by = f"was ended by {_signal(-process.returncode)}" if process.returncode < 0 else ""
        raise _failure(build, command, by or f"failed with exit code {process.returncode}")


def _refuse_missing(build: Build, command: Command) -> None:
    if not build.has(command[0]):
        where = paths.registration(build.name)
        raise NotBuilt(
            f"{where}: build: there is no program {command[0]} here that could be started.",
            f"install it, load what brings it (module load …), or fix `build:` in {where}",
        )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave no process of a command behind: what it has started hears of its end, too."""
    try:
        yield
    except BaseException:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        raise
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


class _Shown:
    """What a command says, on our terminal as it comes."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._position = log.stat().st_size

    def go_on(self) -> None:
        with contextlib.suppress(OSError), open(self._log, "rb") as stream:
            stream.seek(self._position)
            while chunk := stream.read(1 << 16):
                self._position += len(chunk)
                os.write(2, chunk)


def _failure(build: Build, command: Command, how: str) -> NotBuilt:
    end = files.read_end(build.log, _END).decode("utf-8", "replace")
    lines = redact(end, os.environ).splitlines()[-_SHOWN_LINES:]
    said = "".join(f"\n    {line}" for line in lines)
    return NotBuilt(
        f"{build.name!r} could not be built: `{_shown(command)}` {how}.{said}",
        f"all that it said: {build.log}; what is to be done is `build:` in {paths.registration(build.name)}",
    )


def _shown(command: Command) -> str:
    """Return a command in one line, for people."""
    text = " ".join((command[-1] if is_for_shell(command) else shlex.join(command)).split())
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]} …"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
