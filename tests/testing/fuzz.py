# ruff: noqa: E501
"""Thousands of odd inputs for every door, made of a seed: ``python tests/testing/fuzz.py [--seed N] [--seconds N] [--only DOOR]``.

A door is a function that takes a random generator and a place, and puts one odd input through: a command line, a file
that the program reads, the words of another program. Whatever it is, there is no traceback, no "bug", no hang, nothing
that succeeds though it is wrong, and nothing outside the stash is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import logging
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when it is run as a script

from experimentstash.adapters.git.superproject import superproject
from experimentstash.adapters.slurm import query as slurm_query
from experimentstash.adapters.wandb import finish as wandb_finish
from experimentstash.adapters.wandb import log as wandb_log
from experimentstash.adapters.wandb import log_records as wandb_records
from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.base.errors import StashError
from experimentstash.cli import main as cli
from experimentstash.code import worktree_users
from experimentstash.execute.account import MARKER
from experimentstash.launch.sweep_asked import command_line
from experimentstash.record import job_array, records
from experimentstash.record.job_array import Job
from experimentstash.record.run import Code, Command, Process, Queued, Run, State, Supervisor
from experimentstash.runs import cancelling
from experimentstash.stash.layout import Stash
from experimentstash.tools import journal
from experimentstash.tools.backup import loading, manifest
from tests.testing.run_parts import run_with
from tests.testing.stash import GIT_IDENTITY, StashUnderTest, bare_stash

# Seconds of our own CPU time that one input may take, and seconds by the clock on a machine that is busy otherwise.
LIMIT, PATIENCE = 10.0, 300.0

ODD_TEXTS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "null",
        "None",
        "true",
        "1",
        "0",
        "-1",
        "1e5",
        "1e999",
        "nan",
        ".inf",
        "~",
        "---",
        "...",
        "&a",
        "*a",
    ),
    *(
        "=",
        "==",
        "a=b",
        "+",
        "++",
        "~a",
        "-",
        "--",
        "-x",
        "--help",
        "@",
        "@@",
        "a@b",
        ":",
        "a:b",
        "a: b",
        ",",
        "a,b",
        ";",
        "|",
    ),
    *(
        "/",
        "..",
        "../..",
        "/etc",
        "/etc/passwd",
        "/dev/zero",
        "/dev/tty",
        "/proc/self/mem",
        ".",
        "./",
        "~",
        "~root",
        "C:\\x",
    ),
    *(
        "${",
        "${}",
        "${a",
        "${oc.env:HOME}",
        "${oc.env:NOPE}",
        "${hydra:job.name}",
        "${.}",
        "${..a}",
        "${tool}",
        "$(id)",
        "`id`",
    ),
    *(
        "[",
        "]",
        "[]",
        "[1,2",
        "[[1]]",
        "{",
        "}",
        "{}",
        "{a:1}",
        "{a: {b: c}}",
        "(",
        ")",
        "choice(1,2)",
        "range(0,1e9)",
        "glob(*)",
    ),
    *(
        "glob(*,exclude=o*)",
        "interval(0,1)",
        "shuffle(1,2)",
        "sort(3,1)",
        "extend_list(1)",
        '"',
        "'",
        "'a",
        '"a',
        "\\",
        "\\n",
    ),
    *(
        "ü",
        "日本語",
        "😀",
        "\u202e",
        "\u0000",
        "\x1b[2J",
        "\x7f",
        "\ufeff",
        "\ud800",
        "\udce9",
        "a\u0301",
        "\u2028",
        "%s",
        "%n",
    ),
    *(
        "a" * 300,
        "a" * 5000,
        "9" * 5000,
        "[" * 500,
        "{a:" * 200,
        "/" * 300,
        "a/" * 300,
        "é" * 200,
        "one",
        "one,two",
        "ghost",
    ),
    *(
        "!!python/object/apply:os.system ['true']",
        "<<: *a",
        "? x",
        "- -",
        "%YAML 9.9",
        "2026-01-31",
        "0x1F",
        "0b1",
        "1_000",
        "1:30",
    ),
)
ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        5,
        2**31,
        2**63,
        2**64,
        10**30,
        -(10**30),
        0.5,
        1e308,
        -0.0,
        float("nan"),
        float("inf"),
    ),
    *([], [[]], [None], [1], ["a"], [[[1]]], {}, {"": ""}, {"a": 1}, {"a": {"a": {}}}, {"key": 5}, [{}] * 3),
    json.loads("[" * 90 + "]" * 90),
)
YAML_LINES = (
    *(
        "a: &a [*a]",
        "a: &a\n  b: *a",
        "defaults: 5",
        "defaults: [a, b]",
        "defaults:\n  - override /tool: ghost",
        "tool: null",
    ),
    *(
        "defaults:\n  - _self_\n  - exp: one",
        "defaults: [one]",
        "defaults: [{exp: one}]",
        "? [a]\n: b",
        "5",
        "null",
        "- a",
        "'x'",
    ),
    *(
        "tags: [[1]]",
        "tags: {a: 1}",
        "params: 5",
        "params: [1]",
        "params: {a: ${b}}",
        "params: {a: ${params.a}}",
        "timeout: -1",
    ),
    *(
        "timeout: [1]",
        "timeout: 99999999999999",
        "estimated_runtime: never",
        "description: [1]",
        "resources: {time: x}",
        "grace: 5",
    ),
    *(
        "resources: {gpus: -1}",
        "code: maybe",
        "objective: 5",
        "objective: {file: /etc/passwd, key: a}",
        "wandb: 7",
        "hydra: 5",
    ),
    *(
        "hydra: null",
        "hydra: {run: null}",
        "hydra: {run: {dir: /etc}}",
        "hydra: {sweep: 5}",
        "experiment: [1]",
        "experiment: ''",
    ),
    *(
        "call: 5",
        "call: {style: what}",
        "call: {style: file}",
        "environment: {kind: none}",
        "environment: []",
        "environment: {kind: interpreter}",
    ),
    *(
        "path: /etc",
        "path: ../..",
        "path: ''",
        "path: [a]",
        "path: 5",
        "entrypoint: 5",
        "entrypoint: ../x",
        "entrypoint: ''",
        "env: [1]",
    ),
    *(
        "env: {A: [1]}",
        "env: {'': x}",
        "env: {A=B: x}",
        "resume: 5",
        "resume: [1]",
        "collect: 5",
        "collect: [../..]",
        "collect: [/]",
    ),
    *(
        "shared: [/]",
        "shared: 5",
        "secrets: [HOME]",
        "secrets: 5",
        "commit: 5",
        "commit: ''",
        "working_directory: moon",
        "unknown_key: 1",
    ),
    *(
        "a: " + "9" * 5000,
        "a: " + "[" * 400,
        "  a: b\n c: d",
        "\ta: b",
        "a: b: c",
        "a: 'x",
        "a: |2\n x",
        "!!binary x",
        "a: !!int x",
    ),
    *(
        "a: 2026-13-45",
        "a: 1e999",
        "{a: 1",
        "a: [1,\n",
        "%",
        "@",
        "`",
        "a: *nope",
        "<<: 5",
        "<<: [1]",
        "a: !ruby/x 5",
        "\ufeffa: 1",
    ),
)
PROGRAM_WORDS = (
    *(
        "",
        "\n",
        "1",
        "1|RUNNING",
        "77|RUNNING",
        "77_0|PENDING",
        "77_[0-4000000]|PENDING",
        "77_[0-99999999999:1]|PENDING",
        "77_[|x",
    ),
    *(
        "77_[5-1]|PENDING",
        "77|COMPLETED",
        "77|CANCELLED by 0",
        "77.batch|FAILED",
        "77+0|FAILED",
        "|||",
        "JOBID STATE",
        "a|b\n" * 2000,
    ),
    *(
        "slurm_load_jobs error: Invalid job id specified",
        "slurm_load_jobs error: Unable to contact slurm controller",
        "MaxArraySize = x",
    ),
    *(
        "ClusterName = \x1b[2J",
        "ClusterName = --help",
        "MaxArraySize = " + "9" * 5000,
        "\xff\xfe",
        "\x00" * 100,
        "%" * 5000,
        "x" * 100_000,
    ),
    *(
        "# branch.oid",
        "# branch.oid (initial)",
        "# branch.head",
        "1",
        "1 .M",
        "? ",
        "?",
        "u UU",
        "2 R. x",
        "# branch.oid " + "a" * 40,
    ),
    *(
        "fatal: detected dubious ownership in repository at 'x'",
        "error: bad index",
        "100644 blob x\ty",
        "160000 commit",
        "160000 x\t",
    ),
)


class Fault(AssertionError):
    """What an input has brought about."""


class Hang(BaseException):
    """It takes longer than it may."""


@dataclass
class Place:
    """A stash with something of everything in it, as it was made; what is beside it is guarded."""

    stash: StashUnderTest
    guard: Path
    run: Run
    texts: dict[Path, bytes] = field(default_factory=dict)
    said: str = ""

    @property
    def root(self) -> Path:
        return self.stash.root

    def put_back(self) -> None:
        """Undo what the last input has changed: the files that matter, and those that have come."""
        for path in _files(self.root):
            if path not in self.texts:
                path.unlink()
        for path, content in self.texts.items():
            is_same = path.is_file() and not path.is_symlink() and path.stat().st_size == len(content)
            if not is_same or path.read_bytes() != content:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def _files(root: Path) -> list[Path]:
    """Return the files of a stash that inputs may change, those of git left aside."""
    return [
        Path(folder, name)
        for top in ("conf", "outputs", "multirun", ".experimentstash", "backups")
        for folder, _, names in os.walk(root / top)
        for name in names
    ]


def make_place(folder: Path) -> Place:
    """Make the stash that all inputs are tried in."""
    guard = folder / "guard"
    guard.mkdir(parents=True)
    (guard / "precious.txt").write_text("precious\n")
    stash = bare_stash(folder)
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n/backups/\n")
    stash.write("tools/t/run.py", "print('ran')\n")
    stash.add_tool("t", registration="entrypoint: run.py\ncall: {style: options}")
    for name in ("one", "two", "fig/three"):
        stash.add_experiment(name, "t", "description: one\ntags: [a]\nparams: {n: 1}\n")
    stash.commit()
    run = _run(stash.root / "outputs" / "2026-01-31" / "12-00-00-abcdefg", "abcdefg")
    records.claim(run)
    (run.path / "output.log").write_text("log\n")
    sweep = stash.root / "multirun" / "2026-01-31" / "12-00-00-hjkmnpq"
    inner = _run(sweep / "0", "hjkmnpq-0", sweep=str(sweep))
    records.claim(inner)
    (sweep / "multirun.yaml").write_text(_MULTIRUN)
    place = Place(stash, guard, run)
    place.texts = {path: path.read_bytes() for path in _files(stash.root)}
    return place


def _run(directory: Path, name: str, **fields: Any) -> Run:
    """Return a run that says something of everything; nothing that it names can be started, or told to end."""
    directory.mkdir(parents=True)
    return run_with(
        name,
        directory,
        **{
            "experiment": "one",
            "organizer": "one",
            "tool": "t",
            "command": Command(["/nowhere/to/be/found"], str(directory), {MARKER: str(directory)}),
            "code": Code(str(directory), "c0ffee" * 6 + "c0ff", "main", True, "tool.patch"),
            "state": State.COMPLETED,
            "exit_code": 0,
            "created": "2026-01-31T12:00:00.000+00:00",
            "started": "2026-01-31T12:00:00.000+00:00",
            "ended": "2026-01-31T12:00:01.000+00:00",
            "duration": 1.0,
            "supervisor": Supervisor("elsewhere", 2**22 - 3, 1, "boot"),
            "process": Process(2**22 - 5, 1),
            "wandb_timeout": 0.1,
            "wandb": [{"id": "x", "online": False}],
            "params": {"n": 1},
            "overrides": ["+exp=one"],
            "objective": {"key": "loss", "file": "metrics.json"},
            **fields,
        },
    )


_MULTIRUN = """\
hydra:
  overrides: {task: ["+exp=one", "params.n=1,2"], hydra: ["hydra.mode=MULTIRUN"]}
  sweeper: {_target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper}
  sweep: {dir: multirun/x}
  job: {config_name: config}
  runtime: {config_sources: [{provider: main, path: conf}]}
