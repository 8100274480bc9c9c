"""Insists on writing into outputs/<date>/<time>/ below its own directory, in two halves; takes no output directory."""

import argparse
import datetime
import os
import time

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--text", required=True)
parser.add_argument("--started", help="a file to write after the first half")
parser.add_argument("--go", help="a file to wait for before the second half")
arguments = parser.parse_args()
here = os.path.dirname(os.path.abspath(__file__))
directory = os.path.join(here, "outputs", f"{datetime.datetime.now():%Y-%m-%d/%H-%M-%S}")
os.makedirs(os.path.join(directory, "figures"), exist_ok=True)
for half in ("first", "second"):
    for name in (f"{half}.txt", f"figures/{half}.txt", "run.json"):
        with open(os.path.join(directory, name), "a") as stream:
            stream.write(f"{arguments.text}\n")
    if half == "first" and arguments.started:
        with open(arguments.started, "w"):
            pass
    deadline = time.monotonic() + 30
    while half == "first" and arguments.go and not os.path.exists(arguments.go) and time.monotonic() < deadline:
        time.sleep(0.01)
