"""Writes numbered lines, each noted in the file --flushed once it is out, until it is stopped; saves, or refuses to."""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--flushed", help="a file for the number of the last line that was flushed")
parser.add_argument("--lines", type=int, default=10**9)
parser.add_argument("--pause", type=float, default=0.01)
parser.add_argument("--ready", help="a file to write, with the pid, when everything is set up")
parser.add_argument("--saved", help="a file to write, with the signal's name, when it is told to stop")
parser.add_argument("--saving-takes", type=float, default=0.0)
parser.add_argument("--catch", action="store_true", help="catch SIGTERM (SIGINT is caught by Python anyway)")
parser.add_argument("--ignore", action="store_true", help="ignore SIGTERM and SIGINT")
parser.add_argument("--children", type=int, default=0)
parser.add_argument("--stubborn-children", action="store_true", help="they ignore SIGTERM")
parser.add_argument("--daemon", help="a file for the pid of a daemon in a session of its own")
parser.add_argument("--hide", action="store_true", help="the daemon has no environment")
parser.add_argument("--hidden-child", action="store_true", help="one in a session of its own, with no environment")
parser.add_argument("--end-after", type=float, default=100.0, help="seconds, whatever happens")
parser.add_argument("--fail", type=int, default=0)
parser.add_argument("--wandb", action="store_true", help="log each line to W&B too")
parser.add_argument("--resumed", action="store_true")
arguments = parser.parse_args()


class Told(Exception):
    """SIGTERM has come."""


def tell(number, frame):
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    raise Told


def save(name):
    time.sleep(arguments.saving_takes)
    if arguments.saved:
        with open(arguments.saved, "a") as stream:
            stream.write(f"{name}\n")


if arguments.catch:
    signal.signal(signal.SIGTERM, tell)
if arguments.ignore:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
for _ in range(arguments.children):
    trap = "trap '' TERM; " if arguments.stubborn_children else ""
    subprocess.Popen(["sh", "-c", f"{trap}sleep 100; exit"])
if arguments.daemon:
    # Twice forked, as daemons are.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(arguments.daemon + ".part", "w") as stream:
                stream.write(str(os.getpid()))
            os.rename(arguments.daemon + ".part", arguments.daemon)
            os.execve("/bin/sleep", ["sleep", "100"], {} if arguments.hide else dict(os.environ))
        os._exit(0)
    os.wait()
    while not os.path.exists(arguments.daemon):
        time.sleep(0.01)
if arguments.hidden_child:
    subprocess.Popen(["sleep", "100"], env={}, start_new_session=True)
note = os.open(arguments.flushed, os.O_WRONLY | os.O_CREAT) if arguments.flushed else None
if arguments.resumed:
    print("resumed", flush=True)
history = None
if arguments.wandb:
    import wandb

    history = wandb.init()
    history.log({"line": -1})
    log = pathlib.Path(history.dir).parent / f"run-{history.id}.wandb"
    while b"line" not in log.read_bytes():  # wandb writes to it once a second
        time.sleep(0.02)
try:
    if arguments.ready:
        with open(arguments.ready + ".part", "w") as stream:
            stream.write(str(os.getpid()))
        os.rename(arguments.ready + ".part", arguments.ready)
    deadline = time.monotonic() + arguments.end_after
    for number in range(arguments.lines):
        os.write(1, b"%d\n" % number)  # one write: what W&B prints in another thread can't come between
        if note is not None:
            os.pwrite(note, b"%09d" % number, 0)
        if history is not None:
            history.log({"line": number})
        if time.monotonic() > deadline:
            break
        time.sleep(arguments.pause)
except Told:
    save("SIGTERM")
except KeyboardInterrupt:
    save("SIGINT")
sys.exit(arguments.fail)
