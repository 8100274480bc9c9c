"""Start the command line from a process that has imported what a command imports: that is most of what it costs.

No command has run there. A command is a fork of it, in a session of its own, with the arguments, environment,
directory and streams that were asked for; from there on it is as ``python -m experimentstash`` has it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TextIO

# What is read when Python starts, or when packages are imported: with one of these a command is started anew.
READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
_OF_ONE_TEST = ("PYTEST_CURRENT_TEST", "EXPERIMENTSTASH_")


class Prepared:
    """A process that commands are started from; it ends when nobody but itself can ask it any more."""

    def __init__(self, connection: socket.socket, process: subprocess.Popen[bytes] | None = None) -> None:
        self._socket = connection
        self._process = process

    @classmethod
    def start(cls, package: str = "experimentstash") -> Prepared:
        """Start one. Of another package than ours it has imported that alone, and runs programs as ``python -c``."""
        ours, theirs = _pair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), package],
                pass_fds=[theirs.fileno()],
                # It isn't the first test's alone, nor of what that is about, and doesn't end with that.
                env={name: value for name, value in os.environ.items() if not name.startswith(_OF_ONE_TEST)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return cls(ours, process)

    def run(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; return its exit code, as subprocess has it, and what it said."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with self._asked(arguments, cwd, environment, out.fileno(), err.fileno()) as answers:
                status = _answered(answers.fileno(), arguments, timeout)
            said = [stream.seek(0) or stream.read().decode(errors="replace") for stream in (out, err)]
        return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), *said)

    def begin(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Begun:
        """Start a command; return it, its output in pipes."""
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        try:
            answers = self._asked(arguments, cwd, environment, to_out, to_err)
        finally:
            os.close(to_out)
            os.close(to_err)
        return Begun(arguments, answers, out, err)

    def _asked(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], out: int, err: int
    ) -> io.FileIO:
        """Ask for a command; return what tells who it is, and how it has ended."""
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as asked:
            asked.write(json.dumps([list(arguments), str(cwd), dict(environment), _umask()]).encode())
            asked.seek(0)
            try:
                socket.send_fds(self._socket, [b"run"], [asked.fileno(), out, err, writer])
            finally:
                os.close(writer)
        return io.FileIO(reader)


class Begun:
    """A command that was begun, with what tests use of subprocess.Popen."""

    of_this_test: ClassVar[list[Begun]] = []

    def __init__(self, arguments: Sequence[str], answers: io.FileIO, out: int, err: int) -> None:
        self.args, self.returncode, self.stdin = list(arguments), None, None
        self.stdout, self.stderr = (io.TextIOWrapper(io.FileIO(each), errors="replace") for each in (out, err))
        self._answers = answers
        self._said = dict.fromkeys((self.stdout, self.stderr), "")
        self.pid = int(self._line(None))
        if os.environ.get("PYTEST_CURRENT_TEST", "").endswith("(call)"):  # what fixtures begin is theirs to end
            self.of_this_test.append(self)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(int(self._line(timeout)))
            self._answers.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        until = None if timeout is None else time.monotonic() + timeout

        def read(stream: TextIO) -> None:
            if not stream.closed:
                self._said[stream] = stream.read()
                stream.close()

        readers = [threading.Thread(target=read, args=[each], daemon=True) for each in (self.stdout, self.stderr)]
        for each in readers:
            each.start()
        for each in readers:
            each.join(None if until is None else max(0.0, until - time.monotonic()))
            if each.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        return self._said[self.stdout], self._said[self.stderr]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _line(self, timeout: float | None) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._answers], [], [], None if line else timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            part = self._answers.read(1)
            assert part, "the prepared process has gone"
            line += part
        return line


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def checking_from(prepared: Callable[[], Prepared], run: Run) -> Run:
    """Return what `tool add` shall ``run`` programs with: the command line, which checks its example, is prepared."""
    from experimentstash.base.process import CommandError

    def checking(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if [*argv[:3]] != [sys.executable, "-m", "experimentstash"]:
            return run(argv, **options)
        done = prepared().run(argv[3:], options["cwd"], options["env"], options["timeout"])
        if done.returncode != 0:
            raise CommandError(argv, done.returncode, done.stdout, done.stderr)
        return done

    return checking


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _answered(answers: int, arguments: Sequence[str], timeout: float) -> int:
    """Return the status that the second line tells; the first is the process, which is killed when time is over."""
    deadline = time.monotonic() + timeout
    received = b""
    while received.count(b"\n") < 2:
        if not select.select([answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if received:
                os.kill(int(received), signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        part = os.read(answers, 64)
        assert part, "the prepared process has gone"
        received += part
    return int(received.split()[1])


def _next_command(connection: socket.socket, of_commands: socket.socket) -> None:
    """Return in the process of a command, everything being as it was asked for; leave when there are no more.

    Commands ask for what they start themselves at the other end of ``of_commands``.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for those below
    while True:
        asked = select.select([connection, of_commands], [], [])[0][0]
        message, descriptors, _, _ = socket.recv_fds(asked, 16, 4)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            connection.close()
            of_commands.close()
            if _wait_for_child(descriptors[3]):
                break
        for descriptor in descriptors:
            os.close(descriptor)
    with open(descriptors[0], "rb") as stream:
        arguments, cwd, environment, umask = json.load(stream)
    os.setsid()
    os.umask(umask)
    for number, descriptor in ((1, descriptors[1]), (2, descriptors[2])):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.close(descriptors[3])
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.path[0] = os.getcwd()


