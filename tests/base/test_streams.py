"""A terminal that knows few characters gets others in their place, and whatever is asked for is done."""

from __future__ import annotations

import io
import sys

import pytest

from experimentstash.base.output import fit_streams
from tests.testing.stash import StashUnderTest

POSIX = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "✓ → ä … ".encode() + rb"\ud800" + b" \xe9"),
        ("ascii", rb"v -> \xe4 ... \ud800" + b" \xe9"),
        ("latin-1", b"v -> \xe4 ... " + rb"\ud800" + b" \xe9"),
        ("cp1252", b"v -> \xe4 \x85 " + rb"\ud800" + b" \xe9"),
        ("utf-16-le", ("✓ → ä … " + r"\ud800 \udce9").encode("utf-16-le")),
    ],
)
def test_what_an_encoding_lacks(encoding: str, expected: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding=encoding, write_through=True))
    fit_streams()
    print("✓ → ä … \ud800 \udce9", end="", file=sys.stdout)
    assert written.getvalue() == expected


def test_without_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    fit_streams()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> StashUnderTest:
    from tests.testing.stash import bare_stash

    stash = bare_stash(tmp_path_factory.mktemp("streams"))
    stash.add_tool("echo")
    stash.write("tools/echo/run.py", "import os, sys\nprint(list(map(os.fsencode, sys.argv)))\n")
    stash.write(
        "conf/tool/echo.yaml",
        f"path: tools/echo\nentrypoint: run.py\nenvironment: {{kind: interpreter, interpreter: '{sys.executable}'}}\n"
        "call: {style: options}\n",
    )
    stash.add_experiment("one", "echo", 'description: "prüfe → alles"\nparams: {text: "ä€"}\n')
    stash.commit()
    return stash


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [POSIX, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}],
    ids=["posix", "ascii", "latin-1"],
)
def test_a_sweep_and_a_look_at_it(variables: dict[str, str], shown: StashUnderTest) -> None:
    done = shown.cli("-m", "+exp=one", "+params.more=1", **variables)
    assert done.returncode == 0, done.stderr
    assert "v completed" in done.stdout and "Traceback" not in done.stderr
    for log in shown.root.glob("multirun/*/*/0/output.log"):
        assert r"\xc3\xa4\xe2\x82\xac" in log.read_text()
    for words in (["runs"], ["list"], ["show"]):
        looked = shown.cli(*words, **variables)
        assert looked.returncode == 0 and "Traceback" not in looked.stderr, looked.stderr
    assert "v completed" in shown.cli("runs", **variables).stdout
