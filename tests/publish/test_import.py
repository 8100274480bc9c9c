"""What was exported from one stash is frozen in another as it was, or nothing is there: archives come from anybody."""

from __future__ import annotations

import json
import os
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from experimentstash.base import failpoints
from experimentstash.publish.frozen import digest_of
from tests.testing.drawing import SAME, frozen, identity, verdicts
from tests.testing.stash import InProcess, StashUnderTest, git

Change = Callable[[dict[str, bytes]], None]


def other_stash(place: Path) -> StashUnderTest:
    stash = StashUnderTest(place)
    stash.write("conf/config.yaml", "defaults: [experimentstash, {tool: null}, _self_]\n")
    stash.write("conf/tool/.gitkeep", "")
    git("init", "-q", cwd=place)
    stash.commit()
    return stash


def everything(stash: StashUnderTest) -> set[str]:
    return {str(each.relative_to(stash.root)) for each in stash.root.rglob("*") if ".git/" not in f"{each}/"}


@pytest.mark.slow
def test_what_was_exported_is_the_same_in_another_stash(
    drawing: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    """A tool with a repository of its own, and inputs that nobody has committed."""
    tool = drawing.root / "tools/drawer"
    git("init", "-q", cwd=tool)
    StashUnderTest(tool).commit()
    (drawing.root / ".gitignore").open("a").write("/tools/drawer/\n/data/\n")
    git("rm", "-rq", "--cached", "tools/drawer", "data", cwd=drawing.root)
    drawing.commit()
    assert drawing.cli("+exp=draw").returncode == 0
    assert in_process(drawing, "freeze", "fig", identity(drawing)).returncode == 0
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    done = in_process(drawing, "export", "fig", "-o", str(first))
    assert done.returncode == 0 and "data/numbers.txt isn't in it: inputs were not asked for" in done.stderr
    assert in_process(drawing, "export", "fig", "-o", str(first), "--inputs", "--yes").returncode == 0
    digest = frozen(drawing)["digest"]
    shutil.rmtree(drawing.root)

    there = other_stash(tmp_path / "there")
    before = everything(there)
    done = in_process(there, "import", str(first))
    assert done.returncode == 0 and "experimentstash reproduce fig" in done.stderr, done.stderr
    new = {each for each in everything(there) - before if not each.startswith(".experimentstash")}
    assert {each.partition("/")[0] for each in new} == {"frozen"} and frozen(there)["digest"] == digest
    done = in_process(there, "import", str(first))
    assert done.returncode == 2 and "frozen/fig is there already" in done.stderr and "--as" in done.stderr
    assert in_process(there, "import", str(first), "--as", "theirs").returncode == 0
    rows = in_process(there, "frozen").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["fig", "theirs"]
    assert in_process(there, "reproduce", "theirs", "--check").returncode == 0
    assert verdicts(there, code=0) == SAME
    assert (there.root / "data/numbers.txt").read_text() == "1\n2\n3.25\n"
    # From there it goes on to others, as it came.
    assert in_process(there, "export", "fig", "-o", str(second)).returncode == 0
    frozen_in = []
    for path in (first, second):
        with zipfile.ZipFile(path) as archive:
            names = [each for each in archive.namelist() if each.startswith("frozen/")]
            frozen_in.append({name: archive.read(name) for name in names})
    assert frozen_in[0] == frozen_in[1]


def steps_of(act: Callable[[], int], at: str | None) -> list[str]:
    """Do something, which is interrupted before a step of that name; return the names of the steps there were."""
    seen: list[str] = []

    def look(name: str) -> None:
        seen.append(name)
        if name == at:
            raise KeyboardInterrupt

    token = failpoints.observer.set(look)
    try:
        assert act() == (0 if at is None else 130)
    finally:
        failpoints.observer.reset(token)
    return list(dict.fromkeys(seen))


@pytest.mark.slow
def test_what_is_interrupted_leaves_nothing(drawing: StashUnderTest, in_process: InProcess, tmp_path: Path) -> None:
    assert in_process(drawing, "freeze", "fig", identity(drawing)).returncode == 0
    place, there = tmp_path / "exports", other_stash(tmp_path / "there")
    place.mkdir()
    packed, before = place / "fig.zip", everything(there)

    def export() -> int:
        return in_process(drawing, "export", "fig", "-o", str(packed)).returncode

    def import_() -> int:
        return in_process(there, "import", str(packed)).returncode

    in_stash = everything(drawing)
    for name in steps_of(export, None):
        packed.unlink(missing_ok=True)
        steps_of(export, name)
        assert os.listdir(place) == [] and everything(drawing) == in_stash, name
    assert export() == 0
    for name in steps_of(import_, None):
        shutil.rmtree(there.root / "frozen", ignore_errors=True)
        steps_of(import_, name)
        assert {each for each in everything(there) if not each.startswith(".experimentstash")} == before, name


def in_json(change: Callable[[dict[str, object]], None], *, is_signed: bool = True) -> Change:
    """Return what changes frozen.json, with its digest made anew, as somebody could."""

    def changed(content: dict[str, bytes]) -> None:
        data = json.loads(content["frozen/fig/frozen.json"])
        change(data)
        signed = {**data, "digest": digest_of(data)} if is_signed else data
        content["frozen/fig/frozen.json"] = json.dumps(signed).encode()

    return changed


def added(name: str, text: bytes = b"x") -> Change:
    return lambda content: content.update({name: text})


def removed(end: str) -> Change:
    def changed(content: dict[str, bytes]) -> None:
        del content[next(name for name in content if name.endswith(end))]

    return changed


def replaced(end: str, old: bytes, new: bytes) -> Change:
    def changed(content: dict[str, bytes]) -> None:
        name = next(name for name in content if name.endswith(end))
        assert old in content[name]
        content[name] = content[name].replace(old, new)

    return changed


REFUSED: Mapping[str, Change] = {
    "nothing frozen is in it": lambda content: [content.pop(each) for each in [*content] if "frozen" in each] and None,
    "it holds fig, other": added("frozen/other/frozen.json"),
    "it has no frozen/fig/frozen.json": removed("/frozen.json"),
    "a file that leads elsewhere": added("frozen/fig/../../conf/config.yaml"),
    "a file that leads elsewhere: 'frozen/fig//": added("frozen/fig//etc/passwd"),
    "a file that leads elsewhere: 'frozen/fig/..\\\\": added("frozen/fig/..\\..\\x"),
    "frozen.json knows nothing of: other.txt": added("frozen/fig/other.txt"),
    "it lacks runs/": removed("/record.json"),
    "record.json in it isn't what was frozen": replaced("/record.json", b'"0.5"', b'"0.6"'),
    "results.csv in it isn't what was frozen": replaced("/results.csv", b"2.5", b"2.55"),
    "state.bin in it isn't what was frozen": replaced("/state.bin", b"state", b"estat"),
    "numbers.txt in it isn't what was frozen": replaced("/numbers.txt", b"1", b"2"),
    "is no bundle that git can read": replaced("/stash.bundle", b"PACK", b"KCAP"),
    "it lacks commit": removed("/stash.bundle"),
    "frozen.json was changed after it was written": in_json(lambda data: data.update(message="y"), is_signed=False),
    "is of the format 9": in_json(lambda data: data.update(format=9)),
    "makes no sense: there are no runs": in_json(lambda data: data.update(runs=[])),
    "makes no sense: name": in_json(lambda data: data.update(name="../x")),
    "can't be read": lambda content: content.update({"frozen/fig/frozen.json": b"[" * 100_000}),
}


def test_an_archive_that_is_not_what_was_exported_is_refused_and_nothing_is_there(
    drawing: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    assert in_process(drawing, "freeze", "fig", identity(drawing)).returncode == 0
    packed, wrong = tmp_path / "fig.zip", tmp_path / "wrong.zip"
    assert in_process(drawing, "export", "fig", "-o", str(packed)).returncode == 0
    there = other_stash(tmp_path / "there")
    before = everything(there)

    def refused(*words: str) -> str:
        done = in_process(there, "import", *words)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stdout + done.stderr
        assert {each for each in everything(there) if not each.startswith(".experimentstash")} == before
        return done.stderr.replace(str(tmp_path), "")

    with zipfile.ZipFile(packed) as archive:
        content = {each: archive.read(each) for each in archive.namelist()}
    for why, change in REFUSED.items():
        changed = dict(content)
        change(changed)
        with zipfile.ZipFile(wrong, "w") as archive:
            for name, text in changed.items():
                archive.writestr(name, text)
        assert why in (said := refused(str(wrong))), (why, said)
    # What only a zip file can have: links, the same name twice, sizes that aren't true.
    link = zipfile.ZipInfo("frozen/fig/runs/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for info, why in ((link, "is no ordinary file"), (zipfile.ZipInfo("frozen/fig/frozen.json"), "is in it twice")):
        shutil.copy(packed, wrong)
        with zipfile.ZipFile(wrong, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are in it twice
            archive.writestr(info, "/etc/passwd")
        assert why in refused(str(wrong))
    # The sizes of what is packed and unpacked, in the list at the end.
    whole = packed.read_bytes()
    place = whole.rindex(b"frozen/fig/bundles/stash.bundle") - 46
    for offset, size, whys in (
        (20, 0xFFFFFFF0, {"its files overlap"}),
        (24, 0xFFFFFFF0, {"are free in", "isn't what was frozen"}),  # by how much room there is
        (24, 1 << 20, {"isn't what was frozen"}),
    ):
        changed_sizes = bytearray(whole)
        changed_sizes[place + offset : place + offset + 4] = size.to_bytes(4, "little")
        wrong.write_bytes(changed_sizes)
        said = refused(str(wrong))
        assert any(why in said for why in whys), said
    for broken in (b"", b"no zip", whole[:-30], whole[: len(whole) // 2]):
        wrong.write_bytes(broken)
        refused(str(wrong))
    assert "There is no file" in refused(str(tmp_path / "nowhere.zip"))
    assert "it is a directory" in refused(str(tmp_path))
    assert "can't be the name" in refused(str(packed), "--as", "../x")
    os.mkfifo(tmp_path / "fifo.zip")
    assert "it is a FIFO" in refused(str(tmp_path / "fifo.zip"))
