"""From how a tool ended to the true final state of its run: state, exit code, and a reason that says what to do."""

from __future__ import annotations

import signal

from experimentstash.adapters import procfs, schedulers
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.durations import describe
from experimentstash.base.errors import EXIT_TIMED_OUT
from experimentstash.execute.ending import Ending
from experimentstash.record.run import Run, State

_EXIT_KILLED = 128 + signal.SIGKILL
_CRASHES = {
    signal.SIGSEGV: "a segmentation fault: usually a bug in compiled code, or packages that don't fit each other",
    signal.SIGABRT: "abort(): usually a failed assertion in compiled code; its message is at the end of the log",
    signal.SIGBUS: "a bus error: often a full /dev/shm or disk, or a file that shrank while it was mapped",
    signal.SIGILL: "an illegal instruction: often code that was compiled for another kind of processor",
    signal.SIGFPE: "an arithmetic error in compiled code",
    signal.SIGXFSZ: "the limit on the size of a file (ulimit -f)",
    signal.SIGXCPU: "the limit on CPU time (ulimit -t)",
}


@dataclass(frozen=True)
class Verdict:
    """The final state of a run."""

    state: State
    exit_code: int
    signal: str | None
    reason: str | None


def judge(run: Run, ending: Ending) -> Verdict:
    """Return the true final state of a run whose tool has ended.

    A request to stop that it missed, because it had ended, is not why it ended: unless it died of that very signal,
    which then had been sent to the two of us.
    """
    number = _signal(ending.returncode)
    name = number.name if number else None
    exit_code = ending.returncode if ending.returncode >= 0 else 128 - ending.returncode
    stop = ending.stop
    if stop is None and ending.missed is not None and number is not None and ending.missed.number is number:
        stop = ending.missed
    if stop is not None:
        how = _how(ending, name)
        reason = f"{stop.reason} after {describe(ending.duration)}; {how}"
        if stop.state is State.TIMED_OUT and stop.number is None:
            return Verdict(State.TIMED_OUT, EXIT_TIMED_OUT, name, reason)
        stop_code = 128 + (stop.number or signal.SIGTERM)  # no number: a sweep has had enough of its runs
        return Verdict(stop.state, stop_code, name, reason)
    if ending.returncode == 0:
        return Verdict(State.COMPLETED, 0, None, None)
    if is_out_of_memory(ending):  # a shell between us and what was killed hands on the code only
        job = schedulers.here()
        asked = None if job is None else job.memory
        limit = f"asked {asked / 1e9:.1f} GB, " if asked else ""
        peak = f"peak {ending.peak_memory / 1e9:.1f} GB"
        reason = f"out of memory: {limit}{peak}; the kernel killed it: give it more, or make it need less"
        return Verdict(State.OUT_OF_MEMORY, exit_code, name, reason)
    killed = f"; {workers}" if (workers := workers_killed(ending)) else ""
    if number is None:
        return Verdict(
            State.FAILED, exit_code, None, f"the tool ended with exit code {exit_code}{_shell_code(exit_code)}{killed}"
        )
    if number in _CRASHES:
        return Verdict(State.FAILED, exit_code, name, f"the tool was ended by {name}, {_CRASHES[number]}{killed}")
    hint = (
        ": by hand, or by something that watches over memory (dmesg, or the machine's administrators, may know);"
        f" its peak was {ending.peak_memory / 1e9:.1f} GB"
        if number is signal.SIGKILL
        else ""
    )
    return Verdict(State.KILLED, exit_code, name, f"the tool was ended by {name} from outside{hint}{killed}")


def is_out_of_memory(ending: Ending) -> bool:
    """Tell whether the kernel has killed the main process for lack of memory."""
    is_killed = ending.returncode in (-signal.SIGKILL, _EXIT_KILLED)
    return bool(ending.oom_kills) and is_killed and procfs.knows_oom_group()


def workers_killed(ending: Ending) -> str | None:
    """Say how many processes besides the main one the kernel has killed for lack of memory, and whose they may be."""
    number = ending.oom_kills - is_out_of_memory(ending)
    if not number:
        return None
    processes = "a process" if number == 1 else f"{number} processes"
    if not procfs.knows_oom_group():
        return f"the kernel killed {processes} on this machine for lack of memory meanwhile, perhaps of this run"
    others = ", perhaps of another run of the sweep" if ending.has_company else ""
    return f"the kernel killed {processes} in its control group for lack of memory{others}"


def remarks(ending: Ending, state: State) -> tuple[list[str], list[str]]:
    """Return what a person must see though a run has completed, and what else there is to note of its end."""
    warnings, notes = [], []
    has_completed = state is State.COMPLETED
    if (workers := workers_killed(ending)) and (has_completed or ending.stop is not None):
        if has_completed:
            warnings.append(f"{workers}; what it computed may be incomplete: give it more memory, or make it need less")
        else:
            notes.append(workers)
    if ending.crashed:
        notes.append(f"processes whose parents had gone were ended by {', '.join(sorted(set(ending.crashed)))}")
    if ending.left_behind:
        notes.append(f"the tool left {ending.left_behind} processes behind; they were ended")
    if ending.at_work and has_completed:
        still = "one of them was" if ending.at_work == 1 else f"{ending.at_work} of them were"
        warnings.append(f"the tool ended while processes of it went on; {still} still computing and had to be ended")
    if ending.survivors:
        notes.append(f"{ending.survivors} processes of the tool survive SIGKILL (a dead file system?)")
    return warnings, notes


def _signal(returncode: int) -> signal.Signals | None:
    try:
        return signal.Signals(-returncode) if returncode < 0 else None
    except ValueError:
        return None


def _how(ending: Ending, name: str | None) -> str:
    if ending.outlived_grace:
        return "the tool did not end within its grace and was killed"
    if name:
        return f"the tool ended by {name}"
    return f"the tool ended by itself with exit code {ending.returncode}"


def _shell_code(code: int) -> str:
    number = _signal(128 - code) if code > 128 else None
    return f" (as a shell reports {number.name})" if number else ""