def _wait_for_child(answers: int) -> bool:
    """Fork; return True in the child. The parent tells who it is and how it ended, and leaves."""
    child = os.fork()
    if child == 0:
        return True
    os.write(answers, f"{child}\n".encode())
    with contextlib.suppress(BrokenPipeError):
        os.write(answers, f"{os.waitpid(child, 0)[1]}\n".encode())
    os._exit(0)


def _prepare() -> None:
    """Import Hydra, its plugins, submitit and all of ours; read and learn what each command reads and learns."""
    for package in ("hydra._internal.hydra", "hydra.main", "omegaconf", "submitit"):
        importlib.import_module(package)
    import experimentstash

    for module in pkgutil.walk_packages(experimentstash.__path__, "experimentstash."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins
    from omegaconf import grammar_parser

    from experimentstash.stash.layout import Stash
    from experimentstash.validate.composer import Composer

    Plugins.instance()
    with tempfile.TemporaryDirectory() as root:
        conf = Path(root, "conf")
        conf.mkdir()
        conf.joinpath("config.yaml").write_text("defaults: [experimentstash, {tool: null}, _self_]\n")
        for launcher in ("basic", "local", "submitit_local", "submitit_slurm", "slurm"):
            Composer(Stash(conf.parent)).load([f"hydra/launcher={launcher}"])
    OverridesParser.create().parse_overrides(["+exp=a/b", "a.b=1,2.5", "~c", "d='${e}'", "f=[1,g]", "h={i: true}"])
    grammar_parser.parse("${a.b}/${oc.env:C,null}-${now:%Y-%m-%d}")


def _leave(code: int) -> None:
    """End as Python does, but for taking everything apart: most of that would be copied first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run_program(program: str) -> None:
    """Do what ``python -c`` does."""
    sys.argv[:2] = ["-c"]
    exec(program, {"__name__": "__main__"})


def _run_command(ask: socket.socket) -> None:
    """Do what ``python -m experimentstash`` does, and have what it starts of its own started from here."""
    first_configs = importlib.import_module("experimentstash.tools.first_configs")
    first_configs.run = checking_from(functools.partial(Prepared, ask), first_configs.run)
    try:
        runpy.run_module("experimentstash", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        _leave(end.code)


if __name__ == "__main__":
    _, descriptor, package = sys.argv
    if package == "experimentstash":
        _prepare()
    else:
        importlib.import_module(package)
    gc.collect()
    gc.freeze()
    ask, asked = _pair()
    _next_command(socket.socket(fileno=int(descriptor)), asked)
    if package == "experimentstash":
        _run_command(ask)
    else:
        _run_program(sys.argv[1])
