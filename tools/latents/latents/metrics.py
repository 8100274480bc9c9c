"""How well an embedding keeps neighbourhoods."""

from __future__ import annotations

import numpy as np


def trustworthiness(samples: np.ndarray, points: np.ndarray, n_neighbors: int) -> float:
    """1 if every neighbour in the embedding is one in the data; new neighbours cost by their rank in the data.

    Venna and Kaski, "Neighborhood preservation in nonlinear projection methods: an experimental study", ICANN 2001.
    """
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(samples, points, n_neighbors=n_neighbors))


def continuity(samples: np.ndarray, points: np.ndarray, n_neighbors: int) -> float:
    """1 if every neighbour in the data is still one in the embedding; lost neighbours cost by their rank there.

    It is trustworthiness with the two spaces exchanged (Venna and Kaski, ICANN 2001).
    """
    return trustworthiness(points, samples, n_neighbors)
