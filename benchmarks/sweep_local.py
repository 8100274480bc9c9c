"""What a run of a sweep on this machine costs: 200 runs of a tool that does nothing, two at a time, paired, in turn.

    python benchmarks/sweep_local.py [--runs 200] [--rounds 3] [--growth 100 1000 5000]

Against the bare commands under `xargs -P2` and under GNU parallel with --joblog --results, and Hydra's basic launcher.
Ours writes complete records. Composing a job's configuration is Hydra's work and is shown apart from what we add:
freezing (argv, environment, code identity, record) and executing (supervision, log, final record).
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


def make_stash(root: Path) -> None:
    """Make a stash with one tool, /bin/true, committed."""
    for folder in ("conf/tool", "conf/exp", "tools/nothing"):
        (root / folder).mkdir(parents=True)
    shutil.copy(REPOSITORY / "conf" / "config.yaml", root / "conf")
    (root / "tools/nothing/readme").write_text("Nothing.\n")
    head = "path: tools/nothing\nentrypoint: 'true'\nenvironment: {kind: none}\n"
    (root / "conf/tool/nothing.yaml").write_text(head)
    (root / "conf/exp/nothing.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /tool: nothing\nparams: {n: 0}\n"
    )
    (root / ".gitignore").write_text("/outputs/\n/multirun/\n/.experimentstash/\n")
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "benchmark"]):
        subprocess.run(["git", *command], cwd=root, check=True)


# --- the children: what is measured from inside ----------------------------------------------------------------------


def sweep_by_phases(arguments: list[str]) -> None:
    """Do an ordinary sweep, but freeze all its jobs first; print the seconds of each phase."""
    from experimentstash import app, cli
    from experimentstash.launch import jobs, local

    seconds = {"freezing": 0.0}

    def timed(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                seconds["freezing"] += time.perf_counter() - start

        return call

    app.plan, app.freeze = timed(app.plan), timed(app.freeze)  # type: ignore[attr-defined]
    supervise = local.supervise

    def supervise_prepared(prepared: Any, *given: Any) -> Any:
        start = time.perf_counter()
        everything = list(prepared)
        seconds["composing"] = time.perf_counter() - start - seconds["freezing"]
        start = time.perf_counter()
        try:
            return supervise(iter(everything), *given)
        finally:
            seconds["executing"] = time.perf_counter() - start

    local.supervise = supervise_prepared
    assert jobs.prepare
    code = cli.main(arguments)
    print(json.dumps(seconds))
    sys.exit(code)


def growth(total: int, at_once: int, waits: bool) -> None:
    """Execute so many runs, frozen as they are needed; print the seconds they took, and our memory in MB."""
    from hydra.core.utils import JobReturn

    from experimentstash import app, records
    from experimentstash.launch import local
    from experimentstash.launch.jobs import Job

    root = Path.cwd()
    os.environ[app.ROOT_VARIABLE] = str(root)
    go = root / "go"
    go.unlink(missing_ok=True)
    argv = ["sh", "-c", f"while [ ! -e '{go}' ]; do sleep 5; done"] if waits else ["true"]

    def frozen(number: int) -> Job:
        directory = root / "multirun" / "growth" / str(os.getpid()) / str(number)
        command = records.Command(argv, str(root / "tools" / "nothing"), {"EXPERIMENTSTASH_RUN_DIR": str(directory)})
        run = records.Run(f"growth-{number}", str(directory), None, "nothing", "nothing", command)
        records.claim(run)
        return Job(number, [], app.Prepared(run, {}), JobReturn())

    found: dict[str, float] = {"before": memory()}

    def taken() -> Any:
        for number in range(total):
            yield frozen(number)
        if waits:
            found["at_work"] = memory()
            go.touch()

    start = time.perf_counter()
    settings = local.Settings.of(n_jobs=at_once, gpus=None, gpus_per_run=1, fail_fast=False)
    local.supervise(taken(), total, settings)
    found["seconds"] = time.perf_counter() - start
    found["after"] = memory()
    print(json.dumps(found))


def memory() -> float:
    """Return our proportional share of memory in MB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


# --- the parent ------------------------------------------------------------------------------------------------------


