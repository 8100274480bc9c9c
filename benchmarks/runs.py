"""What looking at many runs costs, against a plain walk that parses their records: each command a process of its own.

Seconds are CPU time: other load does not count.

    python benchmarks/runs.py [--runs 100000] [--compared 10000] [--rounds 5] [--keep DIR]

Half of the runs are single ones, half are of sweeps of 500, spread over 100 days; each has a record of 4 KB, as runs of
ordinary tools have it, and an empty log. The walk is `os.walk` and `json.loads`, in a process of its own, too.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SWEEP, DAYS = 500, 100
FIRST = datetime.datetime(2026, 1, 1, 8, tzinfo=datetime.timezone.utc)
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
WALK = """
import json, os, sys
count = 0
for folder, folders, files in os.walk(sys.argv[1]):
    if "run.json" in files:
        with open(os.path.join(folder, "run.json"), "rb") as stream:
            count += json.loads(stream.read())["format"] == 2
print(count)
"""


def record(root: Path, directory: Path, name: str, created: datetime.datetime, number: int, sweep: Path | None) -> str:
    """Return the text of a record as an ordinary run leaves it."""
    from experimentstash.record import encoding
    from experimentstash.record.run import (
        Attempt,
        Code,
        Command,
        Environment,
        Process,
        Run,
        Specification,
        State,
        Supervisor,
        Terms,
    )

    tool, method = f"tool{number % 7}", f"method{number % 7}"
    params = {
        "seed": number % 5,
        "method": method,
        "lr": [0.1, 0.01, 0.001][number % 3],
        "model": {"depth": number % 4, "width": 64, "activation": "relu", "dropout": 0.1},
        "data": {"name": "swissroll", "n_samples": 1000, "noise": 0.05},
    }
    chance = random.Random(number)
    state = State.FAILED if number % 20 == 7 else State.COMPLETED
    text = created.isoformat(timespec="milliseconds")
    argv = [str(root / ".experimentstash/environments/abc/bin/python"), "-u", "-m", "main"]
    argv += [f"--{key}={value}" for key, value in params.items()]
    run = Run(
        name,
        str(directory),
        Specification(
            tool,
            Command(argv, str(root / "tools" / tool), {"EXPERIMENTSTASH_RUN": str(directory), "WANDB_DIR": "x" * 60}),
            organizer=f"figure{number % 10}/{method}",
            registration=f"conf/tool/{tool}.yaml",
            description="An experiment of the benchmark, with a description as people write them",
            tags=["benchmark", f"t{number % 3}"],
            params=params,
            overrides=[f"+exp=figure{number % 10}/{method}", f"params.seed={number % 5}"],
            job=None if sweep is None else number % SWEEP,
            stash=Code(str(root), "a" * 40, "main", dirty=False),
            code=Code(str(root / "tools" / tool), "b" * 40, "main", dirty=True, patch="code.patch"),
            environment=Environment("pyproject", argv[0], "3.11.7", "sha256:" + "c" * 64, "uv.lock", "d" * 16),
            estimated_runtime=60.0,
            signature=f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}",
        ),
        Attempt(
            1,
            state,
            Terms(timeout=3600.0, resources={"cpus": 4, "mem": "16G"}),
            supervisor=Supervisor("node01", 12345, 6789, "e" * 36),
            process=Process(12346, 6790),
            host="node01",
            started=text,
            ended=text,
            duration=chance.random() * 100,
            exit_code=int(state is State.FAILED),
            peak_memory=1 << 30,
            cpu_time=12.5,
            metrics={"accuracy": chance.random(), "loss": chance.random(), "val.loss": chance.random()},
        ),
        sweep=None if sweep is None else str(sweep),
        created=text,
    )
    return encoding.text_of(run)


def token(number: int) -> str:
    """Return a name as runs and sweeps have it."""
    return "".join(LETTERS[(number * 7919 // 31**place) % 31] for place in range(7))


def make_stash(root: Path, runs: int) -> None:
    """Write records of so many runs that have ended, in order of their time."""
    (root / "conf").mkdir(parents=True)
    (root / "conf" / "config.yaml").write_text("defaults: [experimentstash]\nmetrics: {accuracy: {better: higher}}\n")
    sweep: Path | None = None
    for number in range(runs):
        created = FIRST + datetime.timedelta(days=DAYS) * (number / runs)
        named = f"{created:%Y-%m-%d}/{created:%H-%M-%S}-{token(number)}"
        if number // SWEEP % 2:
            if number % SWEEP == 0:
                sweep = root / "multirun" / named
                sweep.mkdir(parents=True)
            assert sweep is not None
            directory, name = sweep / str(number % SWEEP), f"{sweep.name[-7:]}-{number % SWEEP}"
        else:
            directory, name = root / "outputs" / named, token(number)
        directory.mkdir(parents=True)
        is_of_sweep = bool(number // SWEEP % 2)
        (directory / "run.json").write_text(
            record(root, directory, name, created, number, sweep if is_of_sweep else None)
        )
        (directory / "output.log").touch()


def measured(argv: list[str], cwd: Path, environment: dict[str, str]) -> tuple[float, int]:
    """Return the CPU seconds that a command takes, and its peak memory in MB."""
    process = subprocess.Popen(argv, cwd=cwd, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{argv} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--compared", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="make the stash here, or use the one that is here, and leave it")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as scratch:
        root = given.keep or Path(scratch) / "stash"
        if not (root / "conf").exists():
            make_stash(root, given.runs)
        cache = Path(scratch) / "cache"
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        ours = [sys.executable, "-m", "experimentstash"]
        commands = {
            "the last 50": ["runs", "-n", "50"],
            "one state of all": ["runs", "--state", "failed", "-n", "50"],
            "a condition on all": ["runs", "--where", "metrics.accuracy > 0.99 and params.seed < 3", "-n", "50"],
            f"compare {given.compared:,}": ["compare", "--since", compared_since(given.runs, given.compared)],
        }
        walk = [sys.executable, "-c", WALK, str(root)]
        measured(walk, root, environment)  # warms the file cache
        rounds: dict[str, list[float]] = {}
        memory: dict[str, int] = {}
        for number in range(given.rounds):
            walked, _ = measured(walk, root, environment)
            rounds.setdefault("the walk", []).append(walked)
            if number == 0:
                seconds, peak = measured([*ours, *commands["the last 50"]], root, environment)
                print(
                    f"{'the last 50, no index yet':<28}{seconds:8.2f} s {seconds / walked:7.3f} of the walk {peak:5} MB"
                )
                seconds, peak = measured([*ours, *commands["one state of all"]], root, environment)
                print(f"{'the index, cold':<28}{seconds:8.2f} s {seconds / walked:7.3f} of the walk {peak:5} MB")
            for name, words in commands.items():
                seconds, peak = measured([*ours, *words], root, environment)
                rounds.setdefault(name, []).append(seconds)
                rounds.setdefault(f"{name}, ratio", []).append(seconds / walked)
                memory[name] = max(peak, memory.get(name, 0))
        print(f"{'the walk':<28}{statistics.median(rounds['the walk']):8.2f} s")
        for name in commands:
            median, ratio = (statistics.median(rounds[each]) for each in (name, f"{name}, ratio"))
            print(f"{name:<28}{median:8.2f} s {ratio:7.3f} of the walk {memory[name]:5} MB")


def compared_since(runs: int, compared: int) -> str:
    """Return since when there are so many runs."""
    return (FIRST + datetime.timedelta(days=DAYS) * max(0, (runs - compared) / runs)).isoformat()


if __name__ == "__main__":
    main()
