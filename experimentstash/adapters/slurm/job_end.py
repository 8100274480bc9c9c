"""The end of the SLURM job that we run in: what is known of it without asking, and what SLURM says once it answers.

SLURM may be too busy to answer, or away, just when it ends a job, and soon after that it kills us. So it is asked in
the background, while the tool saves its work, and a record says whether its reason is SLURM's or what we suppose.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from experimentstash.adapters.scheduler import Why
from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.adapters.slurm import job as slurm
from experimentstash.adapters.slurm import job_terms
from experimentstash.adapters.slurm.job_terms import clock, seconds
from experimentstash.base.process import which
from experimentstash.record.job_array import Job
from experimentstash.record.run import State

# Seconds that SLURM's warning may come early (a minute, says scontrol(1)).
_EARLY = 75.0
# Seconds that a job which has come to its wall time may still have, by SLURM's rounding.
_AT_ITS_LIMIT = 5.0
# Seconds for which SLURM is asked at most, and the share of what is left until SIGKILL that this may take.
_PATIENCE, _SHARE = 8.0, 0.25
# Seconds for which accounting is asked at most: it hears of the end of a job a second late.
_ACCOUNTING = 2.0
# Seconds to wait for the answer before a tool is told to stop: usually it comes within 0.02.
_AT_ONCE = 0.25
_RETRY_INTERVAL = 0.5
_LOOK_INTERVAL = 0.02
# By which SLURM may warn where we haven't asked for the warning; SIGINT and the like come from a terminal too.
_USUAL = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_BACK_IN_QUEUE = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
_AT_WORK = ("RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING")
_FAILED_NODE = ("NODE_FAIL", "BOOT_FAIL")

WALL_TIME = "the wall time of its SLURM job is over; give it more time, or let it resume"
PREEMPTED = "SLURM preempted its job"
CANCELLED = "its SLURM job was cancelled"
PUT_BACK = "SLURM put its job back into the queue"
UNKNOWN = "asked to stop by SLURM, which didn't answer why"


class Watch:
    """The job that we run in, as a `JobHere`."""

    def __init__(self, job: str, environment: Mapping[str, str] = os.environ) -> None:
        self._job = job
        self.terms = job_terms.of_job(job, environment)
        began = seconds(environment.get("SLURM_JOB_START_TIME")) or self.terms.began or time.time()
        ends = seconds(environment.get("SLURM_JOB_END_TIME"))
        # When its wall time is over: later than SLURM has it, if much came before our batch script.
        self._ends = ends if ends is not None or self.terms.limit is None else began + self.terms.limit
        self._restarts = slurm.restarts(environment)
        self._may_be_preempted = not {environment.get("SLURM_JOB_PARTITION"), "*"} & set(self.terms.never_preempted)
        self._why: Why | None = None
        self._is_warned = False
        self._number = signal.SIGTERM
        self._warned = 0.0
        self._stops: float | None = None  # when SLURM tells all that runs in the job to stop, or else kills it
        self._killed: float | None = None  # when it kills it
        self._has_told_all = False
        self._question: _Question | None = None
        self._asked_until = 0.0

    @property
    def job(self) -> Job:
        return Job(self._job, slurm.current_cluster())

    @property
    def tells_all(self) -> bool:
        return slurm.in_step()

    @property
    def memory(self) -> int | None:
        return slurm.memory_asked()

    @property
    def warning(self) -> signal.Signals | None:
        return self.terms.warning

    def is_meant(self, number: signal.Signals) -> bool:
        """Tell whether a signal may be SLURM's."""
        return number in _USUAL or number is self.terms.warning

    def warned(self, number: signal.Signals, *, was_continued: bool) -> Why:
        """Take note of a signal, and return why it has come, as far as that is known at once.

        ``was_continued``: SIGCONT has come just before it, as with all that SLURM sends of itself.
        """
        if not self._is_warned:
            self._is_warned = True
            self._begin(number, self._supposed(number, was_continued, time.time()))
        elif number is signal.SIGTERM and was_continued:  # the end itself has come, while the tool saves its work
            killed = time.time() + self.terms.kill_wait
            self._stops = self._killed = killed if self._killed is None else min(killed, self._killed)
        assert self._why is not None
        return self._why

    def died(self) -> Why:
        """Return why a tool has died of SIGTERM before we were told anything; an answer is waited for."""
        if not self._is_warned:
            why = Why(State.KILLED, "SIGTERM came, by hand, or from SLURM, which didn't answer why", is_known=False)
            self._begin(signal.SIGTERM, (why, 0.0, self.terms.kill_wait))
        self.settle()
        assert self._why is not None
        if not self._is_warned and not self._why.is_known:  # nobody has told us to end: the others have their time
            self._stops = self._killed = None
        return self._why

    @property
    def why(self) -> Why | None:
        """Why we were asked to stop, as far as that is known by now; None: we weren't."""
        return self._why

    @property
    def is_warned(self) -> bool:
        """Whether a signal has come that may be SLURM's."""
        return self._is_warned

    @property
    def has_told_all(self) -> bool:
        """Whether SLURM has sent SIGTERM to all that runs in the job, as it does at its end."""
        return self._has_told_all

    @property
    def is_asking(self) -> bool:
        """Whether an answer may still come."""
        return self._question is not None

    def left_for_tool(self) -> float | None:
        """Return how many seconds there are until SLURM tells all of the job to stop, or kills it; None: not known."""
        return _until(self._ends if self._stops is None else self._stops)

    def left(self) -> float | None:
        """Return how many seconds there are until SLURM kills us; None: not known."""
        return _until(self._killed)

    def look(self, *, wait: bool = False) -> None:
        """Take note of SLURM's answer; with ``wait`` wait for it if it may still come."""
        while self._question is not None:
            text = self._question.answer()
            is_over = time.monotonic() >= self._asked_until
            if is_over or (text is not None and self._understand(text)):
                self._question.give_up()
                self._question = None
            elif wait:
                time.sleep(_LOOK_INTERVAL)
            else:
                return

    def settle(self) -> None:
        """Wait for SLURM's answer, if it may still come; of a job that is back in the queue, accounting knows why."""
        self.look(wait=True)
        if self._why is not None and self._why.reason == PUT_BACK:
            left = self.left()
            patience = _ACCOUNTING if left is None else min(_ACCOUNTING, left * _SHARE)
            self._why = why_it_went_back(self._job, patience) or self._why

    def ask_again(self, patience: float) -> None:
        """Ask SLURM once more, for so many seconds at most, if it hasn't answered."""
        if self._why is not None and not self._why.is_known:
            self._ask(patience)
            self.look(wait=True)

    def _begin(self, number: signal.Signals, supposed: tuple[Why, float | None, float | None]) -> None:
        self._number, self._warned = number, time.time()
        self._why, stops, killed = supposed
        self._has_told_all = number is signal.SIGTERM and stops is not None and stops == killed
        self._stops = None if stops is None else self._warned + stops
        self._killed = None if killed is None else self._warned + killed
        self._ask(_PATIENCE if killed is None else min(_PATIENCE, killed * _SHARE))
        soon = time.monotonic() + _AT_ONCE
        while self._question is not None and time.monotonic() < soon:
            self.look()
            time.sleep(_LOOK_INTERVAL)

    def _ask(self, patience: float) -> None:
        self._question = self._question or _Question(["scontrol", "--oneliner", "show", "job", self._job])
        self._asked_until = time.monotonic() + patience

    def _supposed(
        self, number: signal.Signals, was_continued: bool, now: float
    ) -> tuple[Why, float | None, float | None]:
        """Return why a signal has come, and how many seconds later SLURM tells all to stop, and kills it."""
        terms, ends = self.terms, self._ends
        is_final = number is signal.SIGTERM and was_continued  # unless it is the warning
        if is_final and ends is not None and now >= ends - _AT_ITS_LIMIT:
            return Why(State.TIMED_OUT, WALL_TIME, is_known=False), terms.kill_wait, terms.kill_wait
        if ends is not None and terms.grace > 0 and now >= ends - terms.grace - _EARLY:
            if number is terms.warning:  # it comes no later than that before the end
                return Why(State.TIMED_OUT, WALL_TIME, is_known=False), terms.grace, terms.grace + terms.kill_wait
            if terms.warning is None:
                return Why(State.TIMED_OUT, WALL_TIME, is_known=False), ends - now, ends - now + terms.kill_wait
        if is_final and not self._may_be_preempted:
            return Why(State.CANCELLED, CANCELLED, is_known=False), terms.kill_wait, terms.kill_wait
        if is_final:
            return Why(State.KILLED, UNKNOWN, is_known=False), terms.kill_wait, terms.kill_wait
        if was_continued and terms.is_told_of_preemption and self._may_be_preempted:
            return Why(State.PREEMPTED, PREEMPTED, is_known=False), terms.kill_wait, terms.kill_wait
        if was_continued and number is terms.warning:  # its wall time isn't the one that we know of
            return Why(State.TIMED_OUT, WALL_TIME, is_known=False), terms.grace, terms.grace + terms.kill_wait
        return Why(State.CANCELLED, _by_hand(number), is_known=False, is_schedulers=False), _left(ends, now), None

    def _understand(self, text: str) -> bool:
        """Take SLURM's description of the job for what has become of it; False if it says nothing."""
        shown = dict(word.partition("=")[::2] for word in text.split())
        state = shown.get("JobState")
        if state is None:
            return False
        running, limit = clock(shown.get("RunTime")), clock(shown.get("TimeLimit"))
        left = None if running is None or limit is None else limit - running
        self._why = why = self._said(state, shown, left)
        self._has_told_all = self._number is signal.SIGTERM and state not in _AT_WORK
        if state not in _AT_WORK:
            self._stops = self._killed = self._warned + self.terms.kill_wait
        elif left is not None:
            ends = _span(shown.get("StartTime"), shown.get("EndTime"))  # a preemption with a grace brings it forward
            left = left if ends is None or running is None else min(left, ends - running)
            self._stops = time.time() + left
            self._killed = self._stops + self.terms.kill_wait if why.is_schedulers else None
        return True

    def _said(self, state: str, shown: Mapping[str, str], left: float | None) -> Why:
        if state in _FAILED_NODE or shown.get("Reason") == "NodeDown":
            return Why(State.KILLED, f"its node failed (SLURM says {state})")
        if state == "DEADLINE":
            return Why(State.TIMED_OUT, "the deadline of its SLURM job has come (SLURM says DEADLINE)")
        if state == "OUT_OF_MEMORY":
            return Why(State.OUT_OF_MEMORY, "its SLURM job has used up its memory (SLURM says OUT_OF_MEMORY)")
        if state == "PREEMPTED" or shown.get("PreemptTime", "None") not in ("None", "Unknown", "N/A"):
            return Why(State.PREEMPTED, PREEMPTED)
        restarts = seconds(shown.get("Restarts")) or 0
        if restarts > self._restarts or state in _BACK_IN_QUEUE:
            return Why(State.PREEMPTED, PUT_BACK)
        if state == "CANCELLED" or (state == "COMPLETING" and left is not None and left > _AT_ITS_LIMIT):
            return Why(State.CANCELLED, CANCELLED)
        if state == "TIMEOUT" or (left is not None and left <= self.terms.grace + _EARLY):
            return Why(State.TIMED_OUT, WALL_TIME)
        return Why(State.CANCELLED, _by_hand(self._number), is_schedulers=False)


