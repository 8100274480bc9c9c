"""Whatever stands in the private folders and beside the runs: nothing outside is touched, nothing hangs, a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experimentstash.adapters.this_process import supervisor_here
from tests.testing.stash import InProcess, StashUnderTest, bare_stash

# Seconds after which a command is taken for hanging; no command waits so long by itself.
HANGING = 120


def to_file(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "precious.txt")


def to_nothing(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "nothing")


def to_directory(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, outside: Path) -> None:
    path.mkdir()


def garbage(path: Path, outside: Path) -> None:
    path.write_bytes(os.urandom(999))


def endless(path: Path, outside: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)


Put = Callable[[Path, Path], None]
# The first of each is tried always, the others in the long test.
LOCK: tuple[Put, ...] = (to_file, fifo, to_nothing, directory)
FILE = (*LOCK, garbage, endless)
FOLDER: tuple[Put, ...] = (to_directory, to_nothing, fifo)
# RUN is a run that has completed, OPEN one whose supervisor is gone, SWEEP the directory of a sweep.
PLACES: list[tuple[str, tuple[Put, ...]]] = [
    (".experimentstash", FOLDER),
    (".experimentstash/locks", FOLDER),
    (".experimentstash/locks/reconcile.lock", LOCK),
    (".experimentstash/locks/resume.lock", LOCK),
    (".experimentstash/locks/tools.lock", LOCK),
    (".experimentstash/locks/code-plain.lock", LOCK),
    (".experimentstash/environments", FOLDER),
    (".experimentstash/environments/plain", FOLDER),
    (".experimentstash/code", FOLDER),
    (".experimentstash/code/plain", FOLDER),
    (".experimentstash/.gitignore", LOCK),
    ("backups", FOLDER),
    (".git/experimentstash", FOLDER),
    (".experimentstash/places", FOLDER),
    (".experimentstash/writes", FOLDER),
    (".experimentstash/writes/plain.json", LOCK),
    ("RUN/run.json", FILE),
    ("RUN/output.log", LOCK),
    ("RUN/supervisor.log", LOCK),
    ("RUN/wandb", FOLDER),
    ("RUN/wandb/offline-run-20260101_000000-abcdefgh", FOLDER),
    ("RUN/wandb/offline-run-20260101_000000-abcdefgh/run-abcdefgh.wandb", FILE),
    ("OPEN/run.json", FILE),
    ("OPEN/output.log", LOCK),
    ("OPEN/supervisor.log", LOCK),
    ("OPEN/cancel", LOCK),
    ("OPEN/wandb/run-20260101_000000-abcdefgh/run-abcdefgh.wandb", FILE),
    ("SWEEP/multirun.yaml", FILE),
    ("SWEEP/.superseded", FOLDER),
]
VERBS = (
    ("runs",),
    ("show", "latest"),
    ("show", "OPEN"),
    ("logs", "RUN"),
    ("logs", "OPEN"),
    ("cancel", "OPEN"),
    ("sync", "--all"),
    ("validate",),
    ("resume", "OPEN"),
    ("resume", "SWEEP"),
    ("+exp=one", "dry_run=true"),
    ("tool", "list"),
    ("tool", "sync", "plain"),
    ("tool", "restore", "plain"),
    ("tool", "remove", "plain", "--yes", "--force"),
)


_BY_THE_WAY = (("runs",), ("show", "latest"), ("validate",), ("tool", "list"), ("tool", "restore", "plain"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stash with a run that has completed, one that is still said to run, and a sweep of which one run failed."""
    folder = tmp_path_factory.mktemp("pristine")
    stash = bare_stash(folder)
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
    stash.add_tool("plain", "plain", "entrypoint: main.py\ncall: {style: options}\nresume: []\n")
    stash.add_experiment("one", "plain", "params: {fail: 0}\n")
    stash.commit()
    for words in (["+exp=one"], ["+exp=one"], ["-m", "+exp=one", "params.fail=0,1"]):
        stash.cli(*words, HOME=str(folder))
    run, still_open = stash.run_directories()[:2]
    assert len(stash.run_directories()) == 4
    record = json.loads((still_open / "run.json").read_text())
    gone = {**vars(supervisor_here()), "pid": 4_000_000, "start_time": 1}
    record["attempt"].update(state="running", supervisor=gone, ended=None, exit_code=None)
    (still_open / "run.json").write_text(json.dumps(record))
    (folder / "names").write_text(json.dumps([str(each.relative_to(stash.root)) for each in (run, still_open)]))
    return folder


