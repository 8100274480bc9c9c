"""From how a tool ended to the true final state of its run: state, exit code, and a reason that says what to do."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.durations import describe
from experimentstash.base.errors import EXIT_TIMED_OUT
from experimentstash.base.files import open_regular
from experimentstash.base.terminal import plain
from experimentstash.execute.supervision import Ending
from experimentstash.record.records import Run, State

# Bytes of the end of a log that are searched for the cause of a failure.
_TAIL = 65536
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


def advise(run: Run, log: Path) -> str | None:
    """Return what to change, and in which file, if the log of a failed run ends with a mistake that is known."""
    return diagnose(run, _tail(log))


def diagnose(run: Run, text: str) -> str | None:
    """Return what to change, and in which file, if what the tool of a run has said tells a mistake that is known."""
    registration = run.registration or "the tool's registration"
    script = next((word for word in run.command.argv if word.endswith(".py")), None)
    missing = list(re.finditer(r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?", text))
    relative = "attempted relative import with no known parent package" in text
    if (missing or relative) and script is not None and run.code is not None:
        tool = Path(run.code.path)
        package = missing[-1][1].partition(".")[0] if missing else Path(script).parent.name
        if relative or (tool / package).is_dir() or (tool / f"{package}.py").is_file():
            try:
                module = ".".join(Path(script).relative_to(tool).with_suffix("").parts)
            except ValueError:
                module = Path(script).stem
            return f"run it as a module: in {registration} change the entrypoint to `entrypoint: -m {module}`"
    if missing:
        package = missing[-1][1].partition(".")[0]
        kind = run.environment.kind if run.environment else ""
        if kind == "interpreter":
            return f"install {package!r} for {run.command.argv[0]}: that interpreter is used as it is"
        return f"its environment lacks {package!r}: add it to `dependencies:` in {registration}, or to the tool's own"
    if "error: unrecognized arguments:" in text or "No such option" in text:
        return "the tool doesn't know one of the arguments: compare `params` in the organizer with the tool's --help"
    if re.search(r"Could not override '.*'|Key '.*' is not in struct", text):
        return (
            "the tool's configuration doesn't have one of these keys: mend it in the organizer's `params`,"
            " or write `+key` there to add it"
        )
    if re.search(r"MissingConfigException|Could not find '[^']+/|Could not load '", text):
        return "the tool has no config of that name: mend `experiment:` or `params:` in the organizer"
    if re.search(r"^MemoryError|CUDA out of memory|OutOfMemoryError", text, re.MULTILINE):
        return f"it ran out of memory (peak {(run.peak_memory or 0) / 1e9:.1f} GB): give it more, or make it need less"
    return None


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


def _tail(log: Path) -> str:
    try:
        with open(log, "rb", opener=open_regular) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            return plain(stream.read().decode(errors="replace"))
    except OSError:
        return ""
