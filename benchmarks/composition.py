"""What composing a job of a sweep costs, in a configuration of 200 experiments: ours against Hydra's own loader.

    python benchmarks/composition.py [--experiments 200] [--seeds 5] [--sample 20]

As in a sweep: the sweeper composes all jobs of the batch to see whether it can, the launcher composes each once more.
CPU time (other load does not count), in turn, in one process. Hydra's own costs the same for each job, so only a sample
of the jobs is composed by it; ours are all, because the first of each kind is dearer.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent

MODELS = ("linear", "mlp", "cnn", "resnet", "transformer")
DATASETS = ("digits", "faces", "genes", "words")
OPTIMIZERS = ("sgd", "adam", "lion")
TOOL = """\
path: tools/trainer
entrypoint: -m trainer.main
description: Trains a model
call: {style: hydra, experiment: +experiment}
env: {OMP_NUM_THREADS: "1", DATA: "${oc.env:HOME}/data"}
environment: {kind: none}
"""
MODEL = """\
name: NAME
width: 64
depth: 4
dropout: 0.1
activation: {name: relu, slope: 0.0}
layers: [64, 64, 64]
blocks:
  attention: {heads: 4, size: "${...width}", bias: true}
  normalisation: {kind: layer, eps: 1.0e-5}
"""
DATASET = """\
name: NAME
path: data/${.name}
batch_size: 128
split: {train: 0.8, validation: 0.1, test: 0.1}
augment: {flip: true, crop: 28, noise: {kind: normal, scale: 0.01}}
"""
OPTIMIZER = """\
name: NAME
lr: 0.001
weight_decay: 0.0
schedule: {kind: cosine, warmup: 100, steps: "${params.steps}"}
betas: [0.9, 0.999]
"""
EXPERIMENT = """\
# @package _global_
defaults:
  - /model@params.model: MODEL
  - /data@params.data: DATASET
  - /optimizer@params.optimizer: OPTIMIZER
  - _self_
  - override /tool: trainer
experiment: MODEL_DATASET
description: "Experiment NUMBER"
tags: [benchmark, MODEL, DATASET]
estimated_runtime: 30m
resources: {cpus: 4, mem: 8G}
wandb: {mode: offline}
params:
  seed: 0
  steps: 1000
  label: ${experiment}-${params.model.name}-${params.data.name}
  model: {width: NUMBER}
  data: {batch_size: 64}
  optimizer: {lr: 0.01}
  evaluation: {every: 100, metrics: [accuracy, loss], save: {best: true, last: false}}
"""


def make_conf(root: Path, experiments: int) -> None:
    for folder in ("conf/tool", "tools/trainer"):
        (root / folder).mkdir(parents=True)
    shutil.copy(REPOSITORY / "conf" / "config.yaml", root / "conf")
    (root / "conf/tool/trainer.yaml").write_text(TOOL)
    for group, names, text in (
        ("model", MODELS, MODEL),
        ("data", DATASETS, DATASET),
        ("optimizer", OPTIMIZERS, OPTIMIZER),
    ):
        (root / "conf" / group).mkdir()
        for name in names:
            (root / "conf" / group / f"{name}.yaml").write_text(text.replace("NAME", name))
    combinations = itertools.cycle(itertools.product(MODELS, DATASETS, OPTIMIZERS))
    for number, (model, dataset, optimizer) in zip(range(experiments), combinations, strict=False):
        path = root / "conf" / "exp" / f"{experiment_name(number)}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = EXPERIMENT.replace("MODEL", model).replace("DATASET", dataset).replace("OPTIMIZER", optimizer)
        path.write_text(text.replace("NUMBER", str(number)))


def experiment_name(number: int) -> str:
    return f"figure{number // 20}/experiment{number}"


def composed_twice(load: Any, batch: Sequence[Sequence[str]]) -> float:
    """Return the CPU seconds of a batch's compositions, by the sweeper and by the launcher."""
    start = time.process_time()
    for _ in ("sweeper", "launcher"):
        for overrides in batch:
            load(list(overrides))
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_conf(root, given.experiments)
        measure(root, given)


def measure(root: Path, given: argparse.Namespace) -> None:
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from experimentstash.compose import config_store
    from experimentstash.compose.config_store import CONFIG_NAME
    from experimentstash.compose.fast.sweep_loader import SweepLoader
    from experimentstash.compose.hydra_compat import ConfigLoaderImpl, Hydra, behaving, search_path

    os.environ.update({config_store.ROOT_VARIABLE: str(root), config_store.TOKEN_VARIABLE: "token"})
    config_store.register()
    behaving()

    def loading(kind: Any) -> Any:
        """Return what composes a job of a sweep, as in a process that has just begun with it."""
        loader = kind(search_path(root / "conf"))
        hydra = Hydra(task_name=config_store.JOB_NAME, config_loader=loader)
        master = hydra.compose_config(CONFIG_NAME, ["hydra.mode=MULTIRUN"], RunMode.MULTIRUN)
        loader.is_shared = True
        return lambda overrides: loader.load_sweep_config(master, overrides)

    experiments = [f"+exp={experiment_name(number)}" for number in range(given.experiments)]
    seeds = [f"params.seed={number}" for number in range(given.seeds)]
    rates = [f"params.optimizer.lr={rate}" for rate in (0.1, 0.01, 0.001, 0.0001)]
    everything = given.experiments * given.seeds
    values = itertools.product(experiments[:1], (f"params.seed={n}" for n in range(everything // len(rates))), rates)
    batches = {
        "only values vary": list(values),
        "experiments vary": [(experiment,) for experiment in experiments],
        "both vary": list(itertools.product(experiments, seeds)),
        "both, seeds first": list(itertools.product(seeds, experiments)),
    }
    plain = loading(ConfigLoaderImpl)
    print(f"{given.experiments} experiments; CPU ms a job, composed twice, median (range) of {given.rounds} rounds:\n")
    print(f"{'':20}{'jobs':>6}{'Hydra':>24}{'ours':>24}{'ratio':>8}")
    for name, batch in batches.items():
        sample = batch[:: max(1, len(batch) // given.sample)][: given.sample]
        ours = loading(SweepLoader)
        for overrides in sample:
            one, other = (OmegaConf.to_container(load(list(overrides))) for load in (plain, ours))
            assert one == other, f"{overrides} are composed otherwise"
        rows = []
        for _ in range(given.rounds):
            theirs = composed_twice(plain, sample) / len(sample) * 1000
            rows.append((theirs, composed_twice(loading(SweepLoader), batch) / len(batch) * 1000))
        ratio = statistics.median(mine / other for other, mine in rows)
        shown = [
            f"{statistics.median(column):.2f} ({min(column):.2f}-{max(column):.2f})"
            for column in zip(*rows, strict=True)
        ]
        print(f"{name:20}{len(batch):6}{shown[0]:>24}{shown[1]:>24}{ratio:8.3f}", flush=True)
    print("\n(goal: at most 5 ms a job where only values vary)")


if __name__ == "__main__":
    main()
