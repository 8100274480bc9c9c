"""Does one odd thing, which its first argument names."""

import ctypes
import os
import signal
import sys
import time


def announce(path):
    with open(path + ".part", "w") as stream:
        stream.write(str(os.getpid()))
    os.rename(path + ".part", path)


def flood(megabytes):
    line = b"0123456789abcdef" * 64
    chunk = b"".join(line[:-9] + b"%08d\n" % number for number in range(1024))
    for number in range(int(megabytes)):
        os.write(1 + number % 2, chunk)
    os.write(1, b"the last line")


def binary():
    os.write(1, bytes(range(256)) * 16 + b"\xff\xfe\0no end of line")


def close_output(ready, go):
    print("before", flush=True)
    os.close(1)
    os.close(2)
    announce(ready)
    wait_for(go)


def many_children(count, ready):
    for _ in range(int(count)):
        if os.fork() == 0:
            time.sleep(100)
            os._exit(0)
    announce(ready)
    time.sleep(100)


def leave(daemon):
    """Fork a child that lives on, and end."""
    if os.fork() == 0:
        os.setsid()
        announce(daemon)
        time.sleep(100)
        os._exit(0)
    wait_for(daemon)


def new_group(ready):
    os.setpgid(0, 0) if os.getpgid(0) != os.getpid() else None
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        announce(ready)
    time.sleep(100)


def hold(megabytes, children, seconds):
    """Hold memory in so many children, each its own, and in none of our own."""
    for _ in range(int(children)):
        if os.fork() == 0:
            held = bytearray(int(megabytes) << 20)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(float(seconds))
            os._exit(0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def share(megabytes, children, seconds):
    """Hold memory once and have many forked children that share it."""
    held = bytearray(int(megabytes) << 20)
    held[::4096] = b"x" * len(held[::4096])
    hold(0, children, seconds)


def burn(seconds):
    if os.fork() == 0:
        while time.process_time() < float(seconds):
            pass
        os._exit(0)
    while time.process_time() < float(seconds):
        pass
    os.wait()


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def kill_self(name):
    os.kill(os.getpid(), signal.Signals[name])
    time.sleep(100)


def memory_error():
    bytearray(1 << 62)


def eat():
    held = []
    while True:
        held.append(b"x" * (8 << 20))


def lose_worker(code):
    """Have a worker that needs more memory than there is, and end as if nothing had happened to it."""
    worker = os.fork()
    if worker == 0:
        eat()
    os.waitpid(worker, 0)
    sys.exit(int(code))


def leave_at_work():
    """End while a child goes on computing."""
    if os.fork() == 0:
        os.setsid()
        while True:
            pass


def fill(path, seconds):
    """Fill the disk that holds ``path``."""
    with open(path, "wb", buffering=0) as stream:
        for size in (1 << 16, 4096, 1):
            try:
                while True:
                    stream.write(b"x" * size)
            except OSError as error:
                reason = error.strerror
    time.sleep(float(seconds))
    sys.exit(reason)


def fill_and_complete(folder):
    """Fill the disk that holds ``folder``, its files' numbers too, and end as if nothing were wrong."""
    print("computing", flush=True)
    try:
        number = 0
        while number < 5000:  # where there is no limit on files, the disk itself is enough
            open(f"{folder}/{number}", "wb").close()
            number += 1
    except OSError:
        pass
    with open(f"{folder}/0", "wb", buffering=0) as stream:
        for size in (1 << 16, 4096, 512, 1):
            try:
                while True:
                    stream.write(b"x" * size)
            except OSError:
                pass


def make_read_only(mount):
    """Let go of our output, make the file system read-only, and end as if nothing were wrong."""
    import subprocess

    os.close(1)
    os.close(2)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    while subprocess.run(["mount", "-o", "remount,ro", mount]).returncode != 0:
        time.sleep(0.01)


def wait_for(path):
    deadline = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)


globals()[sys.argv[1]](*sys.argv[2:])
