"""What a run of a sweep on this machine costs: 200 runs of a tool that does nothing, two at a time, paired, in turn.

    python benchmarks/sweep_local.py [--runs 200] [--rounds 3] [--growth 100 1000 5000]

All of ours (composing, freezing, supervising, complete records, the table in the end) against the bare commands under
GNU parallel with --joblog --results, under `xargs -P2`, and against Hydra's basic launcher. The phases are told apart
in a sweep of their own that does one after the other; in an ordinary one they overlap.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent

BARE_APP = """\
import subprocess

import hydra


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config):
    subprocess.run(["true", "--n", str(config.n)])


main()
"""


def make_stash(root: Path, asks: str = "") -> None:
    """Make a stash with one tool, /bin/true, committed; ``asks``: what else its experiment says."""
    for folder in ("conf/tool", "conf/exp", "tools/nothing"):
        (root / folder).mkdir(parents=True)
    shutil.copy(REPOSITORY / "conf" / "config.yaml", root / "conf")
    (root / "tools/nothing/readme").write_text("Nothing.\n")
    head = "path: tools/nothing\nentrypoint: 'true'\nenvironment: {kind: none}\n"
    (root / "conf/tool/nothing.yaml").write_text(head)
    (root / "conf/exp/nothing.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /tool: nothing\nparams: {n: 0}\n" + asks
    )
    (root / ".gitignore").write_text("/outputs/\n/multirun/\n/.experimentstash/\n")
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "benchmark"]):
        subprocess.run(["git", *command], cwd=root, check=True)


# --- the children: what is measured from inside ----------------------------------------------------------------------


def sweep_by_phases(arguments: list[str]) -> None:
    """Do an ordinary sweep, but freeze all its jobs before the first begins; print the seconds of each phase.

    Composing: the sweeper's check of all jobs, then each job's configuration and its typed settings. Freezing: from
    these settings to the written record and Hydra's three files. Executing: from the record to the final one.
    """
    from experimentstash.cli import main as cli
    from experimentstash.compose.fast.shared_composition import SharedComposition
    from experimentstash.compose.fast.sweep_loader import SweepLoader
    from experimentstash.launch import local

    seconds = {"composing": 0.0, "freezing": 0.0, "executing": 0.0}
    inside = 0  # of calls that count as composing, some of which call others

    def composing(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal inside
            inside += 1
            start = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                inside -= 1
                if inside == 0:
                    seconds["composing"] += time.perf_counter() - start

        return call

    for owner, name in ((SweepLoader, "load_sweep_config"), (SweepLoader, "variation"), (SharedComposition, "typed")):
        setattr(owner, name, composing(getattr(owner, name)))
    supervise = local.supervise

    def supervise_prepared(prepared: Any, *given: Any) -> Any:
        start, composed = time.perf_counter(), seconds["composing"]
        everything = list(prepared)
        middle = time.perf_counter()
        seconds["freezing"] = middle - start - (seconds["composing"] - composed)
        try:
            return supervise(iter(everything), *given)
        finally:
            seconds["executing"] = time.perf_counter() - middle

    local.supervise = supervise_prepared
    code = cli.main(arguments)
    print(json.dumps(seconds))
    sys.exit(code)


def at_work(total: int) -> None:
    """Execute so many runs at the same time; print our memory in MB before, and when all are at work."""
    from hydra.core.utils import JobReturn

    from experimentstash.launch import local, prepare
    from experimentstash.launch.sweep_jobs import Job
    from experimentstash.record import records
    from experimentstash.record.run import Attempt, Command, Run, Specification, State
    from experimentstash.stash.layout import ROOT_VARIABLE

    root = Path.cwd()
    os.environ[ROOT_VARIABLE] = str(root)
    go = root / "go"
    go.unlink(missing_ok=True)
    argv = ["sh", "-c", f"while [ ! -e '{go}' ]; do sleep 5; done"]

    def frozen(number: int) -> Job:
        directory = root / "multirun" / "at-work" / str(os.getpid()) / str(number)
        command = Command(argv, str(root / "tools" / "nothing"), {"EXPERIMENTSTASH_RUN_DIR": str(directory)})
        spec = Specification("nothing", command, organizer="nothing")
        attempt = Attempt(1, State.FROZEN)
        run = Run(f"at-work-{number}", str(directory), spec, attempt)
        records.claim(run)
        return Job(number, [], prepare.Prepared(run, {}), JobReturn())

    found: dict[str, float] = {"before": memory()}

    def taken() -> Any:
        for number in range(total):
            yield frozen(number)
        found["at_work"] = memory()
        go.touch()

    settings = local.Settings.of(n_jobs=total, gpus=None, gpus_per_run=1, fail_fast=False)
    local.supervise(taken(), total, settings)
    print(json.dumps(found))


def memory() -> float:
    """Return our proportional share of memory in MB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


# --- the parent ------------------------------------------------------------------------------------------------------


@dataclass
class Done:
    """What a command took: wall seconds, CPU seconds and peak resident memory in MB, and its last line."""

    seconds: float
    cpu: float
    memory: float
    last_line: str


