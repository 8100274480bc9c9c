"""OmegaConf.from_cli."""

import json
import sys

from omegaconf import OmegaConf


def receive(argv):
    return OmegaConf.to_container(OmegaConf.from_cli(list(argv)), resolve=True)


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
