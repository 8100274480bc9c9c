"""What looking at a large set-up costs: `list`, `validate` with and without composing, and one composition.

    python benchmarks/validate.py [--tools 50] [--experiments 1000] [--submodules 10]

A composition by Composer is compared with Hydra's own, in turn and in CPU time (other load does not count then).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IDENTITY = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]
LOCAL = ["-c", "protocol.file.allow=always"]


def git(*words: str, cwd: Path) -> None:
    subprocess.run(["git", *IDENTITY, *LOCAL, *words], cwd=cwd, check=True, capture_output=True)


def make_stash(root: Path, tools: int, experiments: int, submodules: int) -> None:
    """Make a stash, half of whose tools are Hydra applications and some of whose are submodules."""
    from experimentstash.cli.commands.init import init

    init(root)
    upstream = root.parent / "upstream"
    make_tool(upstream)
    git("init", "-q", cwd=upstream)
    git("add", "-A", cwd=upstream)
    git("commit", "-qm", "one", cwd=upstream)
    for number in range(tools):
        name = f"tool{number}"
        if number < submodules:
            git("submodule", "add", "-q", str(upstream), f"tools/{name}", cwd=root)
        else:
            make_tool(root / "tools" / name)
        call = (
            "{style: hydra, configs: conf}" if number % 2 else "{style: options, output: --out, ways: {model: dotted}}"
        )
        (root / "conf" / "tool" / f"{name}.yaml").write_text(
            f"path: tools/{name}\nentrypoint: -m main\ndescription: Tool {number}\ncall: {call}\n"
            f"environment: {{kind: interpreter, interpreter: {sys.executable}}}\n"
        )
    for number in range(experiments):
        path = root / "conf" / "exp" / f"figure{number // 20}" / f"experiment{number}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"# @package _global_\ndefaults:\n  - override /tool: tool{number % tools}\nexperiment: tuned\n"
            f'description: "Experiment {number}"\ntags: [benchmark, t{number % 7}]\nestimated_runtime: 30m\n'
            f"params:\n  seed: {number}\n  model:\n    width: 32\n    depth: 4\n  data: ${{experiment}}.csv\n"
        )
    git("add", "-A", cwd=root)
    git("commit", "-qm", "benchmark", cwd=root)


def make_tool(directory: Path) -> None:
    (directory / "conf" / "experiment").mkdir(parents=True)
    (directory / "main.py").write_text("")
    (directory / "conf" / "experiment" / "tuned.yaml").write_text("seed: 1\n")


def command(root: Path, *words: str) -> float:
    """Return the wall time of a command line in seconds."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "experimentstash", *words], cwd=root, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{words} failed:\n{done.stdout}{done.stderr}")
    return seconds


def compositions(root: Path, number: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of so many compositions, by Hydra and by Composer."""
    from hydra import compose, initialize_config_dir

    from experimentstash.compose.config_store import ROOT_VARIABLE, TOKEN_VARIABLE
    from experimentstash.stash.layout import Stash
    from experimentstash.validate.composer import Composer

    stash = Stash(root)
    os.environ.update({ROOT_VARIABLE: str(root), TOKEN_VARIABLE: "token"})
    composer = Composer(stash)
    hydras: list[float] = []
    ours: list[float] = []
    with initialize_config_dir(str(stash.conf), version_base="1.3"):
        for name in stash.experiments()[:number]:
            start = time.process_time()
            compose("config", [f"+exp={name}"], return_hydra_config=True)
            between = time.process_time()
            composer.load([f"+exp={name}"])
            hydras.append(between - start)
            ours.append(time.process_time() - between)
    return hydras, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=int, default=50)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--submodules", type=int, default=10)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "stash"
        make_stash(root, given.tools, given.experiments, given.submodules)
        print(f"{given.tools} tools ({given.submodules} of them submodules), {given.experiments} experiments")
        command(root, "list")  # warms the file cache
        print(f"list                         {statistics.median(command(root, 'list') for _ in range(5)):6.2f} s")
        quick = statistics.median(command(root, "validate", "--quick") for _ in range(5))
        print(f"validate --quick             {quick:6.2f} s")
        whole = statistics.median(command(root, "validate") for _ in range(3))
        each = (whole - quick) / given.experiments * 1000
        print(f"validate                     {whole:6.2f} s: {each:.1f} ms for each experiment (composed and planned)")
        hydras, ours = compositions(root, min(given.experiments, 200))
        for title, found in (("one composition, Hydra's own", hydras), ("one composition, Composer's ", ours)):
            print(f"{title} {statistics.median(found) * 1000:6.1f} ms CPU (median of {len(found)})")


if __name__ == "__main__":
    main()
