"""`show A --diff B`: only what differs; what is the same is said, and so is what can't be compared."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.code.patches import parts
from experimentstash.record.run import Code, Environment, Run
from experimentstash.report.run_diff import between
from experimentstash.runs.differing import NOTHING
from tests.testing.finished import finished
from tests.testing.run_parts import put
from tests.testing.stash import ALONE, InProcess, StashUnderTest, git


def a_run(root: Path, name: str, *args: Any, code: Code | None = None, **fields: Any) -> Run:
    """Write a run that knows all of itself."""
    known = code or Code("/t", "c" * 40, dirty=False)
    used = {"duration": 60.0, "cpu_time": 30.0, "peak_memory": 10**9, "host": "here"}
    environment = Environment("none", lock="sha256:1")
    return finished(root, name, *args, environment=environment, stash=known, code=known, **used, **fields)


def differing(first: Run, second: Run) -> dict[str, dict[str, tuple[Any, Any]]]:
    parts = between(first, second).parts
    return {
        part.name: {each.name: (each.first, each.second) for each in part.changes} for part in parts if not part.is_same
    }


def unknown(first: Run, second: Run) -> list[str]:
    return [each for part in between(first, second).parts for each in part.unknown]


def test_only_what_differs(tmp_path: Path) -> None:
    first = a_run(tmp_path, "aaaaaaa", {"lr": 0.1, "model": {"depth": 2}, "n": 1, "b": True, "none": None}, {"acc": 1})
    second = a_run(tmp_path, "aaaaaab", {"lr": 0.2, "model": {"depth": 2}, "n": 1.0, "b": 1}, {"acc": math.nan, "x": 2})
    put(first, overrides=["params.lr=0.1", "timeout=2h", "~params.y"])
    put(second, overrides=["params.lr=0.2", "timeout=2h"], duration=61.0)
    found = differing(first, second)
    assert repr(found) == repr(
        {
            "parameters": {"lr": (0.1, 0.2), "b": (True, 1), "none": (None, NOTHING)},
            "overrides": {"params.lr": ("0.1", "0.2"), "~params.y": ("", NOTHING)},
            "metrics": {"acc": (1.0, math.nan), "x": (NOTHING, 2.0)},
            "outcome": {"duration": (60.0, 61.0)},
        }
    )
    assert differing(first, first) == {}


def test_two_tools_of_one_repository_have_not_the_same_code(tmp_path: Path) -> None:
    codes = [Code(path, "c" * 40, dirty=False) for path in ("/t/a", "/t/b")]
    first, second = (
        a_run(tmp_path, f"aaaaaa{name}", code=code, tool=name) for name, code in zip("ab", codes, strict=True)
    )
    assert differing(first, second)["code"] == {"of the tool": ("a", "b")}
    assert "code" not in differing(first, put(second, code=codes[0])), "another name of the same directory"


def patched(run: Run, text: str, **fields: Any) -> Run:
    (run.path / "tool.patch").write_text(text)
    code = replace(run.spec.code or Code("/t"), dirty=True, patch="tool.patch", **fields)
    return put(run, code=code)


def test_which_files_of_the_code_differ(tmp_path: Path, stash: StashUnderTest) -> None:
    names = ["a.py", "b.py", "c c.py", "d\te.py"]
    for name in names:
        stash.write(name, "1\n")
    stash.commit()

    def patch(**texts: str) -> str:
        for name, text in zip(names, texts.values(), strict=True):
            stash.write(name, text)
        return git(*ALONE, "diff", "HEAD", cwd=stash.root)

    first = patched(a_run(tmp_path, "aaaaaaa"), patch(a="2\n", b="2\n", c="2\n", d="1\n"))
    second = patched(a_run(tmp_path, "aaaaaab"), patch(a="2\n", b="3\n", c="1\n", d="2\n"), commit="d" * 40)
    assert list(parts((first.path / "tool.patch").read_text())) == ["a.py", "b.py", "c c.py"]
    assert differing(first, second) == {
        "code": {
            "tool commit": ("c" * 40, "d" * 40),
            "tool b.py": ("changed", "changed otherwise"),
            "tool c c.py": ("changed", "as committed"),
            "tool d\te.py": ("as committed", "changed"),
        }
    }
    clean = a_run(tmp_path, "aaaaaac")
    assert differing(first, clean)["code"]["tool checkout"] == ("with changes", "as committed")


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    first = a_run(tmp_path, "aaaaaaa")
    nowhere = a_run(tmp_path, "aaaaaab", code=Code("/t", unknown="dubious ownership\nand more"))
    assert unknown(first, nowhere) == [f"the {of}'s code of aaaaaab: dubious ownership" for of in ("tool", "stash")]
    gone = put(a_run(tmp_path, "aaaaaac"), code=Code("/t", "c" * 40, dirty=True, patch="tool.patch"))
    assert unknown(first, gone) == ["the tool's code of aaaaaac: tool.patch can't be read"]
    (gone.path / "tool.patch").symlink_to("/etc/passwd")
    assert unknown(first, gone) == ["the tool's code of aaaaaac: tool.patch can't be read"]
    secret = patched(a_run(tmp_path, "aaaaaad"), "", omitted=["data.bin"], withheld=[".env"])
    assert unknown(first, secret) == ["the tool's code of aaaaaad: its patch is without data.bin, .env"]
    unread = put(a_run(tmp_path, "aaaaaaf"), metrics=None, started="2026-01-31T12:00:00.000+00:00")
    assert unknown(first, unread) == ["nobody has read the numbers of aaaaaaf (experimentstash metrics refresh)"]
    lost = put(a_run(tmp_path, "aaaaaae"), code=Code("/t", "c" * 40, dirty=True))
    assert unknown(first, lost) == ["the tool's code of aaaaaae: what was changed wasn't kept"]


def test_python_and_packages(tmp_path: Path) -> None:
    def with_packages(name: str, text: str, **fields: str) -> Run:
        run = a_run(tmp_path, name)
        (run.path / "packages.txt").write_text(text)
        return put(run, environment=Environment("none", packages="packages.txt", **fields))

    first = with_packages("aaaaaaa", "numpy==1.0\nmine @ file:///x\n-e /y\n", version="3.11.2")
    second = with_packages("aaaaaab", "numpy==2.0\nmine @ file:///x\nnew==1\n", version="3.12.1")
    found = differing(first, second)
    assert repr(found) == repr(
        {
            "environment": {
                "Python": ("3.11.2", "3.12.1"),
                "numpy": ("1.0", "2.0"),
                "-e /y": ("is there", NOTHING),
                "new": (NOTHING, "1"),
            }
        }
    )


@pytest.mark.parametrize(("made", "known"), [("2026-01-31T11:59:59.000+00:00", True), ("2026-02-01T00:00:00Z", False)])
def test_the_packages_of_an_environment_are_those_it_had(tmp_path: Path, made: str, known: bool) -> None:
    def with_environment(name: str, packages: list[str], when: str) -> Run:
        place = tmp_path / "environments" / name
        place.mkdir(parents=True)
        (place / "experimentstash.json").write_text(json.dumps({"packages": packages, "made": when}))
        interpreter = str(place / "bin" / "python")
        return put(a_run(tmp_path, name), environment=Environment("pyproject", interpreter, key=name, lock="sha256:1"))

    first = with_environment("aaaaaaa", ["numpy==1.0"], "2026-01-01T00:00:00.000+00:00")
    second = with_environment("aaaaaab", ["numpy==2.0"], made)
    assert differing(first, second) == {"environment": {"numpy": ("1.0", "2.0")} if known else {}}
    assert unknown(first, second) == ([] if known else ["the packages of aaaaaab"])


def test_pythons_that_others_keep_are_told_apart_by_where_they_are(tmp_path: Path) -> None:
    runs = [
        put(
            a_run(tmp_path, f"aaaaaa{kind[0]}{place}"),
            environment=Environment(kind, f"/{place}/python", "3.11.2", key="k"),
        )
        for kind in ("interpreter", "pyproject")
        for place in "ab"
    ]
    assert differing(*runs[:2]) == {"environment": {"interpreter": ("/a/python", "/b/python")}}
    assert differing(*runs[2:]) == {"environment": {}}


def test_at_a_terminal_and_as_json(stash: StashUnderTest, in_process: InProcess) -> None:
    a_run(stash.root, "aaaaaaa", {"lr": 0.1}, {"acc": 0.5}, second=0)
    a_run(stash.root, "bbbbbbb", {"lr": 0.25}, {"acc": math.inf}, second=1)
    done = in_process(stash, "show", "aaaaaaa", "--diff", "bbbbbbb")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "            aaaaaaa  bbbbbbb",
        "parameters",
        "  lr        0.1      0.25",
        "metrics",
        "  acc       0.5      Infinity",
        "nothing differs in experiment, overrides, code, environment, outcome",
    ]
    content = json.loads(in_process(stash, "show", "aaaaaaa", "--diff", "bbbbbbb", "--json").stdout)
    assert content["runs"] == ["aaaaaaa", "bbbbbbb"] and content["unknown"] == []
    assert content["differences"] == {
        "parameters": [{"name": "lr", "first": 0.1, "second": 0.25}],
        "metrics": [{"name": "acc", "first": 0.5, "second": "Infinity"}],
    }


def test_which_run_it_is_held_against(stash: StashUnderTest, in_process: InProcess) -> None:
    for number, (name, exp) in enumerate(
        [("aaaaaaa", "f/x"), ("bbbbbbb", "f/y"), ("ccccccc", "f/x"), ("ddddddd", "f/x")]
    ):
        a_run(stash.root, name, {"seed": number}, exp=exp, second=number)

    def against(*words: str) -> list[str] | str:
        done = in_process(stash, "show", *words, "--json")
        return json.loads(done.stdout)["runs"] if done.returncode == 0 else done.stderr

    assert against("--diff") == ["ddddddd", "ccccccc"]
    assert against("ccccccc", "--diff") == ["ccccccc", "aaaaaaa"]
    assert against("aaaaaaa", "--diff", "latest") == ["aaaaaaa", "ddddddd"]
    assert against("ddddddd", "--diff", "latest") == ["ddddddd", "ccccccc"]
    assert against("aaaaaaa", "--diff", "bbb") == ["aaaaaaa", "bbbbbbb"]
    assert "There is no earlier run of f/x." in against("aaaaaaa", "--diff")
    assert "There is no other run of f/y." in against("bbbbbbb", "--diff", "latest")
    assert "There is no run 'zzz'" in against("aaaaaaa", "--diff", "zzz")