"""


# --- odd things ------------------------------------------------------------------------------------------------------


def odd_text(chance: random.Random) -> str:
    made = chance.choice(ODD_TEXTS)
    if chance.random() < 0.3:
        made = chance.choice(("", made)) + chance.choice(ODD_TEXTS) + made
    return made


def odd_word(chance: random.Random) -> str:
    """Return a text that a command line can hold."""
    text = odd_text(chance).replace("\0", "")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def odd_value(chance: random.Random) -> Any:
    return odd_text(chance) if chance.random() < 0.5 else copy.deepcopy(chance.choice(ODD_VALUES))


def odd_bytes(chance: random.Random, valid: bytes) -> bytes:
    """Return bytes that were valid before somebody came along."""
    content = bytearray(valid)
    for _ in range(chance.choice((1, 1, 1, 3, 10))):
        place = chance.randrange(len(content) + 1)
        match chance.randrange(7):
            case 0:
                del content[place:]
            case 1:
                del content[place : place + chance.randrange(1, 40)]
            case 2 if content:
                content[place % len(content)] = chance.randrange(256)
            case 3:
                content[place:place] = odd_text(chance).encode("utf-8", "surrogatepass")
            case 4:
                content[place:place] = bytes(chance.randrange(1, 5000))
            case 5:
                content[place:place] = content[: chance.randrange(200)]
            case _ if content:
                content[place % len(content)] ^= 1 << chance.randrange(8)
    return bytes(content)


def odd_json(chance: random.Random, valid: Any) -> bytes:
    """Return the JSON of something of which a value, somewhere, is another one; or what is no JSON at all."""
    if chance.random() < 0.15:
        return odd_bytes(chance, json.dumps(valid).encode())
    if chance.random() < 0.05:
        return chance.choice(
            (b"", b"null", b"[]", b"5", b"NaN", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 100_000, b"\xff\xfe")
        )
    data = json.loads(json.dumps(valid))
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        holder, key = chance.choice(list(_slots(data)))
        if chance.random() < 0.2:
            holder.pop(key)
        else:
            holder[key] = odd_value(chance)
        if not list(_slots(data)):
            break
    return json.dumps(data).encode()


def _slots(data: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [data]
    while waiting:
        each = waiting.pop()
        pairs = list(each.items() if isinstance(each, dict) else enumerate(each) if isinstance(each, list) else ())
        for key, value in pairs:
            yield each, key
            waiting.append(value)


def odd_yaml(chance: random.Random, valid: bytes) -> bytes:
    if chance.random() < 0.25:
        return odd_bytes(chance, valid)
    lines = valid.decode().splitlines()
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(lines) + 1)
        match chance.randrange(4):
            case 0:
                lines[place:place] = [chance.choice(YAML_LINES)]
            case 1:
                lines[place : place + 1] = [chance.choice(YAML_LINES)]
            case 2:
                lines = [chance.choice(YAML_LINES)]
            case _:
                key = chance.choice(
                    ("params", "path", "tags", "description", "defaults", "tool", "experiment", "timeout")
                )
                lines[place:place] = [f"{key}: {odd_text(chance)}"]
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


# --- doors -----------------------------------------------------------------------------------------------------------


def call(place: Place, *words: str) -> tuple[int, str, str]:
    """Call the command line as if from a shell, in the stash; return code, stdout and stderr."""
    place.said = repr(words)
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    saved, stdin = (sys.stdout, sys.stderr), sys.stdin
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    sys.stdout, sys.stderr = streams
    sys.stdin = io.StringIO()
    before = os.getcwd()
    os.chdir(place.root)
    try:
        code = cli.main(words)
    except SystemExit as end:  # argparse's and Hydra's own
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.stdout, sys.stderr = saved
        sys.stdin = stdin
        os.chdir(before)
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    out, err = (stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams)  # type: ignore[attr-defined]
    for text in (out, err):
        if "Traceback (most recent call last)" in text:
            raise Fault(f"a traceback: {text[-3000:]}")
    if "this is a bug" in err:
        log = re.search(r"the details are in\s+(.+\.log)", " ".join(err.split()))
        raise Fault(f"{err[-1500:]}\n{Path(log[1]).read_text()[-3000:] if log and Path(log[1]).is_file() else ''}")
    return code, out, err


def record(chance: random.Random, place: Place) -> None:
    """A run's record."""
    path = place.run.path / records.FILE_NAME
    valid = json.loads(place.texts[path])
    if chance.random() < 0.4:
        valid["attempt"]["state"] = chance.choice(("running", "queued", "frozen", "failed", "lost"))
    path.write_bytes(odd_json(chance, valid))
    try:
        records.read(place.run.path)
        is_wrong = False
    except StashError:
        is_wrong = True
    words = chance.choice(
        (["runs"], ["runs", "--json"], ["show", str(place.run.path)], ["show", "abcdefg"], ["logs", "abcdefg"])
    )
    if chance.random() < 0.15:
        words = chance.choice((["cancel", "abcdefg"], ["cancel", "--all"], ["sync", "abcdefg"], ["resume", "abcdefg"]))
    code, out, _ = call(place, *words)
    if is_wrong and words[0] != "runs" and code == 0:
        raise Fault("it succeeds, though the record can't be read")
    if words == ["runs", "--json"] and "hjkmnpq-0" not in [each["id"] for each in json.loads(out)]:
        raise Fault("the other run is missing")


