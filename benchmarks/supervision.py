"""What supervision costs a tool: its output's speed against a plain `> file`, and the memory of its supervisor.

    python benchmarks/supervision.py [--gigabytes 2] [--pairs 5]

The tool writes to a file in both cases (shown live: copied to our stdout, which is /dev/null here), paired, in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from overhead import make_stash

WRITER = """\
import os, sys, time

chunk = b"x" * 1023 + b"\\n"
chunk *= 1024
start = time.perf_counter()
for _ in range(int(float(sys.argv[1]) * 1024)):
    os.write(1, chunk)
seconds = time.perf_counter() - start
open(sys.argv[2], "w").write(str(seconds))
"""


def memory_of(pid: int) -> tuple[float, float]:
    """Return the resident and the proportional memory of a process in MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("Rss", "Pss"))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        stash = Path(folder, "stash")
        make_stash(stash)
        (stash / "tools" / "nothing" / "main.py").write_text(WRITER)
        interpreter = f"environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
        (stash / "conf" / "tool" / "nothing.yaml").write_text(
            f"path: tools/nothing\nentrypoint: main.py\ncall: {{style: arguments}}\n{interpreter}"
        )
        took = Path(folder, "took")
        ours = [sys.executable, "-m", "experimentstash", "+exp=nothing"]
        ours.append(f"arguments=['{options.gigabytes}','{took}']")
        rows = []
        for _ in range(options.pairs):
            subprocess.run(ours, cwd=stash, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            supervised = float(took.read_text())
            with Path(folder, "plain").open("wb") as plain:
                writer = [sys.executable, str(stash / "tools" / "nothing" / "main.py")]
                subprocess.run([*writer, str(options.gigabytes), str(took)], stdout=plain, check=True)
            rows.append((supervised, float(took.read_text())))
            for log in stash.glob("outputs/*/*/output.log"):
                log.unlink()
        (stash / "tools" / "nothing" / "main.py").write_text("import time\ntime.sleep(5)\n")
        sleeper = subprocess.Popen(ours, cwd=stash, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)
        resident, proportional = memory_of(sleeper.pid)
        sleeper.wait()
    rate = options.gigabytes * 1024
    print(f"output, supervised     {rate / statistics.median(mine for mine, _ in rows):.0f} MB/s (median)")
    print(f"output, > file         {rate / statistics.median(other for _, other in rows):.0f} MB/s (median)")
    print(f"ratio, pair by pair    {statistics.median(mine / other for mine, other in rows):.3f} of the time (median)")
    print(f"memory of the whole supervising process  {resident:.0f} MB resident, {proportional:.0f} MB proportional")


if __name__ == "__main__":
    main()
