"""Methods of other people that come out otherwise each time: what is said of them, and proposed, is true.

t-SNE and UMAP with and without a seed, PCA whose signs differ, and a tool that writes its time and rows in any order.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.testing.drawing import identity
from tests.testing.stash import REPOSITORY, StashUnderTest

MAIN = """
import argparse, csv, datetime, json, pathlib, random, time

parser = argparse.ArgumentParser()
parser.add_argument("--out")
parser.add_argument("--what")
parser.add_argument("--seed", type=int)
given = parser.parse_args()
out, begun = pathlib.Path(given.out), time.perf_counter()


def write(name, header, rows):
    with open(out / name, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


if given.what == "rows":
    (out / "notes.txt").write_text(f"begun {datetime.datetime.now()}\\n10 rows\\n")
    write("rows.csv", ["seed", "total"], random.sample([[seed, seed / 7] for seed in range(10)], 10))
else:
    from sklearn.datasets import load_digits

    points, labels = (each[:120] for each in load_digits(return_X_y=True))
    if given.what == "tsne":
        from sklearn.manifold import TSNE as method
        made = method(init="random", random_state=given.seed, perplexity=10, max_iter=300)
    elif given.what == "umap":
        from umap import UMAP as method
        made = method(random_state=given.seed, n_epochs=30, init="random")
    else:
        from sklearn.decomposition import PCA as method
        made = method(2)
    found = made.fit_transform(points)
    if given.what == "pca":  # as libraries differ that leave the signs open: otherwise each time
        runs = len(list(out.parent.iterdir()))
        found = found * [-1 if runs % 2 else 1, -1 if runs // 2 % 2 else 1]
    rows = [[number, *xy, label] for number, (xy, label) in enumerate(zip(found.tolist(), labels))]
    write("embedding.csv", ["n", "x", "y", "label"], rows)
(out / "metrics.json").write_text(json.dumps({"points": 120, "fit_seconds": time.perf_counter() - begun}))
"""
REGISTRATION = "path: tools/t\nentrypoint: main.py\ncall: {style: argparse, output: --out, nulls: omit}\n"
PARAMS = "params: {what: rows, seed: null}\n"
# Seconds: an environment is made, and compiled code of UMAP's anew in each run.
PATIENCE = 3600.0
SECONDS = {"ignore": ["fit_seconds"]}


@pytest.fixture
def methods(stash: StashUnderTest, python_first_on_path: None) -> StashUnderTest:
    stash.write("tools/t/main.py", MAIN)
    shutil.copy(REPOSITORY / "tools/umap_cli/requirements.txt", stash.root / "tools/t/requirements.txt")
    stash.write("conf/tool/t.yaml", REGISTRATION)
    stash.add_experiment("e", "t", PARAMS)
    stash.commit()
    return stash


def reproduced(stash: StashUnderTest, name: str, *words: str, code: int) -> dict[str, Any]:
    report = stash.root / "report.json"
    done = stash.cli("reproduce", name, "-o", str(report), *words, timeout=PATIENCE)
    assert done.returncode == code, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert isinstance(found, dict)
    return found


def varying(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is proposed for each output that varies; or why nothing is."""
    return {each["output"]: each["proposed"] or each["why"] for each in found["variations"]}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("what", "seed", "expected"),
    [
        ("tsne", "null", {"embedding.csv": "no tolerance is sensible for x, y"}),
        ("tsne", "0", {}),
        ("umap", "null", {"embedding.csv": "no tolerance is sensible for x, y"}),
        ("umap", "0", {}),
        ("pca", "null", {"embedding.csv": {"up_to": "sign", "coordinates": ["x", "y"]}}),
        (
            "rows",
            "null",
            {
                "rows.csv": {"key": ["seed"]},
                "notes.txt": {"ignore": [r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"]},
            },
        ),
    ],
)
def test_what_varies_is_told_and_what_is_proposed_holds(
    methods: StashUnderTest, what: str, seed: str, expected: dict[str, Any]
) -> None:
    assert methods.cli("+exp=e", f"params.what={what}", f"params.seed={seed}", timeout=PATIENCE).returncode == 0
    first = identity(methods)
    assert methods.cli("freeze", "first", first).returncode == 0
    found = varying(reproduced(methods, "first", "--times", "3", code=1))
    assert found == {"metrics.json": SECONDS, **expected}
    # With what is proposed it is the same the next time; what has no proposal is different once more.
    proposed = {name: each for name, each in found.items() if isinstance(each, dict)}
    methods.add_experiment("e", "t", f"{PARAMS}outputs: {json.dumps(proposed)}\n")
    assert methods.cli("freeze", "second", first).returncode == 0
    without = [name for name, each in found.items() if isinstance(each, str)]
    (outputs,) = reproduced(methods, "second", code=1 if without else 0)["tries"][0]
    verdicts = {each["output"]: each["verdict"] for each in outputs["outputs"]}
    assert [name for name, verdict in verdicts.items() if verdict == "different"] == without
