"""The embedding methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from latents.config import MethodConfig

TITLES = {"pca": "PCA", "isomap": "Isomap", "tsne": "t-SNE", "spectral": "Spectral embedding"}


@dataclass(frozen=True)
class Embedding:
    """Points in the plane, and the method's own reconstruction error where it has one."""

    points: np.ndarray
    reconstruction_error: float | None = None


def embed(config: MethodConfig, samples: np.ndarray, seed: int) -> Embedding:
    """Embed the samples in the plane; raises ValueError for an unknown method."""
    if config.name == "pca":
        return _pca(samples)
    if config.name == "isomap":
        from sklearn.manifold import Isomap

        model = Isomap(n_components=2, n_neighbors=config.n_neighbors)
        return Embedding(model.fit_transform(samples), float(model.reconstruction_error()))
    if config.name == "tsne":
        from sklearn.manifold import TSNE

        model = TSNE(perplexity=config.perplexity, max_iter=config.max_iter, random_state=seed)
        return Embedding(model.fit_transform(samples))
    if config.name == "spectral":
        from sklearn.manifold import SpectralEmbedding

        model = SpectralEmbedding(affinity="nearest_neighbors", n_neighbors=config.n_neighbors, random_state=seed)
        return Embedding(model.fit_transform(samples))
    raise ValueError(f"unknown method: {config.name}")


def _pca(samples: np.ndarray) -> Embedding:
    """PCA; the error is the distance to the samples mapped back, relative to their spread (0 to 1)."""
    from sklearn.decomposition import PCA

    model = PCA(n_components=2, svd_solver="full")
    points = model.fit_transform(samples)
    residual = samples - model.inverse_transform(points)
    return Embedding(points, float(np.linalg.norm(residual) / np.linalg.norm(samples - model.mean_)))
