"""`tool restore` brings a tool back to where it was, or touches nothing; and a backup may have been made to mislead."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.code import worktrees
from experimentstash.stash.schema import ToolConfig
from experimentstash.tools import adding, removing, restoring, updating
from tests.testing.made_once import made_once, same_place
from tests.testing.stash import GIT_IDENTITY, StashUnderTest, git
from tests.testing.tool_support import as_stash, commit, differences, is_healthy, no_report, repository, snapshot

SCRIPT = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"
FILE_ALLOWED = ("-c", "protocol.file.allow=always")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    yield from same_place(tmp_path)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    return repository(tmp_path / "upstream", {"main.py": SCRIPT})


@pytest.fixture
def tool(stash: StashUnderTest, upstream: Path) -> Path:
    """A tool that is called otherwise than its directory, and whose submodule has a name of its own."""

    def make() -> None:
        git(*FILE_ALLOWED, "submodule", "--quiet", "add", "--name", "own", str(upstream), "tools/xyz", cwd=stash.root)
        for key, value in (("branch", "main"), ("shallow", "true"), ("update", "rebase"), ("ignore", "dirty")):
            git("config", "-f", ".gitmodules", f"submodule.own.{key}", value, cwd=stash.root)
        git("config", "submodule.own.update", "merge", cwd=stash.root)
        stash.write("conf/tool/c.yaml", "# mine\npath: tools/xyz\nentrypoint: main.py\n")
        stash.write("conf/exp/group/run.yaml", "# @package _global_\ndefaults:\n  - override /tool: c\n").chmod(0o600)
        stash.commit()

    made_once([stash.root, upstream], make)
    return stash.root / "tools" / "xyz"


def whole(stash: StashUnderTest) -> dict[str, bytes | str]:
    """Return the stash but for what git writes anew whenever a repository is cloned."""
    found = snapshot(stash.root, without=("backups",))
    ours = {key: value for key, value in found.items() if not key.startswith(".git/modules/")}
    return ours | {key: value for key, value in found.items() if key.endswith(("/config", "/HEAD", "/index"))}


def remove(stash: StashUnderTest, *, force: bool = False) -> Path:
    removed = removing.remove(as_stash(stash), "c", force=force, report=no_report)
    assert removed is not None
    return removed.backup


@pytest.fixture
def removed(stash: StashUnderTest, tool: Path, upstream: Path) -> None:
    """The tool is removed, and that is committed."""

    def make() -> None:
        remove(stash)
        stash.commit()

    made_once([stash.root, upstream], make)


def restore(stash: StashUnderTest, wanted: str | Path = "c") -> list[str]:
    heard: list[str] = []
    restoring.restore(as_stash(stash), str(wanted), report=heard.append)
    return heard


@pytest.mark.slow
def test_it_comes_back_to_where_it_was(stash: StashUnderTest, tool: Path) -> None:
    before = whole(stash)
    remove(stash)
    assert not tool.exists() and "own" not in (stash.root / ".git" / "config").read_text()
    restore(stash)
    assert differences(whole(stash), before) == []
    assert not (stash.root / "tools" / "c").exists()
    assert (stash.root / "conf/exp/group/run.yaml").stat().st_mode & 0o777 == 0o600
    assert git("status", "--porcelain", cwd=stash.root) == ""
    is_healthy(stash)


@pytest.mark.slow
def test_other_sections_that_came_meanwhile_stay(stash: StashUnderTest, tool: Path, tmp_path: Path) -> None:
    remove(stash)
    stash.commit()
    other = repository(tmp_path / "other", {"x": "x\n"})
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", str(other), "tools/other", cwd=stash.root)
    stash.commit()
    restore(stash)
    listed = git("config", "-f", ".gitmodules", "--list", cwd=stash.root).splitlines()
    assert {f"submodule.own.{each}" for each in ("path=tools/xyz", "branch=main", "shallow=true", "update=rebase")} <= {
        *listed
    }
    assert "submodule.tools/other.path=tools/other" in listed
    assert git("config", "submodule.own.update", cwd=stash.root) == "merge\n"
    assert len(git("submodule", "status", cwd=stash.root).splitlines()) == 2
    is_healthy(stash)


def a_directory(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("tools/xyz/precious.txt", "precious\n")


def an_empty_directory(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools" / "xyz").mkdir()


def a_file(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("tools/xyz", "precious\n")


def a_link(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools" / "xyz").symlink_to(upstream)


def a_link_on_the_way(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools").rmdir()
    (stash.root / "tools").symlink_to(upstream)


def a_submodule(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", "--name", "new", str(upstream), "tools/xyz", cwd=stash.root)


def a_submodule_inside(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", str(upstream), "tools/xyz/inner", cwd=stash.root)


def a_section_of_its_name(stash: StashUnderTest, upstream: Path) -> None:
    git("config", "-f", ".gitmodules", "submodule.own.path", "elsewhere", cwd=stash.root)
    git("add", ".gitmodules", cwd=stash.root)


def a_submodule_of_its_name(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", "--name", "own", str(upstream), "tools/new", cwd=stash.root)


def a_setting(stash: StashUnderTest, upstream: Path) -> None:
    git("config", "submodule.own.url", "https://elsewhere.example/x", cwd=stash.root)


def a_repository_of_its_name(stash: StashUnderTest, upstream: Path) -> None:
    git("init", "-q", "--bare", ".git/modules/own", cwd=stash.root)


def an_entry_of_the_index(stash: StashUnderTest, upstream: Path) -> None:
    head = git("rev-parse", "HEAD", cwd=stash.root).strip()
    git("update-index", "--add", "--cacheinfo", f"160000,{head},tools/xyz", cwd=stash.root)


def an_entry_below(stash: StashUnderTest, upstream: Path) -> None:
    blob = git("hash-object", "-w", "conf/config.yaml", cwd=stash.root).strip()
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},tools/xyz/file", cwd=stash.root)


def a_registration(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/tool/c.yaml", "path: tools/new\n")


def a_dangling_registration(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "conf" / "tool" / "c.yaml").symlink_to("nowhere")


def a_registration_in_the_index(stash: StashUnderTest, upstream: Path) -> None:
    a_registration(stash, upstream)
    git("add", "conf/tool/c.yaml", cwd=stash.root)
    (stash.root / "conf/tool/c.yaml").unlink()


def an_organizer(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/exp/group/run.yaml", "# another\n")


def a_file_for_a_directory(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/exp/group", "a file\n")


def a_registration_of_the_place(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/tool/d.yaml", "path: tools/xyz\nentrypoint: main.py\n")


OCCUPIED = [
    (a_directory, "tools/xyz (a directory)"),
    (an_empty_directory, "tools/xyz (an empty directory)"),
    (a_file, "tools/xyz (a file)"),
    (a_link, "tools/xyz (a symbolic link)"),
    (a_link_on_the_way, "tools (a symbolic link"),
    (a_submodule, "the submodule 'new' in .gitmodules"),
    (a_submodule_inside, "the submodule 'tools/xyz/inner'"),
    (a_section_of_its_name, "the section [submodule 'own']"),
    (a_submodule_of_its_name, "the section [submodule 'own']"),
    (a_setting, "submodule.own in .git/config"),
    (a_repository_of_its_name, ".git/modules/own"),
    (an_entry_of_the_index, "tools/xyz in the index"),
    (an_entry_below, "tools/xyz/file in the index"),
    (a_registration, "conf/tool/c.yaml (a file)"),
    (a_dangling_registration, "conf/tool/c.yaml (a symbolic link)"),
    (a_registration_in_the_index, "conf/tool/c.yaml in the index"),
    (an_organizer, "conf/exp/group/run.yaml (a file)"),
    (a_file_for_a_directory, "conf/exp/group (a file"),
    (a_registration_of_the_place, "the tool 'd'"),
]


@pytest.mark.parametrize(("put", "said"), OCCUPIED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_stands_there_is_not_replaced(
    stash: StashUnderTest, removed: None, upstream: Path, put: Callable[[StashUnderTest, Path], None], said: str
) -> None:
    put(stash, upstream)
    before = snapshot(stash.root)
    with pytest.raises(StashError) as caught:
        restore(stash)
    assert said in str(caught.value) and "in the way" in str(caught.value)
    assert differences(snapshot(stash.root), before) == []


@pytest.mark.slow
def test_what_is_just_the_same_is_not_in_the_way(stash: StashUnderTest, tool: Path) -> None:
    before = whole(stash)
    remove(stash)
    git("reset", "-q", "--", "tools/xyz", "conf", cwd=stash.root)  # in the index all is as it was
    restore(stash)
    assert differences(whole(stash), before) == []


# --- a backup that was made to mislead -------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of somebody else's."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "precious.txt").write_text("precious\n")
    return directory


def content_of(directory: Path) -> list[tuple[str, int, str]]:
    return sorted(
        (str(path.relative_to(directory)), path.lstat().st_mode, path.read_text() if path.is_file() else "")
        for path in directory.rglob("*")
    )


@pytest.fixture
def backup(stash: StashUnderTest, tool: Path, upstream: Path, outside: Path) -> Path:
    """A backup of a tool in which a link leads out (which git allows), with work that isn't committed."""

    def make() -> None:
        (tool / "lnk").symlink_to(outside)
        commit(tool, {"deep/file": "x\n"}, "a link")
        (tool / "loose").write_text("loose\n")
        remove(stash, force=True)

    made_once([stash.root, upstream, outside], make)
    (backup,) = (stash.root / "backups").glob("c-*")
    return backup


