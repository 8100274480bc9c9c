"""Stashes that pages are made of in the tests' browser, each made once for all tests of a worker."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from experimentstash.record.run import Code, Run, State
from experimentstash.report.page import write
from experimentstash.report.page.model import (
    Cell,
    Column,
    Figure,
    Metric,
    Picture,
    Report,
    Row,
    Runs,
    Table,
    as_data,
)
from tests.testing import made_once
from tests.testing.faults import new_stash
from tests.testing.finished import finished
from tests.testing.stash import ODD_NAME, InProcess, StashUnderTest

# What stands in a text to become something else: each has set `window.hacked` if it did.
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"'><svg onload=window.hacked=1>",
    "javascript:window.hacked=1//%0a{{7*7}}${window.hacked=1}",
    "<!-- <script> \u2028\u2029 ]]> &lt;b&gt; \x1b[31mred\x1b[0m \u202egnp.exe\u202c \x07",
)
HOSTILE_SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="parent.hacked = 1">
<script>parent.hacked = 1; fetch("https://example.org/")</script><image href="https://example.org/a.png"/>
<style>@import "https://example.org/a.css";</style><text>{HOSTILE[1].replace("<", "&lt;")}</text></svg>"""


def page(name: str, make: Callable[[Path], object], in_process: InProcess, *arguments: str) -> Path:
    """Make a stash at a path, and the page of it; the next time it is there."""
    root = made_once.FOLDER / f"report-{name}" / ODD_NAME
    place = root / "report.html"
    if not place.exists():
        make(new_stash(root).root)
        done = in_process(StashUnderTest(root), "report", *arguments)
        assert done.returncode == 0, done.stderr
    return place


def written(folder: Path, report: Report) -> Path:
    """Write the page of a report into a directory."""
    place = folder / "report.html"
    place.write_bytes(write.page(report.title, as_data(report)))
    return place


def picture(run: Run, name: str, colour: str) -> None:
    """Put a picture into a run's directory."""
    image = Image.new("RGB", (320, 240), "white")
    ImageDraw.Draw(image).ellipse((60, 20, 260, 220), fill=colour)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    (run.path / name).write_bytes(stream.getvalue())


