"""Runs that are kept, and ones that were to have them again, as they are judged: without anything being run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experimentstash.publish import verdicts
from experimentstash.publish.comparators import choose
from experimentstash.publish.comparators.comparator import How
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Code, Frozen, FrozenRun, Gpu, Machine, Output, Package, Python, Took
from experimentstash.publish.verdicts import JudgedRun
from tests.testing.finished import finished

COMMIT = "3f2a9c1b7d4e5f60718293a4b5c6d7e8f9012345"


def kept_run(place: Path, name: str, contents: Mapping[str, bytes], how: Mapping[str, How]) -> FrozenRun:
    """Keep files as the outputs of a run."""
    outputs = []
    for path, content in contents.items():
        target = place / "runs" / name / "outputs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        outputs.append(Output(path, content_of(target), how.get(path) or How(choose.usual(path)), f"outputs/{path}"))
    return FrozenRun(
        id=name,
        folder=f"runs/{name}",
        tool="drawer",
        organizer="figure1/pca_swissroll",
        experiment=None,
        params={},
        argv=["python", "main.py", "--out", "⟨run⟩"],
        cwd="⟨stash⟩/tools/drawer",
        created="2026-01-31T11:00:00.000+00:00",
        code=Code("tools/drawer", False, "https://example.org/drawer.git", COMMIT, "main", False, None, None),
        stash=Code(None, True, None, COMMIT[::-1], "main", False, None, None),
        python=Python("uv", "CPython", "3.11.9", "uv.lock", "uv.lock", "a" * 64, [Package("numpy", "2.1.0", "b" * 64)]),
        machine=Machine("Linux-6.1", "x86_64", "A processor", 8, 64 << 30, [Gpu("A100", "40960 MiB", "550.54")]),
        took=Took(12.5, 11.0, 300 << 20),
        inputs=[],
        outputs=outputs,
    )


def judged(root: Path, place: Path, kept: FrozenRun, now: str, contents: Mapping[str, bytes]) -> JudgedRun:
    """Return what is said of a run that has written these files."""
    run = finished(root, now, commit=COMMIT)
    for path, content in contents.items():
        (run.path / path).parent.mkdir(parents=True, exist_ok=True)
        (run.path / path).write_bytes(content)
    return JudgedRun(kept, run, [verdicts.judge(each, place / kept.folder, run) for each in kept.outputs])


def frozen(runs: list[FrozenRun], message: str = "As submitted") -> Frozen:
    return Frozen("figure1", message, "2026-02-01T09:00:00.000+00:00", runs, {}, digest="c" * 64)
