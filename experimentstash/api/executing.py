"""``es.run``: one run, executed as the command line does, in a process of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from experimentstash.api import child
from experimentstash.api.run import Run
from experimentstash.api.telling import Place, stash_at, telling
from experimentstash.base.errors import StashError
from experimentstash.base.quoting import quoted
from experimentstash.execute.start import new_tie
from experimentstash.freeze.calling.hydra import override_value
from experimentstash.runs import reconcile
from experimentstash.stash.layout import Stash
from experimentstash.stash.parameters import split_mark

# Lines of the process's own that an error shows.
_LINES = 20
# Seconds that its last output may take when it has ended.
_PATIENCE = 5.0
# What a notebook's kernel sets for itself, and what that begins with: a tool that saw it would draw for the notebook.
_KERNELS = {
    "MPLBACKEND": "module://",
    "JPY_": "",
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "TERM": "xterm-color",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
# What the process executes: our package is where it is for us, and nothing in the working directory is imported.
_CODE = """\
import sys
sys.path[:] = [*filter(None, sys.path), {place!r}]
from experimentstash.api.child import main
sys.exit(main())
"""


class RunFailed(StashError):
    """A run that was to complete has ended otherwise; ``run`` is that run."""

    def __init__(self, run: Run) -> None:
        why = next((f": {each}" for each in (run.error, run.reason) if each), "")
        super().__init__(
            f"The run {run.id} of {run.experiment} didn't complete ({run.state.replace('_', ' ')}){why}",
            f"experimentstash logs {run.id}; here it is the error's .run",
        )
        self.run = run


def run(
    experiment: str,
    *,
    params: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    stash: Place | None = None,
    check: bool = True,
    output: TextIO | None = None,
) -> Run:
    """Execute an experiment here and now, as ``experimentstash run`` does, and return its run when it has ended.

    ``params`` are parameters of its, nested or with dotted names, as values of Python's; ``overrides`` are further
    words of the command line: ``["timeout=2h", "code=frozen"]``. ``stash`` is a path in the stash; without it the
    working directory is. What the tool writes is in the run's log; it goes to ``output``, too (``sys.stdout``).

    With ``hydra/launcher=slurm`` among the overrides the run is submitted, and returned as it is then (``refresh``
    looks again); with ``hydra.launcher.wait=true``, too, when it has ended.

    A run that doesn't complete raises RunFailed; with ``check=False`` it is returned, in its true state. StashError if
    it can't begin. KeyboardInterrupt (a notebook's stop button) asks the tool to end, waits until it has, and is raised
    then; a second one shortens its grace.
    """
    place = stash_at(stash)
    words = [f"+exp={quoted(experiment)}", *_as_overrides(params or {}), *overrides]
    if (option := next((word for word in words if word.startswith("-")), None)) is not None:
        raise StashError(f"{option} is an option; es.run takes overrides, such as timeout=2h.", "experimentstash run")
    told, lines = _execute(place, words, output)
    if "error" in told:
        raise StashError(str(told["error"]), told.get("hint"))
    if "directory" not in told:
        raise StashError("\n".join(["The process that was to execute the run has come to nothing:", *lines]))
    with telling():
        executed = Run(place, reconcile.load_reconciled(place, Path(told["directory"])))
    if check and executed.is_over and not executed.is_completed:
        raise RunFailed(executed)
    return executed


def _as_overrides(params: Mapping[str, Any], above: str = "params", mark: str = "") -> Iterator[str]:
    """Yield an override for each parameter; a mark in front of a key (``+new``) goes to the front of all of it."""
    for key, value in params.items():
        own_mark, bare = split_mark(key)
        name, here = f"{above}.{bare}", mark or own_mark
        if isinstance(value, Mapping) and value:
            yield from _as_overrides(value, name, here)
        elif here == "~" and value is None:
            yield f"~{name}"
        else:
            yield f"{here}{name}={override_value(_plain(value), name)}"


def _plain(value: Any) -> Any:
    """Return a value as Python itself has it: NumPy's numbers and arrays, and tensors, tell that by their `tolist`."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    return str(value) if isinstance(value, os.PathLike) else value


# --- the process -----------------------------------------------------------------------------------------------------


def _execute(stash: Stash, words: Sequence[str], output: TextIO | None) -> tuple[dict[str, Any], list[str]]:
    """Execute a run; return what the process has told of it, and the last lines that it wrote."""
    with contextlib.ExitStack() as held:
        reader, writer = os.pipe()
        report = held.enter_context(open(reader, "rb"))
        with open(writer, "wb"), _tied(held) as ties:
            process = _start(stash, words, (writer, *ties))
            for tie in ties:
                fcntl.fcntl(tie, fcntl.F_SETOWN, process.pid)
        lines: deque[str] = deque(maxlen=_LINES)
        passing_on = threading.Thread(target=_pass_on, args=(process, output, lines), daemon=True)
        passing_on.start()
        is_interrupted = _wait(process)
        passing_on.join(_PATIENCE)
        told = report.read()
    if is_interrupted:
        raise KeyboardInterrupt
    return json.loads(told or b"{}"), list(lines)


@contextlib.contextmanager
def _tied(held: contextlib.ExitStack) -> Iterator[list[int]]:
    """Yield what ties a process to us, if anything can: it is asked to end when ``held`` ends, or we are killed."""
    if sys.platform != "linux":
        yield []
        return
    tie, our_end = new_tie()
    held.callback(os.close, our_end)
    try:
        yield [tie]
    finally:
        os.close(tie)


def _start(stash: Stash, words: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start the process, which is to tell by the first of the descriptors what came of the run."""
    here = Path.cwd()
    code = _CODE.format(place=str(Path(child.__file__).parents[2]))
    return subprocess.Popen(
        [sys.executable, "-X", "utf8", "-c", code, child.NAME, str(descriptors[0]), *words],
        cwd=here if here.is_relative_to(stash.root) else stash.root,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # In a session of its own: an interruption reaches it once, from us, whomever else it reaches.
        start_new_session=True,
        pass_fds=descriptors,
    )


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Wait until a process has ended; tell whether somebody wanted that, and so was told to it."""
    is_interrupted = False
    while True:
        try:
            process.wait()
            return is_interrupted
        except KeyboardInterrupt:
            is_interrupted = True
            process.send_signal(signal.SIGINT)


def _pass_on(process: subprocess.Popen[bytes], output: TextIO | None, lines: deque[str]) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        for line in stream:
            text = line.decode(errors="replace")
            lines.append(text.rstrip())
            if output is not None:
                with contextlib.suppress(OSError, ValueError):  # its reader may go
                    output.write(text)
                    output.flush()


def _environment() -> dict[str, str]:
    """Return our environment without what a notebook's kernel has set for itself."""
    if "ipykernel" not in sys.modules:
        return dict(os.environ)
    return {
        name: value
        for name, value in os.environ.items()
        if not any(name.startswith(each) and value.startswith(begins) for each, begins in _KERNELS.items())
    }