def wandb(chance: random.Random, place: Place) -> None:
    """A W&B log, and what lies beside it."""
    folder = place.run.path / "wandb" / "offline-run-20260131_120000-abcd1234"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "run-abcd1234.wandb"
    log.unlink(missing_ok=True)
    wandb_log.write(
        log, [wandb_records.preempting_record(1), bytes(chance.randrange(70_000)), wandb_records.exit_record(2, 3)]
    )
    log.write_bytes(odd_bytes(chance, log.read_bytes()))
    run = wandb_runs.WandbRun(log, online=False)
    for look in (wandb_runs.identify, wandb_runs.ending, wandb_runs.history_lines):
        with contextlib.suppress(OSError, ValueError):
            look(run)
    wandb_finish.finish(place.run.path, exit_code=1, preempted=chance.random() < 0.5, timeout=0.0)
    shutil.rmtree(place.run.path / "wandb")


def programs(chance: random.Random, place: Place) -> None:
    """What SLURM's commands and git say."""
    said = "".join(
        chance.choice(PROGRAM_WORDS) + chance.choice(("", "\n", "\0")) for _ in range(chance.randrange(1, 5))
    )
    folder = place.root.parent / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "said").write_bytes(said.encode("latin-1", "replace"))
    names = chance.choice((("squeue", "sacct", "scontrol", "scancel"), ("git",)))
    for name in names:
        program = folder / name
        stream = chance.choice(("", " >&2"))
        program.write_text(f"#!/bin/sh\ncat '{folder}/said'{stream}\nexit {chance.choice((0, 0, 0, 1, 2, 128, 255))}\n")
        program.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
    try:
        if names == ("git",):
            words = chance.choice((["validate", "--quick"], ["tool", "list"], ["run", "one", "dry_run=true"], ["list"]))
            call(place, *words)
        else:
            _ask_slurm(chance, place)
    finally:
        os.environ["PATH"] = before
        for name in names:
            (folder / name).unlink()


