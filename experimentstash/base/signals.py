"""Signals as events: handlers are saved, ours noted what came, and the old ones put back."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

# Those that ask a supervisor to stop, in words. Unwatched, each of them would end it at once; whichever a scheduler
# is told to warn by is among them.
REQUESTS = {
    signal.SIGINT: "Ctrl-C (SIGINT)",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP (the terminal has gone)",
    signal.SIGQUIT: "Ctrl-\\ (SIGQUIT)",
    signal.SIGUSR1: "SIGUSR1",
    signal.SIGUSR2: "SIGUSR2",
    signal.SIGALRM: "SIGALRM",
}
# Those that ask a supervisor for something; SIGCHLD tells it that a child has ended.
WATCHED = (*REQUESTS, signal.SIGTSTP, signal.SIGCONT, signal.SIGCHLD)

# Those that stay without effect if whoever started us had them ignored: nohup, or a script's `&`.
_DEAFENED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP)

# Seconds between SIGCONT and a signal that was sent along with it, at most.
_ALONG = 2.0
# Seconds between two looks where no SIGCHLD can wake us.
_BLIND_INTERVAL = 0.05


# Those for which the program around us may have a handler of its own.
_FREE = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


def _is_anothers(number: signal.Signals) -> bool:
    """Tell whether a signal means something to the program around us."""
    return number in _FREE and callable(signal.getsignal(number))


class SignalQueue:
    """A context in which the watched signals are queued instead of acted upon.

    In a thread that isn't the main one Python can't handle signals: there the queue only waits. ``in_job``: any of them
    may warn us of our job's end, whatever the program around us has made of it.
    """

    def __init__(self, *, in_job: bool = False) -> None:
        self._is_in_job = in_job

    def __enter__(self) -> SignalQueue:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}
        self._is_active = threading.current_thread() is threading.main_thread()
        if self._is_active:
            self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            for number in WATCHED:
                if not self._is_in_job and _is_anothers(number):
                    continue
                # Those that were ignored too: what we start is to have the defaults.
                self._handlers[number] = signal.signal(number, _note)
        self._continued = -math.inf
        self._deaf_to = {number for number in _DEAFENED if self._handlers.get(number) is signal.SIG_IGN}
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_active:
            for number, handler in self._handlers.items():
                # None: it was installed by C code and can't be put back by Python.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> list[signal.Signals]:
        """Return the signals that have come, in order, waiting for the first at most so many seconds."""
        bound = seconds if self._is_active else min(seconds, _BLIND_INTERVAL)
        select.select([self._reader], [], [], max(0.0, bound))
        try:
            noted = os.read(self._reader, 4096)
        except BlockingIOError:
            return []
        came = [signal.Signals(byte) for byte in noted if byte in self._handlers and byte not in self._deaf_to]
        if signal.SIGCONT in came:
            self._continued = time.monotonic()
        return came

    @property
    def was_just_continued(self) -> bool:
        """Whether SIGCONT has come in the last moments: a scheduler sends it along with what it sends of itself."""
        return time.monotonic() - self._continued < _ALONG

    def stop_ourselves(self) -> None:
        """Stop this process as SIGTSTP would have done, and return when it is continued."""
        previous = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, previous)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the wake-up descriptor has noted the signal."""


@contextlib.contextmanager
def ends_on_request() -> Iterator[None]:
    """Let what asks us to stop end what is going on by an exception, as Ctrl-C does: SystemExit(128 + signal)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    saved = {number: signal.getsignal(number) for number in REQUESTS if number is not signal.SIGINT}
    for number, handler in saved.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise_exit)
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _raise_exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
