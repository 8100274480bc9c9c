"""ExperimentStash: composes, freezes, runs and records experiments of foreign tools with Hydra."""

__version__ = "0.1.0"