def _ask_slurm(chance: random.Random, place: Place) -> None:
    sweep = place.root / "multirun" / "2026-01-31" / "12-00-00-hjkmnpq"
    tasks = sweep / ".slurm" / "0-0.json"
    tasks.parent.mkdir(exist_ok=True)
    tasks.write_text(json.dumps([[str(sweep / "0")]]))
    tasks.with_suffix(".job").write_text("77 \n")
    run = records.read(sweep / "0")
    run.attempt.state, run.attempt.exit_code, run.attempt.ended, run.attempt.queued = (
        State.QUEUED,
        None,
        None,
        Queued(str(tasks), 0),
    )
    records.write(run)
    if chance.random() < 0.3:
        slurm_query.JobQuery().ask(Job("77_0"))
        slurm_query.own_jobs()
    else:
        call(place, *chance.choice((["runs"], ["show", run.id], ["cancel", run.id])))


def journals(chance: random.Random, place: Place) -> None:
    """What a killed tool command has left."""
    project = superproject(place.root)
    folder = project.git_directory / "experimentstash" / "left"
    folder.mkdir(parents=True, exist_ok=True)
    valid = {
        "format": 1,
        "verb": "add",
        "tool": "t",
        "pid": 5,
        "start_time": 1,
        "host": "h",
        "boot_id": "b",
        "started": 1.5,
        "committed": False,
        "discard": [str(place.root / "tools" / "t")],
        "prune": [],
        "steps": [
            {"op": "move", "source": str(place.root / "tools/a"), "target": str(folder / "a"), "print": "x"},
            {"op": "file", "path": str(place.root / "conf/tool/t.yaml"), "before": None, "after": "eA=="},
            {"op": "section", "name": "t", "before": [["url", "x"]]},
            {"op": "index", "before": [["tools/t", "160000", "a" * 40]]},
            {
                "op": "checkout",
                "tree": str(place.root / "tools/t"),
                "commit": "a" * 40,
                "new": "b" * 40,
                "branch": "main",
            },
        ],
    }
    (folder / journal.FILE_NAME).write_bytes(odd_json(chance, valid))
    with contextlib.suppress(StashError):
        journal.read(project, folder)
    shutil.rmtree(folder.parent)


