"""W&B runs reach their true end: real wandb processes that end in every way, and a local stand-in for the server."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from experimentstash.adapters.wandb import finish as wandb_finish
from experimentstash.adapters.wandb import log as wandb_log
from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.adapters.wandb import sync as wandb_sync
from experimentstash.adapters.wandb import variables as wandb_variables
from experimentstash.adapters.wandb.sync import Status
from experimentstash.record import records
from experimentstash.record.run import Command, State
from experimentstash.stash.schema import WandbConfig, WandbMode
from tests.testing.prepared import Prepared
from tests.testing.run_parts import run_with
from tests.testing.stash import PATIENCE
from tests.testing.wandb_server import API_KEY, ServerRun, WandbServer

TOOL = """
import os, signal, sys, time
import wandb

how = sys.argv[1]
if how == "handled":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
options = {"id": "chosen-id", "resume": "allow"} if how == "own_id" else {}
runs = 2 if how == "two_runs" else 1
for number in range(runs):
    run = wandb.init(project="stash", config={"number": number}, **options)
    for step in range(8):
        run.log({"loss": 1 / (step + 1)})
        if step == 4 and os.environ.get("PAUSE"):
            time.sleep(float(os.environ["PAUSE"]))
    if number + 1 < runs:
        run.finish()
if how == "clean":
    run.finish()
elif how == "exception":
    raise RuntimeError("as planned")
elif how == "exit":
    sys.exit(3)
