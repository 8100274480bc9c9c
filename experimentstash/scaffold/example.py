"""An example of a tool: π by throwing points at a square. It knows nothing of the stash that it is in."""

import argparse
import json
import pathlib
import random

parser = argparse.ArgumentParser()
parser.add_argument("--points", type=int, default=100_000, help="how many are thrown")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--output-dir", type=pathlib.Path, required=True)
options = parser.parse_args()

random.seed(options.seed)
inside = sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(options.points))
estimate = 4 * inside / options.points
(options.output_dir / "metrics.json").write_text(json.dumps({"pi": estimate}))
print(f"π is about {estimate}")