def backups(chance: random.Random, place: Place) -> None:
    """What a removed tool has left."""
    folder = place.root / "backups" / "t-20260131-120000-abc"
    folder.mkdir(parents=True, exist_ok=True)
    repository = {"path": "", "module": "", "url": None, "commit": None, "has_bundle": False, "is_complete": False}
    valid = {
        "format": 1,
        "tool": "t",
        "created": "x",
        "path": "tools/t",
        "module": "modules/tools/t",
        "url": None,
        "commit": "a" * 40,
        "branch": None,
        "registered": True,
        "has_checkout": True,
        "is_registration_alone": False,
        "section": [["url", "x"]],
        "index": [["tools/t", "160000", "a" * 40]],
        "gitmodules_before": "",
        "absent": [],
        "gitmodules_after": None,
        "stash_files": ["conf/tool/t.yaml"],
        "directories": [],
        "skipped": [],
        "repositories": [repository],
    }
    (folder / manifest.MANIFEST).write_bytes(odd_json(chance, valid))
    with contextlib.suppress(StashError):
        loading.load(folder)
    if chance.random() < 0.1:
        call(place, "tool", "restore", folder.name)


def notes(chance: random.Random, place: Place) -> None:
    """The small files that are kept beside runs and code."""
    match chance.randrange(4):
        case 0:
            tasks = place.root / "multirun" / ".slurm" / "0-0.json"
            tasks.parent.mkdir(exist_ok=True)
            tasks.write_bytes(odd_json(chance, [[str(place.run.path)], ["/x", "/y"]]))
            with contextlib.suppress(StashError):
                job_array.read(tasks, chance.choice((0, 1, 2, 99)))
        case 1:
            folder = place.root / ".experimentstash" / "places"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "note").write_bytes(odd_bytes(chance, b"outputs\n"))
            call(place, "runs")
        case 2:
            sweep = place.root / "multirun" / "2026-01-31" / "12-00-00-hjkmnpq"
            (sweep / "multirun.yaml").write_bytes(odd_yaml(chance, _MULTIRUN.encode()))
            with contextlib.suppress(StashError):
                command_line(sweep, [odd_word(chance)] if chance.random() < 0.3 else [])
        case _:
            users = place.root / ".experimentstash" / "code" / "t" / "key" / "users"
            users.mkdir(parents=True, exist_ok=True)
            note = {"runs": "outputs", "submitter": {"host": "h", "pid": 5, "start_time": 1, "boot_id": "b"}}
            (users / "x.json").write_bytes(odd_json(chance, note))
            worktree_users.submitters(Stash(place.root), "t")