else:
    time.sleep(1.4)  # until when the server gets what there is; wandb before 0.31 keeps the rest in its memory
    log = os.path.join(os.path.dirname(run.dir), f"run-{run.id}.wandb")
    until = time.monotonic() + (300 if wandb.__version__ >= "0.31" else 0)
    while open(log, "rb").read().count(b"loss") < 8 and time.monotonic() < until:
        time.sleep(0.02)
    name = {"handled": "SIGTERM", "SIGTERM": "SIGTERM", "SIGINT": "SIGINT"}.get(how, "SIGKILL")
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(20)
"""


@dataclass(frozen=True)
class Ending:
    """A way to end, and what the server should say in the end."""

    how: str
    state: str
    exit_code: int
    preempted: bool = False
    runs: int = 1


ENDINGS = [
    Ending("clean", "finished", 0),
    Ending("exception", "failed", 1),
    Ending("exit", "failed", 3),
    Ending("SIGTERM", "failed", 143),
    Ending("SIGINT", "failed", 255),  # wandb's own word for an interrupted tool
    Ending("SIGKILL", "failed", 137),
    Ending("handled", "failed", 143),
    Ending("two_runs", "failed", 137, runs=2),
    Ending("own_id", "failed", 137),
    Ending("preempted", "preempted", 137, preempted=True),
]


def environment(server: WandbServer, home: Path, **more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return {**plain, **server.environment(), "HOME": str(home), **more}


@functools.cache
def tools() -> Prepared:
    """Return a process that has imported wandb, which is most of what these tools cost."""
    return Prepared.start("wandb")


def run_tool(how: str, directory: Path, variables: dict[str, str], python: str = sys.executable) -> int:
    """Run the tool as our own supervisor would, and return the exit code as a shell has it."""
    directory.mkdir(parents=True, exist_ok=True)
    config = WandbConfig(mode=WandbMode[variables.get("TEST_MODE", "offline")])
    added, removed = wandb_variables.variables(
        config,
        run_directory=directory,
        organizer="figure1/pca",
        experiment="pca",
        run_id=directory.name,
        tags=["swissroll", "a, b"],
        job_type=None,
        inherited=variables,
        in_job=False,
    )
    process_environment = {name: value for name, value in {**variables, **added}.items() if name not in removed}
    if python == sys.executable:
        done = tools().run([TOOL, how], directory, process_environment, PATIENCE)
        (directory / "output.log").write_text(done.stdout + done.stderr)
        return 128 - done.returncode if done.returncode < 0 else done.returncode
    with open(directory / "output.log", "wb") as log:
        code = subprocess.run(
            [python, "-c", TOOL, how], env=process_environment, stdout=log, stderr=log, cwd=directory, timeout=PATIENCE
        ).returncode
    return 128 - code if code < 0 else code


@dataclass
class World:
    """All ways to end in one mode, finished by the guardian, and what the server has then."""

    server: WandbServer
    directories: dict[str, Path]
    outcomes: dict[str, list[wandb_finish.WandbOutcome]]
    again: dict[str, list[wandb_finish.WandbOutcome]]
    synced: list[list[wandb_sync.SyncResult]]
    operations: list[str]  # what the last sync asked of the server

    def runs(self, how: str) -> list[ServerRun]:
        ids = [run.id for run in wandb_runs.find(self.directories[how])]
        return [self.server.runs[one] for one in ids]


def world(base: Path, mode: str, python: str = sys.executable) -> Iterator[World]:
    home = base / "home"
    home.mkdir(parents=True)
    tools()  # one for all threads
    with WandbServer() as server, concurrent.futures.ThreadPoolExecutor(5) as pool:
        # The server gets a part of the history before the tool ends, and not the rest.
        variables = environment(server, home, TEST_MODE=mode, WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL="1.2")
        if mode == "online":
            variables["PAUSE"] = "0.3"

        def live(ending: Ending) -> tuple[list[wandb_finish.WandbOutcome], list[wandb_finish.WandbOutcome]]:
            code = run_tool(ending.how, base / ending.how, variables, python)
            finish = [
                wandb_finish.finish(
                    base / ending.how,
                    exit_code=code,
                    preempted=ending.preempted,
                    timeout=PATIENCE,
                    environment=variables,
                )
                for _ in range(2)
            ]
            return finish[0], finish[1]

        finished = dict(zip([one.how for one in ENDINGS], pool.map(live, ENDINGS), strict=True))
        directories = {one.how: base / one.how for one in ENDINGS}
        synced = []
        for _ in range(2):
            server.operations.clear()
            synced.append(wandb_sync.sync(directories.values(), timeout=PATIENCE, environment=variables))
        yield World(
            server,
            directories,
            {how: first for how, (first, _) in finished.items()},
            {how: second for how, (_, second) in finished.items()},
            synced,
            list(server.operations),
        )


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from world(tmp_path_factory.mktemp("offline ü"), "offline")


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from world(tmp_path_factory.mktemp("online ü"), "online")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "online"])
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.how)
def test_the_server_learns_the_true_end(request: pytest.FixtureRequest, mode: str, ending: Ending) -> None:
    lived: World = request.getfixturevalue(mode)
    *earlier, last = lived.runs(ending.how)
    assert len(earlier) == ending.runs - 1
    assert all(run.state == "finished" and run.exit_code == 0 for run in earlier)
    assert (last.state, last.exit_code) == (ending.state, ending.exit_code)
    for run in [*earlier, last]:
        assert run.steps() == list(range(8))
        assert run.duplicates == 0
        assert run.group == "figure1/pca"
        assert run.display_name == ending.how
        assert run.job_type == "pca"
        assert run.tags == ["swissroll", "a  b"]
        assert '"number"' in run.config
    outcomes = lived.outcomes[ending.how]
    assert [outcome.exit_code for outcome in outcomes] == [0] * len(earlier) + [ending.exit_code]
    assert [outcome.delivered for outcome in outcomes] == [mode == "online"] * ending.runs
    assert [outcome.note for outcome in outcomes] == [None] * ending.runs


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_doing_it_again_changes_nothing(request: pytest.FixtureRequest, mode: str) -> None:
    lived: World = request.getfixturevalue(mode)
    first, second = lived.synced
    wanted = Status.SENT if mode == "offline" else Status.ALREADY
    assert {result.directory.name: result.status for result in first} == dict.fromkeys(lived.directories, wanted)
    assert {result.status for result in second} == {Status.ALREADY}
    assert lived.operations == []
    for how, outcomes in lived.again.items():
        assert all(outcome.exit_code is not None and outcome.note is None for outcome in outcomes), how


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_the_key_is_written_nowhere(request: pytest.FixtureRequest, mode: str) -> None:
    lived: World = request.getfixturevalue(mode)
    base = lived.directories["clean"].parent
    files = [path for path in base.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if API_KEY.encode() in path.read_bytes()] == []


@pytest.fixture(scope="module")
def killed_online(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WandbServer]:
    """The directory of an online run that was killed, with everything in its log and nothing at the server."""
    base = tmp_path_factory.mktemp("killed")
    with WandbServer() as server:
        variables = environment(server, base, TEST_MODE="online", WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL="600")
        code = run_tool("SIGKILL", base / "run", variables)
    assert code == 137
    assert server.only_run().steps() == []
    return base / "run", server


TIMEOUT = 4.0


def finish(directory: Path, variables: dict[str, str], timeout: float = TIMEOUT) -> wandb_finish.WandbOutcome:
    (outcome,) = wandb_finish.finish(directory, exit_code=137, preempted=False, timeout=timeout, environment=variables)
    return outcome


FAULTS = ["down", "hang", "hang uploads", "unavailable", "wrong key", "no key"]


@dataclass
class Faulty:
    """What the guardian made of a killed run while the server had a fault, and a sync after it."""

    outcome: wandb_finish.WandbOutcome
    seconds: float
    left: list[str]
    ending: wandb_runs.Ending
    was_marked: bool
    result: wandb_sync.SyncResult
    sent: ServerRun


@pytest.fixture(scope="module")
def faulty(killed_online: tuple[Path, WandbServer], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Faulty]:
    def live(fault: str) -> Faulty:
        base = tmp_path_factory.mktemp("faulty")
        directory = base / "run"
        shutil.copytree(killed_online[0], directory, symlinks=True)
        (run,) = wandb_runs.find(directory)
        with WandbServer(api_key="f" * 40 if fault == "wrong key" else API_KEY) as server:
            variables = environment(server, base)
            if fault == "no key":
                del variables["WANDB_API_KEY"]
            if fault in ("hang", "hang uploads", "unavailable"):
                server.fault = fault
            if fault == "down":
                server.stop()
            started = time.monotonic()
            outcome = finish(directory, variables)
            seconds = time.monotonic() - started
            left = uploaders(base)
        ending, was_marked = wandb_runs.ending(run), run.is_synced
        with WandbServer() as server:
            (result,) = wandb_sync.sync([directory], timeout=PATIENCE, environment=environment(server, base))
            sent = server.only_run()
        return Faulty(outcome, seconds, left, ending, was_marked, result, sent)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return dict(zip(FAULTS, pool.map(live, FAULTS), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_costs_little_and_nothing_is_lost(faulty: dict[str, Faulty], fault: str) -> None:
    lived = faulty[fault]
    assert lived.seconds < PATIENCE
    assert lived.left == []
    assert (lived.outcome.exit_code, lived.outcome.delivered) == (137, False)
    assert lived.outcome.note and "experimentstash sync" in lived.outcome.note
    assert API_KEY not in lived.outcome.note
    assert lived.ending.exit_code == 137
    assert not lived.was_marked
    assert (lived.result.status, lived.result.reason) == (Status.SENT, None)
    sent = lived.sent
    assert (sent.state, sent.exit_code, sent.steps(), sent.duplicates) == ("failed", 137, list(range(8)), 0)


def uploaders(home: Path) -> list[str]:
    """Return the processes that are still left of an upload some time after it; wandb-core takes a moment to go."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"HOME={home}\0".encode() in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


