"""Reads all it needs from one YAML file and prints it as JSON."""

import json
import sys

import yaml

with open(sys.argv[sys.argv.index("--config") + 1]) as stream:
    print(json.dumps(yaml.safe_load(stream)))