MANIFESTS: list[tuple[str, Any]] = [
    ("tool", "../x"),
    ("tool", 1),
    ("created", None),
    ("path", "../x"),
    ("path", "tools"),
    ("path", "conf/x"),
    ("path", ".git/hooks"),
    ("path", None),
    ("module", "../../hooks"),
    ("module", ""),
    ("url", ["x"]),
    ("commit", "HEAD"),
    ("commit", "--all"),
    ("branch", "a\nb"),
    ("registered", "yes"),
    ("has_checkout", 1),
    ("section", [["url"]]),
    ("section", [["a]\n[core", "x"]]),
    ("section", "url"),
    ("index", [["../x", "160000", "0" * 40]]),
    ("index", [["tools/xyz", "160000", "x"]]),
    ("index", [["tools/xyz", "40000", "0" * 40]]),
    ("index", [["README.md", "100644", "0" * 40]]),
    ("index", [["conf/tool/c.yaml", "160000", "0" * 40]]),
    ("index", ["x"]),
    ("gitmodules_before", 5),
    ("gitmodules_before", '[submodule "own"]\n\tpath = tools/other\n\turl = https://x.example/x\n'),
    ("gitmodules_before", '[submodule "own"]\n\tpath = tools/xyz\n\turl = ext::touch% x\n'),
    ("gitmodules_before", '[submodule "own"]\n\tpath = tools/xyz\n\turl = --upload-pack=x\n'),
    ("gitmodules_before", '[submodule "own"]\n\tpath = tools/xyz\n\turl = https://x.example/x\n\tupdate = !touch x\n'),
    ("gitmodules_before", "[submodule"),
    ("stash_files", ["conf/tool/other.yaml"]),
    ("stash_files", ["conf/config.yaml"]),
    ("stash_files", ["conf/exp/../tool/d.yaml"]),
    ("stash_files", ["conf/exp/missing.yaml"]),
    ("stash_files", "conf/exp/a.yaml"),
    ("absent", ["lnk/precious.txt"]),
    ("absent", ["../../precious.txt"]),
    ("absent", ["/etc/passwd"]),
    ("absent", [["x"]]),
    ("directories", ["lnk/new"]),
    ("directories", ["lnk"]),
    ("directories", [".git/hooks"]),
    ("directories", ["a\0b"]),
    ("skipped", [1]),
    ("repositories", []),
    ("repositories", [{"path": ""}]),
    ("repositories", "x"),
    ("format", 2),
    ("unknown", 1),
]


