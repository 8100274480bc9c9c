"""W&B runs that aren't where WANDB_DIR says are found, ended and sent all the same: real wandb, in real runs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters.wandb import places as wandb_places
from experimentstash.adapters.wandb import runs as wandb_runs
from tests.testing.stash import StashUnderTest, wait_until
from tests.testing.wandb_server import WandbServer

TOOL = """
import os, signal, sys, time
where, how, n = sys.argv[1:4]
run_directory = os.environ["EXPERIMENTSTASH_RUN_DIR"]
import wandb
options = {}
if where == "below":
    options["dir"] = os.path.join(run_directory, "logs", "deep")
elif where == "checkout":
    options["dir"] = "."
elif where == "elsewhere":
    options["dir"] = os.environ["ELSEWHERE"]
elif where == "variable":
    os.environ["WANDB_DIR"] = os.environ["ELSEWHERE"]
elif where == "hidden":
    os.makedirs(".wandb", exist_ok=True)
    options["dir"] = "."
if "dir" in options:
    os.makedirs(options["dir"], exist_ok=True)
if "quiet" in how:
    options["settings"] = wandb.Settings(silent=True)
run = wandb.init(project="stash", config={"n": n}, **options)
run.log({"loss": float(n)})
if "killed" in how:
    log = os.path.join(os.path.dirname(run.dir), f"run-{run.id}.wandb")
    until = time.monotonic() + 300
    while b"loss" not in open(log, "rb").read() and time.monotonic() < until:  # wandb has yet to write it
        time.sleep(0.02)
    # Where nothing but the open log tells of it, somebody has to have seen it.
    if where in ("elsewhere", "variable") and "quiet" in how:
        claim = os.path.join(os.path.dirname(log), "experimentstash-run")
        while not os.path.exists(claim) and time.monotonic() < until:
            time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)
if "waits" in how:
    open(os.path.join(run_directory, "at work"), "w").close()
    time.sleep(600)
if "fails" in how:
    sys.exit(3)
"""


@pytest.fixture
def tool(stash: StashUnderTest, tmp_path: Path) -> StashUnderTest:
    folder = stash.add_tool("logger", registration="entrypoint: main.py\ncall: {style: arguments}\n")
    (folder / "main.py").write_text(TOOL)
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\nwandb/\n.wandb/\n")
    arguments = "['${params.where}', '${params.how}', '${params.n}']"
    params = "{where: below, how: ends, n: 0}"
    stash.add_experiment("log", "logger", f"params: {params}\narguments: {arguments}\nwandb: {{mode: offline}}\n")
    stash.commit()
    (tmp_path / "else where").mkdir()
    return stash


@pytest.fixture(scope="module")
def server() -> Iterator[WandbServer]:
    with WandbServer() as running:
        yield running


def variables(server: WandbServer, tmp_path: Path) -> dict[str, str]:
    return {**server.environment(), "ELSEWHERE": str(tmp_path / "else where")}


def ended(stash: StashUnderTest, server: WandbServer, tmp_path: Path, record: dict[str, Any], code: int) -> None:
    """See that a run's one W&B run has the true end, and that it is sent."""
    (outcome,) = record["attempt"]["wandb"]
    assert (outcome["exit_code"], outcome["note"]) == (code, None), record
    done = stash.cli("sync", record["id"], **variables(server, tmp_path))
    assert done.returncode == 0 and "sent" in done.stderr, done.stderr
    sent = server.runs[outcome["id"]]
    assert (sent.state, sent.exit_code) == ("finished" if code == 0 else "failed", code)
    assert stash.cli("sync", record["id"], **variables(server, tmp_path)).stderr.count("already") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "how"),
    [
        *(("below", how) for how in ("killed", "fails")),
        *(("checkout", how) for how in ("killed", "killed-quiet", "fails-quiet", "ends")),
        ("hidden", "killed-quiet"),
        *(("elsewhere", how) for how in ("killed", "killed-quiet", "fails")),
        ("variable", "killed-quiet"),
    ],
)
def test_it_is_found_where_the_tool_put_it(
    tool: StashUnderTest, server: WandbServer, tmp_path: Path, where: str, how: str
) -> None:
    done = tool.cli("run", "log", f"params.where={where}", f"params.how={how}", **variables(server, tmp_path))
    code = 137 if "killed" in how else 3 if "fails" in how else 0
    record = tool.record()
    assert record["attempt"]["exit_code"] == code, done.stderr
    if where != "below":
        assert len(record["attempt"]["wandb_elsewhere"]) == 1
    ended(tool, server, tmp_path, record, code)


@pytest.mark.slow
@pytest.mark.parametrize("are_apart", [False, True])
def test_runs_side_by_side_have_each_their_own(
    tool: StashUnderTest, server: WandbServer, tmp_path: Path, are_apart: bool
) -> None:
    if are_apart:  # in copies of the code, which are gone when they have ended
        registration = tool.root / "conf/tool/logger.yaml"
        registration.write_text(registration.read_text() + "collect: [results]\n")
    words = ("params.where=checkout", "params.n=1,2", "params.how=killed-quiet,fails-quiet", "hydra.launcher.n_jobs=4")
    tool.cli("-m", "+exp=log", "hydra/launcher=local", *words, **variables(server, tmp_path))
    records = [tool.record(path) for path in tool.run_directories()]
    assert sorted(record["attempt"]["exit_code"] for record in records) == [3, 3, 137, 137]
    ids = {record["attempt"]["wandb"][0]["id"] for record in records}
    assert len(ids) == 4
    assert [record["spec"]["apart"] is not None for record in records] == [are_apart] * 4
    for record in records:
        ended(tool, server, tmp_path, record, record["attempt"]["exit_code"])
        (outcome,) = record["attempt"]["wandb"]
        n = next(word for word in record["spec"]["overrides"] if word.startswith("params.n="))[-1]
        assert json.loads(server.runs[outcome["id"]].config)["n"]["value"] == n


