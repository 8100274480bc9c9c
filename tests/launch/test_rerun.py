"""A run is had once more exactly, with the code that it had, or it is refused and nothing is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experimentstash.code import snapshots
from experimentstash.record.run import Code
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest, git

TOOL = "entrypoint: main.py\ncall: {style: argparse}\n"
ORGANIZER = "params: {lr: 0.1, name: 'a b'}\n"


@pytest.fixture
def versions(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a tool that says which version of its code ran."""
    stash.add_tool("t", registration=TOOL)
    stash.add_experiment("e", "t", ORGANIZER)
    change(stash, "one")
    stash.commit()
    return stash


def change(stash: StashUnderTest, version: str) -> None:
    stash.write("tools/t/main.py", f"import sys\nprint('version {version}', *sys.argv[1:])\n")


def said(stash: StashUnderTest, record: dict[str, Any]) -> str:
    return (Path(record["directory"]) / "output.log").read_text()


def last(stash: StashUnderTest) -> dict[str, Any]:
    return stash.record(stash.run_directories()[-1])


@pytest.mark.slow
def test_the_code_of_then_is_taken_wherever_the_checkout_is_now(versions: StashUnderTest) -> None:
    assert versions.cli("+exp=e", "params.lr=0.5").returncode == 0
    clean = last(versions)
    done = versions.cli("rerun", clean["id"])
    assert done.returncode == 0, done.stderr
    again = last(versions)
    assert again["id"] != clean["id"] and again["spec"]["code"] == clean["spec"]["code"]  # the checkout itself
    assert f"a rerun of {clean['id']}" in again["attempt"]["notes"]

    change(versions, "two, not committed")
    versions.write("tools/t/new.py", "x = 1\n")
    assert versions.cli("+exp=e", "params.lr=0.5").returncode == 0
    dirty = last(versions)
    git("checkout", "-q", ".", cwd=versions.root)
    change(versions, "three")
    versions.commit()

    for before, where in ((clean, []), (dirty, ["hydra/launcher=local"])):
        done = versions.cli("rerun", before["id"], "timeout=1h", *where)
        assert done.returncode == 0, done.stderr
        now = last(versions)
        assert said(versions, now) == said(versions, before) != ""
        for key in ("commit", "dirty", "patch", "omitted", "withheld"):
            assert now["spec"]["code"][key] == before["spec"]["code"][key]
        assert now["spec"]["code"]["snapshot"] is not None and now["spec"]["params"] == before["spec"]["params"]
        assert now["attempt"]["terms"]["timeout"] == 3600
        if before["spec"]["code"]["patch"]:
            patches = [(Path(each["directory"]) / "tool.patch").read_bytes() for each in (before, now)]
            assert patches[0] == patches[1]
    assert "version three" in (versions.root / "tools/t/main.py").read_text()


def test_the_configuration_of_then_is_taken_if_it_has_changed(versions: StashUnderTest) -> None:
    versions.add_experiment("e", "t", "params: {lr: 0.3, name: x}\n")  # never committed
    assert versions.cli("+exp=e", "params.name=c").returncode == 0
    before = last(versions)
    versions.add_experiment("e", "t", "params: {lr: 0.2, more: 1}\narguments: [--loud]\n")
    (versions.root / "conf/tool/t.yaml").write_text("path: tools/t\nentrypoint: nowhere.py\n")
    versions.commit()
    done = versions.cli("rerun", before["id"])
    assert done.returncode == 0, done.stderr
    now = last(versions)
    assert now["id"] != before["id"] and said(versions, now) == said(versions, before) != ""
    assert now["spec"]["params"] == before["spec"]["params"] and now["spec"]["stash"] == before["spec"]["stash"]
    patches = [(Path(each["directory"]) / "stash.patch").read_bytes() for each in (before, now)]
    assert patches[0] == patches[1] != b""
    third = versions.cli("rerun", now["id"])  # which has all that it takes, too
    assert third.returncode == 0, third.stderr


@pytest.mark.slow
def test_what_would_be_another_run_is_refused_and_leaves_nothing(versions: StashUnderTest) -> None:
    assert versions.cli("+exp=e", "params.name=c").returncode == 0
    record = last(versions)
    path, before = Path(record["directory"]) / "run.json", versions.run_directories()
    text = path.read_text()
    for old, new, why in (
        ('"lr": 0.1', '"lr": 0.2', "params.lr is 0.1 now and was 0.2"),
        ('"lr": 0.1', '"lr": 0.1, "more": 1', "params.more is missing"),
        ('"--lr", "0.1"', '"--lr", "0.1", "--loud"', "its command differs"),
        ('"environment": {', '"environment": {"MODE": "fast", ', "its variable MODE differs"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        done = versions.cli("rerun", record["id"])
        assert done.returncode == 2 and f"{record['id']} can't be had again as it was: {why}" in done.stderr
        assert f"git diff {record['spec']['stash']['commit'][:12]}" in done.stderr
    assert versions.run_directories() == before
    assert [each.name for each in (versions.root / "outputs").glob("*/*")] == [path.parent.name]


def test_code_that_nobody_knows_or_that_has_gone_is_refused(
    versions: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    finished(versions.root, "aaaaaaa", exp="e", overrides=["+exp=e"])
    done = in_process(versions, "rerun", "aaaaaaa")
    assert done.returncode == 2 and "git knows nothing of the code that it ran" in done.stderr
    finished(versions.root, "bbbbbbb", exp="e", overrides=["+exp=e"], commit="a" * 40)
    done = in_process(versions, "rerun", "bbbbbbb")
    assert done.returncode == 2 and "Commit aaaaaaaaaaaa is no longer in the repository" in done.stderr
    head = git("rev-parse", "HEAD", cwd=versions.root).strip()
    for code, patch, why in (
        (Code("/t", head, dirty=True, omitted=["big.bin"], patch="tool.patch"), "x", "isn't all kept: big.bin"),
        (Code("/t", head, dirty=True), "", "is not kept"),
        (Code("/t", head, dirty=True, patch="tool.patch"), "no patch\n", "No valid patches in input"),
    ):
        with pytest.raises(Exception, match=why):
            snapshots.of_record(versions.root, code, patch)


def test_a_sweep_is_no_run(versions: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(versions, "rerun", "zzz")
    assert done.returncode == 2 and "There is no run 'zzz'" in done.stderr