@pytest.mark.parametrize(("key", "value"), MANIFESTS, ids=lambda value: str(value)[:30].replace("\0", ""))
def test_a_manifest_is_not_believed(stash: StashUnderTest, backup: Path, outside: Path, key: str, value: Any) -> None:
    manifest = backup / "backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), key: value}))
    refused(stash, backup, outside)


def refused(stash: StashUnderTest, backup: Path, outside: Path) -> str:
    before = snapshot(stash.root, without=("backups",)), content_of(outside)
    with pytest.raises(StashError) as caught:
        restore(stash, backup)
    assert (snapshot(stash.root, without=("backups",)), content_of(outside)) == before
    assert not (stash.root / ".git" / "experimentstash").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "sub"),
        ("module", "hooks"),
        ("url", "ext::sh -c touch% marker"),
        ("url", "--upload-pack=touch marker"),
        ("url", 5),
        ("commit", "master"),
        ("has_bundle", None),
    ],
)
def test_a_repository_is_not_believed(stash: StashUnderTest, backup: Path, outside: Path, key: str, value: Any) -> None:
    manifest = backup / "backup.json"
    data = json.loads(manifest.read_text())
    data["repositories"][0][key] = value
    manifest.write_text(json.dumps(data))
    refused(stash, backup, outside)
    assert not list(stash.root.rglob("marker"))


