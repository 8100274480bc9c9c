"""Actions touch what was named, and nothing else: what each verb leaves in files, in git and among the processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from experimentstash.adapters.git.status import difference
from tests.testing.footprints import changes, footprint, processes, unexpected
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest, bare_stash, git, wait_until
from tests.testing.tool_support import commit, repository

SCRIPT = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"
FILE_ALLOWED = ("-c", "protocol.file.allow=always")
STASH = "my stäsh's"
# Who is at work on a checkout: a lock of its own, whose file may stay until somebody looks.
PRESENCE = r"[+-] \.experimentstash/locks/at-work(/.*)?"
RUN = r"outputs/[\d-]+/[\d-]+-\w{7}"
SWEEP = r"multirun/[\d-]+/[\d-]+-\w{7}"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a world as it is before each test, and where that is."""
    base = tmp_path_factory.mktemp("footprints")
    make_world(base / "world", str(base))
    shutil.copytree(base / "world", base / "pristine", symlinks=True)
    return base


def make_world(world: Path, home: str) -> None:
    """Make a stash in the middle of somebody's work: two tools are submodules, one isn't, and there is a run."""
    world.mkdir()
    (world / "tmp").mkdir()
    upstream = repository(world / "upstream", {"main.py": SCRIPT})
    (world / "precious").mkdir()
    (world / "precious" / "file").write_text("precious\n")
    stash = bare_stash(world)
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
    for name in ("mine", "other"):
        git(*FILE_ALLOWED, "submodule", "--quiet", "add", str(upstream), f"tools/{name}", cwd=stash.root)
        stash.write(f"conf/tool/{name}.yaml", f"path: tools/{name}\nentrypoint: main.py\ncall: {{style: options}}\n")
        stash.add_experiment(f"{name}/one", name)
    stash.add_tool("plain", "plain", "entrypoint: main.py\ncall: {style: options}\nresume: []\n")
    stash.add_experiment("plain/one", "plain", "params: {fail: 0}\n")
    stash.commit()
    # Something is staged, something isn't, something is new.
    stash.write("README.md", "staged\n")
    git("add", "README.md", cwd=stash.root)
    stash.write("README.md", "changed since\n")
    stash.write("notes.txt", "new\n")
    (stash.root / "tools" / "other" / "main.py").write_text(SCRIPT + "# changed\n")
    (stash.root / "conf" / "link").symlink_to(world / "precious")
    # Locks stay where they are once they were needed.
    for words in (("+exp=plain/one",), ("runs",), ("tool", "list"), ("tool", "update", "mine")):
        stash.cli(*words, HOME=home)
    (stash.root / ".experimentstash" / "locks").mkdir(exist_ok=True)
    for name in ("resume", "reconcile", "tools", "code-mine", "code-plain", "code-inside"):
        (stash.root / ".experimentstash" / "locks" / f"{name}.lock").touch()


