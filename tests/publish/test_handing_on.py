"""Who has an archive and nothing else has its runs again, and nothing in it tells of the machine that made it."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from pathlib import Path

import pytest

from tests.testing import reviewer
from tests.testing.drawing import identity
from tests.testing.stash import InProcess, StashUnderTest, git

USER, HOST, MAIL, SECRET = "zq-kowalska", "zq9-node.lab", "zq9@mail.example", "s3cr3t-Zq8xKw72LmNp"
HERE = {"USER": USER, "LOGNAME": USER, "HOSTNAME": HOST, "EMAIL": MAIL, "DRAWER_TOKEN": SECRET}


@pytest.fixture
def of_somebody(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> StashUnderTest:
    """A stash with a run that was made by somebody with a name, on a machine with a name."""
    for name, value in HERE.items():
        monkeypatch.setenv(name, value)
    found = request.getfixturevalue("drawing")
    assert isinstance(found, StashUnderTest)
    return found


@pytest.mark.slow
def test_a_reviewer_has_it_again_by_the_two_commands_of_the_readme(
    of_somebody: StashUnderTest, in_process: InProcess, home: Path, tmp_path: Path
) -> None:
    stash = of_somebody
    assert in_process(stash, "freeze", "fig", identity(stash), "-m", "As submitted").returncode == 0
    archive = tmp_path / "fig.zip"
    done = in_process(stash, "export", "fig", "-o", str(archive))
    assert done.returncode == 0, done.stderr
    root = stash.root.rename(stash.root.with_name("moved away"))
    place = reviewer.unpack(archive, tmp_path)
    # Nothing is of here, wherever one looks.
    words = [str(stash.root), stash.root.name, str(home), USER, HOST, HOST.partition(".")[0], MAIL, SECRET]
    words += [each for each in [socket.gethostname()] if len(each) > 4]
    forms = {form.encode() for word in words for form in (word, json.dumps(word)[1:-1])}
    found = [(name, form) for name, content in reviewer.all_bytes(place) for form in forms if form in content]
    assert not found
    assert root.is_dir() and archive.read_bytes().count(USER.encode()) == 0
    # All that a reviewer does.
    for done in reviewer.follow(place):
        assert done.returncode == 0, done.stdout + done.stderr
    assert "reproduced: 4 outputs, 3 identical, 1 equivalent" in done.stdout
    (run,) = (place / "outputs").glob("*/*/run.json")
    assert json.loads(run.read_text())["spec"]["params"]["shift"] == 0.5


def test_what_tells_of_here_is_handed_on_only_if_that_is_wanted(
    of_somebody: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    stash = of_somebody
    notes = stash.run_directories()[-1] / "notes/log.txt"
    notes.write_text(f"by {USER}, into {stash.root}/outputs\n")
    data = stash.write(f"{tmp_path}/elsewhere/numbers.txt", "1\n")
    os.utime(data, (0, 0))
    experiment = stash.root / "conf/exp/draw.yaml"
    experiment.write_text(experiment.read_text() + f"inputs: ['{data}']\n")
    assert in_process(stash, "freeze", "fig", identity(stash)).returncode == 0
    archive = tmp_path / "fig.zip"
    done = in_process(stash, "export", "fig", "-o", str(archive))
    assert done.returncode == 2 and not archive.exists()
    assert "outputs/notes/log.txt: the user's name" in done.stderr and "--with-names" in done.stderr
    assert "log.txt: the stash's place" in done.stderr
    assert "fig/frozen.json: a place of this machine" in done.stderr
    done = in_process(stash, "export", "fig", "-o", str(archive), "--with-names")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(archive) as packed:
        readme = packed.read("README.md").decode()
    assert "outputs/notes/log.txt: a place of this machine, the stash's place, the user's name" in readme
    assert USER not in readme
    assert git("status", "--porcelain", "--", "tools", cwd=stash.root) == ""