@pytest.fixture
def limit() -> Iterator[None]:
    """Fail a command that hangs."""

    def stop(number: int, frame: object) -> None:
        raise AssertionError("it hangs")

    saved = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGING)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, saved)


def state_of(outside: Path) -> list[tuple[str, int, int, str]]:
    return sorted(
        (str(path), path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_text() if path.is_file() else "")
        for path in (outside, *outside.rglob("*"))
    )


@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("place", [place for place, _ in PLACES])
def test_nothing_outside_is_touched_and_nothing_hangs(
    place: str, is_short: bool, pristine: Path, tmp_path: Path, in_process: InProcess, limit: None
) -> None:
    verbs = [verb for verb in VERBS if verb not in _BY_THE_WAY] if is_short else VERBS
    puts = dict(PLACES)[place]
    for put in puts[:1] if is_short else puts:
        folder = tmp_path / put.__name__
        shutil.copytree(pristine, folder, symlinks=True)
        stash = StashUnderTest(folder / "my stäsh's")
        outside = folder / "outside"
        outside.mkdir()
        (outside / "precious.txt").write_text("precious\n")
        (outside / "plain").mkdir()
        (outside / "plain" / "precious.txt").write_text("precious\n")
        run, still_open = (stash.root / name for name in json.loads((folder / "names").read_text()))
        (sweep,) = stash.root.glob("multirun/*/*")
        names = {"RUN": run, "OPEN": still_open, "SWEEP": sweep}
        first, _, rest = place.partition("/")
        target = names[first] / rest if first in names else stash.root / place
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        put(target, outside)
        before = state_of(outside)
        for verb in verbs:
            words = [str(names.get(word, word)) for word in verb]
            done = in_process(stash, *words)
            where = f"{put.__name__} at {place}: {' '.join(verb)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            assert state_of(outside) == before, where
            assert "this is a bug" not in done.stderr and "Traceback" not in done.stderr, where
        shutil.rmtree(folder)


@pytest.mark.parametrize("inner", ["plain/x", ".experimentstash/code/plain/key/copies/link/x"])
def test_a_record_moves_and_removes_nothing_elsewhere(
    inner: str, pristine: Path, tmp_path: Path, in_process: InProcess, limit: None
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(pristine, folder, symlinks=True)
    stash = StashUnderTest(folder / "my stäsh's")
    outside = folder / "outside"
    (outside / "plain" / "x").mkdir(parents=True)
    (outside / "plain" / "x" / "precious.txt").write_text("precious\n")
    (outside / "plain" / ".ready").touch()
    (stash.root / ".experimentstash" / "code" / "plain" / "key" / "copies").mkdir(parents=True)
    (stash.root / ".experimentstash" / "code" / "plain" / "key" / "copies" / "link").symlink_to(outside / "plain")
    place = (outside if inner == "plain/x" else stash.root) / inner
    _, still_open = (stash.root / name for name in json.loads((folder / "names").read_text()))
    record = json.loads((still_open / "run.json").read_text())
    record["spec"]["apart"] = {"source": str(stash.root / "tools/plain"), "path": str(place), "live": str(outside)}
    record["spec"]["resume"] = None
    record["inode"] = still_open.stat().st_ino  # the run itself, not a copy of it
    (still_open / "run.json").write_text(json.dumps(record))
    before = state_of(outside)
    done = in_process(stash, "show", str(still_open))
    assert "lost" in done.stdout and state_of(outside) == before
