"""A tool that knows nothing of Hydra: tells how far from the bottom of a parabola it is, in three ways."""

import argparse
import csv
import json
import os
import sys

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--out", required=True)
parser.add_argument("-x", type=float, required=True)
parser.add_argument("-y", type=float, default=0.0)
parser.add_argument("--name", default="")
parser.add_argument("--fail-above", type=float, default=float("inf"), help="fail for a greater x")
parser.add_argument("--silent-below", type=float, default=float("-inf"), help="write no metrics for a smaller x")
arguments = parser.parse_args()
if arguments.x > arguments.fail_above:
    sys.exit(7)
loss = (arguments.x - 1.5) ** 2 + arguments.y**2
for step in range(3):
    print(f"step {step}: loss={loss + 2 - step!r}", flush=True)
if arguments.x < arguments.silent_below:
    sys.exit(0)
with open(os.path.join(arguments.out, "metrics.json"), "w") as stream:
    json.dump({"loss": loss, "x": arguments.x, "test": {"name": arguments.name, "distance": loss**0.5}}, stream)
with open(os.path.join(arguments.out, "metrics.csv"), "w", newline="") as stream:
    csv.writer(stream).writerows([("step", "loss"), *((step, loss + abs(step - 1)) for step in range(3))])
