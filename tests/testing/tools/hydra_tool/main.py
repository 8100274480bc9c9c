"""A Hydra application: writes its parameters to the directory that Hydra gives it."""

import json
import logging
import os

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


@hydra.main(config_path="configs", config_name="config", version_base="1.3")
def main(config):
    """Write what was composed."""
    logging.getLogger(__name__).info("composed")
    output = HydraConfig.get().runtime.output_dir
    with open(os.path.join(output, "result.json"), "w") as stream:
        json.dump(
            {"config": OmegaConf.to_container(config, resolve=True), "full_error": os.environ.get("HYDRA_FULL_ERROR")},
            stream,
        )


if __name__ == "__main__":
    main()
