"""Weights & Biases, if asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latents.config import LatentsConfig

Report = Callable[[dict[str, Any], Path], None]


@contextmanager
def track(config: LatentsConfig, name: str, output_dir: Path) -> Iterator[Report]:
    """Open a W&B run around the work; yields a function that logs the metrics and the figure (else one that doesn't).

    Raises SystemExit if it is asked for and not installed.
    """
    if not config.wandb:
        yield lambda measures, image: None
        return
    try:
        import wandb
    except ImportError as error:
        raise SystemExit("wandb=true needs the extra: uv sync --extra wandb") from error
    from omegaconf import OmegaConf

    with wandb.init(name=name, config=OmegaConf.to_container(config, resolve=True), dir=output_dir) as run:

        def report(measures: dict[str, Any], image: Path) -> None:
            numbers = {key: value for key, value in measures.items() if isinstance(value, float)}
            run.log({**numbers, "embedding": wandb.Image(str(image))})

        yield report
