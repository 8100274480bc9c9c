"""What tells of the machine and its user is found in whatever is handed on, however it is written there."""

from __future__ import annotations

import gzip
import io
import json
import socket
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from experimentstash.base.errors import SecretError
from experimentstash.publish.export.traces import Traces
from experimentstash.stash.layout import Stash

USER, MAIL = "zq-kowalska", "zq@mail.example"


@pytest.fixture
def traces(here: Stash, home: Path, monkeypatch: pytest.MonkeyPatch) -> Traces:
    for name, value in (("USER", USER), ("LOGNAME", "max"), ("GIT_AUTHOR_EMAIL", MAIL), ("HOSTNAME", "zq9-node.lab")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZQ_TOKEN", "s3cr3t-Zq8xKw72LmNp")
    return Traces(here, ["Max Muster", "https://example.org/zq-kowalska/tool.git"])


def test_what_is_of_here_is_found_in_all_its_forms(traces: Traces, here: Stash, home: Path) -> None:
    root = str(here.root)
    for number, (content, what) in enumerate(
        (
            (f"{root}/data", "the stash's place"),
            (f"file://{quote(root)}/data", "the stash's place"),
            (json.dumps({"at": f"{root}/x"}), "the stash's place"),
            (f'"{home}"', "the home directory"),
            (f"by {USER}.", "the user's name"),
            ("/scratch/max/data", "the user's name"),
            ("max@elsewhere", "the user's name"),
            (f"on {socket.gethostname()}:", "the machine's name"),
            ("on zq9-node", "the machine's name"),
            (f"<{MAIL}>", "a mail address"),
            ("x" * (8 << 20) + f" {USER}", "the user's name"),
        )
    ):
        if what == "the machine's name" and socket.gethostname() in content and len(socket.gethostname()) < 5:
            continue
        traces.look(f"{number}.txt", content.encode())
        assert what in traces.found.pop(f"{number}.txt"), (content[-80:], what)


def test_what_only_looks_like_it_is_left_alone(traces: Traces, here: Stash, home: Path) -> None:
    for content in (
        f"{home}0/data",
        f"{here.root}-more",
        f"see https://example.org{home}"[:30],
        '{"max": 1, "max_iter": 3, "argmax/max_x": 2}',
        f"my{USER}",
        "https://example.org/zq-kowalska/tool.git and Max Muster",
        "root user localhost",
    ):
        traces.look("x", content.encode())
        assert not traces.found, content
    traces.look("y", f"https://example.org/zq-kowalska/tool.git, by {USER}".encode())
    assert f"by {USER}" in traces.found["y"]["the user's name"]


def test_other_places_that_runs_were_told_of_are_found(traces: Traces, here: Stash) -> None:
    places = ["/zq-data/digits/train/1.png", "/zq-data/digits/2.png", "⟨stash⟩/data", "data/x", "/dev/null", "/tmp"]
    told = Traces(here, [], places)
    for content in ("--data=/zq-data/digits/train", '"/zq-data/digits"', "file:///zq-data/digits/2.png"):
        traces.look("x", content.encode())
        assert not traces.found
        told.look("x", content.encode())
        assert [*told.found.pop("x")] == ["a place of this machine"]
    told.look("x", b"/zq-data/digits2 or https://example.org/zq-data/digits, /dev/null and /tmp/x; data/x")
    assert not told.found


def test_it_is_found_in_names_and_in_what_is_packed(traces: Traces, tmp_path: Path) -> None:
    said = f"made by {USER}".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("array.npy", said * 100)
    for name, content in (("a.npz", packed.getvalue()), ("a.csv.gz", gzip.compress(said)), (f"{USER}.txt", b"")):
        (tmp_path / "file").write_bytes(content)
        traces.look_in(name, tmp_path / "file")
        assert [*traces.found.pop(name)] == ["the user's name"]
    traces.look("broken.npz", packed.getvalue()[:60])
    traces.look("broken.gz", gzip.compress(b"x" * 100)[:20])
    assert not traces.found


def test_a_secret_is_refused_wherever_it_is(traces: Traces) -> None:
    for content in (b"a s3cr3t-Zq8xKw72LmNp b", gzip.compress(b"s3cr3t-Zq8xKw72LmNp")):
        with pytest.raises(SecretError) as error:
            traces.look("results.csv", content)
        assert "$ZQ_TOKEN" in error.value.message and "s3cr3t" not in error.value.message
