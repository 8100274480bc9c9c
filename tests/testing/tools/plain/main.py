"""A tool that does as it is told: writes a result, prints, sleeps, fails, in the order of its options."""

import argparse
import json
import os
import sys
import time

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--out", help="directory for result.json")
parser.add_argument("--say", nargs="*", default=[], help="lines for stdout and, in turn, stderr")
parser.add_argument("--sleep", type=float, default=0.0)
parser.add_argument("--fail", type=int, default=0)
parser.add_argument("--touch", help="a file to write when everything else is set up")
parser.add_argument("--until", help="a file to wait for")
arguments = parser.parse_args()
for number, line in enumerate(arguments.say):
    print(line, file=sys.stderr if number % 2 else sys.stdout, flush=True)
if arguments.out:
    with open(os.path.join(arguments.out, "result.json"), "w") as stream:
        json.dump({"environment": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "path": sys.path}, stream)
if arguments.touch:
    with open(arguments.touch, "w") as stream:
        stream.write(str(os.getpid()))
time.sleep(arguments.sleep)
while arguments.until and not os.path.exists(arguments.until):
    time.sleep(0.01)
sys.exit(arguments.fail)
