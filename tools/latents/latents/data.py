"""The data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from latents.config import DatasetConfig


@dataclass(frozen=True)
class Dataset:
    """Samples in rows, the label of each (a class, or the position along the surface), and its index at the source."""

    title: str
    samples: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    categorical: bool


def load(config: DatasetConfig, n_samples: int, seed: int) -> Dataset:
    """Make or read the data set; raises ValueError if it doesn't have so many samples or is unknown."""
    from sklearn import datasets

    if config.name in ("swissroll", "scurve"):
        make, title = {
            "swissroll": (datasets.make_swiss_roll, "Swiss roll"),
            "scurve": (datasets.make_s_curve, "S-curve"),
        }[config.name]
        samples, position = make(n_samples=n_samples, noise=config.noise, random_state=seed)
        return Dataset(title, samples, position, np.arange(n_samples), categorical=False)
    if config.name == "digits":
        images, classes = datasets.load_digits(return_X_y=True)
        if n_samples > len(images):
            raise ValueError(f"the data set digits has {len(images)} samples, fewer than n_samples={n_samples}")
        indices = np.sort(np.random.default_rng(seed).choice(len(images), size=n_samples, replace=False))
        return Dataset("Digits", images[indices] / 16.0, classes[indices], indices, categorical=True)
    raise ValueError(f"unknown data set: {config.name}")
