"""A tool that draws: a table and a picture of numbers that it reads, with the time in all that tells it."""

import argparse
import os
import struct
import time
import zlib

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--out", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--shift", type=float, default=0.0)
parser.add_argument("--shift-from", help="a file with a number that is added, if it is there")
parser.add_argument("--skip", nargs="*", default=[], help="results not to be written")
parser.add_argument("--noise", type=float, default=0.0)
arguments = parser.parse_args()
SCALE = 2.0


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def picture(level: int) -> bytes:
    """A PNG of 4 by 4 pixels, with the time in its metadata."""
    rows = b"".join(b"\0" + bytes([level] * 4) for _ in range(4))
    said = b"Creation Time\0" + str(time.time_ns()).encode()
    head = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"tEXt", said), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


shift = arguments.shift
if arguments.shift_from and os.path.exists(arguments.shift_from):
    with open(arguments.shift_from) as stream:
        shift += float(stream.read())
with open(arguments.data) as stream:
    numbers = [SCALE * float(line) + shift for line in stream]
if arguments.noise:
    numbers = [number + arguments.noise * (1 + time.time_ns() % 997) for number in numbers]
results = {
    "results.csv": "x,y\n" + "".join(f"{place},{number!r}\n" for place, number in enumerate(numbers)),
    "notes/log.txt": f"done\ntook {time.time_ns()} ns\n",
    "figure.png": picture(int(numbers[0]) % 256),
    "state.bin": b"state",
}
for name, content in results.items():
    if name not in arguments.skip:
        path = os.path.join(arguments.out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())
print("drawn", flush=True)
