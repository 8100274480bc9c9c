"""Embed a data set in the plane by UMAP (McInnes, Healy and Melville, arXiv:1802.03426)."""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np

TITLES = {"swissroll": "Swiss roll", "scurve": "S-curve", "digits": "Digits"}
# The size of the neighbourhoods that trustworthiness and continuity compare.
EVALUATION_NEIGHBORS = 10


def main() -> None:
    """Write embeddings.csv, <name>.png and metrics.json into the output directory."""
    options = parse_options()
    samples, labels, indices = load(options.dataset, options.n_samples, options.noise, options.seed)
    name = options.name or f"umap_{options.dataset}"
    print(f"{name}: UMAP on {samples.shape[0]:,} × {samples.shape[1]}", flush=True)
    start = time.perf_counter()
    points = embed(samples, options)
    fit_seconds = time.perf_counter() - start
    measures = {
        "experiment": name,
        "dataset": options.dataset,
        "method": "umap",
        "n_samples": len(points),
        "seed": options.seed,
        "evaluation_neighbors": EVALUATION_NEIGHBORS,
        "trustworthiness": trustworthiness(samples, points),
        # Trustworthiness with the two spaces exchanged (Venna and Kaski, ICANN 2001).
        "continuity": trustworthiness(points, samples),
        "reconstruction_error": None,
        "fit_seconds": round(fit_seconds, 4),
    }
    output_dir: Path = options.output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    with (output_dir / "embeddings.csv").open("w", encoding="utf-8", newline="\n") as file:
        file.write("index,x,y,label\n")
        for index, (x, y), label in zip(indices, points, labels, strict=True):
            file.write(f"{index},{x:.9g},{y:.9g},{label:.9g}\n")
    (output_dir / "metrics.json").write_text(json.dumps(measures, indent=2) + "\n", encoding="utf-8")
    draw(output_dir / f"{name}.png", points, labels, options.dataset == "digits", measures)
    print(
        f"{name}: trustworthiness {measures['trustworthiness']:.4f}, continuity {measures['continuity']:.4f},"
        f" fitted in {fit_seconds:.2f} s",
        flush=True,
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dataset", choices=sorted(TITLES), default="swissroll")
    parser.add_argument("--n-samples", type=int, default=1500, help="how many samples to make or draw")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation, for swissroll and scurve")
    parser.add_argument("--n-neighbors", type=int, default=15, help="size of UMAP's neighbourhoods")
    parser.add_argument("--min-dist", type=float, default=0.1, help="smallest distance in the embedding")
    parser.add_argument("--metric", default="euclidean", help="UMAP's metric")
    parser.add_argument("--seed", type=int, default=0, help="of the data and of UMAP")
    parser.add_argument("--name", help="name of the figure (default: made of method and data set)")
    parser.add_argument("--output-dir", type=Path, default=Path("results"))
    options = parser.parse_args()
    if options.n_samples <= EVALUATION_NEIGHBORS * 2:
        parser.error(f"--n-samples must be more than {EVALUATION_NEIGHBORS * 2}")
    return options


def load(name: str, n_samples: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return samples in rows, the label of each (class, or position along the surface), and indices at the source."""
    from sklearn import datasets

    if name == "digits":
        images, classes = datasets.load_digits(return_X_y=True)
        if n_samples > len(images):
            raise SystemExit(f"the data set digits has {len(images)} samples, fewer than --n-samples {n_samples}")
        indices = np.sort(np.random.default_rng(seed).choice(len(images), size=n_samples, replace=False))
        return images[indices] / 16.0, classes[indices], indices
    make = datasets.make_swiss_roll if name == "swissroll" else datasets.make_s_curve
    samples, position = make(n_samples=n_samples, noise=noise, random_state=seed)
    return samples, position, np.arange(n_samples)


def embed(samples: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """Return the points in the plane, shape (n_samples, 2)."""
    with warnings.catch_warnings():
        # It says that a seed makes it run on one thread, which is what a reproducible figure wants.
        warnings.filterwarnings("ignore", message="n_jobs value .* overridden")
        from umap import UMAP

        model = UMAP(
            n_neighbors=options.n_neighbors,
            min_dist=options.min_dist,
            metric=options.metric,
            random_state=options.seed,
        )
        return np.asarray(model.fit_transform(samples))


def trustworthiness(samples: np.ndarray, points: np.ndarray) -> float:
    from sklearn.manifold import trustworthiness as measure

    return float(measure(samples, points, n_neighbors=EVALUATION_NEIGHBORS))


def draw(path: Path, points: np.ndarray, labels: np.ndarray, categorical: bool, measures: dict[str, object]) -> None:
    """Write one panel: a PNG of 2.3 × 2.65 inches at 300 dpi, with equal scales on both axes and no ticks or labels."""
    from matplotlib import colormaps, patheffects, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ink, quiet, frame = "#222222", "#666666", "#bbbbbb"
    width, height, margin, side = 2.3, 2.65, 0.1, 2.1
    shown = "class" if categorical else "position along the surface"
    caption = (
        f"trustworthiness {measures['trustworthiness']:.4f}, continuity {measures['continuity']:.4f}"
        f" (k = {EVALUATION_NEIGHBORS})\nn = {measures['n_samples']:,}, colour: {shown}"
    )
    with rc_context({"font.family": "DejaVu Sans", "axes.linewidth": 0.5}):
        figure = Figure(figsize=(width, height), dpi=300, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((margin / width, 0.33 / height, side / width, side / height))
        # In random order no class or end of the surface hides the others.
        order = np.random.default_rng(0).permutation(len(points))
        colours = colormaps["tab10"](labels[order].astype(int) % 10) if categorical else labels[order]
        axes.scatter(
            *points[order].T, c=colours, cmap=None if categorical else "viridis", s=3.2, linewidths=0, alpha=0.9
        )
        for label in np.unique(labels) if categorical else ():
            x, y = np.median(points[labels == label], axis=0)
            text = axes.text(x, y, str(label), ha="center", va="center", fontsize=8, fontweight="bold", color=ink)
            text.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="white")])
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.05)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(frame)
        title = f"UMAP, {TITLES[str(measures['dataset'])]}"
        figure.text(margin / width, 1 - 0.06 / height, title, fontsize=7.5, color=ink, va="top")
        figure.text(margin / width, 0.27 / height, caption, fontsize=5.8, color=quiet, linespacing=1.35, va="top")
        # No version in the file: the same run gives the same bytes.
        figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