def replaced(path: Path, put: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def act(backup: Path, outside: Path) -> None:
        place = backup / path
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place)

    return act


def to_precious(place: Path) -> None:
    place.symlink_to(place.parents[len(place.parts) - 1 - place.parts.index("my stäsh's")] / "outside" / "precious.txt")


def to_outside(place: Path) -> None:
    place.symlink_to(place.parents[len(place.parts) - 1 - place.parts.index("my stäsh's")] / "outside")


def endless(place: Path) -> None:
    deep = place / "/".join(["d"] * 300)
    deep.mkdir(parents=True)


def terabyte(place: Path) -> None:
    place.touch()
    os.truncate(place, 1 << 42)


def unix_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(place.parent)
        one.bind(place.name)
        os.chdir(here)


STATE = Path("repositories/0/state")
ODD_CONTENT: dict[str, Callable[[Path, Path], None]] = {
    "the manifest is a link": replaced(Path("backup.json"), to_precious),
    "the manifest is a FIFO": replaced(Path("backup.json"), os.mkfifo),
    "the manifest is a directory": replaced(Path("backup.json"), Path.mkdir),
    "the manifest is endless": replaced(Path("backup.json"), terabyte),
    "the manifest is empty": replaced(Path("backup.json"), Path.touch),
    "the manifest is garbage": replaced(Path("backup.json"), lambda place: place.write_bytes(os.urandom(999))),
    "the manifest is deep": replaced(Path("backup.json"), lambda place: place.write_text("[" * 100_000)),
    "the manifest is a list": replaced(Path("backup.json"), lambda place: place.write_text("[]")),
    "a registration is a link": replaced(Path("stash/conf/tool/c.yaml"), to_precious),
    "an organizer is a link": replaced(Path("stash/conf/exp/group/run.yaml"), to_precious),
    "an organizer's folder is a link": replaced(Path("stash/conf/exp/group"), to_outside),
    "a registration is a FIFO": replaced(Path("stash/conf/tool/c.yaml"), os.mkfifo),
    "a registration is missing": replaced(Path("stash/conf/tool/c.yaml"), lambda place: None),
    "a FIFO among the files": replaced(Path("files/fifo"), os.mkfifo),
    "a socket among the files": replaced(Path("files/socket"), unix_socket),
    "endless directories": replaced(Path("files/deep"), endless),
    "more than there is room for": replaced(Path("files/huge"), terabyte),
    "a repository elsewhere": replaced(Path("files/sub/.git"), lambda place: place.write_text("gitdir: /somewhere\n")),
    "a repository above": replaced(Path("files/sub/.git"), lambda place: place.write_text("gitdir: ../../x/.git\n")),
    "a repository by a link": replaced(Path("files/sub/.git"), to_outside),
    "a repository under another case": replaced(Path("files/.GIT/config"), Path.touch),
    "all the files are a link": replaced(Path("files"), to_outside),
    "all of conf is a link": replaced(Path("stash"), to_outside),
    "the state is missing": replaced(STATE, lambda place: None),
    "the state is a link": replaced(STATE, to_outside),
    "HEAD is a link": replaced(STATE / "HEAD", to_precious),
    "HEAD is garbage": replaced(STATE / "HEAD", lambda place: place.write_text("garbage\n")),
    "the references are a link": replaced(STATE / "refs", to_outside),
    "the log is a link": replaced(STATE / "logs" / "HEAD", to_precious),
    "the settings are a FIFO": replaced(STATE / "config", os.mkfifo),
    "the settings are garbage": replaced(STATE / "config", lambda place: place.write_text("[core\n")),
    "the index is garbage": replaced(STATE / "index", lambda place: place.write_bytes(os.urandom(999))),
    "the bundle is a link": replaced(Path("repositories/0/objects.bundle"), to_precious),
    "the bundle is garbage": replaced(
        Path("repositories/0/objects.bundle"), lambda place: place.write_bytes(os.urandom(999))
    ),
    "the bundle is missing": replaced(Path("repositories/0/objects.bundle"), lambda place: None),
    "the bundle is truncated": lambda backup, outside: os.truncate(backup / "repositories/0/objects.bundle", 200),
}


@pytest.mark.parametrize("name", ODD_CONTENT)
def test_odd_content_is_refused(stash: StashUnderTest, backup: Path, outside: Path, name: str) -> None:
    ODD_CONTENT[name](backup, outside)
    refused(stash, backup, outside)


