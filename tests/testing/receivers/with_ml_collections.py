"""ml_collections' config_flags, with a file and flags of its own."""

import json
import os
import sys

from absl import app, flags
from ml_collections import config_flags

FILE = os.path.join(os.path.dirname(__file__), "ml_config.py")


def declare(values, argv):
    config = config_flags.DEFINE_config_file("config", FILE, flag_values=values, sys_argv=argv)
    return config, flags.DEFINE_string("workdir", None, "", flag_values=values)


def receive(argv):
    values = flags.FlagValues()
    config, workdir = declare(values, ["program", *argv])
    return seen(config, workdir, values(["program", *argv]))


def seen(config, workdir, argv):
    return {**config.value.to_dict(), "rest": argv[1:], "workdir": workdir.value}


if __name__ == "__main__":
    declared = declare(flags.FLAGS, sys.argv)
    app.run(lambda argv: print(json.dumps(seen(*declared, argv))))
