"""ExperimentStash's sweeper for Hydra. It imports every module here at each start: they stay thin."""
