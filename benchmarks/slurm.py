"""What short runs cost on SLURM: 100 runs of a tool that does nothing, by Hydra's submitit launcher and by ours.

    python benchmarks/slurm.py [--runs 100] [--many 1500] [--rounds 3] [--only-many]

Paired, in turn: a bare Hydra app with `hydra/launcher=submitit_slurm` that runs the same command, our
`hydra/launcher=slurm`, and ours with `runs_per_job=50`. The files are written below the present directory, which the
nodes must see. Two small sweeps of a tool that looks at its parent tell what a supervisor has used when it starts a
tool, and its memory when it has done so 50 times. ``--only-many`` measures nothing but how long many held runs take to
the prompt. All that is submitted bears one name, and is withdrawn in the end.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sweep_local import make_stash

BARE_APP = """\
import subprocess

import hydra


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config):
    subprocess.run([config.program, "--n", str(config.n)], check=True)


main()
"""
# Notes the CPU time (ns) of the process that has started it, and its memory, now and at most (kB).
PROBE = """\
#!/bin/sh
read cpu rest </proc/$PPID/schedstat
echo $cpu $(grep -E '^VmHWM' /proc/$PPID/status) >>"%s.$2"
"""
PACKED = 50
# Seconds between two looks at the queue.
INTERVAL = 0.2
# Seconds that all jobs of one sweep may take.
PATIENCE = 900.0


class Cluster:
    """The jobs of this benchmark, which all bear the same name."""

    def __init__(self) -> None:
        self.name = f"benchmark-{os.getpid()}"

    def is_at_work(self) -> bool:
        return bool(words("squeue", "--noheader", "--name", self.name, "--format", "%i"))

    def await_end(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.is_at_work():
            if time.monotonic() > deadline:
                raise SystemExit(f"jobs have not ended within {PATIENCE:g} s; SLURM's log may say why")
            time.sleep(INTERVAL)

    def withdraw(self) -> None:
        subprocess.run(["scancel", "--name", self.name], check=False)
        self.await_end()


def words(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the sweep has not been submitted")
        time.sleep(0.01)


def cpu_seconds(jobs: list[str], number: int) -> float | None:
    """Return what accounting says that so many jobs have used together, all of their steps; None if it doesn't say."""
    command = ["sacct", "--noheader", "--parsable2", "--jobs", ",".join(jobs), "--format", "JobID,End,TotalCPU"]
    for _ in range(20):  # it is told some seconds later
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return None
        lines = [line.split("|") for line in done.stdout.splitlines()]
        used = [seconds_of(text) for job, end, text in lines if "." not in job and end != "Unknown"]
        if len(used) == number and all(used):
            return sum(used)
        time.sleep(1)
    return None


def seconds_of(text: str) -> float:
    """Return a time as sacct writes it, [[days-]hours:]minutes:seconds, in seconds."""
    days, _, rest = text.rpartition("-")
    total = float(days or 0) * 24
    for part in f"00:00:{rest}".split(":")[-3:]:
        total = total * 60 + float(part)
    return total


class Measurement:
    """One sweep: seconds until all is submitted, until the prompt is back, and until all jobs have ended."""

    def __init__(self, command: list[str], cwd: Path, cluster: Cluster, submitted: Callable[[Path], bool]) -> None:
        before = set(cwd.glob("multirun/*/*"))
        start = time.perf_counter()
        said_in = cwd.parent / "said"  # not in the stash, where it would be a change
        with said_in.open("w") as said:
            process = subprocess.Popen(command, cwd=cwd, stdout=said, stderr=said)
        try:
            await_that(lambda: process.poll() is not None or len(set(cwd.glob("multirun/*/*")) - before) == 1)
            (self.directory,) = set(cwd.glob("multirun/*/*")) - before
            await_that(lambda: process.poll() is not None or submitted(self.directory))
            self.submitted = time.perf_counter() - start
            if process.wait() != 0:
                raise SystemExit(f"{command} failed:\n{said_in.read_text()[-3000:]}")
        finally:
            process.kill()
        self.prompt = time.perf_counter() - start
        cluster.await_end()
        self.ended = time.perf_counter() - start
        self.files = sum(path.is_file() for path in self.directory.rglob("*"))

    @property
    def jobs(self) -> list[str]:
        """SLURM's ids of the arrays."""
        ours = {path.read_text().split()[0] for path in self.directory.glob(".slurm/*.job")}
        theirs = {path.name.partition("_")[0] for path in self.directory.glob(".submitit/[0-9]*_*")}
        return sorted(ours | theirs)


def print_table(rows: list[tuple[str, list[str]]], heads: list[str]) -> None:
    print(f"{'':46}" + "".join(f"{head:>24}" for head in heads))
    for name, cells in rows:
        print(f"{name:46}" + "".join(f"{cell:>24}" for cell in cells))


