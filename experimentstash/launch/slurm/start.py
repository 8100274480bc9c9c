"""Starts a task of a job array: ``python -S …/start.py TASKS_FILE [AT_ONCE]``, in the batch script's place.

Or a build, before them: ``start.py build ORDER``.

A thousand nodes do this at once. So `site`, which looks through all that is installed, is left out: what a task imports
is Python's own and ours, and we are where this file is.
"""

import gc
import os
import sys


def main() -> int:
    """Execute the task and return its exit code."""
    place = os.path.abspath(__file__)
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # this file's folder
    for _ in range(4):  # this file, slurm, launch, experimentstash
        place = os.path.dirname(place)
    sys.path.append(place)  # last: nothing there hides a module of Python's own
    from experimentstash.execute import keeper

    with keeper.kept():
        gc.disable()  # what is imported stays to the end
        if sys.argv[1:2] == ["build"]:
            from experimentstash.launch.slurm import building

            return building.main(sys.argv[2:])
        from experimentstash.launch.slurm import task

        gc.freeze()
        gc.enable()
        return task.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