@pytest.fixture
def world(pristine: Path, python_first_on_path: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a stash, the repository of its tools, somebody else's files, and a place for temporary files."""
    place = pristine / "world"
    shutil.rmtree(place)
    shutil.copytree(pristine / "pristine", place, symlinks=True)
    monkeypatch.setenv("TMPDIR", str(place / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return place


@pytest.fixture
def stash(world: Path) -> StashUnderTest:
    return StashUnderTest(world / STASH)


Act = Callable[[StashUnderTest], object]


def done(*words: str) -> Act:
    def act(stash: StashUnderTest) -> None:
        result = stash.cli(*words)
        assert result.returncode == 0, result.stdout + result.stderr

    return act


def resume(stash: StashUnderTest) -> None:
    stash.cli("resume", str(stash.run_directories()[-1]))


def failed_run(stash: StashUnderTest) -> None:
    stash.cli("+exp=plain/one", "params.fail=143")
    record = stash.run_directories()[-1] / "run.json"
    record.write_text(record.read_text().replace('"state": "failed"', '"state": "killed"'))


def removed(stash: StashUnderTest) -> None:
    done("tool", "remove", "mine", "--yes")(stash)


def newer(stash: StashUnderTest) -> None:
    commit(stash.root.parent / "upstream", {"new.txt": "new\n"})


def newer_inside(stash: StashUnderTest) -> None:
    commit(stash.root.parent / "upstream", {"inner/main.py": SCRIPT})


INNER = ("tool", "add", "inside", "../upstream", "--separate", "--subdirectory", "inner", "--no-sync")


def added_inside(stash: StashUnderTest) -> None:
    newer_inside(stash)
    done(*INNER)(stash)


def failed_sweep(stash: StashUnderTest) -> None:
    stash.cli("-m", "+exp=plain/one", "params.fail=0,143")
    (record,) = (path for path in stash.run_directories() if stash.record(path)["attempt"]["state"] == "failed")
    path = record / "run.json"
    path.write_text(path.read_text().replace('"state": "failed"', '"state": "killed"'))


def resume_sweep(stash: StashUnderTest) -> None:
    (sweep,) = (stash.root / "multirun").glob("*/*")
    stash.cli("resume", str(sweep))


def older_stash(stash: StashUnderTest) -> None:
    place = stash.root.parent / "older" / "configs"
    (place / "figure1").mkdir(parents=True)
    (place / "meta.yaml").write_text("tools:\n  old: {path: tools/old, entrypoint: main.py}\nexperiment: {name: x}\n")
    (place / "figure1" / "a.yaml").write_text("tool: old\nexperiment: a\n")


def nothing(stash: StashUnderTest) -> None:
    """Prepare nothing."""


MODULE = r"\.git/modules/tools/{}(/.*)?"
SUBMODULE = [
    r"{mark} conf/(tool|exp)/{name}(\.yaml|/.*)?",
    r"{mark} tools/{name}(/.*)?",
    r"{mark} " + MODULE.replace("{}", "{name}"),
    r"{mark} \(index of (tools/{name})?\) .*",
    r"{mark} \(index of \) (tools/{name}|conf/(tool|exp)/{name}.*)",
    r"~ (\(index of \) )?\.gitmodules",
    r"~ \.git/config",
    r"\+ \.git/objects/.*",
]


def of_submodule(name: str, mark: str) -> list[str]:
    return [each.replace("{name}", name).replace("{mark}", mark) for each in SUBMODULE]


# What is done first, what is done, and all that may change in the stash by it: `+`, `-` and `~` before the path.
VERBS: dict[str, tuple[Act, Act, Sequence[str]]] = {
    "tool add": (nothing, done("tool", "add", "new", "../upstream", "--no-sync"), of_submodule("new", r"\+")),
    "tool add of a subdirectory": (newer_inside, done(*INNER), of_submodule("inside", r"\+")),
    "tool remove of a subdirectory": (
        added_inside,
        done("tool", "remove", "inside", "--yes"),
        [*of_submodule("inside", "-"), r"\+ backups(/.*)?"],
    ),
    "import-configs": (
        older_stash,
        done("import-configs", "../older"),
        [r"\+ conf/(tool/old\.yaml|exp/figure1(/a\.yaml)?)"],
    ),
    "resume of a sweep": (failed_sweep, resume_sweep, [rf"[+~-] {SWEEP}/(1/.*|\.[^/]+(/.*)?|multirun\.yaml)"]),
    "tool remove": (
        nothing,
        done("tool", "remove", "mine", "--yes"),
        [*of_submodule("mine", "-"), r"- \.experimentstash/environments/mine(/.*)?", r"\+ backups(/.*)?"],
    ),
    "tool restore": (removed, done("tool", "restore", "mine"), of_submodule("mine", r"\+")),
    "tool update": (
        newer,
        done("tool", "update", "mine"),
        [
            rf"[+~-] {MODULE.format('mine')}",
            r"[+~] tools/mine/.*",
            r"~ conf/tool/mine\.yaml",
            r"[+~] \(index of (tools/mine)?\) (new\.txt|tools/mine|conf/tool/mine\.yaml)",
            r"\+ \.git/objects/.*",
            r"[+~] \.experimentstash/environments(/mine(/.*)?)?",
        ],
    ),
    "tool sync": (nothing, done("tool", "sync", "mine"), [r"\+ \.experimentstash/environments(/mine(/.*)?)?"]),
    "run": (nothing, done("+exp=plain/one"), [rf"\+ {RUN}(/.*)?"]),
    "run of frozen code": (
        nothing,
        done("+exp=plain/one", "code=frozen"),
        [
            rf"\+ {RUN}(/.*)?",
            r"\+ \.experimentstash/(code(/.*)?|\.gitignore)",
            r"\+ \.git/(objects/.*|worktrees(/.*)?)",
            r"\+ \(index of \.experimentstash/code/.*",
        ],
    ),
    "sweep": (
        nothing,
        done("-m", "+exp=plain/one", "+params.sleep=0,0.1"),
        [rf"\+ multirun(/[\d-]+)?|\+ {SWEEP}(/.*)?"],
    ),
    "resume": (failed_run, resume, [rf"[+~] {RUN}/.*"]),
    "dry run": (nothing, done("+exp=plain/one", "dry_run=true"), []),
    "dry run of a sweep": (nothing, done("-m", "+exp=plain/one", "+params.sleep=0,1", "dry_run=true"), []),
    "validate_only": (nothing, done("+exp=plain/one", "validate_only=true"), []),
    "runs": (nothing, done("runs"), []),
    "show": (nothing, done("show", "latest"), []),
    "logs": (nothing, done("logs", "latest"), []),
    "list": (nothing, done("list"), []),
    "tool list": (nothing, done("tool", "list"), []),
    "tool show": (nothing, done("tool", "show", "other"), []),
    "sync": (nothing, done("sync", "--all"), []),
}


def in_stash(found: list[str]) -> list[str]:
    """Return changes with their paths in the stash; others as they are, so that no pattern allows them."""
    inner = (change.replace(f"{STASH}/", "", 1) for change in found)
    return [re.sub(rf"\(index of {STASH}\)", "(index of )", change) for change in inner]


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_touches_what_was_named(name: str, stash: StashUnderTest, world: Path) -> None:
    first, act, allowed = VERBS[name]
    first(stash)
    before = footprint(world)
    act(stash)
    found = in_stash(changes(before, footprint(world)))
    assert unexpected(found, [*allowed, PRESENCE]) == []
    assert bool(found) is bool(allowed)


def test_what_was_removed_and_restored_is_as_it_was(stash: StashUnderTest, world: Path) -> None:
    before = footprint(world)
    configured = git("config", "--local", "--list", cwd=stash.root).splitlines()
    removed(stash)
    done("tool", "restore", "mine")(stash)
    settings = git("config", "--local", "--list", cwd=stash.root).splitlines()
    assert {*settings} == {*configured} and len(settings) == len(configured)
    again = [r"~ \.git/config", r"[+~-] " + MODULE.format("mine"), r"[+~] backups(/.*)?", r"\+ \.git/objects/.*"]
    assert unexpected(in_stash(changes(before, footprint(world))), again) == []


REFUSED: list[tuple[str, ...]] = [
    ("tool", "add", "mine", "../upstream"),
    ("tool", "add", "new", "../nowhere"),
    ("tool", "add", "../new", "../upstream"),
    ("tool", "add", "new", "../upstream", "--branch", "nowhere"),
    ("tool", "add", "new", "../upstream", "--commit", "0" * 40),
    ("tool", "add", "new", "../upstream", "--entrypoint", "nothing.py"),
    ("tool", "add", "new", "ext::sh -c 'touch x'"),
    ("tool", "remove", "other", "--yes"),
    ("tool", "remove", "plain", "--yes"),
    ("tool", "remove", "nothing", "--yes"),
    ("tool", "remove", "mine"),
    ("tool", "restore", "mine"),
    ("tool", "restore", "../precious"),
    ("tool", "update", "other"),
    ("tool", "update", "plain"),
    ("tool", "update", "nothing"),
    ("tool", "sync", "nothing"),
    ("init",),
    ("init", "inner"),
    ("import-configs", "nowhere"),
    ("+exp=nothing",),
    ("+exp=plain/one", "tool.entrypoint=nothing.py"),
    ("+exp=plain/one", "timeout=never"),
    ("+exp=plain/one", "nothing=1"),
    ("-m", "+exp=nothing"),
    ("-m", "+exp=glob(nothing*)"),
    ("resume", "latest"),
    ("resume", "nothing"),
    ("cancel", "nothing"),
    ("cancel", "latest"),
    ("show", "nothing"),
    ("logs", "nothing"),
    ("sync", "nothing"),
]


@pytest.mark.slow
def test_a_verb_that_is_refused_changes_nothing(stash: StashUnderTest, world: Path, in_process: InProcess) -> None:
    before = footprint(world)
    wrong = []
    for words in REFUSED:
        result = in_process(stash, *words)
        after = footprint(world)
        if result.returncode == 0 and words != ("cancel", "latest"):
            wrong.append((words, "it was not refused"))
        # What was cloned for a tool that is refused is kept for the next try.
        if found := unexpected(changes(before, after), [r"\+ [^/]*/\.experimentstash/clones(/.*)?"]):
            wrong.append((words, found[:10]))
        before = after
    assert wrong == []


def test_init_makes_a_stash_and_nothing_else(world: Path, in_process: InProcess, stash: StashUnderTest) -> None:
    (world / "new").mkdir()
    (world / "new" / "mine.txt").write_text("mine\n")
    before = footprint(world)
    assert in_process(stash, "init", str(world / "new"), cwd=world).returncode == 0
    ours = r"\.git(/.*)?|\.gitignore|README\.md|requirements\.txt|conf(/.*)?|tools(/.*)?|\.github(/.*)?|\.vscode(/.*)?"
    kept = rf"\+ new/({ours}|(outputs|multirun)(/\.gitkeep)?)"
    assert unexpected(changes(before, footprint(world)), [kept]) == []


def test_init_does_not_write_through_links(world: Path, in_process: InProcess, stash: StashUnderTest) -> None:
    for name in ("tools", "conf"):
        place = world / f"new-{name}"
        place.mkdir()
        (place / name).symlink_to(world / "precious")
        before = footprint(world)
        assert in_process(stash, "init", str(place), cwd=world).returncode == 2
        assert changes(before, footprint(world)) == []


def test_cancel_ends_one_run_and_no_other(stash: StashUnderTest, world: Path) -> None:
    never = world / "never"
    started = [stash.start("+exp=plain/one", f"+params.until={never}") for _ in range(2)]
    try:
        wait_until(
            lambda: [stash.record(each)["attempt"]["process"] for each in stash.run_directories()[1:]].count(None) == 0
        )
        wait_until(lambda: len(stash.run_directories()) == 3)
        wait_until(lambda: all(stash.record(each)["attempt"]["process"] for each in stash.run_directories()[1:]))
        first, second = stash.run_directories()[1:]
        before, alive = footprint(world), processes(world)
        done("cancel", stash.record(first)["id"])(stash)
        ended = next(one for one in started if wait_until(lambda: any(each.poll() is not None for each in started)))
        assert ended is not None
        found = in_stash(changes(before, footprint(world)))
        mine = re.escape(str(first.relative_to(stash.root)))
        assert unexpected(found, [rf"[+~-] {mine}/.*", r"- \(process \d+\)"]) == []
        left = processes(world)
        assert left <= alive
        supervisor, tool = (stash.record(second)["attempt"][name]["pid"] for name in ("supervisor", "process"))
        assert {supervisor, tool} <= {one.pid for one in left}
        assert (
            stash.record(first)["attempt"]["state"] == "cancelled"
            and stash.record(second)["attempt"]["state"] == "running"
        )
    finally:
        for one in started:
            one.terminate()
            one.communicate(timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--all", "--sweep"])
def test_cancel_ends_what_was_named(way: str, stash: StashUnderTest, world: Path) -> None:
    """All runs, or those of one sweep: no other process, and no other file."""
    never = world / "never"
    sweep = stash.start("-m", "hydra/launcher=local", "+exp=plain/one", f"+params.until={never},{never}x")
    single = stash.start("+exp=plain/one", f"+params.until={never}")
    try:
        wait_until(lambda: len(stash.run_directories()) == 4)
        begun = [each for each in stash.run_directories() if stash.record(each)["attempt"]["state"] != "completed"]
        wait_until(lambda: all(stash.record(each)["attempt"]["process"] for each in begun))
        mine = [each for each in begun if way == "--all" or "multirun" in each.parts]
        before, alive = footprint(world), processes(world)
        (directory,) = {each.parent for each in begun if "multirun" in each.parts}
        done("cancel", way, *([str(directory)] if way == "--sweep" else []))(stash)
        wait_until(lambda: sweep.poll() is not None)
        found = in_stash(changes(before, footprint(world)))
        places = "|".join(re.escape(str(each.relative_to(stash.root))) for each in [*mine, directory])
        assert unexpected(found, [rf"[+~-] ({places})/.*", r"- \(process \d+\)", PRESENCE]) == []
        assert {each for each in begun if stash.record(each)["attempt"]["state"] == "cancelled"} == {*mine}
        assert processes(world) <= alive
        assert (single.poll() is None) or way == "--all"
    finally:
        for one in (sweep, single):
            one.terminate()
            one.communicate(timeout=PATIENCE)


@pytest.mark.slow
def test_a_dry_run_leaves_what_is_in_its_directory(stash: StashUnderTest, world: Path) -> None:
    (first,) = stash.run_directories()
    for name in ("empty", "mine/.hydra"):
        (stash.root / name).mkdir(parents=True)
    stash.write("mine/.hydra/config.yaml", "mine: 1\n")
    before = footprint(world)
    for place in ("empty", "mine", "new/deep", str(first)):
        stash.cli("+exp=plain/one", "dry_run=true", f"hydra.run.dir={json.dumps(place)}")
        assert changes(before, footprint(world)) == [], place
    for place in ("empty", "mine", "new/deep"):
        stash.cli("-m", "+exp=plain/one", "+params.sleep=0,1", "dry_run=true", f"hydra.sweep.dir={place}")
        assert changes(before, footprint(world)) == [], place


def test_looking_at_changes_writes_no_object(stash: StashUnderTest) -> None:
    commit_of_now = git("rev-parse", "HEAD", cwd=stash.root).strip()
    objects = footprint(stash.root / ".git")
    patch = difference(stash.root, commit_of_now, (), ("notes.txt",))
    assert "+new" in patch and "notes.txt" in patch
    assert changes(objects, footprint(stash.root / ".git")) == []
