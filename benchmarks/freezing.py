"""What freezing many runs costs, against `sha256sum` of the same files: seconds, and CPU seconds of all processes.

    python benchmarks/freezing.py [--runs 1000] [--large 2.0] [--small 0.2] [--rounds 3]

Each run has written a file of so many MB of which the hash alone is kept, and a table of which a copy is. Both commands
read all files, which the system has in its memory by then.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOOL = "path: tools/sh\nentrypoint: sh\ncall: {style: arguments}\nenvironment: {kind: none}\n"
SCRIPT = "cd $1 && head -c %d /dev/urandom > model.bin && yes 0.5,1.25 | head -c %d > results.csv"
IDENTITY = {f"GIT_{who}_{what}": "benchmark" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def make_stash(root: Path, runs: int, large: float, small: float) -> None:
    """Have a stash with so many runs that have completed."""
    own = Path(__file__).resolve().parents[1]
    for name in ("conf/tool", "conf/exp", "tools/sh"):
        (root / name).mkdir(parents=True)
    shutil.copy(own / "experimentstash/scaffold/config.yaml", root / "conf/config.yaml")
    (root / "conf/tool/sh.yaml").write_text(TOOL)
    (root / "tools/sh/readme").write_text("the shell\n")
    (root / ".gitignore").write_text("/outputs/\n/multirun/\n/.experimentstash/\n")
    script = SCRIPT % (large * 1e6, small * 1e6)
    organizer = f"# @package _global_\ndefaults: [override /tool: sh]\nparams: {{n: 0}}\narguments: ['-c', '{script}', "
    organizer += "'${params.n}', '${output_dir}']\n"
    (root / "conf/exp/e.yaml").write_text(organizer)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "benchmark")):
        subprocess.run(["git", *words], cwd=root, env={**os.environ, **IDENTITY}, check=True)
    stash(root, "-m", "+exp=e", f"params.n=range({runs})", "hydra/launcher=local")


def stash(root: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "experimentstash", *words], cwd=root, check=True, capture_output=True)


def measured(root: Path, words: list[str], **options: str) -> tuple[float, float]:
    """Return the seconds that a command takes, and its CPU seconds."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=root, check=True, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--large", type=float, default=2.0, help="MB of the file whose hash is kept")
    parser.add_argument("--small", type=float, default=0.2, help="MB of the table of which a copy is kept")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "stash")
        make_stash(root, given.runs, given.large, given.small)
        names = "".join(
            f"{each}\0" for each in sorted(root.glob("multirun/*/*/*/*.*")) if each.suffix in (".bin", ".csv")
        )
        freezing, hashing = [], []
        for _ in range(given.rounds):
            hashing.append(measured(root, ["xargs", "-0", "sha256sum"], input=names))
            freezing.append(measured(root, [sys.executable, "-m", "experimentstash", "freeze", "all", "--exp", "e"]))
            shutil.rmtree(root / "frozen")
        for what, position in (("seconds", 0), ("CPU seconds", 1)):
            pairs = [(one[position], two[position]) for one, two in zip(freezing, hashing, strict=True)]
            ratios = sorted(one / two for one, two in pairs)
            one, two = (statistics.median(each) for each in zip(*pairs, strict=True))
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            print(f"{what}: freeze {one:.1f}, sha256sum {two:.1f}, ratio {spread}")


if __name__ == "__main__":
    main()
