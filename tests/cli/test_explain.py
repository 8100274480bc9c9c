"""``experimentstash explain``: what a setting means."""

from __future__ import annotations

import pytest

from experimentstash.base.errors import StashError
from experimentstash.cli.commands import explain
from experimentstash.cli.main import main


def keys(key: str) -> list[str]:
    return [f"{section.prefix}{setting.key}" for section, setting in explain.find(key)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("timeout", ["timeout"]),  # not wandb.timeout, too
        ("tool.call.style", ["tool.call.style"]),
        ("call.style", ["tool.call.style"]),  # as it stands in a registration
        ("style", ["tool.call.style"]),
        ("runs_per_job", ["hydra.launcher.runs_per_job"]),
        ("metrics.accuracy.column", ["metrics.NAME.column"]),
        ("tool.metrics.loss.take", ["tool.metrics.NAME.take"]),
        ("outputs.a.columns.b.rtol", ["outputs.NAME.columns.NAME.rtol"]),
        ("grace.*", ["grace.seconds", "grace.signal"]),
        ("resources", ["resources"]),
        ("n_jobs", ["hydra.launcher.n_jobs"]),
    ],
)
def test_which_one_is_meant(key: str, expected: list[str]) -> None:
    assert keys(key) == expected


@pytest.mark.parametrize(
    "key", ["tiemout", "", ".", "*nothing*", "tool.", "metrics.a.b.c", "a" * 10_000, "ü", "[", "%s"]
)
def test_an_unknown_one(key: str) -> None:
    with pytest.raises(StashError, match="There is no setting"):
        explain.find(key)


def test_a_typo_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "tiemout"]) == 2
    assert "Did you mean 'timeout'?" in capsys.readouterr().err


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "tool.call.booleans", "tool.call"]) == 0
    one, other = capsys.readouterr().out.split("\n\ntool.call: ")
    assert one.splitlines()[0].startswith(
        "tool.call.booleans: flag | negatable | value | python, or null (default: null)"
    )
    assert "  in conf/tool/NAME.yaml as call.booleans" in one and "negatable  true: --key; false: --no-key" in one
    assert "\n  tool.call.subcommand   Words between the entrypoint" in other
    assert max(map(len, f"{one}{other}".splitlines())) <= 80


def test_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out
    assert (
        "\n  tool.entrypoint\n" in listed and "\n  hydra.launcher.time_factor\n" in listed and "\n  timeout\n" in listed
    )