def test_an_index_with_a_path_that_leads_out(stash: StashUnderTest, backup: Path, outside: Path) -> None:
    index = backup / STATE / "index"
    content = index.read_bytes()[:-20].replace(b"deep/file", b"../../fil")
    index.write_bytes(content + hashlib.sha1(content).digest())
    assert "leads" in refused(stash, backup, outside) or "fil" in refused(stash, backup, outside)


def test_files_replace_a_link_and_do_not_go_through_it(stash: StashUnderTest, backup: Path, outside: Path) -> None:
    (backup / "files" / "lnk").mkdir()
    (backup / "files" / "lnk" / "precious.txt").write_text("mine\n")
    before = content_of(outside)
    restore(stash, backup)
    tool = stash.root / "tools" / "xyz"
    assert (tool / "lnk" / "precious.txt").read_text() == "mine\n" and not (tool / "lnk").is_symlink()
    assert content_of(outside) == before


RUNNING = """
[core]
	fsmonitor = touch "{marker}"
	hooksPath = {folder}
	sshCommand = touch "{marker}"
	editor = touch "{marker}"
	pager = touch "{marker}"
	askPass = touch "{marker}"
	attributesFile = {folder}/attributes
	gitProxy = touch "{marker}"
[include]
	path = {folder}/included
[includeIf "gitdir:/"]
	path = {folder}/included
[filter "x"]
	smudge = touch "{marker}"
	clean = touch "{marker}"
	process = touch "{marker}"
	required = true
[diff]
	external = touch "{marker}"
[diff "x"]
	textconv = touch "{marker}"
	command = touch "{marker}"
[merge "x"]
	driver = touch "{marker}"
[credential]
	helper = "!touch '{marker}'"
[alias]
	st = "!touch '{marker}'"
	status = "!touch '{marker}'"
[gpg]
	program = touch "{marker}"
[remote "origin"]
	uploadpack = touch "{marker}"
	vcs = x
	proxy = x
[remote "evil"]
	url = ext::sh -c touch%20{marker}
[url "ext::sh -c touch"]
	insteadOf = https://
[submodule "x"]
	update = "!touch '{marker}'"
[extensions]
	worktreeConfig = true
[sequence]
	editor = touch "{marker}"
[gc]
	recentObjectsHook = touch "{marker}"
[pager]
	status = touch "{marker}"
[uploadpack]
	packObjectsHook = touch "{marker}"
[http]
	sslVerify = false
"""


def hostile_repository(state: Path, outside: Path) -> Path:
    """Give a repository everything with which git would run a program; return what the programs would leave."""
    marker = outside / "marker"
    settings = RUNNING.format(marker=marker, folder=outside)
    (state / "config").write_text((state / "config").read_text() + settings)
    (outside / "included").write_text(f'[core]\n\tfsmonitor = touch "{marker}"\n')
    (state / "config.worktree").write_text(f'[core]\n\tfsmonitor = touch "{marker}"\n')
    (state / "hooks").mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        for folder in (state / "hooks", outside):
            (folder / name).write_text(f"#!/bin/sh\ntouch '{marker}'\n")
            (folder / name).chmod(0o755)
    (state / "info").mkdir(exist_ok=True)
    (state / "info" / "attributes").write_text("* filter=x diff=x merge=x\n")
    return marker


