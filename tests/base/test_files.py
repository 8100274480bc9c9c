"""What stands where a file of ours must be: an ordinary file is read, anything else is refused and left alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.stash.layout import Stash


def link(path: Path, precious: Path) -> None:
    path.symlink_to(precious)


def link_to_nothing(path: Path, precious: Path) -> None:
    path.symlink_to(precious.with_name("nothing"))


def fifo(path: Path, precious: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, precious: Path) -> None:
    path.mkdir()


def unix_socket(path: Path, precious: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path must be short
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


ODD = (link, link_to_nothing, fifo, directory, unix_socket)
Put = Callable[[Path, Path], None]


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious.txt"
    path.write_text("precious\n")
    path.chmod(0o600)
    return path


def assert_untouched(precious: Path) -> None:
    assert precious.read_text() == "precious\n" and precious.stat().st_mode & 0o777 == 0o600
    assert not precious.with_name("nothing").exists()


@pytest.mark.parametrize("put", ODD)
def test_only_an_ordinary_file_is_opened(tmp_path: Path, precious: Path, put: Put) -> None:
    path = tmp_path / "here"
    put(path, precious)
    with pytest.raises(files.Unfit, match="it is a"):
        files.read_regular(path)
    for flags in (os.O_TRUNC, os.O_APPEND):
        with pytest.raises(files.Unfit, match="it is a"):
            files.write(path, b"more", flags)
    with pytest.raises(StashError, match="in the way of a lock"), files.locked(path):
        pass
    with pytest.raises(StashError, match="in the way of a lock"):
        files.lock_if_free(path)
    files.mark(path)
    assert os.path.lexists(path)
    assert_untouched(precious)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    assert files.read_regular(path, 1000) == b"x" * 1000
    with pytest.raises(files.Unfit, match="larger"):
        files.read_regular(path, 999)
    with pytest.raises(FileNotFoundError):
        files.read_regular(tmp_path / "nothing")
    os.truncate(path, 1 << 40)  # a hole of a terabyte takes no room
    with pytest.raises(files.Unfit, match="larger"):
        files.read_regular(path)


def test_writing_truncates_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, b"long")
    files.write(path, b"s")
    assert path.read_bytes() == b"s"


def test_a_path_is_inside_only_without_links(tmp_path: Path) -> None:
    (tmp_path / "root" / "real").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "file").write_text("")
    root = tmp_path / "root"
    for path in (root / "real" / "x", root / "new" / "x", root / "link"):
        assert files.inside(root, path) == path
    for path in (root / "link" / "x", root / "file" / "x", root, tmp_path / "outside", root / "real" / ".." / "x"):
        with pytest.raises(files.Unfit):
            files.inside(root, path)


def test_private_folders_are_our_own(tmp_path: Path, precious: Path) -> None:
    stash = Stash(tmp_path / "stash")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stash.private.mkdir(parents=True)
    (stash.private / "locks").symlink_to(elsewhere)
    (stash.private / "environments").write_text("")
    with pytest.raises(StashError, match="locks is a symbolic link"):
        stash.lock("x")
    with pytest.raises(StashError, match="environments is a file"):
        _ = stash.environments
    assert stash.code == stash.private / "code"


def test_all_private_things_may_be_elsewhere_but_not_among_others(tmp_path: Path, precious: Path) -> None:
    stash = Stash(tmp_path / "stash")
    stash.root.mkdir()
    room = tmp_path / "room"
    room.mkdir()
    stash.private.symlink_to(room)
    with files.locked(stash.lock("x")):
        assert (room / "locks" / "x.lock").exists()
    assert stash.environments == stash.private / "environments"
    stash.private.unlink()
    stash.private.symlink_to(tmp_path)
    with pytest.raises(StashError, match="where other things lie"):
        stash.lock("x")
