"""What a run costs over a bare Hydra app that calls the same command: paired, in turn, on this machine.

    python benchmarks/overhead.py [--pairs 20]

Both start the same tool (a Python that does nothing) from the same interpreter; ours also identifies the code, checks
the tool's environment, supervises, and writes the run's record. The number to look at is the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

BARE_APP = """\
import subprocess
import sys

import hydra


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config):
    sys.exit(subprocess.run(list(config.argv), cwd=config.cwd).returncode)


main()
"""


def make_stash(root: Path) -> None:
    """Make a stash with one tool that does nothing, committed."""
    (root / "conf" / "tool").mkdir(parents=True)
    (root / "conf" / "exp").mkdir()
    (root / "tools" / "nothing").mkdir(parents=True)
    shutil.copy(REPOSITORY / "conf" / "config.yaml", root / "conf")
    (root / "tools" / "nothing" / "main.py").write_text("")
    (root / "conf" / "tool" / "nothing.yaml").write_text("path: tools/nothing\nentrypoint: -m main\n")
    (root / "conf" / "exp" / "nothing.yaml").write_text("# @package _global_\ndefaults:\n  - override /tool: nothing\n")
    (root / ".gitignore").write_text("/outputs/\n/.experimentstash/\n__pycache__/\n")
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "benchmark"]):
        subprocess.run(["git", *command], cwd=root, check=True)


def timed(command: list[str], cwd: Path, environment: dict[str, str]) -> float:
    """Return the wall time of a command in seconds."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    pairs = parser.parse_args().pairs
    # Without .pyc files every import would be compiled anew, in both.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        stash, bare = Path(folder, "stash"), Path(folder, "bare")
        make_stash(stash)
        ours = [sys.executable, "-m", "experimentstash", "+exp=nothing"]
        timed(ours, stash, environment)  # makes the environment
        (record,) = (json.loads(path.read_text()) for path in stash.glob("outputs/*/*/run.json"))
        (bare / "conf").mkdir(parents=True)
        (bare / "app.py").write_text(BARE_APP)
        (bare / "conf" / "config.yaml").write_text(
            json.dumps({name: record["spec"]["command"][name] for name in ("argv", "cwd")})
        )
        theirs = [sys.executable, "app.py"]
        timed(theirs, bare, environment)
        rows = [(timed(ours, stash, environment), timed(theirs, bare, environment)) for _ in range(pairs)]
    ratios = sorted(mine / other for mine, other in rows)
    print(f"pairs                {pairs}")
    print(f"experimentstash      {statistics.median(mine for mine, _ in rows) * 1e3:.0f} ms (median)")
    print(f"bare Hydra app       {statistics.median(other for _, other in rows) * 1e3:.0f} ms (median)")
    print(f"ratio, pair by pair  {statistics.median(ratios):.3f} (median; {ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