def kinds(chance: random.Random, place: Place) -> None:
    """What isn't a file where one is expected."""
    path = chance.choice([path for path in place.texts if path.suffix in (".yaml", ".json")])
    path.unlink()
    match chance.randrange(6):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(chance.choice(("nowhere", "/dev/zero", ".", path.name, str(place.guard / "precious.txt"))))
        case 3:
            with path.open("wb") as stream:
                stream.truncate(600 << 20)
        case 4:
            path.write_bytes(b"\xff\xfe\x00" * 100)
        case _:
            path.write_bytes(b"")
    call(place, *chance.choice((["runs"], ["list"], ["show", "abcdefg"], ["list", "--json"], ["tool", "list"], [])))


VERBS = (
    *(["runs"], ["runs", "--state"], ["runs", "--exp"], ["runs", "-n"], ["show"], ["logs"], ["logs", "--attempt"]),
    *(
        ["cancel"],
        ["cancel", "--sweep"],
        ["sync"],
        ["sync", "--timeout"],
        ["resume"],
        ["list", "--tool"],
        ["list", "--tag"],
    ),
    *(
        ["tool", "show"],
        ["tool", "remove"],
        ["tool", "update"],
        ["tool", "sync"],
        ["tool", "restore"],
        ["tool", "what"],
    ),
    *(
        ["validate", "--quick", "--tool"],
        ["import-configs"],
        ["tool", "add"],
        ["run"],
        ["help"],
        ["--version"],
        ["nonsense"],
    ),
)