def use(tool: Path) -> None:
    """Do with a repository what people do."""
    for words in (
        ("status",),
        ("diff", "HEAD"),
        ("log", "-1", "-p"),
        ("add", "-A"),
        ("commit", "-q", "-m", "x"),
        ("checkout", "-q", "-b", "new"),
        ("fetch", "-q"),
        ("stash", "list"),
    ):
        environment = {**os.environ, **GIT_IDENTITY}
        done = subprocess.run(["git", *words], cwd=tool, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_no_setting_and_no_hook_comes_back_that_runs_something(
    stash: StashUnderTest, backup: Path, outside: Path
) -> None:
    marker = hostile_repository(backup / STATE, outside)
    (backup / STATE / "commondir").write_text(str(outside))
    heard = restore(stash, backup)
    said = "\n".join(heard)
    assert "not restored" in said and "commondir" in said and "hooks/" in said and "config: alias.st" in said
    tool = stash.root / "tools" / "xyz"
    use(tool)
    assert not marker.exists()
    is_healthy(stash)
    place = stash.root / ".git" / "modules" / "own"
    assert not (place / "hooks").exists() and not (place / "commondir").exists()
    assert git("config", "remote.origin.url", cwd=tool).strip().endswith("upstream")


@pytest.mark.slow
def test_repositories_of_the_user_s_in_a_tool_come_back_without_what_runs(
    stash: StashUnderTest, tool: Path, outside: Path
) -> None:
    inner = repository(tool / "own-clone", {"x": "x\n"})
    shutil.copytree(inner / ".git", tool / "own-clone" / ".git" / "modules" / "a" / "b")
    git("config", "core.bare", "false", cwd=inner)
    backup = remove(stash, force=True)
    saved = backup / "files" / "own-clone" / ".git"
    marker = hostile_repository(saved, outside)
    hostile_repository(saved / "modules" / "a" / "b", outside)
    (saved / "objects" / "info").mkdir(exist_ok=True)
    (saved / "objects" / "info" / "alternates").write_text(str(outside))
    heard = "\n".join(restore(stash, backup))
    assert "not restored" in heard and "own-clone/.git" in heard
    assert not (inner / ".git" / "objects" / "info" / "alternates").exists()
    (inner / "x").write_text("changed\n")
    subprocess.run(["git", "status"], cwd=inner, check=True, capture_output=True)
    assert git("diff", "--name-only", cwd=inner) == "x\n"
    assert git("fsck", cwd=inner) == ""
    for place in (inner / ".git", inner / ".git" / "modules" / "a" / "b"):
        assert "touch" not in (place / "config").read_text() and not (place / "hooks").exists()
    assert not marker.exists()


@pytest.mark.slow
def test_a_tool_that_is_a_clone_of_its_own(stash: StashUnderTest, upstream: Path, outside: Path) -> None:
    git("clone", "-q", str(upstream), "tools/xyz", cwd=stash.root)
    tool = stash.root / "tools" / "xyz"
    stash.write("conf/tool/c.yaml", "path: tools/xyz\nentrypoint: main.py\n")
    (tool / "main.py").chmod(0o755)
    before = whole(stash)
    with pytest.raises(StashError, match="1 changed file"):
        remove(stash)
    backup = remove(stash, force=True)
    kept = shutil.copytree(backup, backup.with_name(backup.name + "2"), symlinks=True)
    restore(stash, backup)
    same = [key for key in differences(whole(stash), before) if "/.git/hooks/" not in key]
    assert same == []
    remove(stash, force=True)
    marker = hostile_repository(kept / "tree" / ".git", outside)
    restore(stash, kept)
    use(tool)
    assert not marker.exists()


def test_nothing_comes_back_with_somebody_s_rights(stash: StashUnderTest, backup: Path) -> None:
    (backup / "files" / "loose").chmod(0o6755)
    (backup / "stash" / "conf" / "tool" / "c.yaml").chmod(0o6644)
    restore(stash, backup)
    assert (stash.root / "tools/xyz/loose").stat().st_mode & 0o7777 == 0o755
    assert (stash.root / "conf/tool/c.yaml").stat().st_mode & 0o7777 == 0o644


def test_a_rebase_that_would_run_commands(stash: StashUnderTest, backup: Path, outside: Path) -> None:
    place = backup / STATE / "rebase-merge"
    place.mkdir()
    (place / "git-rebase-todo").write_text(f"pick {'0' * 40}\nexec touch {outside}/marker\n")
    assert any("rebase-merge" in line for line in restore(stash, backup))
    assert not (stash.root / ".git" / "modules" / "own" / "rebase-merge").exists()


@pytest.mark.slow
def test_an_organizer_that_is_a_link_inside_conf_stays_one(stash: StashUnderTest, tool: Path) -> None:
    (stash.root / "conf" / "exp" / "alias.yaml").symlink_to("group/run.yaml")
    stash.commit()
    before = whole(stash)
    remove(stash)
    assert not os.path.lexists(stash.root / "conf" / "exp" / "alias.yaml")
    restore(stash)
    assert differences(whole(stash), before) == []
    assert git("status", "--porcelain", cwd=stash.root) == ""


def test_a_worktree_of_another_repository_is_not_taken_for_the_tool_s_own(
    stash: StashUnderTest, upstream: Path
) -> None:
    git("worktree", "add", "-q", "--detach", str(stash.root / "tools" / "xyz"), cwd=upstream)
    stash.write("conf/tool/c.yaml", "path: tools/xyz\nentrypoint: main.py\n")
    before = snapshot(stash.root), snapshot(upstream)
    with pytest.raises(StashError, match="worktree"):
        remove(stash, force=True)
    assert (snapshot(stash.root), snapshot(upstream)) == before


@pytest.mark.slow
def test_frozen_code_stays_if_the_tool_does(stash: StashUnderTest, tool: Path) -> None:
    config = ToolConfig(path="tools/xyz", entrypoint="main.py")
    frozen = worktrees.ensure_worktree(as_stash(stash), "c", tool, config, stash.root / "outputs" / "a", no_report)
    assert frozen is not None
    (stash.root / "backups").write_text("in the way\n")
    with pytest.raises(StashError):
        remove(stash, force=True)
    assert (frozen.directory / "main.py").exists() and git("worktree", "list", cwd=tool).count("\n") == 2
    (stash.root / "backups").unlink()
    remove(stash, force=True)
    assert not frozen.directory.exists()
    restore(stash)
    assert git("worktree", "list", cwd=tool).count("\n") == 1
    is_healthy(stash)


@pytest.mark.parametrize("name", ["tools", "conf/tool", "conf/exp", "conf/exp/new"])
def test_nothing_is_added_through_a_link(stash: StashUnderTest, upstream: Path, outside: Path, name: str) -> None:
    if (stash.root / name).exists():
        (stash.root / name).rmdir()
    (stash.root / name).symlink_to(outside)
    before = snapshot(stash.root), content_of(outside)
    with pytest.raises(StashError, match="symbolic link"):
        adding.add(as_stash(stash), "new", str(upstream), make_environment=False, report=no_report)
    assert (snapshot(stash.root), content_of(outside)) == before


def test_an_experiment_behind_a_link_is_not_taken_along(stash: StashUnderTest, tool: Path, outside: Path) -> None:
    (outside / "theirs.yaml").write_text("defaults:\n  - override /tool: c\n")
    (stash.root / "conf" / "exp" / "shared").symlink_to(outside)
    before = snapshot(stash.root), content_of(outside)
    with pytest.raises(StashError, match="conf/exp/shared"):
        remove(stash)
    assert (snapshot(stash.root), content_of(outside)) == before


def test_a_registration_that_another_tool_s_leads_to_stays(stash: StashUnderTest, tool: Path) -> None:
    (stash.root / "conf" / "tool" / "d.yaml").symlink_to("c.yaml")
    before = snapshot(stash.root)
    with pytest.raises(StashError, match="registration of 'd' is a link"):
        remove(stash)
    assert differences(snapshot(stash.root), before) == []


@pytest.mark.slow
def test_a_branch_may_have_any_name_that_git_takes(stash: StashUnderTest, tool: Path, upstream: Path) -> None:
    git("checkout", "-q", "-b", "größe/ü", cwd=tool)
    newer = commit(upstream, {"new": "new\n"})
    updated = updating.update(as_stash(stash), "c", to="main", report=no_report)
    assert updated is not None and updated.after == newer
    remove(stash)
    restore(stash)
    assert "größe/ü" in git("-c", "core.quotePath=false", "branch", cwd=tool)


@pytest.mark.parametrize("name", ["c-2", "c-20260101-120000"])
def test_a_tool_s_name_is_no_other_tool_s_backup(stash: StashUnderTest, tool: Path, name: str) -> None:
    stash.add_tool(name, "plain", "entrypoint: main.py\n")
    removing.remove(as_stash(stash), name, report=no_report)
    with pytest.raises(StashError, match="no backup 'c'"):
        restore(stash, "c")
    restore(stash, name)
    assert (stash.root / "conf" / "tool" / f"{name}.yaml").is_file()


def test_an_organizer_that_only_speaks_of_a_tool_stays(stash: StashUnderTest, tool: Path) -> None:
    text = "# @package _global_\ndefaults:\n  - override /tool: other\n"
    for number, more in enumerate(("params:\n  with:\n    - tool: c\n", "description: |\n  like\n  - /tool: c\n")):
        stash.write(f"conf/exp/theirs/{number}.yaml", text + more)
    stash.write(
        "conf/exp/theirs/mine.yaml", 'defaults:\n- {experiment: x}\n- "override /tool": "c"\n- override /tool : c\n'
    )
    remove(stash, force=True)
    assert sorted(os.listdir(stash.root / "conf/exp/theirs")) == ["0.yaml", "1.yaml"]


def test_a_tool_that_is_a_link_comes_back_as_one(stash: StashUnderTest) -> None:
    stash.write("shared/code/main.py", SCRIPT)
    (stash.root / "tools").mkdir(exist_ok=True)
    (stash.root / "tools" / "xyz").symlink_to("../shared/code")
    stash.write("conf/tool/c.yaml", "path: tools/xyz\nentrypoint: main.py\n")
    before = snapshot(stash.root)
    remove(stash)
    assert not (stash.root / "tools" / "xyz").is_symlink() and (stash.root / "shared/code/main.py").is_file()
    restore(stash)
    assert differences(snapshot(stash.root, without=("backups",)), before) == []


@pytest.mark.parametrize("is_clone", [False, True])
def test_somebody_s_worktree_of_a_tool_is_not_cut_off(
    stash: StashUnderTest, upstream: Path, tmp_path: Path, request: pytest.FixtureRequest, is_clone: bool
) -> None:
    if is_clone:
        git("clone", "-q", str(upstream), "tools/xyz", cwd=stash.root)
        stash.write("conf/tool/c.yaml", "path: tools/xyz\nentrypoint: main.py\n")
    else:
        request.getfixturevalue("tool")
    tool, mine = stash.root / "tools" / "xyz", tmp_path / "mine"
    git("worktree", "add", "-q", "--detach", str(mine), cwd=tool)
    only_here = commit(mine, {"new": "new\n"})
    with pytest.raises(StashError, match="worktree remove"):
        remove(stash, force=True)
    assert git("rev-parse", "HEAD", cwd=mine).strip() == only_here
    shutil.rmtree(mine)  # such as `git worktree prune` would forget
    remove(stash, force=True)
    assert not tool.exists()


def test_a_leftover_that_somebody_s_worktree_needs_stays(stash: StashUnderTest, upstream: Path, tmp_path: Path) -> None:
    adding.add(as_stash(stash), "new", str(upstream), make_environment=False, report=no_report)
    mine = tmp_path / "mine"
    git("worktree", "add", "-q", "--detach", str(mine), cwd=stash.root / "tools" / "new")
    (stash.root / "conf" / "tool" / "new.yaml").unlink()
    with pytest.raises(StashError, match="used without it"):
        adding.add(as_stash(stash), "new", str(upstream), make_environment=False, report=no_report)
    assert git("status", "--porcelain", cwd=mine) == ""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_to_pass_over_is_work(stash: StashUnderTest, tool: Path, how: str) -> None:
    git("update-index", how, "main.py", cwd=tool)
    before = git("ls-files", "-v", cwd=tool)
    (tool / "main.py").write_text(SCRIPT + "# mine\n")
    for act in (lambda: remove(stash), lambda: updating.update(as_stash(stash), "c", report=no_report)):
        with pytest.raises(StashError, match="1 changed file: main"):
            act()
    assert git("ls-files", "-v", cwd=tool) == before
    remove(stash, force=True)
    restore(stash)
    assert (tool / "main.py").read_text() == SCRIPT + "# mine\n" and git("ls-files", "-v", cwd=tool) == before


@pytest.mark.slow
def test_another_worktree_of_the_stash_keeps_its_tool(stash: StashUnderTest, tool: Path, tmp_path: Path) -> None:
    configured = git("config", "--local", "--list", cwd=stash.root)
    second = StashUnderTest(tmp_path / "second")
    git("worktree", "add", "-q", "--detach", str(second.root), cwd=stash.root)
    git(*FILE_ALLOWED, "submodule", "--quiet", "update", "--init", "--checkout", cwd=second.root)
    before = whole(stash)
    remove(second)
    assert not (second.root / "tools" / "xyz").exists()
    assert git("config", "--local", "--list", cwd=stash.root) == configured
    assert [each for each in differences(whole(stash), before) if "/worktrees/" not in each] == []
    restore(second)
    assert git("config", "--local", "--list", cwd=stash.root) == configured
    assert git("status", "--porcelain", cwd=second.root) == ""
    remove(stash)
    restore(stash)
    assert git("config", "--local", "--list", cwd=second.root) == configured


@pytest.mark.slow
def test_a_submodule_inside_that_was_cloned_from_this_machine_comes_back(
    stash: StashUnderTest, tool: Path, upstream: Path
) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", str(upstream), "inner", cwd=tool)
    commit(tool, {}, "inner")
    (tool / "inner" / "main.py").write_text("mine\n")
    before = whole(stash)
    remove(stash, force=True)
    restore(stash)
    assert differences(whole(stash), before) == []
    is_healthy(stash)
