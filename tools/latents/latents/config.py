"""The types of the configuration. Hydra checks every file and override against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

MISSING: Any = "???"


@dataclass
class DatasetConfig:
    """A data set; its name chooses the generator."""

    name: str = MISSING


@dataclass
class ManifoldConfig(DatasetConfig):
    """A two-dimensional surface in three dimensions."""

    noise: float = 0.0  # standard deviation of the Gaussian noise, in the units of the coordinates


@dataclass
class MethodConfig:
    """An embedding method; its name chooses the implementation."""

    name: str = MISSING


@dataclass
class NeighborsMethodConfig(MethodConfig):
    """A method on the graph of nearest neighbours."""

    n_neighbors: int = MISSING


@dataclass
class TsneConfig(MethodConfig):
    """t-SNE."""

    perplexity: float = MISSING
    max_iter: int = MISSING


@dataclass
class LatentsConfig:
    """The root configuration: one method on one data set."""

    dataset: DatasetConfig = MISSING
    method: MethodConfig = MISSING
    # The name of the figure; the experiment's, or made of the data set and the method if there is none.
    name: str | None = None
    n_samples: int = 1500
    seed: int = 0
    # The size of the neighbourhoods that trustworthiness and continuity compare.
    evaluation_neighbors: int = 10
    # Log to Weights & Biases too (needs the extra `wandb`).
    wandb: bool = False


def register() -> None:
    """Store the types under the names that the config files extend."""
    store = ConfigStore.instance()
    store.store(name="latents_schema", node=LatentsConfig)
    store.store(group="dataset", name="plain_schema", node=DatasetConfig)
    store.store(group="dataset", name="manifold_schema", node=ManifoldConfig)
    store.store(group="method", name="plain_schema", node=MethodConfig)
    store.store(group="method", name="neighbors_schema", node=NeighborsMethodConfig)
    store.store(group="method", name="tsne_schema", node=TsneConfig)
