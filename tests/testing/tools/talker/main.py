"""Talks on both streams in turn, draws a progress bar without line ends, and waits for the file --go in the middle."""

import argparse
import os
import time

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--go", required=True)
parser.add_argument("--lines", type=int, default=0)
arguments = parser.parse_args()
for number in range(arguments.lines):
    os.write(1 + number % 2, b"%d\n" % number)
os.write(1, b"\r 10%")
os.write(2, b"\r 50%\xff")
deadline = time.monotonic() + 30
while not os.path.exists(arguments.go) and time.monotonic() < deadline:
    time.sleep(0.01)
os.write(1, b"\r100%\r\n")
os.write(2, b"done, without a line end")