def shown(values: list[float], digits: int) -> str:
    """Return the median and the range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--many", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-many", action="store_true")
    given = parser.parse_args()
    if shutil.which("sbatch") is None or subprocess.run(["sinfo"], capture_output=True).returncode != 0:
        print(
            "There is no SLURM here, or it doesn't answer (tests/slurm/up brings up one on Debian): nothing measured."
        )
        return
    # Without .pyc files every import would be compiled anew, in all of them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cluster = Cluster()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="benchmark-") as folder:
        try:
            measure(Path(folder), cluster, given)
        finally:
            cluster.withdraw()


def measure(folder: Path, cluster: Cluster, given: argparse.Namespace) -> None:
    stash, bare, probe = folder / "stash", folder / "bare", folder / "probe"
    make_stash(stash, f"resources: {{time: 10m, cpus: 1, extra: {{job-name: {cluster.name}}}}}\n")
    probe.write_text(PROBE % (folder / "found"))
    probe.chmod(0o755)
    (bare / "conf").mkdir(parents=True)
    (bare / "app.py").write_text(BARE_APP)
    (bare / "conf" / "config.yaml").write_text("n: 0\nprogram: 'true'\n")
    theirs = [sys.executable, "app.py", "-m", "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=10"]
    theirs += ["hydra.launcher.cpus_per_task=1", f"hydra.launcher.name={cluster.name}"]
    ours = [sys.executable, "-m", "experimentstash", "-m", "hydra/launcher=slurm", "+exp=nothing"]
    packed = [*ours, f"hydra.launcher.runs_per_job={PACKED}"]

    def by_submitit(runs: int, *further: str) -> Measurement:
        command = [*theirs, f"n={','.join(map(str, range(runs)))}", *further]
        return Measurement(
            command, bare, cluster, lambda sweep: len(list(sweep.glob(".submitit/[0-9]*/*_submitted.pkl"))) == runs
        )

    def by_us(command: list[str], runs: int, *further: str) -> Measurement:
        command = [*command, f"params.n={','.join(map(str, range(runs)))}", *further]
        return Measurement(command, stash, cluster, lambda sweep: False)

    def probed(sweep: Callable[[], object]) -> tuple[list[float], float]:
        """Return the CPU seconds and the most memory (MB) that tools have seen their parents to have used."""
        sweep()
        paths = list(folder.glob("found.*"))
        notes = [path.read_text().split() for path in paths]
        for path in paths:
            path.unlink()
        return [int(note[0]) / 1e9 for note in notes], max(int(note[2]) / 1024 for note in notes)

    by_us(ours, 1)  # the tool's code is frozen, and caches are warm
    if given.only_many:
        submit_many(stash, ours, cluster, given)
        return
    by_submitit(1)
    rows: list[tuple[Measurement, Measurement, Measurement]] = []
    cpu: list[list[float]] = [[], [], []]
    for number in range(given.rounds):
        rows.append((by_submitit(given.runs), by_us(ours, given.runs), by_us(packed, given.runs)))
        for column, (measurement, jobs) in enumerate(
            zip(rows[-1], (given.runs, given.runs, -(-given.runs // PACKED)), strict=True)
        ):
            used = cpu_seconds(measurement.jobs, jobs)
            if used is not None:
                cpu[column].append(used / given.runs)
        print(f"round {number + 1} of {given.rounds} done", file=sys.stderr)
    few = 8
    found, their_memory = probed(lambda: by_submitit(few, f"program={probe}"))
    their_cpu = statistics.median(found)
    found, our_memory = probed(lambda: by_us(ours, few, f"tool.entrypoint={probe}"))
    our_cpu = statistics.median(found)
    found, packed_memory = probed(lambda: by_us(packed, PACKED, f"tool.entrypoint={probe}"))
    packed_cpu = max(found) / PACKED
    columns = list(zip(*rows, strict=True))
    print(f"\n{given.runs} runs of `true`, {given.rounds} rounds in turn; medians (ranges):\n")
    table = [
        ("until all are submitted, s", [shown([one.submitted for one in column], 1) for column in columns]),
        ("until the prompt is back, s", [shown([one.prompt for one in column], 1) for column in columns]),
        ("until all have ended, s", [shown([one.ended for one in column], 1) for column in columns]),
        ("CPU a run, the whole job (sacct), s", [shown(used, 3) if used else "?" for used in cpu]),
        ("CPU a run of the tool's parent before it, s", [f"{each:.3f}" for each in (their_cpu, our_cpu, packed_cpu)]),
        (
            "peak resident memory of that parent, MB",
            [f"{each:.1f}" for each in (their_memory, our_memory, packed_memory)],
        ),
        ("files", [str(column[-1].files) for column in columns]),
    ]
    print_table(table, ["submitit_slurm", "slurm", f"slurm, {PACKED} a job"])

    def ratio(mine: Callable[[tuple[Measurement, ...]], float], other: Callable[[Measurement], float]) -> float:
        return statistics.median(mine(row) / other(row[0]) for row in rows)

    print("\nratios, paired:")
    print(
        f"  prompt, to its submission   {ratio(lambda row: row[1].prompt, lambda one: one.submitted):.3f} (goal: 0.15)"
    )
    print(f"  prompt, to its prompt       {ratio(lambda row: row[1].prompt, lambda one: one.prompt):.3f}")
    print(f"  end                         {ratio(lambda row: row[1].ended, lambda one: one.ended):.3f}")
    print(f"  end, packed                 {ratio(lambda row: row[2].ended, lambda one: one.ended):.3f} (goal: 0.1)")
    if all(cpu):
        whole = statistics.median(mine / other for other, mine in zip(*cpu[:2], strict=False))
        print(f"  CPU, the whole job          {whole:.3f}")
    print(f"  CPU before the tool         {our_cpu / their_cpu:.3f} (goal: 0.1)")
    print(f"memory of a supervisor: {max(our_memory, packed_memory):.1f} MB (goal: 25)")
    submit_many(stash, ours, cluster, given)


def submit_many(stash: Path, ours: list[str], cluster: Cluster, given: argparse.Namespace) -> None:
    """Print how long many runs take to the prompt. Held: on this machine they would be at work beside the command."""
    seconds, cpu = [], []
    for _ in range(given.rounds):
        command = [*ours, f"params.n=range({given.many})", "+resources.extra.hold=true"]
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=stash, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        cluster.withdraw()
    print(f"{given.many} runs, to the prompt: {shown(seconds, 1)} s, {shown(cpu, 1)} of CPU (goal: 10)")


if __name__ == "__main__":
    main()