def verbs(chance: random.Random, place: Place) -> None:
    """Command lines that need no Hydra."""
    words = [*chance.choice(VERBS), *(odd_word(chance) for _ in range(chance.randrange(1, 3)))]
    if words[:2] == ["tool", "remove"]:
        words += ["--help"] if words[2] == "t" else []
    code, _, _ = call(place, *words)
    known = {"one", "two", "ghost", "t", "abcdefg", ""}
    if (
        code == 0
        and words[:2] in (["tool", "show"], ["tool", "restore"])
        and not known & set(words[2:])
        and "--help" not in words
    ):
        raise Fault("it succeeds, though there is no such thing")


KEYS = (
    *(
        "+exp",
        "+exp",
        "+exp",
        "tool",
        "hydra/launcher",
        "hydra",
        "hydra.run.dir",
        "params.n",
        "+params.x",
        "~params",
        "timeout",
    ),
    *(
        "code",
        "debug",
        "resources.time",
        "resources.gpus",
        "grace.seconds",
        "+tool.env.A",
        "tool.path",
        "tool.entrypoint",
        "~tool",
    ),
    *(
        "hydra.sweep.dir",
        "hydra.job.name",
        "hydra/sweeper",
        "hydra.mode",
        "+hydra.x",
        "exp",
        "++exp",
        "",
        "objective",
        "wandb.mode",
        "+a.b.c",
    ),
)
OPTIONS = (
    "-m",
    "--cfg job",
    "--cfg hydra",
    "--resolve",
    "--info",
    "--config-dir x",
    "--config-name x",
    "--package a",
    "--help",
)
OPTIONS += ("--experimental-rerun x", "--config-path /etc", "--hydra-help", "-p", "-c", "--multirun", "-sc x")


