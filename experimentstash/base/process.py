"""The one place that runs a command and waits for it; its error shows command, exit code and both streams."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import selectors
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base import permissions
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.errors import StashError

if TYPE_CHECKING:
    from typing import Any

# What our own interpreter's environment must not tell the programs that we start.
LEAKS = (
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "__PYVENV_LAUNCHER__",
)


# Bytes that a command may say, on each stream: more than any patch of code, less than what memory can hold.
MOST_OUTPUT = 1 << 28
# Bytes of its end that are kept of what only goes into a message.
_END = 1 << 20
# Seconds that a command has for its own end once we are interrupted: one that is apart, and any other.
_A_MOMENT, _A_BLINK = 2.0, 0.25
# Seconds to wait for the rest of what is said once a command has ended: what it left behind may go on for hours.
_A_REST = 1.0


class CommandError(StashError):
    """A command that was expected to succeed did not."""

    exit_code = 1
    is_without_answer = False  # it took too long, and was ended

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str, hint: str | None = None) -> None:
        streams = "".join(
            f"\n  {name}:\n" + "\n".join(f"    {line}" for line in text.strip().splitlines()[-40:])
            for name, text in (("stdout", stdout), ("stderr", stderr))
            if text.strip()
        )
        super().__init__(f"`{shlex.join(argv)}` failed with exit code {returncode}.{streams}", hint)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    show_progress: bool = False,
    timeout: float | None = None,
    pass_fds: Sequence[int] = (),
    is_apart: bool = False,
    is_ours: bool = False,
    grace: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``timeout`` in seconds.

    With ``show_progress`` its stderr also goes to ours as it comes, and is a terminal if ours is one (for slow commands
    that draw a progress bar). ``pass_fds`` are file descriptors that it inherits. One that ``is_apart`` doesn't
    hear of Ctrl-C at our terminal, and has a moment to come to its own end when we are interrupted. With ``grace``, in
    seconds, it is told to end when we are interrupted or its time is over, and has so long for it. What it makes is as
    open to others as the user wants it, or if ``is_ours`` as `permissions` says.
    Raises CommandError for a non-zero exit code (if ``check``) or a command that can't be started, KeyboardInterrupt if
    Ctrl-C ended it.
    """
    shown = bytearray()
    umask = permissions.of_user()
    try:
        with _shown(shown) if show_progress else contextlib.nullcontext(subprocess.PIPE) as stderr:
            done = _run(
                list(argv),
                given=None if stdin is None else stdin.encode("utf-8", "surrogateescape"),
                timeout=timeout,
                is_apart=is_apart,
                grace=grace,
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                pass_fds=pass_fds,
                umask=-1 if umask is None or is_ours else umask,
            )
    except subprocess.TimeoutExpired as error:
        late = CommandError(argv, 124, "", f"no answer within {timeout} s")
        late.is_without_answer = True
        raise late from error
    except _TooMuchError as error:
        raise CommandError(argv, 1, "", str(error)) from error
    except OSError as error:
        raise CommandError(argv, 127, "", str(error)) from error
    # Decoded here, because subprocess would turn every \r\n into \n, and so spoil a patch.
    stdout = done.stdout.decode("utf-8", "surrogateescape")
    stderr_text = (shown if show_progress else done.stderr).decode("utf-8", "surrogateescape")
    if show_progress:
        stderr_text = _without_control_sequences(stderr_text)
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt  # Ctrl-C goes to all that a terminal shows, also where we only take note of it
    if check and done.returncode != 0:
        raise CommandError(argv, done.returncode, stdout, stderr_text)
    return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr_text)


def _run(
    argv: list[str],
    *,
    given: bytes | None,
    timeout: float | None,
    is_apart: bool,
    grace: float | None,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Do what subprocess.run does, with a bound on the output; what is apart isn't cut off in the middle."""
    with subprocess.Popen(argv, start_new_session=is_apart, **options) as process:
        try:
            stdout, stderr = _exchange(process, given, timeout)
        except BaseException as error:
            if grace is not None:
                process.terminate()
            elif isinstance(error, (subprocess.TimeoutExpired, _TooMuchError)):
                grace = 0.0
            else:
                grace = _A_MOMENT if is_apart else _A_BLINK
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


def _exchange(process: subprocess.Popen[bytes], given: bytes | None, timeout: float | None) -> list[bytes]:
    """Hand a process its input and return what it says on both streams. _TooMuchError if that is without end."""
    deadline = None if timeout is None else time.monotonic() + timeout
    said = [bytearray(), bytearray()]
    with selectors.DefaultSelector() as selector:
        for stream, kept in zip((process.stdout, process.stderr), said, strict=True):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, (stream, kept))
        if process.stdin is not None:
            selector.register(process.stdin, selectors.EVENT_WRITE, (process.stdin, None))
        rest = memoryview(given or b"")
        ended = None
        while selector.get_map():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(process.args, timeout or 0)
            if process.stdout is not None and process.stdout.closed:  # so it has ended, or is about to
                if process.poll() is not None:
                    ended = ended or time.monotonic()
                    if time.monotonic() - ended > _A_REST:
                        break  # something that it has started holds its stderr open
                left = min(_A_BLINK, _A_BLINK if left is None else left)
            for key, _ in selector.select(left):
                stream, kept = key.data
                if kept is None:
                    try:
                        rest = rest[os.write(key.fd, rest[: select.PIPE_BUF]) :]  # as much as can't block
                        is_over = not rest
                    except BrokenPipeError:
                        is_over = True
                else:
                    is_over = not _take(key.fd, kept)
                if is_over:
                    selector.unregister(stream)
                    stream.close()
    process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    return [bytes(kept) for kept in said]


