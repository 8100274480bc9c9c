"""ml_collections' config_flags, with a file and flags of its own."""

import json
import os

from absl import app, flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file("config", os.path.join(os.path.dirname(__file__), "ml_config.py"))
_WORKDIR = flags.DEFINE_string("workdir", None, "")


def main(argv):
    received = _CONFIG.value.to_dict()
    print(json.dumps({**received, "rest": argv[1:], "workdir": _WORKDIR.value}))


if __name__ == "__main__":
    app.run(main)