def overrides(chance: random.Random, place: Place) -> None:
    """Command lines of the Hydra application."""
    words = [f"{chance.choice(KEYS)}={odd_word(chance)}" for _ in range(chance.randrange(1, 3))]
    if chance.random() < 0.7:
        words.insert(0, "+exp=one")
    if chance.random() < 0.25:
        words += chance.choice(OPTIONS).split()
    if chance.random() < 0.2:
        words = ["run", *words]
    if chance.random() < 0.1:
        words.insert(0, odd_word(chance))
    code, _, _ = call(place, *words, "dry_run=true")
    if code == 0 and any(word.startswith(("params.nosuch=", "timeout=abc")) for word in words):
        raise Fault("it succeeds, though it is wrong")


def configs(chance: random.Random, place: Place) -> None:
    """Organizers, registrations, the root config."""
    path = chance.choice([path for path in place.texts if path.suffix == ".yaml" and "conf" in path.parts])
    path.write_bytes(odd_yaml(chance, place.texts[path]))
    words = chance.choice(
        (["list"], ["list", "--json"], ["tool", "list"], ["run", "one", "dry_run=true"], [], ["runs"])
    )
    if chance.random() < 0.2:
        words = chance.choice((["validate", "--quick"], ["tool", "show", "t"], ["-m", "+exp=one,two", "dry_run=true"]))
    call(place, *words)


# How many inputs of each the ordinary test puts through.
DOORS: dict[Callable[[random.Random, Place], None], int] = {
    record: 900,
    wandb: 350,
    programs: 120,
    journals: 350,
    backups: 350,
    notes: 300,
    kinds: 150,
    verbs: 250,
    overrides: 130,
    configs: 130,
}


def put_through(door: Callable[[random.Random, Place], None], seed: int, number: int, place: Place) -> str | None:
    """Put the input with this number through a door; return what is wrong, if anything is."""
    chance = random.Random(f"{door.__name__} {seed} {number}")
    place.said = ""

    def too_long(signal_number: int, frame: object) -> None:
        raise Hang

    saved = {each: signal.signal(each, too_long) for each in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    wrong = None
    try:
        door(chance, place)
    except Hang:
        wrong = "it hangs:\n" + traceback.format_exc()[-3000:]
    except Fault as fault:
        wrong = str(fault)
    except Exception:
        wrong = traceback.format_exc()[-3000:]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each, handler in saved.items():
            signal.signal(each, handler)
    if sorted(path.name for path in place.guard.iterdir()) != ["precious.txt"] or (
        (place.guard / "precious.txt").read_text() != "precious\n"
    ):
        wrong = f"something outside the stash was touched; {wrong}"
    place.put_back()
    return None if wrong is None else f"{door.__name__} {number} (seed {seed}) {place.said}: {wrong}"


@contextlib.contextmanager
def surroundings() -> Iterator[None]:
    """Have git know who we are, nobody be asked, and little time between two tries."""
    saved, interval = dict(os.environ), cancelling._RETRY_INTERVAL
    cancelling._RETRY_INTERVAL = 0.01
    os.environ.update({**GIT_IDENTITY, "GIT_TERMINAL_PROMPT": "0"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
        cancelling._RETRY_INTERVAL = interval


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only")
    parser.add_argument("--number", type=int)
    given = parser.parse_args(argv)
    faults = 0
    with tempfile.TemporaryDirectory() as folder, surroundings():
        place = make_place(Path(folder))
        until, number = time.monotonic() + given.seconds, given.number or 0
        while time.monotonic() < until:
            for door in DOORS:
                if given.only in (None, door.__name__) and (wrong := put_through(door, given.seed, number, place)):
                    faults += 1
                    print(f"--- {wrong}", flush=True)
            number += 1
            if given.number is not None:
                break
    print(f"{number} rounds, seed {given.seed}: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
