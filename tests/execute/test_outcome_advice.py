"""What a failed run tells its user to change: found in the log, named with the file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from experimentstash.execute.advice import advise
from experimentstash.record.run import Code, Command, Environment
from experimentstash.validate.engine import validate
from tests.testing.run_parts import run_with
from tests.testing.stash import InProcess, StashUnderTest
from tests.testing.tool_support import as_stash


@pytest.mark.parametrize(("script", "module"), [("src/train.py", "src.train"), ("src/relative.py", "src.relative")])
def test_a_script_that_is_a_module(stash: StashUnderTest, script: str, module: str) -> None:
    stash.add_tool("layout", "source_layout", f"entrypoint: {script}")
    stash.add_experiment("one", "layout")
    done = stash.cli("run", "one")
    assert done.returncode == 1
    advice = f"run it as a module: in conf/tool/layout.yaml change the entrypoint to `entrypoint: -m {module}`"
    record = stash.record()
    assert (record["attempt"]["state"], record["attempt"]["advice"]) == ("failed", advice)
    assert f"  → {advice}\n" in done.stderr
    followed = stash.cli("run", "one", f"tool.entrypoint=-m {module}")
    assert (followed.returncode, followed.stdout) == (0, "a model\n")


def test_a_package_that_is_missing(stash: StashUnderTest) -> None:
    stash.add_tool("layout", "source_layout", "entrypoint: lacking.py")
    stash.add_experiment("one", "layout")
    assert stash.cli("run", "one").returncode == 1
    expected = f"install 'numpie_for_tests' for {sys.executable}: that interpreter is used as it is"
    assert stash.record()["attempt"]["advice"] == expected


def advice_for(tmp_path: Path, log: str | bytes, *, kind: str = "pyproject", argv: list[str] | None = None) -> str:
    tool = tmp_path / "tool"
    (tool / "helpers").mkdir(parents=True, exist_ok=True)
    (tool / "single.py").touch()
    run = run_with(
        "a",
        tmp_path,
        command=Command(argv or ["/venv/bin/python", str(tool / "scripts" / "fit.py"), "--seed", "1"], str(tool)),
        registration="conf/tool/t.yaml",
        code=Code(str(tool)),
        environment=Environment(kind),
        peak_memory=12_300_000_000,
    )
    (tmp_path / "output.log").write_bytes(log if isinstance(log, bytes) else log.encode())
    return advise(run, tmp_path / "output.log") or ""


MODULE = "run it as a module: in conf/tool/t.yaml change the entrypoint to `entrypoint: -m scripts.fit`"
LACKS = "its environment lacks 'torch': add it to `dependencies:` in conf/tool/t.yaml, or to the tool's own"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("ModuleNotFoundError: No module named 'helpers.deep'\n", MODULE),
        ("ModuleNotFoundError: No module named 'single'\n", MODULE),
        ("ImportError: attempted relative import with no known parent package\n", MODULE),
        ("ModuleNotFoundError: No module named 'torch'\n", LACKS),
        ("ModuleNotFoundError: No module named 'torch.nn'\n", LACKS),
        ("/venv/bin/python: ImportError: No module named torch\n", LACKS),
        # As Python 3.13 and later colour it.
        ("\x1b[1;35mModuleNotFoundError\x1b[0m: \x1b[35mNo module named 'torch'\x1b[0m\n", LACKS),
        ("\x1b[31mMemoryError\x1b[0m\n", "it ran out of memory (peak 12.3 GB)"),
        # The last one is what it died of; earlier ones it had caught.
        (
            "No module named 'first'\nModuleNotFoundError: No module named 'numpy'\nduring …\n"
            "ModuleNotFoundError: No module named 'torch'\n",
            LACKS,
        ),
        ("x" * 200_000 + "\nModuleNotFoundError: No module named 'torch'\n", LACKS),
        (b"\xff\xfe\nModuleNotFoundError: No module named 'torch'\n", LACKS),
        ("fit.py: error: unrecognized arguments: --seed 1\n", "the tool doesn't know one of the arguments"),
        ("Error: No such option: --seed\n", "the tool doesn't know one of the arguments"),
        ("Could not override 'seed'.\n", "write `+key` there to add it"),
        ("Key 'seed' is not in struct\n", "write `+key` there to add it"),
        ("Traceback\nMemoryError\n", "it ran out of memory (peak 12.3 GB)"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.\n", "it ran out of memory (peak 12.3 GB)"),
        ("ValueError: no MemoryError here\n", ""),
        ("ModuleNotFoundError: No module named 'torch'\n" + "much later\n" * 10_000, ""),
        ("", ""),
    ],
)
def test_what_the_log_ends_with(tmp_path: Path, log: str | bytes, expected: str) -> None:
    advice = advice_for(tmp_path, log)
    assert expected in advice and bool(advice) == bool(expected)


def test_it_depends_on_how_the_tool_is_run(tmp_path: Path) -> None:
    lacking = "ModuleNotFoundError: No module named 'torch'\n"
    assert "install 'torch' for /venv/bin/python" in advice_for(tmp_path, lacking, kind="interpreter")
    # Run as a module it is already; then a package that is there by name is no reason to say so again.
    argv = ["/venv/bin/python", "-m", "scripts.fit"]
    assert "as a module" not in advice_for(tmp_path, "ModuleNotFoundError: No module named 'helpers'\n", argv=argv)


def test_no_log_no_advice(tmp_path: Path) -> None:
    run = run_with("a", tmp_path, command=Command(["x"], "/"))
    assert advise(run, tmp_path / "output.log") is None


HYDRA = """
import hydra
{}
@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config):
    pass
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imports", "params", "words"),
    [
        ("import numpie_for_tests", "{}", "install 'numpie_for_tests'"),
        ("import own.missing", "{}", "run it as a module"),
        ("", "{sede: 1}", "doesn't have one of these keys"),
        ("", "{model: huge}", "no config of that name"),
    ],
    ids=["a package", "a module of its own", "a key", "a config"],
)
def test_a_deep_check_says_what_a_run_says(
    stash: StashUnderTest, in_process: InProcess, imports: str, params: str, words: str
) -> None:
    stash.add_tool("t", None, "entrypoint: scripts/main.py\ncall: {style: hydra, configs: scripts/conf}\n")
    stash.write("tools/t/scripts/main.py", HYDRA.format(imports))
    stash.write("tools/t/scripts/conf/config.yaml", "defaults: [model: small]\nseed: 1\n")
    stash.write("tools/t/scripts/conf/model/small.yaml", "size: 1\n")
    stash.write("tools/t/own/__init__.py", "")
    stash.add_experiment("e", "t", f"params: {params}\n")
    (problem,) = [each for each in validate(as_stash(stash), is_deep=True).problems if each.check == "deep"]
    in_process(stash, "run", "e")
    assert words in str(problem.hint)
    assert problem.hint == stash.record()["attempt"]["advice"]
