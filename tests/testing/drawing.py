"""A stash with a run that has drawn something, and what is said of it once it is frozen, and had again."""

from __future__ import annotations

import json
from typing import Any

from tests.testing.stash import StashUnderTest

REGISTRATION = "entrypoint: main.py\ncall: {style: argparse, output: --out, lists: spread}\n"
ORGANIZER = """
params: {data: '${oc.env:EXPERIMENTSTASH_ROOT}/data/numbers.txt', shift: 0.5, noise: 0.0}
outputs: {'*.txt': {ignore: ['\\d+ ns']}}
"""


def identity(stash: StashUnderTest) -> str:
    return str(stash.record(stash.run_directories()[-1])["id"])


def frozen(stash: StashUnderTest, name: str = "fig") -> dict[str, Any]:
    data = json.loads((stash.root / "frozen" / name / "frozen.json").read_text())
    assert isinstance(data, dict)
    return data


def verdicts(stash: StashUnderTest, *arguments: str, code: int, name: str = "fig") -> dict[str, tuple[str, str]]:
    """Reproduce what is frozen; return each output's verdict, and why."""
    report = stash.root / "report.json"
    done = stash.cli("reproduce", name, "-o", str(report), *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    (tries,) = json.loads(report.read_text())["tries"]
    report.unlink()
    return {each["output"]: (each["verdict"], each["why"]) for run in tries for each in run["outputs"]}


SAME = {
    "figure.png": ("identical", "by picture; its bytes are others"),
    "notes/log.txt": ("equivalent", r"what may differ: \d+ ns"),
    "results.csv": ("identical", ""),
    "state.bin": ("identical", ""),
}
