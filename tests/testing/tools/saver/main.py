"""A tool that saves its work when it is told to stop: notes each SIGTERM, takes a moment, ends with exit code 0."""

import json
import os
import signal
import sys
import time

out = sys.argv[sys.argv.index("--out") + 1]
told = []


def save(number, frame):
    told.append(time.time())


signal.signal(signal.SIGTERM, save)
with open(os.path.join(out, "started.json"), "w") as stream:
    json.dump({name: value for name, value in os.environ.items() if name.startswith(("SLURM_", "WANDB_"))}, stream)
while not told:
    time.sleep(0.05)
time.sleep(1)
with open(os.path.join(out, "saved.json"), "w") as stream:
    json.dump({"signals": len(told)}, stream)
print("saved", flush=True)