class _TooMuchError(Exception):
    """A command says more than anybody wants to know."""

    def __init__(self) -> None:
        super().__init__(f"it said more than {MOST_OUTPUT >> 20} MiB, and was ended")


def _take(source: int, kept: bytearray) -> bool:
    """Add to ``kept`` what can be read; False at the end. _TooMuchError if it is more than a command may say."""
    chunk = os.read(source, 1 << 16)
    kept += chunk
    if len(kept) > MOST_OUTPUT:
        raise _TooMuchError
    return bool(chunk)


def _keep_end(kept: bytearray, chunk: bytes) -> None:
    """Add to ``kept`` what a command says for people; of much, the end is enough."""
    kept += chunk
    del kept[:-_END]


@contextlib.contextmanager
def _shown(kept: bytearray) -> Iterator[int]:
    """Yield a file descriptor; what is written to it appears on our stderr and, in the end, the last in ``kept``."""
    if os.isatty(2):
        import fcntl
        import termios

        source, sink = os.openpty()
        fcntl.ioctl(sink, termios.TIOCSWINSZ, fcntl.ioctl(2, termios.TIOCGWINSZ, bytes(8)))
    else:
        source, sink = os.pipe()

    def copy() -> None:
        with contextlib.suppress(OSError):  # EIO: a terminal that nobody has open any more
            while chunk := os.read(source, 65536):
                _keep_end(kept, chunk)
                os.write(2, chunk)
        os.close(source)

    copier = threading.Thread(target=copy, daemon=True)
    copier.start()
    try:
        yield sink
    finally:
        os.close(sink)
        copier.join(timeout=1.0)  # a process that the command left behind may hold it open


def _without_control_sequences(text: str) -> str:
    """Return what a terminal would still show, roughly: no colours, and of an overwritten line the last state."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def which(program: str, path: str | None = None) -> str | None:
    """Return the file that a program's name stands for on ``path`` (default: our PATH); None if there is none.

    It is shutil.which, without all that shutil imports.
    """
    found = os.environ.get("PATH", os.defpath) if path is None else path
    for folder in [""] if os.path.dirname(program) else found.split(os.pathsep):
        file = os.path.join(folder, program)
        if os.access(file, os.X_OK) and os.path.isfile(file):
            return file
    return None


_cleaned: list[tuple[dict[object, object], dict[str, str]]] = []  # at most one


def clean_environment() -> dict[str, str]:
    """Return our environment without what our own virtual environment put there, ``UV_*`` project leaks included."""
    # What os.environ keeps inside: a sweep asks hundreds of times, and decoding all of it takes longer than the rest.
    present = dict(getattr(os.environ, "_data", os.environ))
    if not _cleaned or _cleaned[0][0] != present:
        _cleaned[:] = [(present, _without_leaks(os.environ))]
    return dict(_cleaned[0][1])


def _without_leaks(environment: Mapping[str, str]) -> dict[str, str]:
    leaks = {
        *LEAKS,
        "UV_PROJECT_ENVIRONMENT",
        "UV_PROJECT",
        "UV_PYTHON",
        "UV_RUN_RECURSION_DEPTH",
        "UV_WORKING_DIRECTORY",
    }
    kept = {name: value for name, value in environment.items() if name not in leaks}
    if "PATH" in kept:
        kept["PATH"] = _without_ours(kept["PATH"])
    return kept


@functools.cache
def _without_ours(path: str) -> str:
    """Return a PATH without our own virtual environment; a sweep asks hundreds of times."""
    ours = os.path.dirname(sys.executable)  # sys.prefix may not know of it: see launch/slurm/start.py
    if not os.path.exists(os.path.join(os.path.dirname(ours), "pyvenv.cfg")):
        return path
    ours = os.path.realpath(ours)
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.realpath(entry) != ours)
