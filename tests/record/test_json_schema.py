"""The schema of run.json: it is the one in docs/, takes real records, and refuses what is none."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from experimentstash.record import json_schema, records
from experimentstash.record.run import State
from tests.record.test_records import full
from tests.testing.faults import freeze, new_stash, running

FILE = Path(records.__file__).resolve().parents[2] / "docs" / "run.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json_schema.schema())


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    """The record of a run that says something of much, as it is written."""
    records.claim(full(tmp_path / "run"))
    found: dict[str, Any] = json.loads((tmp_path / "run" / "run.json").read_text())
    return found


def test_the_one_in_the_docs_is_made_from_the_types() -> None:
    assert FILE.read_text() == json_schema.text()  # else: python -m experimentstash.record.json_schema > that file


def test_real_records_are_valid(tmp_path: Path, record: dict[str, Any]) -> None:
    VALIDATOR.validate(record)
    stash = new_stash(tmp_path / "stash")
    run = freeze(stash, ["sh", "-c", "exit 3"], objective=[{"key": "loss", "file": "metrics.json"}])
    VALIDATOR.validate(json.loads((run.path / "run.json").read_text()))
    with running(run) as one:
        ended = one.end()
    assert ended["attempt"]["state"] == "failed"
    VALIDATOR.validate(ended)
    # Words of another version, where they are kept.
    VALIDATOR.validate({**ended, "novelty": 1, "spec": {**ended["spec"], "novelty": 1}})


def test_a_state_of_another_version_is_valid(record: dict[str, Any]) -> None:
    assert {each.value for each in State} > {record["attempt"]["state"]}
    record["attempt"]["state"] = "resting"
    VALIDATOR.validate(record)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("id", 5),
        ("id", "a/b"),
        ("format", 1),
        ("spec", None),
        ("spec.tool", None),
        ("spec.command.argv", "ls"),
        ("spec.command.novelty", 1),
        ("spec.code.patch", "/etc/passwd"),
        ("spec.objective", {"key": "loss", "take": "last"}),
        ("spec.params", []),
        ("attempt.state", None),
        ("attempt.number", "1"),
        ("attempt.started", "yesterday"),
        ("attempt.duration", -1),
        ("attempt.exit_code", 1.5),
        ("attempt.log", "../other.log"),
        ("attempt.terms.resources", []),
        ("attempt.process.pid", 0),
        ("attempt.supervisor.job", "--user=x"),
        ("attempt.wandb", [{}]),
        ("attempt.notes", [5]),
        ("earlier", [{}]),
        ("earlier", None),
    ],
)
def test_what_no_record_says_is_refused(record: dict[str, Any], keys: str, value: Any) -> None:
    *before, last = keys.split(".")
    place = wrong = copy.deepcopy(record)
    for key in before:
        place = place[key]
    place[last] = value
    assert not VALIDATOR.is_valid(wrong)


@pytest.mark.parametrize("keys", ["id", "spec", "attempt.state", "attempt.terms", "spec.command.argv", "spec.params"])
def test_all_that_is_written_is_needed(record: dict[str, Any], keys: str) -> None:
    *before, last = keys.split(".")
    place = record
    for key in before:
        place = place[key]
    del place[last]
    assert not VALIDATOR.is_valid(record)
