"""Records of format 1, as the last version that wrote it has left them (format_1/): listed, shown, gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from experimentstash.launch.resume import reopen
from experimentstash.record import json_schema, records
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile
from experimentstash.stash.layout import Stash
from tests.testing.faults import new_stash, running
from tests.testing.run_parts import put
from tests.testing.stash import InProcess, StashUnderTest

FILES = sorted((Path(__file__).parent / "format_1").glob("*.json"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema.schema())


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    return new_stash(tmp_path / "stash")


def placed(stash: Stash, file: Path) -> tuple[Path, dict[str, Any]]:
    """Put an old record into a stash, where it was by its own words; return its directory and what it says."""
    text = file.read_text().replace("/stash", str(stash.root))
    old: dict[str, Any] = json.loads(text)
    directory = Path(old["directory"])
    if file.stem == "superseded":  # which is no longer where it was
        directory = Path(old["sweep"]) / records.ASIDE / "0-1"
    directory.mkdir(parents=True)
    (directory / "output.log").touch()
    old["inode"] = directory.stat().st_ino
    (directory / "run.json").write_text(json.dumps(old))
    return directory, old


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_all_that_it_says_is_read(here: Stash, file: Path) -> None:
    directory, old = placed(here, file)
    run = records.read(directory)
    assert (run.format, run.id, run.created, run.sweep, run.version) == (2, *(old[name] for name in SAME))
    for part in (run.spec, run.attempt.terms, run.attempt):
        for name in vars(part).keys() & old.keys() - {"wandb", "supervisor", "queued"}:
            found = plain(getattr(part, name))
            if isinstance(found, dict) and isinstance(old[name], dict):  # what it doesn't know is unknown
                found = {key: value for key, value in found.items() if key in old[name] or value not in (None, [])}
            assert found == old[name], name
    for name, renamed in (("supervisor", RENAMED), ("queued", {})):
        expected = None if old[name] is None else {renamed.get(key, key): value for key, value in old[name].items()}
        assert plain(getattr(run.attempt, name)) == (expected and {**expected, "scheduler": "slurm"})
    assert (run.attempt.number, len(run.earlier)) == (old["attempt"], len(old["attempts"]))
    for earlier, before in zip(run.earlier, old["attempts"], strict=True):
        assert {name: plain(getattr(earlier, name)) for name in before} == before
    assert run.spec.wandb_timeout == old["wandb"].get("timeout") and run.others == {}
    records.write(run)
    written = json.loads((directory / "run.json").read_text())
    VALIDATOR.validate(written)
    assert written["format"] == 2 and records.read(directory) == run


RENAMED = {"slurm_job": "job", "slurm_cluster": "cluster", "slurm_step": "in_step"}
SAME = ("id", "created", "sweep", "version")


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=vars))


def test_they_are_listed_and_shown(here: Stash, in_process: InProcess) -> None:
    found = [old for file in FILES for _, old in [placed(here, file)] if file.stem != "superseded"]
    command_line = StashUnderTest(here.root)
    before = {path: path.read_bytes() for path in here.root.rglob("run.json")}
    listed = {each["id"]: each for each in json.loads(in_process(command_line, "runs", "--all", "--json").stdout)}
    for old in found:
        assert listed[old["id"]]["attempt"]["state"] == old["state"]
        assert listed[old["id"]]["spec"]["params"] == old["params"]
        shown = in_process(command_line, "show", old["id"])
        assert shown.returncode == 0 and old["id"] in shown.stdout
    assert {path: path.read_bytes() for path in before} == before


def test_words_of_another_version_stay(here: Stash) -> None:
    directory, old = placed(here, FILES[0])
    (directory / "run.json").write_text(json.dumps({**old, "novelty": 1}))
    records.write(records.read(directory))
    assert json.loads((directory / "run.json").read_text())["novelty"] == 1


def test_one_that_was_cut_short_goes_on(here: Stash) -> None:
    directory, old = placed(here, next(file for file in FILES if json.loads(file.read_text())["state"] == "timed_out"))
    shutil.rmtree(here.root / "tools", ignore_errors=True)
    run: Run = reopen(here, reconcile.load_reconciled(here, directory))
    assert run.earlier[-1].reason == old["reason"] and run.attempt.number == old["attempt"] + 1
    records.write(put(run, argv=["true"], cwd=str(here.root), timeout=None, code=None))
    with running(run) as one:
        assert one.end()["attempt"]["state"] == "completed"
    assert records.read(directory).earlier[-1].state is State.TIMED_OUT
