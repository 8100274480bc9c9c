from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.base.names import (
    LinkMap,
    check_reference,
    check_tool_name,
    check_url,
    inner_path_problem,
    remote_problem,
)


@pytest.mark.parametrize("name", ["latents", "umap2", "2fast", "a", "my-tool_3", "x" * 64])
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert check_tool_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("../x", "hidden"),
        ("..", "hidden"),
        (".git", "hidden"),
        ("-rf", "an option"),
        ("--upload-pack=x", "an option"),
        ("con/fig", "a path"),
        ("con\\fig", "a path"),
        ("/etc", "a path"),
        ("con", "a device"),
        ("com1", "a device"),
        ("null", "something else"),
        ("true", "something else"),
        ("lаtents", "CYRILLIC SMALL LETTER A"),
        ("ｌatents", "FULLWIDTH"),
        ("a\u202eb", "RIGHT-TO-LEFT OVERRIDE"),
        ("a b", "white space"),
        ("a\nb", "white space or control"),
        ("a\0b", "control"),
        ("Latents", "'L' is not allowed"),
        ("a.b", "'.' is not allowed"),
        ("a;b", "';' is not allowed"),
        ("${x}", "'$' is not allowed"),
        ("_x", "begin with"),
        ("x" * 65, "longer"),
    ],
)
def test_a_hostile_name_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(StashError) as caught:
        check_tool_name(name)
    assert reason in caught.value.message
    assert caught.value.message.isascii()


def test_a_better_name_is_proposed() -> None:
    with pytest.raises(StashError, match="for instance my-tool"):
        check_tool_name("My Tool")


@given(st.text(max_size=80))
def test_whatever_is_taken_is_harmless(name: str) -> None:
    try:
        check_tool_name(name)
    except StashError:
        return
    assert name.isascii() and name[0].isalnum() and not set(name) & set("/\\. \n\0$:'\"") and name == name.lower()


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/owner/repo.git",
        "http://127.0.0.1:8000/x",
        "ssh://git@host:22/path",
        "git@github.com:owner/repo.git",
        "host:path/to/repo",
    ],
)
def test_a_remote_url_is_taken_as_it_is(url: str, tmp_path: Path) -> None:
    found = check_url(url, tmp_path)
    assert found.text == url and not found.is_local


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("--upload-pack=touch /tmp/x", "an option"),
        ("-u", "an option"),
        ("ext::sh -c 'touch /tmp/x'", "would run a program"),
        ("fd::17", "would run a program"),
        ("https://user:secret@host/x", "credentials"),
        ("https://token@github.com/x/y", "credentials"),
        ("bob:secret@host:path", "credentials"),
        ("https://host/x?token=mysecret1", "what follows the `?`"),
        ("https://host/x#secret", "what follows the `#`"),
        ("https://host/ghp_secretsecretsecretsecretsecretsecret/x", "a GitHub token"),
        ("ghp_secretsecretsecretsecretsecretsecret@github.com:x/y", "a GitHub token"),
        ("https://host/very-secret-path/x", "the value of $MY_TOKEN"),
        ("ssh://very-secret-path@host/x", "the value of $MY_TOKEN"),
        ("./very-secret-path/x", "the value of $MY_TOKEN"),
        ("git://host/x", "transport git://"),
        ("ftp://host/x", "transport ftp://"),
        ("javascript://x/y", "transport"),
        ("ssh://-oProxyCommand=evil/x", "no host"),
        ("ssh://-oProxyCommand=evil@host/x", "no host"),
        ("git@host:-x", "an option"),
        ("https://", "no host"),
        ("https://host", "no repository"),
        ("https://host/\nx", "control characters"),
        ("x\x1b[31m", "control characters"),
        ("", "empty"),
    ],
    ids=lambda value: value[-20:].replace("secret", ""),  # the environment tells it
)
def test_a_hostile_url_is_refused_with_its_reason(
    url: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "very-secret-path")
    with pytest.raises(StashError) as caught:
        check_url(url, tmp_path)
    assert reason in caught.value.message
    assert "secret" not in str(caught.value) and "token@" not in str(caught.value)


def test_a_path_is_made_absolute(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    for given_ in ("a b", "./a b", f"{tmp_path}/x/../a b"):
        found = check_url(given_, tmp_path)
        assert found.text == str(tmp_path / "a b") and found.is_local
    assert check_url(f"file://{tmp_path}/", tmp_path).is_local
    with pytest.raises(StashError, match="github"):
        check_url("owner/repo", tmp_path)


def test_a_nested_submodule_may_not_be_read_from_this_machine() -> None:
    for url in ("file:///etc", "/etc", "../../x", "ext::sh", "~/x"):
        assert remote_problem(url)
    assert remote_problem("https://host/x") is None


@pytest.mark.parametrize("reference", ["main", "v1.0", "feature/x", "0123abc", "a-b_c.d"])
def test_a_reference(reference: str) -> None:
    assert check_reference(reference) == reference


@pytest.mark.parametrize(
    "reference", ["", "-x", "--upload-pack=x", "a..b", "a b", "@{1}", "a~1", "x.lock", ":/x", "a\n"]
)
def test_a_hostile_reference_is_refused(reference: str) -> None:
    with pytest.raises(StashError):
        check_reference(reference)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/x",
        "..",
        "a/../../b",
        "a//b",
        "./a",
        ".git/hooks/x",
        "a/.GIT/x",
        "a/.git /x",
        ".g\u200cit/x",
        "git~1",
        "C:x",
        "a\0",
    ],
)
def test_a_path_that_leaves_is_seen(path: str) -> None:
    assert inner_path_problem(path)


def test_a_path_that_stays() -> None:
    for path in ("a", "a/b.c", "..a", "a..", "git", ".github/x"):
        assert inner_path_problem(path) is None


@pytest.mark.parametrize(
    ("links", "out"),
    [
        ({"a": "b"}, []),
        ({"a/b": "../c"}, []),
        ({"a": "../c"}, ["a"]),
        ({"a": "/etc/passwd"}, ["a"]),
        ({"a/b": "../../c"}, ["a/b"]),
        ({"d/e/up": "../..", "evil": "d/e/up/.."}, ["evil"]),  # inside, if one only reads the words
        ({"a": "b", "b": "a"}, []),
        ({"a": "a/x"}, []),
        ({"x": "sub/.."}, []),
        ({"one": ".", "two": "one/one/../.."}, ["two"]),
    ],
)
def test_links_that_lead_out_of_a_tree(links: dict[str, str], out: list[str]) -> None:
    tree = LinkMap()
    for path, target in links.items():
        tree.add(path, target)
    assert [path for path, _ in tree.leading_out()] == out
