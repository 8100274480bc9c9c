"""Notebooks as tools: real ones, in real kernels."""

from __future__ import annotations

import ast
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling.arguments import build
from experimentstash.freeze.notebooks import run_notebook, source
from experimentstash.stash.schema import BooleanStyle, CallConfig, CallStyle
from experimentstash.tools import registrations
from tests.testing.slurm import without
from tests.testing.stash import PATIENCE, TOOLS, InProcess, StashUnderTest, wait_until
from tests.testing.tool_support import as_stash

AREA = TOOLS / "notebook" / "area.ipynb"
RUN = Path("/runs/a b")


@pytest.fixture
def notebook(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("area", "notebook", "entrypoint: area.ipynb\ncall: {}\n")
    stash.add_experiment("e", "area", "params: {seed: 3, n: 100}\n")
    stash.write(".gitignore", "outputs\nmultirun\n.experimentstash\n")
    stash.commit()
    return stash


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return cells


def outputs_of(notebook: Path) -> list[dict[str, Any]]:
    return [output for cell in cells_of(notebook) for output in cell.get("outputs", [])]


def tagged(cells: Iterable[Any], tag: str) -> list[str]:
    """Return the sources of the cells with a tag."""
    return ["".join(cell["source"]) for cell in cells if tag in cell["metadata"].get("tags", [])]


@pytest.mark.slow
def test_a_notebook_is_run(notebook: StashUnderTest) -> None:
    """It leaves itself as it was executed, a page, its figures and its metrics; the checkout stays as it is."""
    before = {path: path.read_bytes() for path in (notebook.root / "tools").rglob("*") if path.is_file()}
    done = notebook.cli("+exp=e", "tool.call.output=out")
    assert done.returncode == 0, done.stdout + done.stderr
    (directory,) = notebook.run_directories()
    record = notebook.record(directory)
    assert record["attempt"]["metrics"] == {"area": 3.0}
    assert (directory / "output.log").read_text().splitlines()[-1] == "area=3.0"
    (injected,) = tagged(cells_of(directory / "area.ipynb"), "injected-parameters")
    *first, last = injected.splitlines()[1:]
    assert first == ["seed = 3", "n = 100"] and ast.literal_eval(last.removeprefix("out = ")) == str(directory)
    assert (directory / "figures" / "cell-005-1.svg").read_text().startswith("<svg")
    page = (directory / "area.html").read_text()
    assert "area=3.0" in page and 'id="cell-id=cell-3"' in page  # no name in it is made up
    assert record["spec"]["command"]["argv"][1:] == [
        f"{directory}/run_notebook.py",
        str(notebook.root / "tools" / "area" / "area.ipynb"),
        str(directory),
        f"{directory}/parameters.json",
    ]
    assert json.loads((directory / "parameters.json").read_text()) == {"seed": 3, "n": 100, "out": str(directory)}
    assert (record["attempt"]["warnings"], record["attempt"]["notes"]) == ([], [])  # nothing came or went there
    assert before == {path: path.read_bytes() for path in (notebook.root / "tools").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_at_once_have_each_their_own_parameters(notebook: StashUnderTest) -> None:
    """They wait for each other in their kernels, so that they are at work at the same time."""
    notebook.add_tool("pair", None, "entrypoint: pair.py\ncall: {style: notebook}\n")
    notebook.write(
        "tools/pair/pair.py",
        '# %% tags=["parameters"]\nplace, me, other = "", "", ""\n# %%\nimport json, os, pathlib, time\n'
        "(pathlib.Path(place) / me).touch()\nwhile not (pathlib.Path(place) / other).exists():\n    time.sleep(0.05)\n"
        'with open(os.environ["EXPERIMENTSTASH_RUN_DIR"] + "/metrics.json", "w") as stream:\n'
        '    json.dump({"me": int(me)}, stream)\n',
    )
    notebook.write("meet/.keep", "")
    place = json.dumps(str(notebook.root / "meet"))
    notebook.add_experiment("pair", "pair", f"params: {{place: {place}, me: '1', other: '2'}}\n")
    done = notebook.cli(
        "-m", "+exp=pair", "hydra/launcher=local", "hydra.launcher.n_jobs=2", "hydra/sweeper=zip",
        "params.me='1','2'", "params.other='2','1'",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = [notebook.record(each)["attempt"]["metrics"]["me"] for each in notebook.run_directories()]
    assert sorted(metrics) == [1, 2]


@pytest.mark.slow
def test_one_that_is_told_to_stop_saves_what_it_has(stash: StashUnderTest) -> None:
    cells = [
        "# %% tags=['parameters']\nready = None\n",
        "# %%\nimport os, pathlib, time\nsaved = pathlib.Path(os.environ['EXPERIMENTSTASH_RUN_DIR']) / 'saved'\n",
        "# %%\ntry:\n    print('at work')\n    pathlib.Path(ready).touch()\n    time.sleep(100)\n"
        "except KeyboardInterrupt:\n    saved.write_text('all of it')\n    raise\n",
    ]
    stash.add_tool("long", None, "entrypoint: long.py\ncall: {style: notebook}\n")
    stash.write("tools/long/long.py", "\n".join(cells).replace("'parameters'", '"parameters"'))
    ready = stash.root / "ready"
    stash.add_experiment("e", "long", f"params: {{ready: {json.dumps(str(ready))}}}\ngrace: {{seconds: 60}}\n")
    process = stash.start("+exp=e")
    wait_until(lambda: ready.exists() or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    (directory,) = stash.run_directories()
    assert (directory / "saved").read_text() == "all of it"
    assert stash.record(directory)["attempt"]["state"] == "cancelled"
    outputs = outputs_of(directory / "long.ipynb")
    assert outputs[0]["text"] == ["at work\n"] and outputs[-1]["ename"] == "KeyboardInterrupt"
    assert (directory / "long.html").exists()


@pytest.mark.slow
def test_what_runs_it_is_brought_in_and_a_cell_that_fails_is_the_reason(
    stash: StashUnderTest, python_first_on_path: None
) -> None:
    """Of what the tool's own requirements have installed every version stays, though a newer one would do as well."""
    stash.add_tool("area", "notebook", "entrypoint: area.ipynb\ncall: {}\nenvironment: {kind: auto}\n")
    requirements = stash.write("tools/area/requirements.txt", "pyyaml==6.0.2\ntqdm==4.66.5\n")
    stash.add_experiment("e", "area", "params: {n: 10, fail_at: 3}\n")
    assert stash.cli("+exp=e").returncode == 1
    (directory,) = stash.run_directories()
    record = stash.record(directory)
    environment = Path(record["spec"]["environment"]["interpreter"]).parents[1]
    packages = json.loads((environment / "experimentstash.json").read_text())["packages"]
    assert {"pyyaml==6.0.2", "tqdm==4.66.5"} <= set(packages)
    assert any(each.startswith("papermill==") for each in packages)
    assert requirements.read_text() == "pyyaml==6.0.2\ntqdm==4.66.5\n"
    attempt = record["attempt"]
    assert attempt["reason"] == "cell 6 of the executed notebook failed: ValueError: nothing below 3"
    assert (attempt["state"], attempt["exit_code"]) == ("failed", 1)
    assert 'raise ValueError(f"nothing below {fail_at}")' in (directory / "output.log").read_text()
    assert outputs_of(directory / "area.ipynb")[-1]["ename"] == "ValueError" and (directory / "area.html").exists()


# --- what it is told -------------------------------------------------------------------------------------------------


def said(notebook: Path, params: Any, **call: Any) -> Any:
    config = CallConfig(style=CallStyle.notebook, **call)
    places = {"run_directory": RUN, "tool_directory": notebook.parent, "stash_root": notebook.parent}
    return build(config, "e", params, [], notebook=source.read(notebook), **places)


def test_parameters_are_handed_over_as_they_are() -> None:
    params = {"n": 1, "rate": 1e-05, "on": True, "none": None, "ids": [1, "a"], "optim.lr": 0.1, "limit": float("inf")}
    found = said(AREA, params, experiment="which")
    assert found.argv == (f"{RUN}/parameters.json",)
    read = json.loads(found.files["parameters.json"])
    assert read == {
        "which": "e", "n": 1, "rate": 1e-05, "on": True, "none": None, "ids": [1, "a"], "optim": {"lr": 0.1},
        "limit": float("inf"),
    }  # fmt: skip
    assert said(AREA, {}).argv == ()


@pytest.mark.parametrize(
    ("params", "call", "why"),
    [
        ({"a b": 1}, {}, "name of a variable"),
        ({"class": 1}, {}, "name of a variable"),
        ({"a": {1: 2}}, {}, "no text"),
        ({"a": 1}, {"booleans": BooleanStyle.value}, "no choice"),
        ({"a": 1}, {"ways": {"a": "word"}}, "no use"),
    ],
)
def test_what_a_notebook_cannot_be_told_is_refused(params: Any, call: dict[str, Any], why: str) -> None:
    with pytest.raises(StashError, match=why) as caught:
        said(AREA, params, **call)
    assert caught.value.hint


def test_without_a_tagged_cell_no_parameter_would_count(tmp_path: Path) -> None:
    plain = tmp_path / "plain.ipynb"
    plain.write_text(AREA.read_text().replace('"parameters"', '"other"'))
    with pytest.raises(StashError, match="no cell is tagged for parameters") as caught:
        said(plain, {"n": 1})
    assert "`parameters`" in str(caught.value.hint)
    assert said(plain, {}).files == {}


def two_tagged(kind: str, tmp_path: Path) -> Path:
    """Return a notebook of which two cells are tagged, the first of this kind."""
    found = json.loads(AREA.read_text())
    at = next(at for at, cell in enumerate(found["cells"]) if cell["metadata"])
    other = {"cell_type": kind, "metadata": {"tags": ["parameters"]}, "source": "n = 7", "id": "other"}
    found["cells"].insert(at, other | ({"outputs": [], "execution_count": None} if kind == "code" else {}))
    place = tmp_path / "two.ipynb"
    place.write_text(json.dumps(found))
    return place


@pytest.mark.parametrize("kind", ["code", "markdown"])
def test_two_tagged_cells_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is handed over stands after the first, and the second one would assign its own values. Who reads texts
    more closely than we says so, too."""
    place = two_tagged(kind, tmp_path)
    with pytest.raises(StashError, match="2 cells are tagged for parameters"):
        said(place, {"n": 1})
    assert said(place, {}).files == {}
    given = tmp_path / "parameters.json"
    given.write_text('{"n": 1}')
    for name in ("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "JUPYTER_NO_CONFIG", "IPYTHONDIR"):
        monkeypatch.setenv(name, "")  # put back afterwards
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert run_notebook.main(place, tmp_path / "run", given) == 2
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "2 cells are tagged" in capsys.readouterr().err


def test_a_parameter_that_a_later_cell_assigns_anew_is_named(tmp_path: Path) -> None:
    text = '# %% tags=["parameters"]\nn = 1\nrate = 2\nids = []\n# %%\nn = n * 2\nids += [1]\n# %%\nrate: float = 0.5\n'
    (tmp_path / "a.py").write_text(text)
    (line,) = source.read(tmp_path / "a.py").overwritten({"n": 1, "rate": 3, "ids": [2]})
    assert line.startswith("params.rate: a cell after the tagged one assigns rate anew")


TEXTS = {
    "a.py": '# %% [markdown]\n# Hello\n# %% tags=["parameters"]\nn = 1\nrate: float = 0.5\n# %%\nother = 2\n',
    "a.md": '# Hello\n```python tags=["parameters"]\nn = 1\nrate = 0.5\n```\n```python\nother = 2\n```\n',
    "a.Rmd": (
        "---\njupyter:\n  kernelspec:\n    name: python3\n    display_name: x\n    language: python\n---\n"
        '```{python tags=c("parameters")}\nn = 1\nrate = 2\n```\n'
    ),
    "a.qmd": "# Hello\n```{python}\n#| tags: [parameters]\nn = 1\nrate = 0.5\n```\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_notebooks_that_are_texts_say_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TEXTS[name])
    found = source.read(tmp_path / name)
    assert (found.language, found.is_tagged, found.names) == ("python", True, ("n", "rate"))
    assert any(each.startswith("jupytext") for each in found.needs)
    if name != "a.qmd":  # what reads that is Quarto's own program
        import jupytext

        (cell,) = tagged(jupytext.read(tmp_path / name).cells, "parameters")
        assert cell.startswith("n = 1")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": [], "metadata": 3}']
)
def test_what_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(StashError, match="can't be read as a notebook"):
        source.read(tmp_path / "x.ipynb")


def test_what_a_notebook_does_not_assign_is_said(notebook: StashUnderTest, in_process: InProcess) -> None:
    notebook.add_experiment("e", "area", "params: {sed: 3}\n")
    done = in_process(notebook, "validate")
    assert "params.sed: area doesn't seem to know it. Did you mean 'seed'?" in done.stdout + done.stderr
    done = in_process(notebook, "+exp=e", "dry_run=true")
    assert '"sed": 3' in done.stdout and "import papermill" not in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("registration", "why"),
    [
        ("entrypoint: nosuch.ipynb\ncall: {}\n", "does not exist"),
        ("entrypoint: area.ipynb --x\ncall: {}\n", "gets no words"),
        ("entrypoint: area.ipynb\ncall: {style: argparse}\n", "gets no words"),
        ("entrypoint: area.ipynb\ncall: {}\nresume: [--again]\n", "resume: a notebook gets no words"),
        ("entrypoint: area.ipynb\ncall: {}\nenvironment: {kind: none}\n", "needs a Python"),
    ],
)
def test_what_no_notebook_can_be_started_by_is_refused(
    notebook: StashUnderTest, in_process: InProcess, registration: str, why: str
) -> None:
    environment = (
        "" if "environment" in registration else f"environment: {{interpreter: {json.dumps(sys.executable)}}}\n"
    )
    notebook.write("conf/tool/area.yaml", f"path: tools/area\n{registration}{environment}")
    done = in_process(notebook, "+exp=e", "validate_only=true")
    assert done.returncode != 0 and why in done.stdout + done.stderr


def test_what_is_made_beforehand_is_what_runs_use(notebook: StashUnderTest, in_process: InProcess) -> None:
    notebook.write("conf/tool/area.yaml", "path: tools/area\nentrypoint: area.ipynb\n")
    stash = as_stash(notebook)
    tool = registrations.read(stash, "area")
    made = registrations.recipe(stash, "area", tool, notebook.root / "tools" / "area")
    assert any(each.startswith("papermill") for each in made.brought)
    done = in_process(notebook, "+exp=e", "validate_only=true", "debug=true")
    assert made.directory is not None and f"{made.directory}" in done.stdout + done.stderr


def test_an_interpreter_that_lacks_what_runs_it_is_named(
    notebook: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    """And asked for it once, whatever the number of runs."""
    python, asked = tmp_path / "python", tmp_path / "asked"
    real = shlex.quote(f"{sys.base_prefix}/bin/python3")
    python.write_text(f'#!/bin/sh\necho "$@" >> "{asked}"\nexec {real} -S "$@"\n')
    python.chmod(0o755)
    notebook.write(
        "conf/tool/area.yaml",
        f"path: tools/area\nentrypoint: area.ipynb\nenvironment: {{interpreter: {json.dumps(str(python))}}}\n",
    )
    done = in_process(notebook, "+exp=e", "validate_only=true")
    assert "lacks papermill, nbconvert, ipykernel" in done.stderr and f"{python} -m pip install" in done.stderr
    asked.unlink()
    done = in_process(notebook, "-m", "+exp=e", "params.n=1,2,3", "dry_run=true")
    assert done.returncode != 0 and asked.read_text().count(" papermill nbconvert ipykernel") == 1


@pytest.mark.slow
def test_what_quarto_reads_is_read_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its documentation has it: `quarto convert FILE.qmd` writes FILE.ipynb, with options left in the cells."""
    made = AREA.read_text().replace('"tags": [', '"other": [').replace('"seed = 0', '"#| tags: [parameters]\\nseed = 0')
    (tmp_path / "made.ipynb").write_text(made)
    quarto = tmp_path / "quarto"
    quarto.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo 1.7.0; exit; fi\n'
        '[ "$1" = convert ] || exit 9\n'
        f'for word; do :; done; cp "{tmp_path}/made.ipynb" "${{word%.qmd}}.ipynb"\n'
    )
    quarto.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "a.qmd").write_text(TEXTS["a.qmd"])
    (cell,) = tagged(run_notebook._read(tmp_path / "a.qmd").cells, "parameters")
    assert "seed = 0" in cell


def test_without_quarto_nothing_of_its_is_started(
    stash: StashUnderTest, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", without(["quarto"], os.defpath, tmp_path))
    stash.add_tool("q", None, "entrypoint: a.qmd\ncall: {}\n")
    stash.write("tools/q/a.qmd", TEXTS["a.qmd"])
    stash.add_experiment("e", "q", "params: {n: 2}\n")
    done = in_process(stash, "+exp=e", "validate_only=true")
    assert done.returncode != 0 and "no program quarto on PATH" in done.stderr and "https://quarto.org" in done.stderr