def here() -> Watch | None:
    """Return the watch over the job that we run in; None if we run in none."""
    job = slurm.current_job()
    return None if job is None else _watch(job)


@functools.cache  # what has come for us is known to one
def _watch(job: str) -> Watch:
    return Watch(job)


def why_it_went_back(job: str, patience: float) -> Why | None:
    """Return why SLURM put a job back into the queue, as accounting has it; None if that doesn't say for so long."""
    options = ["--noheader", "--allocations", "--parsable2", "--duplicates", f"--jobs={job}", "--format=State"]
    question = _Question(["sacct", *options])
    until = time.monotonic() + patience
    while time.monotonic() < until:
        # Of each start its own line; the last one may be of the next.
        states = [line.partition(" ")[0] for line in (question.answer() or "").splitlines() if line != "PENDING"]
        if states and states[-1] != "RUNNING":
            question.give_up()
            if states[-1] in _FAILED_NODE:
                return Why(State.KILLED, f"its node failed (SLURM says {states[-1]}); {PUT_BACK}")
            return Why(State.PREEMPTED, PREEMPTED if states[-1] == "PREEMPTED" else PUT_BACK)
        time.sleep(_LOOK_INTERVAL)
    question.give_up()
    return None


class _Question:
    """A command of SLURM's that is tried until it answers. Its process stays in our session, so it is no tool's."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)
        self._process: subprocess.Popen[bytes] | None = None
        self._next = 0.0

    def answer(self) -> str | None:
        """Return what it says; None: nothing yet."""
        if self._process is None:
            if time.monotonic() >= self._next and which(self._argv[0]) is not None:
                self._next = time.monotonic() + _RETRY_INTERVAL
                self._start()
            return None
        code = self._process.poll()
        if code is None:
            return None
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            said = stream.read().decode(errors="replace")
        self._process = None
        return said if code == 0 and said.strip() else None

    def give_up(self) -> None:
        """Ask no longer."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                self._argv,
                env=slurm_client.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )


def _by_hand(number: signal.Signals) -> str:
    return f"{number.name} came, from SLURM or by hand"


def _until(moment: float | None) -> float | None:
    return _left(moment, time.time())


def _left(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, moment - now)


def _span(start: str | None, end: str | None) -> float | None:
    """Return the seconds between two times as SLURM writes them; None where one isn't known."""
    moments = []
    for text in (start, end):
        found = re.fullmatch(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)", text or "")
        if found is None:
            return None
        year, month, day, hour, minute, second = map(int, found.groups())
        moments.append(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))
    return moments[1] - moments[0]
