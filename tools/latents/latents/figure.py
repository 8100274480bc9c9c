"""One panel of a figure: fixed in size, so that panels stand side by side in a paper."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

INK = "#222222"
QUIET = "#666666"
FRAME = "#bbbbbb"


def draw(path: Path, points: np.ndarray, labels: np.ndarray, categorical: bool, title: str, caption: str) -> None:
    """Write the embedding as a PNG of 2.3 × 2.65 inches at 300 dpi, with equal scales on both axes.

    The axes carry no ticks or labels: their direction and unit mean nothing in most embeddings.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it reports that it builds its font cache
    # The Figure itself rather than pyplot: no display, no global state, and a quicker start.
    from matplotlib import colormaps, patheffects, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height, margin, side = 2.3, 2.65, 0.1, 2.1
    with rc_context({"font.family": "DejaVu Sans", "axes.linewidth": 0.5}):
        figure = Figure(figsize=(width, height), dpi=300, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((margin / width, 0.33 / height, side / width, side / height))
        # In random order, no class and no end of the surface hides the others.
        order = np.random.default_rng(0).permutation(len(points))
        colours = {"c": colormaps["tab10"](labels[order])} if categorical else {"c": labels[order], "cmap": "viridis"}
        axes.scatter(points[order, 0], points[order, 1], s=3.2, linewidths=0, alpha=0.9, **colours)
        if categorical:
            # Each class is named where it lies, so that the figure can be read without its colours.
            for label in np.unique(labels):
                x, y = np.median(points[labels == label], axis=0)
                text = axes.text(x, y, str(label), ha="center", va="center", fontsize=8, fontweight="bold", color=INK)
                text.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="white")])
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.05)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(FRAME)
        figure.text(margin / width, 1 - 0.06 / height, title, fontsize=7.5, color=INK, va="top")
        figure.text(margin / width, 0.27 / height, caption, fontsize=5.8, color=QUIET, linespacing=1.35, va="top")
        # No version in the file: the same run gives the same bytes.
        figure.savefig(path, metadata={"Software": None})


def caption(measures: dict[str, object], categorical: bool) -> str:
    """Say in two lines how good the panel is and what it shows."""
    shown = "class" if categorical else "position along the surface"
    return (
        f"trustworthiness {measures['trustworthiness']:.4f}, continuity {measures['continuity']:.4f}"
        f" (k = {measures['evaluation_neighbors']})\n"
        f"n = {measures['n_samples']:,}, colour: {shown}"
    )
