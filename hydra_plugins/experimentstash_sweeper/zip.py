"""hydra/sweeper=zip: parameters that vary together, not each with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experimentstash.compose.hydra_compat import register_plugin
from experimentstash.stash.schema import ZipSweeperConfig
from hydra_plugins.experimentstash_sweeper.basic import BasicSweeper

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

register_plugin("hydra/sweeper", "zip", ZipSweeperConfig)


class ZipSweeper(BasicSweeper):
    """Hydra's basic sweeper, but for how it comes from the overrides to the jobs."""

    def __init__(self, together: Sequence[Sequence[str]] | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._together = together

    def batches(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        from experimentstash.base.errors import StashError
        from experimentstash.compose import zip_sweep

        found: dict[str, list[str]] = {}
        for override in overrides:
            key = override.get_key_element()
            if not override.is_sweep_override():
                found[key] = [f"{key}={override.get_value_element_as_str()}"]
            elif override.is_discrete_sweep():
                found[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            else:
                raise StashError(f"{override.input_line} has no end of values.", "write a list, choice(…) or range(…)")
        jobs = zip_sweep.jobs(found, self._together)
        return [jobs] if max_batch_size is None else list(self.split_overrides_to_chunks(jobs, max_batch_size))