def timed(command: list[str], cwd: Path, environment: dict[str, str], stdin: str | None = None) -> tuple[float, str]:
    """Return the wall time of a command in seconds, and the last line of its output."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds, done.stdout.rstrip().rpartition("\n")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=[100, 1000, 5000])
    parser.add_argument("--at-work", type=int, nargs="*", default=[100, 1000])
    given = parser.parse_args()
    # Without .pyc files every import would be compiled anew, in both.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    count = itertools.count()
    lines = "".join(f"{number}\n" for number in range(given.runs))
    has_parallel = shutil.which("parallel") is not None
    with tempfile.TemporaryDirectory() as folder:
        stash, bare, scratch = Path(folder, "stash"), Path(folder, "bare"), Path(folder, "scratch")
        make_stash(stash)
        (bare / "conf").mkdir(parents=True)
        scratch.mkdir()
        (bare / "app.py").write_text(BARE_APP)
        (bare / "conf" / "config.yaml").write_text("n: 0\n")
        ours = ["-m", "hydra/launcher=local", "hydra.launcher.n_jobs=2", "+exp=nothing"]
        numbers = f"params.n=range({given.runs})"
        seconds: dict[str, list[float]] = {}

        def note(name: str, value: float) -> None:
            seconds.setdefault(name, []).append(value)

        def round_of_all() -> None:
            note("xargs -P2", timed(["xargs", "-P2", "-n1", "true", "--n"], scratch, environment, lines)[0])
            if has_parallel:
                place = str(next(count))
                command = ["parallel", "-j2", "--joblog", f"{place}.log", "--results", place, "true", "--n", "{}"]
                note("GNU parallel", timed(command, scratch, environment, lines)[0])
            total, _ = timed([sys.executable, "-m", "experimentstash", *ours, numbers], stash, environment)
            note("ours, all of it", total)
            phases = json.loads(timed([sys.executable, __file__, "--phases", *ours, numbers], stash, environment)[1])
            for phase, spent in phases.items():
                note(f"  ours, {phase}", spent)
            note("ours, without composing", phases["freezing"] + phases["executing"])
            basic = [sys.executable, "app.py", "-m", f"n=range({given.runs})"]
            note("Hydra's basic", timed(basic, bare, environment)[0])
            note("one run", timed([sys.executable, "-m", "experimentstash", *ours], stash, environment)[0])

        timed([sys.executable, "-m", "experimentstash", *ours], stash, environment)  # caches
        for _ in range(given.rounds):
            round_of_all()
        start_up = statistics.median(seconds.pop("one run"))
        print(f"{given.runs} runs of `true`, two at a time, {given.rounds} rounds in turn:\n")
        print(f"{'':28}{'ms a run (median)':>18}{'range':>16}")
        for name, values in seconds.items():
            each = sorted(value / given.runs * 1000 for value in values)
            print(f"{name:28}{statistics.median(each):18.2f}{f'{each[0]:.2f}-{each[-1]:.2f}':>16}")
        if has_parallel:
            mine, theirs = seconds["ours, without composing"], seconds["GNU parallel"]
            ratio = statistics.median(one / other for one, other in zip(mine, theirs, strict=True))
            print(f"\nours without composing / GNU parallel, paired: {ratio:.2f} (goal: at most 1)")
        else:
            print("\nGNU parallel is not installed (apt install parallel): its column is missing.")
        print(f"a whole sweep of one run, start-up included: {start_up:.2f} s (goal: at most 1.5)\n")
        for total in given.growth:
            found = json.loads(
                timed([sys.executable, __file__, "--growing", str(total), "2", ""], stash, environment)[1]
            )
            print(
                f"{total} runs, 2 at work: {found['seconds'] / total * 1000:.2f} ms a run;"
                f" the launcher: {found['before']:.1f} MB before, {found['after']:.1f} MB after"
            )
        for total in given.at_work:
            words = [sys.executable, __file__, "--growing", str(total), str(total), "wait"]
            found = json.loads(timed(words, stash, environment)[1])
            each = (found["at_work"] - found["before"]) / total * 1024
            print(
                f"{total} runs at work at once: the launcher {found['at_work']:.1f} MB,"
                f" {each:.1f} KB a run (goal: less than 2 MB)"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--phases"]:
        sweep_by_phases(sys.argv[2:])
    elif sys.argv[1:2] == ["--growing"]:
        growth(int(sys.argv[2]), int(sys.argv[3]), bool(sys.argv[4]))
    else:
        main()
