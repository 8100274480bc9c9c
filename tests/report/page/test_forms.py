"""A report as one file, as a directory, as a zip file: what is in it, and that nothing of others is harmed."""

from __future__ import annotations

import base64
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from experimentstash.code import results
from experimentstash.record import archives
from experimentstash.record.run import Code, State
from experimentstash.report.compare import Asked
from experimentstash.report.page import collect, forms, write
from experimentstash.report.summaries import WAYS
from experimentstash.runs.selection import Selection
from experimentstash.stash.layout import Stash
from tests.report.page.test_report import data_of
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest

ASKED = collect.Request(Selection(), Asked(WAYS["std"]))
ODD = "a b#?%ü&<i>.csv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory of runs: one that has failed, with all that there can be, and one that has completed."""
    root = tmp_path / "stash"
    (root / "conf").mkdir(parents=True)
    (root / "conf/config.yaml").write_text("defaults: [experimentstash]\n")
    failed = finished(
        root,
        "22222f",
        {"lr": 0.5, "name": "ü"},
        state=State.FAILED,
        exp="fig/b",
        exit_code=1,
        reason="the tool ended with exit code 1",
        cwd=str(root / "tools" / "t"),
        argv=[str(root / "bin/python"), "-m", "main", f"--out={root}/x y"],
        code=Code(str(root), "a" * 40, "main", dirty=True, patch="code.patch"),
        second=2,
    )
    (failed.path / "code.patch").write_text("diff --git a/x b/x\n+</script>\n")
    (failed.path / "output.log").write_text(
        f"\x1b[31mred\x1b[0m\n50%\r100%\nIn {root}/tools/t/main.py\nValueError: bad\n"
    )
    (failed.path / ODD).write_text("1,2\n")
    (failed.path / "evil.html").write_text("<script>alert(1)</script>")
    (failed.path / "out").symlink_to(tmp_path)
    (failed.path / "secret").symlink_to("/etc/passwd")
    finished(root, "22222c", {"lr": 0.1}, {"acc": 0.5}, exp="fig/b", second=1)
    return root