@pytest.mark.slow
def test_what_has_arrived_is_not_sent_again(
    tmp_path: Path, killed_online: tuple[Path, WandbServer], home: Path
) -> None:
    directory = tmp_path / "run"
    shutil.copytree(killed_online[0], directory, symlinks=True)
    (run,) = wandb_runs.find(directory)
    with WandbServer() as server:
        deliver(server, run, 5)
        assert finish(directory, environment(server, home), timeout=PATIENCE).delivered
        sent = server.only_run()
    assert (sent.state, sent.exit_code, sent.steps(), sent.duplicates) == ("failed", 137, list(range(8)), 0)


def deliver(server: WandbServer, run: wandb_runs.WandbRun, lines: int) -> None:
    """Let the server have the first lines of a run's history."""
    content = [f'{{"_step": {step}, "_runtime": {step}, "loss": 1}}' for step in range(lines)]
    chunk = {"files": {"wandb-history.jsonl": {"offset": 0, "content": content}}}
    server.file_stream("someone", "stash", run.id, chunk)


@pytest.mark.slow
def test_a_sync_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path, offline: World, home: Path) -> None:
    directory = tmp_path / "run"
    shutil.copytree(offline.directories["SIGKILL"], directory, symlinks=True)
    (run,) = wandb_runs.find(directory)
    run.mark.unlink()  # wandb's note of a sync that has begun is still there
    with WandbServer() as server:
        deliver(server, run, 3)
        (result,) = wandb_sync.sync([directory], timeout=PATIENCE, environment=environment(server, home))
        assert (result.status, result.reason) == (Status.SENT, None)
        sent = server.only_run()
    assert (sent.state, sent.exit_code, sent.steps(), sent.duplicates) == ("failed", 137, list(range(8)), 0)


