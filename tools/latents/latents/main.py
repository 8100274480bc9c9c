"""Embed one data set with one method: python -m latents.main experiment=swissroll_pca."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig

from latents import config as config_types
from latents import data, figure, methods, metrics, tracking

log = logging.getLogger("latents")

config_types.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: config_types.LatentsConfig) -> None:
    """Write embeddings.csv, <name>.png and metrics.json into Hydra's output directory."""
    output_dir = Path(HydraConfig.get().runtime.output_dir)
    name = (config.name or f"{config.dataset.name}_{config.method.name}").replace("/", "_")
    with tracking.track(config, name, output_dir) as report:
        dataset = data.load(config.dataset, config.n_samples, config.seed)
        log.info("%s: %s on %d × %d", name, config.method.name, *dataset.samples.shape)
        start = time.perf_counter()
        embedding = methods.embed(config.method, dataset.samples, config.seed)
        fit_seconds = time.perf_counter() - start
        points = embedding.points
        measures = {
            "experiment": name,
            "dataset": config.dataset.name,
            "method": config.method.name,
            "n_samples": len(points),
            "seed": config.seed,
            "evaluation_neighbors": config.evaluation_neighbors,
            "trustworthiness": metrics.trustworthiness(dataset.samples, points, config.evaluation_neighbors),
            "continuity": metrics.continuity(dataset.samples, points, config.evaluation_neighbors),
            "reconstruction_error": embedding.reconstruction_error,
            "fit_seconds": round(fit_seconds, 4),
        }
        write_embeddings(output_dir / "embeddings.csv", dataset, points)
        (output_dir / "metrics.json").write_text(json.dumps(measures, indent=2) + "\n", encoding="utf-8")
        title = methods.TITLES[config.method.name]
        image = output_dir / f"{name}.png"
        figure.draw(
            image,
            points,
            dataset.labels,
            dataset.categorical,
            title=f"{title}, {dataset.title}",
            caption=figure.caption(measures, dataset.categorical),
        )
        log.info(
            "%s: trustworthiness %.4f, continuity %.4f, fitted in %.2f s",
            name,
            measures["trustworthiness"],
            measures["continuity"],
            fit_seconds,
        )
        report(measures, image)


def write_embeddings(path: Path, dataset: data.Dataset, points: np.ndarray) -> None:
    """Write one row for each sample: index at the source, x, y, label (class, or position along the surface)."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("index,x,y,label\n")
        for index, (x, y), label in zip(dataset.indices, points, dataset.labels, strict=True):
            file.write(f"{index},{x:.9g},{y:.9g},{label:.9g}\n")


if __name__ == "__main__":
    main()
