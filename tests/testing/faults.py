"""Kills runs at random moments and checks that none is lost: ``python tests/testing/faults.py --kills 300 [--seed N]``.

Also what the tests of the supervision share: a frozen run of a small real tool, and its supervisor as a process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity, identity
from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.adapters.wandb import variables as wandb_variables
from experimentstash.adapters.wandb.sync import Status, sync
from experimentstash.execute.account import MARKER, SUPERVISOR_LOG
from experimentstash.record import records, times
from experimentstash.record.run import Command, Run, State
from experimentstash.runs import listing
from experimentstash.stash.layout import Stash, new_token
from experimentstash.stash.schema import WandbConfig, WandbMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when it is run as a script

from tests.testing.run_parts import put, run_with
from tests.testing.stash import PATIENCE, wait_until
from tests.testing.wandb_server import WandbServer

TOOLS = Path(__file__).resolve().parent / "tools"
TERM, INT, HUP, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL
# What Python is told to do with the directory of a frozen run.
EXECUTE = ("-m", "experimentstash.execute.execute")

# What a nohup or a script's `&` has ignored would stay so in all that we start.
for _number in (INT, HUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


# --- a frozen run and its supervisor ---------------------------------------------------------------------------------


def new_stash(root: Path) -> Stash:
    """Make a directory that the command line takes for a stash."""
    (root / "conf" / "tool").mkdir(parents=True)
    (root / "conf" / "exp").mkdir()
    (root / "conf" / "config.yaml").write_text("defaults: [experimentstash, {tool: null}, _self_]\n")
    return Stash(root)


def freeze(stash: Stash, argv: Sequence[str | Path], **fields: Any) -> Run:
    """Write the record of a run of ``argv`` that nobody has started yet."""
    token = new_token()
    directory = stash.root / "outputs" / "2026-01-31" / f"12-00-00-{token}"
    changes = {MARKER: str(directory), "PYTHONUNBUFFERED": "1", **fields.pop("environment", {})}
    command = Command(argv=[str(word) for word in argv], cwd=str(stash.root), environment=changes)
    run = run_with(token, directory, command=command, created=times.now())
    put(run, **{"organizer": "figure/some", "tool": "steady", **fields})
    records.claim(run)
    return run


def python(tool: str, *arguments: str | Path | float) -> list[str]:
    """Return the argv of one of the tools in tests/testing/tools."""
    return [sys.executable, str(TOOLS / tool / "main.py"), *map(str, arguments)]


def supervise(run: Run, *, program: Sequence[str] = EXECUTE, **options: Any) -> subprocess.Popen[str]:
    """Start the supervisor of a frozen run; in a session of its own, so that signals reach nobody else."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True, **options}
    return subprocess.Popen(
        [sys.executable, *program, run.directory],
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        **given,
    )


@dataclass
class Supervised:
    """A run whose supervisor was started."""

    run: Run
    process: subprocess.Popen[str]
    stdout: str = ""
    stderr: str = ""

    def end(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait for the supervisor's end; return the record. Nothing of the run may be left then."""
        self.stdout, self.stderr = self.process.communicate(timeout=seconds)
        assert marked(self.run) == []
        return record(self.run)

    @property
    def account(self) -> str:
        """What the supervisor says of itself."""
        path = self.run.path / SUPERVISOR_LOG
        return path.read_text() if path.exists() else ""

    @property
    def log(self) -> bytes:
        return (self.run.path / self.run.attempt.log).read_bytes()


def steady(stash: Stash, *options: str | float, **fields: Any) -> Run:
    """Freeze a run of the steady tool that says in files of its directory that it is ready, and what it saved."""
    run = freeze(stash, [], **fields)
    put(run, argv=python("steady", "--ready", run.path / "ready", "--saved", run.path / "saved", *options))
    records.write(run)
    return run


def ready(one: Supervised) -> int:
    """Wait until the tool is ready and its record says so; return its pid."""
    path = one.run.path / "ready"
    pid = int(wait_until(lambda: path.exists() and path.read_text()))
    wait_until(lambda: record(one.run)["attempt"]["process"])
    return pid


@contextlib.contextmanager
def running(run: Run, **options: Any) -> Iterator[Supervised]:
    """Have a supervisor execute a run; in the end, whatever happens, there is neither it nor the run's processes."""
    process = supervise(run, **options)
    try:
        yield Supervised(run, process)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError, ValueError, TypeError):  # there may be no record, or no supervisor yet
            keeper = record(run)["attempt"]["supervisor"]["keeper"]
            procfs.send(Identity(keeper["pid"], keeper["start_time"]), KILL)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        while left := marked(run):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, KILL)
            time.sleep(0.01)


