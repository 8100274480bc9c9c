"""Finding a stash, naming its runs, and saying what is in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.stash.layout import Stash, find_stash, new_token, run_id
from tests.testing.stash import StashUnderTest


@pytest.fixture
def filled(stash: StashUnderTest) -> Stash:
    for name in ("fig1/pca", "fig1/tsne", "fig2/pca", "solo"):
        stash.add_experiment(name, "t", f"description: 'About {name}'\n")
    for name in ("conf/exp/.hidden.yaml", "conf/exp/.git/x.yaml", "conf/exp/notes.md", "conf/exp/__pycache__/y.yaml"):
        stash.write(name, "")
    stash.write("conf/tool/zeta.yaml", "")
    stash.write("conf/tool/alpha.yaml", "")
    return Stash(stash.root)


def test_a_stash_is_found_from_anywhere_inside(filled: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = filled.root / "tools" / "x" / "src" / "deep"
    deep.mkdir(parents=True)
    for start in (filled.root, filled.conf / "exp" / "fig1", deep):
        assert find_stash(start) == filled
    monkeypatch.chdir(deep)
    assert find_stash() == filled
    # A tool may have a conf/config.yaml of its own, but only a stash has conf/tool beside it.
    (deep.parent / "conf").mkdir()
    (deep.parent / "conf" / "config.yaml").touch()
    assert find_stash() == filled
    (deep.parent / "conf" / "tool").mkdir()
    assert find_stash() == Stash(deep.parent)


def test_outside_a_stash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StashError, match="is not inside a stash") as caught:
        find_stash(tmp_path)
    assert str(tmp_path) in str(caught.value)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StashError, match="no longer exists"):
        find_stash()


def test_what_is_in_it(filled: Stash) -> None:
    assert filled.experiments() == ["fig1/pca", "fig1/tsne", "fig2/pca", "solo"]
    assert filled.tools() == ["alpha", "zeta"]
    assert filled.inventory().splitlines() == [
        "Experiments:",
        "  fig1/pca   About fig1/pca",
        "  fig1/tsne  About fig1/tsne",
        "  fig2/pca   About fig2/pca",
        "  solo       About solo",
    ]


def test_a_large_stash_is_not_listed_whole(stash: StashUnderTest) -> None:
    for number in range(103):
        stash.add_experiment(f"many/{number:03}", "t")
    lines = Stash(stash.root).inventory().splitlines()
    assert lines[1] == "  many/000" and len(lines) == 102
    assert lines[-1] == f"  … and 3 more in {stash.root / 'conf' / 'exp'}"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("solo", ["solo"]),
        ("fig1/pca.yaml", ["fig1/pca"]),
        ("fig1/*", ["fig1/pca", "fig1/tsne"]),
        ("*/pca", ["fig1/pca", "fig2/pca"]),
        ("fig[12]/pca", ["fig1/pca", "fig2/pca"]),
        ("fig?/t*", ["fig1/tsne"]),
        ("*", ["fig1/pca", "fig1/tsne", "fig2/pca", "solo"]),
    ],
)
def test_matching(filled: Stash, pattern: str, expected: list[str]) -> None:
    assert filled.matching_experiments(pattern) == expected


def test_matching_nothing(filled: Stash) -> None:
    with pytest.raises(StashError, match=r"No experiment matches 'fig3/\*'.\nExperiments:\n  fig1/pca"):
        filled.matching_experiments("fig3/*")
    with pytest.raises(StashError, match=r"There is no experiment 'fig1/pka'. Did you mean 'fig1/pca'\?"):
        filled.matching_experiments("fig1/pka")
    with pytest.raises(StashError, match=r"no experiment 'PCA'"):
        filled.matching_experiments("PCA")


def test_an_experiment_whose_name_looks_like_a_pattern(filled: Stash) -> None:
    (filled.conf / "exp" / "odd[1].yaml").touch()
    assert filled.matching_experiments("odd[1]") == ["odd[1]"]


def test_ids() -> None:
    assert run_id(Path("/s/outputs/2026-01-31/12-00-00-k3f9a2b")) == "k3f9a2b"
    assert run_id(Path("/s/multirun/2026-01-31/12-00-00-k3f9a2b/7")) == "k3f9a2b-7"
    # Elsewhere there is none in the path: neither of a wrong length or alphabet, nor in a job that isn't numbered.
    for name in ("fixed", "12-00-00", "run-k3f9a2", "run-k3f9a2bb", "run-k3f9a2O", "12-00-00-k3f9a2b/seed=1"):
        first, second = run_id(Path("/s") / name), run_id(Path("/s") / name)
        assert first != second and len(first) == len(second) == 7
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert not {"0", "1", "i", "l", "o"} & set("".join(tokens))
    assert all(run_id(Path(f"/s/outputs/12-00-00-{token}")) == token for token in tokens)


def test_paths_are_shown_as_they_are_reached(filled: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled.conf)
    filled = find_stash()
    assert filled.relative(filled.root / "outputs" / "x") == os.path.join("..", "outputs", "x")
    assert filled.relative("/elsewhere/x") == "/elsewhere/x"
