"""What a foreign repository might try: refused with a reason, and nothing has changed."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.tools import adding, removing, restoring, status, updating
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import as_stash, commit, differences, is_healthy, no_report, repository, snapshot

SCRIPT = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def put(upstream: Path, mode: str, path: str, content: str) -> None:
    """Put an entry into a commit that `git add` would refuse."""
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=upstream, input=content, capture_output=True, text=True, check=True
    ).stdout.strip()
    git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", cwd=upstream)


def with_submodule(
    upstream: Path, *, name: str = "sub", path: str = "sub", url: str, update: str | None = None
) -> None:
    text = f'[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n' + (f"\tupdate = {update}\n" if update else "")
    put(upstream, "100644", ".gitmodules", text)
    inner = git("rev-parse", "HEAD", cwd=upstream).strip()
    git("update-index", "--add", "--cacheinfo", f"160000,{inner},sub", cwd=upstream)


def refused(stash: StashUnderTest, url: Path | str, reason: str, name: str = "evil") -> None:
    before = snapshot(stash.root)
    with pytest.raises(StashError) as caught:
        adding.add(as_stash(stash), name, str(url), make_environment=False, report=no_report)
    assert reason in str(caught.value), str(caught.value)
    assert differences(snapshot(stash.root), before) == []
    is_healthy(stash)


@pytest.mark.parametrize(
    ("settings_", "reason"),
    [
        ({"url": "file:///etc"}, "transport file://"),
        ({"url": "/etc"}, "a path on this machine"),
        ({"url": "ext::sh -c 'touch ran'"}, "would run a program"),
        ({"url": "-oProxyCommand=x"}, "an option"),
        ({"url": "../sibling"}, "a path on this machine"),  # of a tool that is itself on this machine
        ({"url": "https://host.example/x", "name": "../../hooks"}, "leaves its directory"),
        ({"url": "https://host.example/x", "path": "../outside"}, "leaves its directory"),
        ({"url": "https://host.example/x", "path": "/tmp/outside"}, "it is absolute"),
        ({"url": "https://host.example/x", "path": "-rf"}, "an option"),
        ({"url": "https://host.example/x", "update": "!touch ran"}, "run a command"),
    ],
)
def test_a_submodule_of_the_tool(stash: StashUnderTest, tmp_path: Path, settings_: dict[str, str], reason: str) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    with_submodule(upstream, **settings_)
    git("commit", "-q", "-m", "evil", cwd=upstream)
    refused(stash, upstream, reason)
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../.git/hooks", "../../../x"])
def test_a_link_that_leads_out(stash: StashUnderTest, tmp_path: Path, target: str) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    put(upstream, "120000", "data/link", target)
    git("commit", "-q", "-m", "evil", cwd=upstream)
    refused(stash, upstream, "leads out of it")


def test_gitmodules_as_a_link(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    name = git("rev-parse", "HEAD:main.py", cwd=upstream).strip()
    _set_tree(upstream, f"120000 blob {name}\t.gitmodules\n")
    refused(stash, upstream, "symbolic link")


def _tree(upstream: Path, text: str) -> str:
    made = subprocess.run(["git", "mktree"], cwd=upstream, input=text, capture_output=True, text=True, check=True)
    return made.stdout.strip()


def _set_tree(upstream: Path, text: str) -> None:
    evil = git("commit-tree", _tree(upstream, text), "-m", "evil", cwd=upstream).strip()
    git("update-ref", "refs/heads/main", evil, cwd=upstream)


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "."])
def test_a_path_that_leads_out(stash: StashUnderTest, tmp_path: Path, name: str) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    blob = git("rev-parse", "HEAD:main.py", cwd=upstream).strip()
    inner = _tree(upstream, f"100644 blob {blob}\tx\n")
    _set_tree(upstream, f"040000 tree {inner}\t{name}\n")
    refused(stash, upstream, "refused")


def test_an_evil_commit_is_not_updated_to(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    adding.add(as_stash(stash), "tool", str(upstream), make_environment=False, report=no_report)
    put(upstream, "120000", "link", "../../conf")
    git("commit", "-q", "-m", "evil", cwd=upstream)
    git("checkout", "-q", "-f", "HEAD", cwd=upstream)
    before = snapshot(stash.root, without=(".git",))
    with pytest.raises(StashError, match="leads out"):
        updating.update(as_stash(stash), "tool", report=no_report)
    assert differences(snapshot(stash.root, without=(".git",)), before) == []


@pytest.mark.parametrize("name", ["../x", "-rf", ".git", "con/fig", "lаtents", "nul", "a" * 65])
def test_a_name(stash: StashUnderTest, tmp_path: Path, name: str) -> None:
    refused(stash, repository(tmp_path / "upstream", {"main.py": SCRIPT}), "can't be a tool's name", name)


@pytest.mark.parametrize("url", ["--upload-pack=touch ran", "ext::sh -c touch% ran", "https://u:p@host.example/x"])
def test_a_url(stash: StashUnderTest, url: str) -> None:
    refused(stash, url, "can't be cloned")


@pytest.mark.parametrize("entrypoint", ["../x.py", "/bin/sh", "-c evil", "-m ..", "a\nb", "'", "missing.py"])
def test_an_entrypoint(stash: StashUnderTest, tmp_path: Path, entrypoint: str) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    with pytest.raises(StashError):
        adding.add(as_stash(stash), "x", str(upstream), entrypoint=entrypoint, make_environment=False, report=no_report)
    assert not (stash.root / "tools" / "x").exists()


@pytest.mark.parametrize("path", ["../outside", "/tmp", ".", "conf", "tools/../conf", "tools"])
def test_a_registration_whose_path_leaves_is_not_removed_after(stash: StashUnderTest, path: str) -> None:
    stash.write("conf/tool/evil.yaml", f"path: {path}\nentrypoint: x\n")
    stash.write("../outside/file", "precious\n")
    stash.commit()
    before = snapshot(stash.root)
    with pytest.raises(StashError, match=r"not below tools/|belong to the stash|is no submodule"):
        removing.remove(as_stash(stash), "evil", force=True, report=no_report)
    assert differences(snapshot(stash.root), before) == []
    assert (stash.root.parent / "outside" / "file").exists()


def test_strings_of_the_tool_stay_strings(stash: StashUnderTest, tmp_path: Path) -> None:
    description = """a: ${oc.env:HOME} # 'x' \\ "y" é"""
    upstream = repository(
        tmp_path / "upstream",
        {"main.py": SCRIPT, "pyproject.toml": f'[project]\nname = "x"\ndescription = {json.dumps(description)}\n'},
    )
    adding.add(as_stash(stash), "x", str(upstream), make_environment=False, report=no_report)
    shown = status.show(as_stash(stash), "x")
    assert shown.description == description