def done(command: list[str], cwd: Path, environment: dict[str, str], stdin: str = "") -> Done:
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write(stdin)
        given.seek(0)
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=given, stdout=said, stderr=said, text=True)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        said.seek(0)
        text = said.read().rstrip()
    if status != 0:
        raise SystemExit(f"{shlex.join(command)} failed:\n{text[-4000:]}")
    return Done(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text.rpartition("\n")[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=[100, 1000, 5000])
    parser.add_argument("--at-work", type=int, nargs="*", default=[100, 1000])
    given = parser.parse_args()
    # Without .pyc files every import would be compiled anew, in both.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        stash, bare, scratch = Path(folder, "stash"), Path(folder, "bare"), Path(folder, "scratch")
        make_stash(stash)
        (bare / "conf").mkdir(parents=True)
        scratch.mkdir()
        (bare / "app.py").write_text(BARE_APP)
        (bare / "conf" / "config.yaml").write_text("n: 0\n")
        ours = ["-m", "hydra/launcher=local", "hydra.launcher.n_jobs=2", "+exp=nothing"]
        count = itertools.count()

        def by_us(runs: int) -> Done:
            return done([sys.executable, "-m", "experimentstash", *ours, f"params.n=range({runs})"], stash, environment)

        def by_parallel(runs: int) -> Done:
            place = str(next(count))
            command = ["parallel", "-j2", "--joblog", f"{place}.log", "--results", place, "true", "--n", "{}"]
            return done(command, scratch, environment, "".join(f"{number}\n" for number in range(runs)))

        by_us(1)  # caches
        compare(given, by_us, by_parallel, ours, (stash, bare, scratch), environment)
        print()
        for total in given.growth:
            found = by_us(total)
            floor = 100 + total * 20 / 1024
            print(
                f"{total} runs: {found.seconds / total * 1000:.2f} ms a run, {found.cpu / total * 1000:.2f} of CPU;"
                f" the launcher's peak {found.memory:.1f} MB resident (goal: at most {floor:.0f})"
            )
        for total in given.at_work:
            words = [sys.executable, __file__, "--at-work-inside", str(total)]
            memories = json.loads(done(words, stash, environment).last_line)
            each = (memories["at_work"] - memories["before"]) / total * 1024
            print(
                f"{total} runs at work at once: the launcher {memories['at_work']:.1f} MB,"
                f" {each:.1f} KB a run (goal: less than 2 MB)"
            )


def compare(
    given: argparse.Namespace,
    by_us: Callable[[int], Done],
    by_parallel: Callable[[int], Done],
    ours: list[str],
    places: tuple[Path, Path, Path],
    environment: dict[str, str],
) -> None:
    """Print what a run costs, by each of them."""
    stash, bare, scratch = places
    runs, has_parallel = given.runs, shutil.which("parallel") is not None
    lines = "".join(f"{number}\n" for number in range(runs))
    seconds: dict[str, list[float]] = {}
    start_ups: list[float] = []

    def note(name: str, value: float) -> None:
        seconds.setdefault(name, []).append(value)

    for _ in range(given.rounds):
        note("xargs -P2", done(["xargs", "-P2", "-n1", "true", "--n"], scratch, environment, lines).seconds)
        if has_parallel:
            alone, whole = by_parallel(1), by_parallel(runs)
            note("GNU parallel", whole.seconds)
            note("  without its start-up", whole.seconds - alone.seconds)
            note("  CPU", whole.cpu)
            note("  CPU without its start-up", whole.cpu - alone.cpu)
        alone, whole = by_us(1), by_us(runs)
        start_ups.append(alone.seconds)
        note("ours, all of it", whole.seconds)
        note("  without our start-up", whole.seconds - alone.seconds)
        note("  our CPU", whole.cpu)
        note("  our CPU without our start-up", whole.cpu - alone.cpu)
        words = [sys.executable, __file__, "--phases", *ours, f"params.n=range({runs})"]
        for phase, spent in json.loads(done(words, stash, environment).last_line).items():
            note(f"  one by one: {phase}", spent)
        basic = [sys.executable, "app.py", "-m", f"n=range({runs})"]
        note("Hydra's basic", done(basic, bare, environment).seconds)
    print(f"{runs} runs of `true`, two at a time, {given.rounds} rounds in turn:\n")
    print(f"{'':32}{'ms a run (median)':>18}{'range':>16}")
    for name, values in seconds.items():
        each = sorted(value / runs * 1000 for value in values)
        print(f"{name:32}{statistics.median(each):18.2f}{f'{each[0]:.2f}-{each[-1]:.2f}':>16}")
    if has_parallel:
        for what, mine, other in (
            ("all of ours, composition included", "ours, all of it", "GNU parallel"),
            ("the same, both without their start-up", "  without our start-up", "  without its start-up"),
            ("CPU time", "  our CPU", "  CPU"),
            ("CPU time, both without their start-up", "  our CPU without our start-up", "  CPU without its start-up"),
        ):
            ratio = statistics.median(one / two for one, two in zip(seconds[mine], seconds[other], strict=True))
            print(f"\n{what} / GNU parallel, paired: {ratio:.2f} (goal: at most 1)", end="")
        print()
    else:
        print("\nGNU parallel is not installed (apt install parallel): its column is missing.")
    print(f"a whole sweep of one run, start-up included: {statistics.median(start_ups):.2f} s (goal: at most 1.5)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--phases"]:
        sweep_by_phases(sys.argv[2:])
    elif sys.argv[1:2] == ["--at-work-inside"]:
        at_work(int(sys.argv[2]))
    else:
        main()