def few(root: Path) -> None:
    """Make two tools' experiments over three seeds, with pictures and histories, and a run that has failed."""
    with (root / "conf" / "config.yaml").open("a") as config:
        config.write("metrics: {accuracy: {better: higher, label: Accuracy}, loss: {better: lower}}\n")
    for number in range(12):
        seed, lr, tool = 1 + number % 3, (0.1, 0.01)[number // 3 % 2], ("adam", "sgd")[number // 6]
        run = finished(
            root,
            f"22222{'abcdefghijkm'[number]}",
            {"lr": lr, "seed": seed, "layers": 3},
            {"accuracy": round(0.8 + number / 100 + seed / 1000, 4), "loss": 2.5 - number / 10},
            exp=f"figure1/{tool}",
            tool=tool,
            second=number,
            argv=["python", "main.py", f"--lr={lr}"],
            tags=["paper"] if number < 6 else [],
        )
        picture(run, "figure.png", ("teal", "orange")[number // 6])
        steps = "".join(f"{step},{2.5 / step + seed / 10}\n" for step in range(1, 41))
        (run.path / "history.csv").write_text(f"step,loss\n{steps}", encoding="utf-8")
        (run.path / "output.log").write_text(f"it began\nseed {seed}\n", encoding="utf-8")
    params = {"lr": -1, "seed": 1, "layers": 3}
    why = {"reason": "the tool ended with exit code 1", "exit_code": 1}
    failed = finished(root, "22222z", params, exp="figure1/sgd", tool="sgd", state=State.FAILED, second=40, **why)
    (failed.path / "output.log").write_text("Traceback:\nValueError: lr must be more than 0\n", encoding="utf-8")


def hostile(root: Path) -> None:
    """Make runs whose every text tries to become something else."""
    for number, text in enumerate(HOSTILE):
        run = finished(
            root,
            f"22222{'abcdefghijkm'[number]}",
            {text: text, "seed": number, "__proto__": text},
            {text: 1.5 + number, "constructor": 1, "loss": 2},
            exp=f"figure1/{text}"[:200],
            tool=text[:100] if text.isprintable() else "t",
            second=number,
            state=(State.COMPLETED, State.FAILED)[number % 2],
            argv=["python", text],
            tags=[text],
            reason=text,
            description=text,
            notes=[text],
            code=Code(text, "0" * 40, patch="tool.patch"),
        )
        picture(run, "figure.png", "teal")
        named = text.replace("/", "∕")[:80]
        picture(run, f"{named}.png", "red")
        for name in ("drawing.svg", f"{named}.svg"):
            (run.path / name).write_text(HOSTILE_SVG, encoding="utf-8")
        (run.path / "script.png").write_text(f"<html>{text}</html>", encoding="utf-8")
        (run.path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + text.encode())
        (run.path / f"{named}.txt").write_text(text, encoding="utf-8")
        (run.path / "history.csv").write_text(
            f'step,"{text.replace(chr(34), chr(34) * 2)}"\n1,2\n2,3\n3,4\n', encoding="utf-8"
        )
        (run.path / "tool.patch").write_text(f"diff --git a/x b/x\n+{text}\n-{text}\n", encoding="utf-8")
        line = (text + " ") * (1 + 1_000_000 // len(text))
        (run.path / "output.log").write_text(f"\0{text}\n{line}\n{text}\n", encoding="utf-8")


def many(count: int) -> Report:
    """Return the data of a page of as many runs."""
    chance = random.Random(0)
    numbers = range(count)
    columns = [
        Column(
            "state", "state", "plain", True, None, ["failed" if each % 20 == 7 else "completed" for each in numbers]
        ),
        Column("exp", "experiment", "plain", True, None, [f"sweep/part{each % 7}" for each in numbers]),
        Column("tool", "tool", "plain", True, None, [f"tool{each % 3}" for each in numbers]),
        *(
            Column(f"params.p{place}", f"p{place}", "param", True, None, [each // 2**place % 10 for each in numbers])
            for place in range(8)
        ),
        *(
            Column(f"metrics.m{place}", f"m{place}", "metric", True, "higher", [chance.random() for _ in numbers])
            for place in range(4)
        ),
    ]
    runs = Runs(count, [f"22{each:05}" for each in numbers], columns)
    metrics = [Metric(f"m{place}", f"m{place}", "higher") for place in range(4)]
    rows = [
        Row([f"sweep/part{each % 7}", str(each)], [Cell("0.50 ± 0.10", 3, chance.random(), None)] * 4, [each])
        for each in numbers
    ]
    table = Table(None, "all that differs", ["experiment", "number"], metrics, rows, "A caption", [])
    return Report("many", "many", "2026-01-31T12:00:00+00:00", "", "0", runs, [table])


def figures() -> Report:
    """Return the data of a page of two figures, whose comparisons are their own, and one of both."""
    numbers = range(4)
    exp = [f"fig{1 + each // 2}/e{each}" for each in numbers]
    loss = [each / 10 for each in numbers]
    columns = [
        Column("exp", "experiment", "plain", True, None, exp),
        Column("metrics.m", "m", "metric", True, None, loss),
    ]

    def table(figure: str | None, name: str, of: Sequence[int]) -> Table:
        rows = [Row([exp[each]], [Cell(f"{loss[each]}", 1, loss[each], None)], [each]) for each in of]
        return Table(figure, name, ["experiment"], [Metric("m", "m", None)], rows, f"Of {figure}", [])

    tables = [table("fig1", "all that differs", [0, 1]), table("fig1", "exp", [1]), table("fig2", "tool", [2, 3])]
    runs = Runs(4, [f"22222{each}" for each in numbers], columns)
    return Report("figures", "figures", "", "", "0", runs, [*tables, table(None, "all that differs", numbers)])


# A picture of one pixel.
DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def copies() -> Report:
    """Return the data of a page of a run, a copy of it with other numbers, and one with a parameter like a metric."""
    columns = [
        Column("state", "state", "plain", False, None, ["completed"] * 3),
        Column("params.width", "width", "param", True, None, [32, 999, 1]),
        Column("metrics.width", "width", "metric", True, None, [0.99, 0.1, None]),
    ]
    texts = ("0001234", "1e5", "0x10", "12345678901234567890", "1234e5", "")
    rows = [Row([text], [Cell("0.5", 1, 0.25, 1)], [place % 3]) for place, text in enumerate(texts)]
    table = Table(None, "commit", ["commit"], [Metric("width", "width", None)], rows, "A caption", [])
    note = "older than the run's latest attempt"
    pictures = [Picture(run, "a.png", "gif", "thumb", DOT, None, 1, 1, note=note if run else None) for run in (0, 1)]
    runs = Runs(3, ["22222a", "22222a", "22222b"], columns)
    return Report("copies", "copies", "", "", "0", runs, [table], figures=[Figure("", pictures, [0, 1, 2])])