def test_hooks_and_settings_of_git_around_us_do_not_matter(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": SCRIPT})
    for name, value in (("GIT_DIR", "/nonexistent"), ("GIT_INDEX_FILE", "/nonexistent"), ("GIT_WORK_TREE", "/")):
        monkeypatch.setenv(name, value)
    adding.add(as_stash(stash), "x", str(upstream), make_environment=False, report=no_report)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name)
    is_healthy(stash)


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve bare repositories over (dumb) HTTP."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(directory), **options)  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_tool_with_submodules_over_http(stash: StashUnderTest, tmp_path: Path) -> None:
    web = tmp_path / "web"

    def publish(source: Path) -> None:
        git("clone", "-q", "--bare", str(source), str(web / f"{source.name}.git"), cwd=tmp_path)
        git("update-server-info", cwd=web / f"{source.name}.git")

    web.mkdir()
    deepest = repository(tmp_path / "deepest", {"deep.txt": "deep\n"})
    publish(deepest)
    with served(web) as address:
        middle = repository(tmp_path / "middle", {"middle.txt": "middle\n"})
        git("submodule", "--quiet", "add", f"{address}/deepest.git", "inner/deepest", cwd=middle)
        commit(middle, {})
        publish(middle)
        outer = repository(tmp_path / "outer", {"main.py": SCRIPT})
        git("submodule", "--quiet", "add", f"{address}/middle.git", "libs/middle", cwd=outer)
        git("config", "-f", ".gitmodules", "submodule.libs/middle.url", "../middle.git", cwd=outer)
        commit(outer, {})
        publish(outer)
        stash_ = as_stash(stash)
        adding.add(stash_, "outer", f"{address}/outer.git", make_environment=False, report=no_report)
        tool = stash.root / "tools" / "outer"
        deep = tool / "libs" / "middle" / "inner" / "deepest"
        assert (deep / "deep.txt").read_text() == "deep\n"
        status = git("submodule", "status", "--recursive", cwd=stash.root)
        assert [line[0] for line in status.splitlines()] == [" "] * 3
        is_healthy(stash)
        stash.commit()
        # Work in the innermost one is seen, kept and brought back.
        mine = commit(deep, {"mine.txt": "mine\n"})
        (deep / "loose").write_text("loose\n")
        (tool / "libs" / "middle" / "middle.txt").write_text("changed\n")
        with pytest.raises(StashError, match="libs/middle/inner/deepest"):
            removing.remove(stash_, "outer", report=no_report)
        before = snapshot(stash.root, without=(".git",))
        assert removing.remove(stash_, "outer", force=True, report=no_report)
        assert not tool.exists() and not (stash.root / ".git" / "modules").exists()
        restoring.restore(stash_, "outer", report=no_report)
        assert differences(snapshot(stash.root, without=(".git", "backups")), before) == []
        assert git("rev-parse", "HEAD", cwd=deep).strip() == mine
        assert git("status", "--porcelain", cwd=deep) == "?? loose\n"
        assert git("fsck", "--no-dangling", cwd=deep) == ""


def test_a_submodule_that_a_submodule_brings_is_refused_too(stash: StashUnderTest, tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    inner = repository(tmp_path / "inner", {"x": "x"})
    put(inner, "120000", "link", "../../../conf")
    git("commit", "-q", "-m", "evil", cwd=inner)
    git("clone", "-q", "--bare", str(inner), str(web / "inner.git"), cwd=tmp_path)
    git("update-server-info", cwd=web / "inner.git")
    with served(web) as address:
        outer = repository(tmp_path / "outer", {"main.py": SCRIPT})
        git("submodule", "--quiet", "add", f"{address}/inner.git", "inner", cwd=outer)
        commit(outer, {})
        refused(stash, outer, "leads out of it")