def record(run: Run) -> dict[str, Any]:
    """Return the record as it is on disk now; fails if it isn't whole."""
    data = json.loads((run.path / records.FILE_NAME).read_bytes())
    assert isinstance(data, dict)
    return data


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and isn't a zombie."""
    return identity(pid) is not None


@contextlib.contextmanager
def looking_away(supervisor: int) -> Iterator[None]:
    """Keep a supervisor from noticing what goes on; then it learns of all of it at the same time."""
    stat = Path(f"/proc/{supervisor}/stat")

    def state_and_time() -> list[str]:
        fields = stat.read_text().rpartition(")")[2].split()
        return [fields[0], *fields[11:13]]

    def is_idle() -> bool:  # whatever it was at would be done before it looks
        before = state_and_time()
        time.sleep(0.3)
        return before[0] == "S" and state_and_time() == before

    wait_until(is_idle)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        wait_until(lambda: state_and_time()[0] == "T")
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


def below(pid: int) -> set[Identity]:
    """Return the living descendants of a process, found by their parents' pids."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                parents[int(name)] = int(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    size = -1
    while size != len(found):
        size = len(found)
        found |= {child for child, parent in parents.items() if parent == pid or parent in found}
    alive = {identity(child) for child in found}
    return {process for process in alive if process is not None}


def marked(run: Run) -> list[int]:
    """Return the living processes that have the run's directory in their environment."""
    entry = f"{MARKER}={run.directory}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                if entry in Path("/proc", name, "environ").read_bytes().split(b"\0") and is_alive(int(name)):
                    found.append(int(name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until a condition is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.002)


# --- the kinds of tools ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A tool that would go on for ever, and what signals to its main process make of its run."""

    name: str
    argv: Callable[[Path], list[str]]  # of the run's directory; it writes numbered lines and notes them in `flushed`
    told: dict[signal.Signals, set[State]]
    hides: bool = False  # it has processes that only their parents tell of: lost, if keeper and supervisor are killed
    uses_wandb: bool = False  # it writes a file `ready` once W&B is at work; faults begin then, wandb-core's among them


_ENDED = {State.KILLED}
_SAVED = {State.COMPLETED, State.KILLED}  # killed: before it could install a handler
_ANY = {HUP: _ENDED, KILL: _ENDED}


def _steady(*options: str) -> Callable[[Path], list[str]]:
    return lambda directory: python("steady", "--flushed", directory / "flushed", "--pause", 0.002, *options)


def _wandb(*options: str) -> Callable[[Path], list[str]]:
    return lambda directory: _steady("--wandb", "--ready", str(directory / "ready"), *options)(directory)


# A further kind of tool is a further entry here.
KINDS = (
    Kind("plain", _steady(), {TERM: _ENDED, INT: _SAVED, **_ANY}),
    Kind("saves", _steady("--catch", "--saving-takes", "0.2"), {TERM: _SAVED, INT: _SAVED, **_ANY}),
    Kind("children", _steady("--children", "3", "--stubborn-children"), {TERM: _ENDED, INT: _SAVED, **_ANY}),
    Kind("ignores", _steady("--ignore", "--children", "1"), {TERM: _ENDED, INT: _SAVED, **_ANY}),
    Kind(
        "daemon",
        lambda directory: _steady("--daemon", str(directory / "daemon"))(directory),
        {TERM: _ENDED, INT: _SAVED, **_ANY},
    ),
    Kind("hidden child", _steady("--hidden-child"), {TERM: _ENDED, INT: _SAVED, **_ANY}, hides=True),
    Kind(
        "hidden daemon",
        lambda directory: _steady("--hide", "--daemon", str(directory / "daemon"))(directory),
        {TERM: _ENDED, INT: _SAVED, **_ANY},
        hides=True,
    ),
    Kind(
        "shell",
        lambda directory: [str(TOOLS / "steady" / "run.sh"), *_steady()(directory)[2:]],
        # A shell that is interrupted waits for its child, which knows nothing of it.
        {TERM: _ENDED, INT: _ENDED, **_ANY},
    ),
    Kind("wandb", _wandb(), {TERM: _ENDED, INT: _SAVED, **_ANY}, uses_wandb=True),
    Kind("wandb saves", _wandb("--catch"), {TERM: _SAVED, INT: _SAVED, **_ANY}, uses_wandb=True),
)


# --- faults ----------------------------------------------------------------------------------------------------------


@dataclass
class Case:
    """One run and what is done to it: who is sent what, and how many seconds after the fault before."""

    number: int
    kind: Kind
    faults: list[tuple[float, str, signal.Signals]]
    sent: list[str] = field(default_factory=list)
    state: str = ""
    run: Run | None = None
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        done = ", ".join(self.sent)
        return f"{self.number}: {self.kind.name} [{done}] → {self.state}" + "".join(f"\n    {p}" for p in self.problems)


def plan(kills: int, seed: int) -> list[Case]:
    """Return so many cases, the same for the same seed."""
    chance = random.Random(seed)
    targets = ["supervisor", "keeper", "tool", "both"]
    cases = []
    for number in range(kills):
        kind = KINDS[number % len(KINDS)]
        faults = [(chance.uniform(0, 0.5), chance.choice(["supervisor", *targets]), _draw(chance))]
        if chance.random() < 0.4:
            faults.append((chance.expovariate(10), chance.choice(targets), _draw(chance)))
        if kind.uses_wandb and chance.random() < 0.3:
            faults.insert(0, (chance.uniform(0, 0.3), "wandb-core", KILL))
        cases.append(Case(number, kind, faults))
    return cases


def inject(case: Case, root: Path) -> None:
    """Do what the case says, reconcile once, and note everything that isn't as it has to be."""
    stash = new_stash(root)
    run = freeze(stash, [], grace=0.7)
    more = _wandb_environment(run, root) if case.kind.uses_wandb else {}
    variables = {**run.spec.command.environment, "PYTHON": sys.executable, **more}
    put(run, argv=case.kind.argv(run.path), variables=variables)
    records.write(run)
    supervisor = supervise(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stop_watching = threading.Event()
    watcher = threading.Thread(target=_watch, args=(run, case, stop_watching))
    watcher.start()
    seen: set[Identity] = set()
    try:
        wait_for(lambda: record(run)["attempt"]["supervisor"] is not None)
        if case.kind.uses_wandb:
            wait_for((run.path / "ready").exists)
        received: dict[str, list[signal.Signals]] = {"supervisor": [], "keeper": [], "tool": [], "wandb-core": []}
        for delay, target, number in case.faults:
            time.sleep(delay)
            seen |= below(supervisor.pid)
            for one in ("supervisor", "tool") if target == "both" else (target,):
                if _send(one, number, supervisor, run):
                    received[one].append(number)
                    case.sent.append(f"{number.name} to the {one} after {delay:.3f} s")
        try:
            code = supervisor.wait(1.0)
        except subprocess.TimeoutExpired:  # a tool that ignores what it was sent
            seen |= below(supervisor.pid)
            received["supervisor"].append(TERM)
            case.sent.append("SIGTERM to the supervisor at last")
            supervisor.send_signal(TERM)
            code = supervisor.wait(PATIENCE)
        found = listing.all_runs(stash)
    finally:
        supervisor.kill()
        supervisor.wait()
        stop_watching.set()
        watcher.join()
    data = record(run)
    case.state = data["attempt"]["state"]
    case.problems += problems(case, run, data, received, code)
    left = [process.pid for process in seen if identity(process.pid) == process] + marked(run)
    if case.kind.hides and KILL in received["supervisor"] and KILL in received["keeper"]:
        for pid in left:  # nobody is left that could know of them
            os.kill(pid, KILL)
        left = []
    if left:
        case.problems.append(f"processes left: {sorted(set(left))}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, KILL)
    if [each.id for each in found] != [run.id]:
        case.problems.append(f"listed: {[each.id for each in found]}")
    listing.all_runs(stash)
    if record(run) != data:
        case.problems.append("a second look has changed the record")
    case.run = run
    if case.kind.uses_wandb:
        case.problems += _wandb_problems(run, data)
    elif not case.problems:
        shutil.rmtree(root)


def _wandb_environment(run: Run, root: Path) -> dict[str, str]:
    variables, _ = wandb_variables.variables(
        WandbConfig(mode=WandbMode.offline, project="faults"),
        run_directory=run.path,
        organizer=run.spec.organizer,
        experiment=None,
        run_id=run.id,
        tags=[],
        job_type=None,
        inherited={},
        in_job=False,
    )
    return {
        **variables,
        "WANDB_SILENT": "true",
        "WANDB_CACHE_DIR": str(root / "cache"),
        "WANDB_CONFIG_DIR": str(root / "config"),
    }


def _wandb_problems(run: Run, data: dict[str, Any]) -> list[str]:
    """Return what is wrong with the end of a run's W&B log."""
    found = wandb_runs.find(run.path)
    if len(found) != 1:
        return [f"{len(found)} W&B logs"]
    ending = wandb_runs.ending(found[0])
    # A tool that ended by itself has told W&B its own exit code; the first exit record wins.
    if ending.exit_code is None or (ending.is_ours and ending.exit_code != data["attempt"]["exit_code"]):
        return [f"the W&B log ends with {ending}, the record with exit code {data['attempt']['exit_code']}"]
    return []


def upload(cases: Sequence[Case], root: Path) -> None:
    """Send the W&B runs of all the cases to a server, twice, and note what didn't arrive as it should."""
    by_directory = {case.run.path: case for case in cases if case.kind.uses_wandb and case.run is not None}
    if not by_directory:
        return
    with WandbServer() as server:
        variables = {**os.environ, **server.environment(), "WANDB_CONFIG_DIR": str(root / "config")}
        first = sync(by_directory, timeout=300, environment=variables)
        second = sync(by_directory, timeout=300, environment=variables)
        for result, again in zip(first, second, strict=True):
            case = by_directory[result.directory]
            if (result.status, again.status) != (Status.SENT, Status.ALREADY):
                case.problems.append(f"W&B sync: {result}, then {again}")
                continue
            (log,) = wandb_runs.find(result.directory)
            code = wandb_runs.ending(log).exit_code
            arrived = server.runs[log.id]
            state = "finished" if code == 0 else "failed"
            if (arrived.state, arrived.exit_code, arrived.duplicates) != (state, code, 0):
                case.problems.append(f"the W&B server has {arrived.state} with {arrived.exit_code}, not {state} {code}")
            if arrived.steps() != list(range(wandb_runs.history_lines(log))):
                case.problems.append(f"the W&B server has {len(arrived.steps())} history lines, or has gaps")


def _draw(chance: random.Random) -> signal.Signals:
    return chance.choice([TERM, INT, HUP, KILL, KILL])


def _send(target: str, number: signal.Signals, supervisor: subprocess.Popen[str], run: Run) -> bool:
    if target == "supervisor":
        if supervisor.poll() is not None:
            return False
        supervisor.send_signal(number)
        return True
    if target == "keeper":
        keeper = (record(run)["attempt"]["supervisor"] or {}).get("keeper")
        return keeper is not None and procfs.send(Identity(keeper["pid"], keeper["start_time"]), number)
    if target == "wandb-core":
        cores = [one for one in below(supervisor.pid) if procfs.command_name(one.pid) == "wandb-core"]
        return sum(procfs.send(one, number) for one in cores) > 0
    process = record(run)["attempt"]["process"]
    if process is None or identity(process["pid"]) != Identity(process["pid"], process["start_time"]):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process["pid"], number)
        return True
    return False


def _watch(run: Run, case: Case, stop: threading.Event) -> None:
    """Read the record over and over: it must be whole at every moment."""
    while not stop.wait(0.003):
        try:
            record(run)
        except (ValueError, AssertionError, OSError) as error:
            case.problems.append(f"the record was not whole: {error!r}")
            return


def problems(
    case: Case, run: Run, data: dict[str, Any], received: dict[str, list[signal.Signals]], code: int
) -> list[str]:
    """Return what is wrong with the record and the log of a case's run, given what its two processes received."""
    found = []
    state = State(data["attempt"]["state"])
    fitting = _fitting(case, received, code)
    if state not in fitting:
        words = ", ".join(sorted(each.value for each in fitting))
        found.append(f"{state.value}, where {words} would fit; its reason: {data['attempt']['reason']}")
    if not state.is_final or data["attempt"]["exit_code"] is None or not data["attempt"]["ended"]:
        found.append(
            f"not closed: {state.value}, exit code {data['attempt']['exit_code']}, ended {data['attempt']['ended']}"
        )
    is_good = state is State.COMPLETED
    if (data["attempt"]["exit_code"] == 0) is not is_good or bool(data["attempt"]["reason"]) is is_good:
        found.append(
            f"{state.value} with exit code {data['attempt']['exit_code']} and the reason {data['attempt']['reason']!r}"
        )
    if code >= 0 and data["attempt"]["exit_code"] != code and data["attempt"]["started"]:
        found.append(f"the supervisor's exit code was {code}, the record's is {data['attempt']['exit_code']}")
    flushed = run.path / "flushed"
    last = int(flushed.read_text() or -1) if flushed.exists() else -1
    log = (run.path / run.attempt.log).read_text().split("\n")[:-1] if (run.path / run.attempt.log).exists() else []
    numbers = [int(line) for line in log if line.isdecimal()]
    if numbers != list(range(len(numbers))) or len(numbers) <= last:
        found.append(f"the log ends at line {len(numbers) - 1} of {last}, or has gaps")
    return found


def _fitting(case: Case, received: dict[str, list[signal.Signals]], code: int) -> set[State]:
    """Return the final states that are true of what the two were sent."""
    fitting: set[State] = set()
    asked = {TERM, INT, HUP} & set(received["supervisor"])
    if asked:
        fitting.add(State.CANCELLED)
    if KILL in received["supervisor"] or (asked and code < 0):  # before it could handle them, they kill it too
        fitting.add(State.LOST)
    for number in received["tool"]:
        fitting |= case.kind.told[number]
    if KILL in received["keeper"]:  # then the kernel tells the tool
        fitting |= case.kind.told[TERM]
    if received["wandb-core"]:  # the tool may notice, and fail of it
        fitting |= {State.FAILED, State.COMPLETED}
    return fitting


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--parallel", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--verbose", action="store_true", help="show every case")
    given = parser.parse_args(argv)
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    started = time.monotonic()
    cases = run_all(plan(given.kills, seed), root, given.parallel)
    for case in cases:
        if case.problems or given.verbose:
            print(case)
    wrong = [case for case in cases if case.problems]
    states = Counter(case.state for case in cases)
    kinds = Counter(case.kind.name for case in cases)
    sent = sum(len(case.sent) for case in cases)
    print(
        f"seed {seed}: {len(cases)} runs, {sent} signals, {time.monotonic() - started:.0f} s; states {dict(states)};"
        f" tools {dict(kinds)}; wrong: {len(wrong)}" + (f", kept in {root}" if wrong else "")
    )
    if not wrong:
        shutil.rmtree(root)
    return 1 if wrong else 0


def run_all(cases: list[Case], root: Path, parallel: int) -> list[Case]:
    """Inject all the cases' faults, so many at a time."""

    def one(case: Case) -> Case:
        try:
            inject(case, root / str(case.number))
        except Exception as error:
            case.problems.append(f"the injection itself failed: {error!r}")
        return case

    with ThreadPoolExecutor(parallel) as pool:
        done = list(pool.map(one, cases))
    upload(done, root)
    return done


if __name__ == "__main__":
    sys.exit(main())