@pytest.mark.slow
@pytest.mark.parametrize("where", ["elsewhere", "below"])
def test_a_lost_run_is_found_as_well(tool: StashUnderTest, server: WandbServer, tmp_path: Path, where: str) -> None:
    """The supervisor is killed with its tool: what it has seen until then stands in the record."""
    process = tool.start("run", "log", f"params.where={where}", "params.how=waits-quiet", **variables(server, tmp_path))
    (directory,) = wait_until(tool.run_directories)
    wait_until(lambda: (directory / "at work").exists())
    if where == "elsewhere":
        wait_until(lambda: tool.record(directory)["attempt"].get("wandb_elsewhere"))
    logs = [path for place in (tool.root, tmp_path) for path in place.rglob("run-*.wandb")]
    wait_until(lambda: any(path.stat().st_size > 1000 for path in logs))  # wandb has written what it was told
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert tool.cli("runs", **variables(server, tmp_path)).returncode == 0
    record = tool.record(directory)
    assert record["attempt"]["state"] == "lost"
    ended(tool, server, tmp_path, record, record["attempt"]["exit_code"])


@pytest.mark.slow
def test_a_cancelled_run_that_was_just_begun(tool: StashUnderTest, server: WandbServer, tmp_path: Path) -> None:
    process = tool.start(
        "run", "log", "params.where=elsewhere", "params.how=waits-quiet", **variables(server, tmp_path)
    )
    (directory,) = wait_until(tool.run_directories)
    wait_until(lambda: (directory / "at work").exists())
    os.kill(process.pid, signal.SIGTERM)
    process.communicate()
    record = tool.record(directory)
    assert record["attempt"]["state"] == "cancelled"
    (outcome,) = record["attempt"]["wandb"]
    assert outcome["exit_code"] is not None and outcome["note"] is None


LEAVES = """
import os, signal, sys, time
folder = os.path.join(os.environ["ELSEWHERE"], "wandb", "offline-run-20260131_120000-abc")
os.makedirs(folder)
reads, writes = os.pipe()
if os.fork() == 0:
    log = open(os.path.join(folder, "run-abc.wandb"), "wb")
    os.write(writes, b"open")
    time.sleep(600)
os.read(reads, 4)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_tool_that_was_killed_leaves_open(tool: StashUnderTest, tmp_path: Path) -> None:
    """It may be over before anybody had a look at it: what outlives it tells."""
    (tool.root / "tools/logger/main.py").write_text(LEAVES)
    tool.cli("run", "log", ELSEWHERE=str(tmp_path / "else where"))
    record = tool.record()
    assert record["attempt"]["exit_code"] == 137
    (folder,) = record["attempt"]["wandb_elsewhere"]
    assert folder.endswith("/else where/wandb/offline-run-20260131_120000-abc")


# --- where logs are --------------------------------------------------------------------------------------------------

NAME = "offline-run-20260131_120000-abc"


def log(folder: Path, name: str = NAME) -> Path:
    path = folder / name / f"run-{name.rpartition('-')[2]}.wandb"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_what_is_below_a_directory(tmp_path: Path) -> None:
    logs = [
        log(tmp_path / "wandb"),
        log(tmp_path / "a" / "b" / "wandb", "run-20260131_120001-x-y"),
        log(tmp_path / "c"),
    ]
    log(tmp_path / ".git")
    (tmp_path / "wandb" / NAME / "run-other.txt").touch()
    (tmp_path / "run-x.wandb").touch()
    (tmp_path / "wandb" / "latest-run").symlink_to(NAME)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert sorted(wandb_places.below(tmp_path)) == sorted([logs[0], logs[1].with_name("run-y.wandb"), logs[2]])
    assert wandb_places.below(tmp_path / "nowhere") == []
    (found,) = wandb_runs.find(tmp_path / "c", [str(logs[2].parent)])
    assert found.log == logs[2] and not found.online


@pytest.mark.parametrize(
    "line",
    [
        "wandb: Run data is saved locally in {path}",
        "wandb: Run data is saved locally in \x1b[35m\x1b[1m{path}\x1b[0m",
        "\x1b[34m\x1b[1mwandb\x1b[0m: wandb sync {path}\r",
        "wandb: Find logs at: {path}/logs",
        "wandb: Find logs at: \x1b[1;35m{relative}/logs\x1b[0m",
        "wandb: Run data is saved locally in `{path}`",
    ],
)
@pytest.mark.parametrize("before", ["", "x" * 3_000_000 + "\n"])
def test_what_wandb_prints(tmp_path: Path, line: str, before: str) -> None:
    folder = log(tmp_path / "a place" / "wandb").parent
    output = tmp_path / "output.log"
    relative = os.path.relpath(folder, tmp_path)
    output.write_text(before + line.format(path=folder, relative=f"./{relative}") + "\nend\n")
    assert wandb_places.printed(output, 0, cwd=str(tmp_path), since=0.0) == {str(folder)}
    assert wandb_places.printed(output, output.stat().st_size - 2, cwd=str(tmp_path), since=0.0) == set()
    # What lay there before is another run's.
    assert wandb_places.printed(output, 0, cwd=str(tmp_path), since=folder.stat().st_mtime + 60) == set()


def test_no_output(tmp_path: Path) -> None:
    assert wandb_places.printed(tmp_path / "none", 0, cwd="/", since=0.0) == set()