@pytest.mark.slow
def test_a_damaged_log_is_uploaded_but_for_its_damage(tmp_path: Path, offline: World, home: Path) -> None:
    directory = tmp_path / "run"
    shutil.copytree(offline.directories["clean"], directory, symlinks=True)
    (run,) = wandb_runs.find(directory)
    run.mark.unlink()
    content = bytearray(run.log.read_bytes())
    with open(run.log, "rb") as stream:
        found = list(wandb_log.records(stream))
    middle = found[len(found) // 2]
    padding = wandb_runs.wandb_log.encode([b"\x12" + bytes(40_000)], middle.start)
    following = wandb_runs.wandb_log.encode(
        [one.payload for one in found[len(found) // 2 :]], middle.start + len(padding)
    )
    content[middle.start :] = padding + following
    content[middle.start + 10] ^= 0xFF
    run.log.write_bytes(content)
    with WandbServer() as server:
        (result,) = wandb_sync.sync([directory], timeout=PATIENCE, environment=environment(server, home))
        assert (result.status, result.reason) == (Status.SENT, None)
        sent = server.only_run()
    assert (sent.state, sent.exit_code, sent.steps(), sent.duplicates) == ("finished", 0, list(range(8)), 0)


@pytest.mark.slow
def test_a_run_whose_log_never_reached_the_disk_still_ends(
    tmp_path: Path, killed_online: tuple[Path, WandbServer], home: Path
) -> None:
    directory = tmp_path / "run"
    shutil.copytree(killed_online[0], directory, symlinks=True)
    (run,) = wandb_runs.find(directory)
    run.log.write_bytes(b"")  # as wandb before 0.31 leaves it; where the run is stands only in the tool's output
    with WandbServer() as server:
        deliver(server, run, 2)
        outcome = finish(directory, environment(server, home), timeout=PATIENCE)
        assert outcome.delivered, outcome.note
        sent = server.only_run()
        assert wandb_finish.finish(directory, exit_code=1, preempted=False, timeout=1) == []
    assert (sent.state, sent.exit_code, sent.steps(), sent.duplicates) == ("failed", 137, [0, 1], 0)


@pytest.mark.slow
def test_a_run_that_is_still_going_is_left_alone(tmp_path: Path, home: Path) -> None:
    with WandbServer() as server:
        variables = environment(server, home, PAUSE="60")
        worker = threading.Thread(target=lambda: codes.append(run_tool("clean", tmp_path / "run", variables)))
        codes: list[int] = []
        worker.start()
        deadline = time.monotonic() + PATIENCE
        while not any(run.log.exists() and run.log.stat().st_size > 7 for run in wandb_runs.find(tmp_path / "run")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (run,) = wandb_runs.find(tmp_path / "run")
        (outcome,) = wandb_finish.finish(tmp_path / "run", exit_code=1, preempted=False, timeout=2)
        assert outcome.exit_code is None and outcome.note and "still writes" in outcome.note
        (result,) = wandb_sync.sync([tmp_path / "run"], timeout=PATIENCE, environment=variables)
        assert result.status is Status.UNFINISHED
        assert server.operations == []
        kill_writer(run.log)
        worker.join()
        assert codes == [137]
        # Its supervisor is gone, too, but has left its word in run.json.
        command = Command(argv=["tool"], cwd="/")
        records.write(run_with("run", tmp_path / "run", command=command, state=State.LOST))
        wandb_runs.wait_until_closed([run], 5)
        (result,) = wandb_sync.sync([tmp_path / "run"], timeout=PATIENCE, environment=variables)
        assert (result.status, result.reason) == (Status.SENT, None)
        assert (server.only_run().state, server.only_run().exit_code) == ("failed", 1)


def kill_writer(log: Path) -> None:
    """Kill the tool whose wandb-core has the log open."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = {os.readlink(descriptor) for descriptor in (process / "fd").iterdir()}
            if str(log) in held:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                os.kill(int(fields[1]), signal.SIGKILL)  # its parent
                return
        except OSError:
            continue
    raise AssertionError("nobody has the log open")


@pytest.mark.slow
def test_twenty_runs_are_one_process_and_one_bad_log_spoils_none(tmp_path: Path, offline: World, home: Path) -> None:
    directories = []
    for number in range(20):
        directory = tmp_path / f"run{number}"
        log = wandb_runs.find(offline.directories["exit"])[0].log
        target = directory / "wandb" / f"offline-run-20260101_0000{number:02}-x{number}"
        target.mkdir(parents=True)
        shutil.copy(log, target / f"run-x{number}.wandb")
        directories.append(directory)
    (wandb_runs.find(directories[3])[0].log).write_bytes(b"nonsense")
    (wandb_runs.find(directories[4])[0].log).write_bytes(b"")
    wandb_runs.complete(wandb_runs.find(directories[4])[0], 1, preempted=False)
    lines: list[str] = []
    with WandbServer() as server:
        results = wandb_sync.sync(
            [*directories, tmp_path / "none"],
            timeout=PATIENCE,
            report=lines.append,
            environment=environment(server, home),
        )
    assert [result.directory for result in results] == directories
    statuses = [result.status for result in results]
    assert statuses[:3] == [Status.SENT] * 3
    assert statuses[3] in (Status.UNFINISHED, Status.FAILED)
    assert statuses[4] is Status.FAILED and "killed before" in (results[4].reason or "")
    assert statuses[5:] == [Status.SENT] * 15
    assert len(lines) == 21


def test_no_wandb_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((subprocess, "Popen"), (os, "posix_spawn"), (os, "fork")):
        monkeypatch.delattr(owner, name)
    assert wandb_finish.finish(tmp_path, exit_code=1, preempted=False, timeout=PATIENCE) == []


def test_nothing_raises(tmp_path: Path) -> None:
    directory = tmp_path / "wandb" / "offline-run-20260101_000000-x"
    directory.mkdir(parents=True)
    log = directory / "run-x.wandb"
    log.write_bytes(b"no log at all")
    (outcome,) = wandb_finish.finish(tmp_path, exit_code=1, preempted=False, timeout=5)
    assert outcome.exit_code is None and outcome.note
    log.unlink()
    log.mkdir()
    (outcome,) = wandb_finish.finish(tmp_path, exit_code=1, preempted=False, timeout=5)
    assert outcome.exit_code is None and outcome.note


def variables_for(
    config: WandbConfig, inherited: dict[str, str], *, in_job: bool = False
) -> tuple[dict[str, str], list[str]]:
    return wandb_variables.variables(
        config,
        run_directory=Path("/run"),
        organizer="figure1/pca",
        experiment="pca",
        run_id="an-id",
        tags=["one", "two", " ", "x" * 100],
        job_type=None,
        inherited=inherited,
        in_job=in_job,
    )


def test_the_variables_without_any_of_the_user() -> None:
    variables, removed = variables_for(WandbConfig(entity="lab", project="paper"), {})
    assert variables == {
        "WANDB_DIR": "/run",
        "WANDB_ENTITY": "lab",
        "WANDB_PROJECT": "paper",
        "WANDB_RUN_GROUP": "figure1/pca",
        "WANDB_NAME": "an-id",
        "WANDB_TAGS": "one,two," + "x" * 64,
        "WANDB_JOB_TYPE": "pca",
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "1",
    }
    assert removed == ["WANDB_RESUME", "WANDB_RUN_ID", "WANDB_SERVICE"]


def test_what_the_user_has_set_stays() -> None:
    names = ("ENTITY", "PROJECT", "RUN_GROUP", "NAME", "TAGS", "JOB_TYPE", "X_TRANSACTION_LOG_FLUSH_INTERVAL", "MODE")
    inherited = {f"WANDB_{name}": "mine" for name in names} | {"WANDB_API_KEY": API_KEY, "WANDB_DIR": "/elsewhere"}
    variables, _ = variables_for(WandbConfig(entity="lab", project="paper", group="g"), inherited, in_job=True)
    assert variables == {"WANDB_DIR": "/run"}


@pytest.mark.parametrize(
    ("mode", "inherited", "in_job", "expected"),
    [
        (WandbMode.auto, {}, False, None),
        (WandbMode.auto, {}, True, "offline"),
        (WandbMode.auto, {"WANDB_MODE": "online"}, True, None),
        (WandbMode.online, {}, True, "online"),
        (WandbMode.disabled, {"WANDB_MODE": "online"}, False, "disabled"),
    ],
)
def test_the_mode(mode: WandbMode, inherited: dict[str, str], in_job: bool, expected: str | None) -> None:
    variables, _ = variables_for(WandbConfig(mode=mode), inherited, in_job=in_job)
    assert variables.get("WANDB_MODE") == expected


def python_with(version: str, cache: Path) -> str:
    """Return a Python with that version of wandb, made with uv if it isn't there yet."""
    directory = cache / version
    python = directory / "bin" / "python"
    if not (directory / "ready").exists():
        # wandb 0.17 needs what is older than itself.
        older = ["setuptools<80", "protobuf<6", "numpy<2"] if version.startswith("0.17") else []
        uv = find_uv_bin()
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, directory], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, f"wandb=={version}", *older], check=True)
        (directory / "ready").touch()
    return str(python)


@pytest.mark.exhaustive
@pytest.mark.parametrize("mode", ["offline", "online"])
@pytest.mark.parametrize("version", ["0.21.4", "0.17.9"])
def test_older_versions_of_wandb(tmp_path: Path, version: str, mode: str, request: pytest.FixtureRequest) -> None:
    cache = request.config.cache
    assert cache is not None
    for lived in world(tmp_path / "world", mode, python_with(version, cache.mkdir("wandb-environments"))):
        for ending in ENDINGS:
            runs = wandb_runs.find(lived.directories[ending.how])
            assert len(runs) == ending.runs, ending
            for run, outcome in zip(runs, lived.outcomes[ending.how], strict=True):
                is_last = run is runs[-1]
                assert outcome.exit_code == (ending.exit_code if is_last else 0), (ending, outcome)
                if wandb_runs.identify(run) is None and mode == "offline":
                    # Killed with everything in wandb's memory: there is nothing to upload, and the user is told.
                    assert is_last and ending.exit_code in (137, 143)
                    assert outcome.note and run.id not in lived.server.runs
                    continue
                sent = lived.server.runs[run.id]
                assert (sent.state, sent.exit_code) == (
                    (ending.state, ending.exit_code) if is_last else ("finished", 0)
                ), (
                    ending,
                    outcome,
                )
                assert sent.duplicates == 0
                assert sent.steps() == list(range(len(sent.steps())))
                if ending.how in ("clean", "exception", "exit", "SIGINT", "handled") or not is_last:
                    assert len(sent.steps()) == 8
