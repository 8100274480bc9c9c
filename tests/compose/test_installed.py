"""What is installed is read and merged once for all processes, as long as it stays the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experimentstash.compose import config_store
from experimentstash.compose.config_store import CONFIG_NAME
from experimentstash.compose.fast import installed, loader
from experimentstash.compose.fast.installed import Installed
from experimentstash.compose.fast.loader import Loader
from experimentstash.compose.hydra_compat import is_fast, search_path
from experimentstash.compose.stash_loader import StashLoader
from experimentstash.stash.layout import Stash
from tests.testing.nodes import described
from tests.testing.stash import StashUnderTest

pytestmark = pytest.mark.skipif(not is_fast(), reason="all is left to plain Hydra")
Composed = tuple[DictConfig, list[str]]


@pytest.fixture
def in_new_process(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Composed]:
    """Compose as a process does that has just begun; return that, and which configs it had to merge."""
    config_store.set_up()
    merged: list[str] = []
    original = Loader._merge_next

    def merging(self: Any, config: Any, default: Any, repo: Any) -> None:
        merged.append(default.config_path)
        original(self, config, default, repo)

    monkeypatch.setattr(Loader, "_merge_next", merging)

    def compose(*overrides: str) -> Composed:
        monkeypatch.setattr(loader, "_installed", Installed())
        merged.clear()
        made = Loader(search_path(stash.root / "conf"))
        with config_store.variables(Stash(stash.root)):
            config = made.load_configuration(CONFIG_NAME, list(overrides), RunMode.RUN)
        assert made.left_to_hydra == 0
        return config, [*merged]

    return compose


@pytest.fixture
def kept(home: Path) -> Callable[[], Path]:
    def find() -> Path:
        (path,) = (home / ".cache" / "experimentstash").glob("installed-*")
        return path

    return find


def test_the_next_process_merges_only_what_is_the_stashs(in_new_process: Callable[..., Composed]) -> None:
    first, at_first = in_new_process()
    second, then = in_new_process()
    assert "hydra/config" in at_first and "experimentstash_types" in at_first
    assert then == at_first[-len(then) :] and not any(each.startswith(("hydra/", "experimentstash")) for each in then)
    assert described(second) == described(first)


@pytest.mark.parametrize(
    "overrides", [(), ("hydra/launcher=local",), ("hydra/job_logging=default", "hydra.verbose=true"), ("+params.a=1",)]
)
def test_it_is_what_hydra_composes(
    in_new_process: Callable[..., Composed], stash: StashUnderTest, overrides: tuple[str, ...]
) -> None:
    in_new_process()
    in_new_process(*overrides)
    found, _ = in_new_process(*overrides)
    with config_store.variables(Stash(stash.root)):
        plain = StashLoader(search_path(stash.root / "conf"))
        expected = plain.load_configuration(CONFIG_NAME, list(overrides), RunMode.RUN)
        for each in (found, expected):  # of each composition its own
            each.hydra.run.dir = each.hydra.sweep.dir = ""
    assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
    assert described(found) == described(expected)


def test_what_time_it_was_is_not_kept(
    in_new_process: Callable[..., Composed], monkeypatch: pytest.MonkeyPatch, stash: StashUnderTest
) -> None:
    """A run is named by when it begins; a value that Hydra has worked out lies with the configuration."""
    from hydra.core import utils

    places = []
    for year in (2001, 2002, 2003):
        monkeypatch.setattr(utils, "datetime", SimpleNamespace(now=lambda year=year: datetime(year, 1, 1)))
        config, _ = in_new_process()
        with config_store.variables(Stash(stash.root)):
            places.append(config.hydra.run.dir)
    assert [Path(each).parts[-2] for each in places] == ["2001-01-01", "2002-01-01", "2003-01-01"]


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04]\x94.", b"\x80\x04N."])
def test_what_can_not_be_read_is_made_anew(
    in_new_process: Callable[..., Composed], kept: Callable[[], Path], content: bytes
) -> None:
    _, at_first = in_new_process()
    kept().write_bytes(content)
    assert in_new_process()[1] == at_first
    assert len(in_new_process()[1]) < len(at_first)


def test_another_installation_keeps_its_own(
    in_new_process: Callable[..., Composed], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, at_first = in_new_process()
    monkeypatch.setattr(installed, "_installation", lambda: ("of another version",))
    assert in_new_process()[1] == at_first
    assert len(in_new_process()[1]) < len(at_first)


def test_an_edit_of_our_own_code_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for room in installed._ROOMS:
        (tmp_path / room).mkdir(parents=True, exist_ok=True)
    (tmp_path / "stash" / "schema.py").write_text("a = 1")
    monkeypatch.setattr(installed, "_ROOT", str(tmp_path))
    before = installed._installation()
    assert installed._installation() == before
    (tmp_path / "stash" / "schema.py").write_text("a = 10")
    assert installed._installation() != before


def test_what_others_could_have_written_is_not_read(
    in_new_process: Callable[..., Composed], kept: Callable[[], Path]
) -> None:
    """To unpickle is to execute."""
    _, at_first = in_new_process()
    assert kept().stat().st_mode & 0o777 == 0o600
    kept().chmod(0o620)
    assert in_new_process()[1] == at_first
    assert kept().stat().st_mode & 0o777 == 0o600 and len(in_new_process()[1]) < len(at_first)


def test_types_of_other_packages_are_not_kept() -> None:
    """Nobody can tell what they hang on."""
    config_store.set_up()
    launchers = ConfigStore.instance().repo["hydra"]["launcher"]
    is_kept = {name: installed._mark(node) is not None for name, node in launchers.items()}
    assert is_kept["basic.yaml"] and is_kept["local.yaml"] and is_kept["slurm.yaml"]
    assert not is_kept["submitit_slurm.yaml"] and not is_kept["joblib.yaml"]


def test_a_type_that_is_stored_is_a_configuration_for_whoever_reads_it() -> None:
    config_store.set_up()
    loaded = ConfigStore.instance().load("hydra/launcher/joblib.yaml")
    assert OmegaConf.get_type(loaded.node).__name__ == "JobLibLauncherConf" and loaded.provider == "joblib_launcher"
    ConfigStore.instance().load("hydra/launcher/joblib.yaml").node.n_jobs = 3
    assert loaded.node.n_jobs == ConfigStore.instance().load("hydra/launcher/joblib.yaml").node.n_jobs == -1