def detail_of(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data["details"][data["runs"]["ids"].index(name)]
    assert isinstance(found, dict)
    return found


def test_a_run_has_its_details_with_paths_relative_to_the_stash(root: Path) -> None:
    made = forms.one_file(Stash(root), ASKED, root / "report.html")
    assert made.left_out == ("1 link to pictures or folders outside of a run not followed (out), of: 22222f",)
    assert made.size < forms.MOST
    data = data_of(root / "report.html")
    found = detail_of(data, "22222f")
    assert found["state"] == "failed" and found["reason"] == "the tool ended with exit code 1"
    assert found["command"].startswith("cd tools/t && ../../bin/python -m main '--out=../../x y'")
    assert found["config"] == "lr: 0.5\nname: ü\n"
    assert data["texts"][found["patch"]] == "diff --git a/x b/x\n+</script>\n"
    assert found["log"] == "red\n50%\n100%\nIn tools/t/main.py\nValueError: bad" and not found["logIsCut"]
    assert ["last line", "ValueError: bad"] in found["used"] and ["exit code", "1"] in found["used"]
    assert ["code", f"{'a' * 12} (main), with changes"] in found["provenance"]
    assert str(root) not in str(found)
    files = {file["path"]: file["href"] for file in found["files"]}
    assert set(files) == {"run.json", "code.patch", "output.log", ODD, "evil.html"}
    assert {file["path"] for file in found["files"] if not file["isPlain"]} == {"evil.html"}
    assert all((root / unquote(href)).is_file() for href in files.values()) and " " not in files[ODD]


def test_paths_are_short_where_the_stash_was_copied_too_and_what_differs_never_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    root, old = home / "my stash", "/cluster/alice/stash"
    (root / "conf").mkdir(parents=True)
    (root / "conf/config.yaml").write_text("defaults: [experimentstash]\n")
    data = [f"{old}/data/a", f"{root}/data/b", f"{home}/c", f"{root}/same", "same", "/elsewhere/d"]
    for number, each in enumerate(data):
        run = finished(
            root,
            f"22222{'abcdef'[number]}",
            {"data": each, "several": [each]},
            {"acc": number},
            second=-number + 10,
            stash=Code(old),
            cwd=(f"{old}/tools/t", "/tools/t", str(root), f"{home}/a b")[number % 4],
            argv=[f"{old}/bin/python", f"--out={root}/x y", f"--in={home}/in", str(home)],
        )
        (run.path / "output.log").write_text(f"in {old}/tools\n")
    command = ["experimentstash", "report", "-o", f"{home}/paper/x y.html", "--where", f"data == '{root}/data/b'"]
    request = collect.Request(Selection(), Asked(WAYS["std"]), f"of {root}/x", command)
    forms.one_file(Stash(root), request, root / "report.html")
    found = data_of(root / "report.html")
    assert found["title"] == "of x"
    assert found["command"] == """experimentstash report -o ~/'paper/x y.html' --where 'data == '"'"'./data/b'"'"''"""
    shown = ["data/a", "data/b", "~/c", f"{root}/same", "same", "/elsewhere/d"]
    columns = {column["key"]: column["values"] for column in found["runs"]["columns"]}
    assert columns["params.data"] == columns["params.several"] == shown
    (table,) = (table for table in found["tables"] if table["name"] == "all that differs")
    assert sorted(row["values"][0] for row in table["rows"]) == sorted(shown)
    details = found["details"]
    assert [yaml.safe_load(each["config"])["data"] for each in details] == shown
    assert {each["log"] for each in details} == {"in tools"}
    outputs = [f"outputs/2026-01-31/12-00-00-22222{letter}" for letter in "abcd"]
    assert [each["command"] for each in details[:4]] == [
        f"cd tools/t && ../../bin/python '--out=../../x y' --in=\"$HOME\"/in ~ ../../{outputs[0]}",
        f"cd /tools/t && ~/'my stash/bin/python' --out=\"$HOME\"'/my stash/x y' --in=\"$HOME\"/in ~"
        f" ~/'my stash/{outputs[1]}'",
        f"./bin/python '--out=./x y' --in=\"$HOME\"/in ~ ./{outputs[2]}",
        f"cd ~/'a b' && ~/'my stash/bin/python' --out=\"$HOME\"'/my stash/x y' --in=\"$HOME\"/in ~"
        f" ~/'my stash/{outputs[3]}'",
    ]
    assert old not in str(found) and str(home) not in str(found).replace(f"{root}/same", "")
    made = forms.one_file(Stash(root), ASKED, tmp_path / "report.html")
    assert any("by the name of your home" in each for each in made.left_out)
    assert not forms.one_file(Stash(root), ASKED, home / "report.html").left_out


def test_a_secret_is_in_no_part_of_the_page(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "Zq8vN2kLx0PwT7")
    run = finished(root, "22222s", {"key": "Zq8vN2kLx0PwT7"}, state=State.FAILED, reason="Zq8vN2kLx0PwT7", second=3)
    for name in ("output.log", "notes.txt", "of Zq8vN2kLx0PwT7.txt", "Zq8vN2kLx0PwT7.svg"):
        (run.path / name).write_text("<svg>say Zq8vN2kLx0PwT7</svg>\n")
    forms.one_file(Stash(root), ASKED, root / "report.html")
    forms.directory(Stash(root), ASKED, root / "site")
    for place in (root / "report.html", root / "site/index.html"):
        data = data_of(place)
        assert "Zq8vN2kLx0PwT7" not in str(data) and "of <MY_TOKEN>.txt" in str(detail_of(data, "22222s")["files"])
        (drawing,) = data["figures"][0]["pictures"]
        assert base64.b64decode(drawing["thumb"].partition("base64,")[2]) == b"<svg>say **************</svg>\n"
    copies = {path.name: path.read_bytes() for path in (root / "site").rglob("*") if path.is_file()}
    assert len(copies) > 3 and not any("Zq8vN2kLx0PwT7" in name for name in copies)
    assert not any(b"Zq8vN2kLx0PwT7" in content for content in copies.values())


def test_what_finds_no_room_is_left_out_and_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = len(write.page("", {}))
    monkeypatch.setattr(forms, "MOST", taken + forms._SPARE + 2300)
    made = forms.one_file(Stash(root), ASKED, root / "report.html")
    data = data_of(root / "report.html")
    assert any("are left out" in each for each in made.left_out) and set(made.left_out) <= set(data["remarks"])
    assert None in data["details"] and data["runs"]["count"] == 2
    monkeypatch.setattr(forms, "MOST", 0)
    made = forms.one_file(Stash(root), ASKED, root / "report.html")
    data = data_of(root / "report.html")
    assert data["details"] == [None, None] and data["runs"]["count"] == 2
    assert any("larger than it should be" in each for each in made.left_out)


def test_a_directory_has_copies_and_pages_of_runs_that_find_no_room(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MOST_WITH_FILES", 0)
    site = root / "a site"
    made = forms.directory(Stash(root), ASKED, site)
    data = data_of(site / "index.html")
    assert detail_of(data, "22222f")["page"] == "./runs/22222f.html"
    text = (site / "runs/22222f.html").read_text(encoding="utf-8")
    assert "<script" not in text and "+&lt;/script&gt;" in text and "script-src" not in text
    links = [unquote(link.replace("&amp;", "&").replace("&#39;", "'")) for link in re.findall('href="([^"]*)"', text)]
    assert re.search('evil.html" download>', text) and not re.search('csv" download', text)
    assert links[0] == "../index.html" and any(link.endswith(ODD) for link in links)
    assert all((site / "runs" / link).is_file() for link in links)
    copied = {path.name for path in (site / "files").rglob("*") if path.is_file()}
    assert copied == {"code.patch", "output.log", "metrics.json", ODD, "evil.html"}  # no record, nothing through a link
    assert made.files == len([path for path in site.rglob("*") if path.is_file()]) - 2  # the page, and what we wrote
    monkeypatch.undo()
    (site / "CNAME").write_text("mine")
    forms.directory(Stash(root), ASKED, site)
    assert not (site / "runs/22222f.html").exists() and (site / "CNAME").exists()


def test_a_zip_file_is_the_directory(root: Path) -> None:
    made = forms.zipped(Stash(root), ASKED, root / "paper.zip")
    with zipfile.ZipFile(root / "paper.zip") as archive:
        names = archive.namelist()
        assert all(name.startswith("paper/") for name in names) and "paper/index.html" in names
    assert made.files == len(names) - 2
    (root / "paper.zip").chmod(0o600)
    forms.zipped(Stash(root), ASKED, root / "paper.zip")  # it is ours
    assert (root / "paper.zip").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in root.iterdir()} == {"conf", "outputs", "paper.zip"}


def test_everything_is_in_one_file_if_it_is_to_be(root: Path) -> None:
    forms.embedded(Stash(root), ASKED, root / "report.html")
    files = {file["path"]: file["href"] for file in detail_of(data_of(root / "report.html"), "22222f")["files"]}
    assert base64.b64decode(files[ODD].partition("base64,")[2]) == b"1,2\n" and files["run.json"] is None


def test_a_report_is_no_change_of_the_code_that_it_lies_in(root: Path) -> None:
    for name in ("report.html", "paper.zip", "docs/site"):
        forms.make(Stash(root), ASKED, root / name)
    (root / "other.html").write_text("<p>")
    (root / "docs/site/mine.py").write_text("")
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    among = results.among(root, names, code=[root], tracked=list)
    left = {name for name in names if name not in among and not name.startswith("outputs/")}
    assert left == {"conf/config.yaml", "other.html", "docs/site/mine.py"}


@pytest.mark.parametrize(
    ("words", "there"), [("-o other.html", "file"), ("--zip o.zip", "file"), ("-o d", "directory")]
)
def test_nothing_of_others_is_overwritten(stash: StashUnderTest, in_process: InProcess, words: str, there: str) -> None:
    finished(stash.root, "22222a", {}, {"acc": 1.0})
    place = stash.root / words.split()[1]
    if there == "directory":
        place.mkdir()
    mine = place / "mine" if there == "directory" else place
    mine.write_text("mine")
    done = in_process(stash, "report", *words.split())
    assert done.returncode == 2 and place.name in done.stderr and mine.read_text() == "mine"
    assert there == "file" or [path.name for path in place.iterdir()] == ["mine"]


def test_runs_that_are_archived_have_their_details_and_broken_records_are_said(
    stash: StashUnderTest, in_process: InProcess
) -> None:
    sweep = stash.root / "multirun" / "2026-01-31" / "12-00-00-2222222"
    for job in range(2):
        run = finished(stash.root, f"2222222-{job}", {"lr": job}, {"acc": job})
        (run.path / "output.log").write_text(f"log of {job}\n")
        sweep.mkdir(parents=True, exist_ok=True)
        target = sweep / str(job)
        run.path.rename(target)
        text = (target / "run.json").read_text().replace(str(run.path), str(target))
        (target / "run.json").write_text(text.replace('"sweep": null', f'"sweep": "{sweep}"'))
    assert in_process(stash, "archive", "2222222", "--yes").returncode == 0 and not sweep.exists()
    broken = finished(stash.root, "22222b", {})
    (broken.path / "run.json").write_text("{")
    done = in_process(stash, "report", "-o", "site")
    assert done.returncode == 1
    data = data_of(stash.root / "site/index.html")
    assert archives.holding(sweep / "1") is not None and sorted(data["runs"]["ids"]) == ["2222222-0", "2222222-1"]
    found = detail_of(data, "2222222-1")
    assert found["log"] == "log of 1"
    files = {file["path"]: file["href"] for file in found["files"]}
    assert (stash.root / "site" / files["output.log"]).read_text() == "log of 1\n"
    assert any("records can't be read" in each for table in data["tables"] for each in table["remarks"])
