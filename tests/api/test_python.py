"""What `import experimentstash` offers: light, typed, documented, and the same whatever else was imported before."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import experimentstash as es
from tests.testing.finished import finished
from tests.testing.stash import REPOSITORY, StashUnderTest

DOCS = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
CLASSES = [getattr(es, name) for name in es.__all__ if inspect.isclass(getattr(es, name))]
FUNCTIONS = [getattr(es, name) for name in es.__all__ if inspect.isfunction(getattr(es, name))]


def test_importing_it_imports_nothing_else_and_its_names_are_lazy() -> None:
    program = """
import sys
before = set(sys.modules)
import experimentstash as es
assert set(sys.modules) - before == {"experimentstash"}, set(sys.modules) - before
assert set(es.__all__) <= set(dir(es))
import experimentstash.runs.listing  # a folder of the same name
es.runs.__call__, es.run, es.compare
heavy = {"hydra", "omegaconf", "yaml", "numpy", "scipy", "pandas", "polars", "wandb", "uv"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_there_is_and_is_not() -> None:
    assert sorted(es.__all__) == es.__all__ and inspect.isfunction(es.runs)
    assert {each.__name__ for each in (*CLASSES, *FUNCTIONS)} == set(es.__all__)
    with pytest.raises(AttributeError, match="module 'experimentstash' has no attribute 'rus'"):
        es.rus  # type: ignore[attr-defined]  # noqa: B018


def members(kind: type) -> dict[str, Any]:
    return {name: each for name, each in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: each.__name__)
def test_functions_and_their_arguments_are_typed_and_documented(function: Any) -> None:
    signature = inspect.signature(function)
    assert function.__doc__ and signature.return_annotation is not inspect.Signature.empty
    for name, parameter in signature.parameters.items():
        assert parameter.annotation is not inspect.Parameter.empty, name
        assert re.search(rf"\b{name}\b", DOCS), f"docs/python.md doesn't tell of {name}"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda each: each.__name__)
def test_classes_and_their_members_are_documented(kind: type) -> None:
    assert kind.__doc__ and re.search(rf"\b{kind.__name__}s?\b", DOCS)
    for name, member in members(kind).items():
        if kind.__module__.startswith("experimentstash.api"):
            assert member.__doc__, name
            assert re.search(rf"`?{name}\b", DOCS), f"docs/python.md doesn't tell of {name}"


def test_the_example_of_the_docs(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the run that it executes, which other tests do."""
    exp = "figure1/pca_swissroll"
    for seed in (1, 2, 3):
        metrics = {"trustworthiness": seed / 10, "continuity": 0.5}
        run = finished(stash.root, f"r{seed:06}", {"seed": seed}, metrics, exp=exp, second=seed)
        (run.path / "embeddings.csv").write_text("x\n")
    monkeypatch.chdir(stash.root)
    monkeypatch.setattr(es, "run", lambda *_, **__: es.runs("latest")[0], raising=False)
    (example,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/python.md", "exec"), names)
    assert [run.id for run in names["runs"]] == ["r000002", "r000001"]
    assert "trustworthiness" in names["table"].to_latex()


@pytest.mark.slow
def test_a_users_script_is_checked(tmp_path: Path) -> None:
    """mypy sees the names as they are, the function that is called like a folder among them."""
    (tmp_path / "script.py").write_text(
        "import experimentstash as es\n"
        "run: es.Run = es.run('a', params={'x': 1})\n"
        "number: float = run.metrics['acc']\n"
        "names: list[str] = [each.id for each in es.runs(exp='a', tool=['b'])[:3]]\n"
        "latex: str = es.compare(run, es.runs(), spread='t').to_latex()\n"
        "try:\n    run.refresh().path('a').read_text()\nexcept es.RunFailed as error:\n    reveal_type(error.run)\n"
        "es.compare(test='anova')\n"
        "es.runs(stat='x')\n"
    )
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n[mypy-polars.*,pandas.*]\nfollow_imports = skip\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    told = re.findall(r"script.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert told == [("10", "arg-type"), ("11", "call-arg")], done.stdout
    assert 'script.py:9: note: Revealed type is "experimentstash.api.run.Run"' in done.stdout
