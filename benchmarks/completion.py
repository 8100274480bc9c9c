"""What a Tab costs in a stash with very many experiments and runs, against a Python that does nothing.

CPU time of each answer, a process of its own, in turn with `python -c pass`: other load counts little.

    python benchmarks/completion.py [--experiments 1000] [--runs 10000] [--rounds 11] [--keep DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from runs import make_stash, measured

POSITIONS = {
    "a verb": "experimentstash r",
    "an experiment": "experimentstash run figure7/",
    "an experiment, in Hydra's words": "experimentstash +exp=",
    "a run": "experimentstash show ",
    "a run's first letters": "experimentstash cancel h",
    "a parameter": "experimentstash run figure7/run70 params.",
    "its value": "experimentstash run figure7/run70 params.rate=",
    "a parameter of ten": "experimentstash run 'figure7/run7*' params.",
    "a state": "experimentstash runs --state ",
    "an option": "experimentstash report --",
    "a launcher": "experimentstash run figure7/run70 hydra/launcher=",
    "a frozen name": "experimentstash reproduce ",
    "a setting": "experimentstash run figure7/run70 resources.m",
    "its value, true or false": "experimentstash +exp=figure7/run70 debug=",
    "a setting to explain": "experimentstash explain tool.",
    "a tool": "experimentstash tool show ",
}


def add_experiments(root: Path, count: int) -> None:
    """Write organizers as people have them, ten of a figure."""
    tool = root / "conf" / "tool" / "descent.yaml"
    tool.parent.mkdir(parents=True)
    tool.write_text("path: tools/descent\nentrypoint: descent.py\n")
    for number in range(count):
        path = root / "conf" / "exp" / f"figure{number // 10}" / f"run{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "# @package _global_\ndefaults:\n  - override /tool: descent\n"
            "description: An experiment of the benchmark\ntags: [benchmark]\n"
            f"params:\n  rate: 0.001  # of a step\n  steps: 2000\n  seed: {number}\n  model:\n    depth: 3\n"
        )
    frozen = root / "frozen" / "figure1"
    frozen.mkdir(parents=True)
    (frozen / "frozen.json").write_text("{}")


def milliseconds(argv: list[str], cwd: Path, **variables: str) -> float:
    """Return the CPU milliseconds that a command takes."""
    seconds, _ = measured(argv, cwd, {**os.environ, **variables})
    return seconds * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--keep", type=Path, help="make the stash here, or use the one that is here, and leave it")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as scratch:
        root = given.keep or Path(scratch) / "stash"
        if not (root / "conf").exists():
            make_stash(root, given.runs)
            add_experiments(root, given.experiments)
        program = str(Path(sys.executable).with_name("experimentstash"))
        bare: list[float] = []
        rounds: dict[str, list[float]] = {}
        for _ in range(given.rounds):
            bare.append(milliseconds([sys.executable, "-c", "pass"], root))
            for position, line in POSITIONS.items():
                took = milliseconds([program, "-sc", "query=bash"], root, COMP_LINE=line)
                rounds.setdefault(position, []).append(took)
        usual = statistics.median(bare)
        print(f"python -c pass: {usual:.0f} ms ({min(bare):.0f}-{max(bare):.0f})")
        for position, found in rounds.items():
            median = statistics.median(found)
            spread = f"({min(found):.0f}-{max(found):.0f})"
            print(f"{position:<34}{median:5.0f} ms {spread:<9}{median / usual:.1f} times that")


if __name__ == "__main__":
    main()
