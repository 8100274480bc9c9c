"""What is recorded of a machine is what its system says; of GPUs that nobody tells of, that nothing is known."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.publish import machine
from experimentstash.publish.frozen import Gpu


def test_it_is_what_the_system_says() -> None:
    found = machine.look()
    said = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    (total,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
    assert found.architecture == said and found.cores == os.cpu_count()
    assert found.memory == int(total.split()[1]) * 1024
    assert found.gpus or shutil.which("nvidia-smi") is None or machine.has_unknown_gpus(found)


def test_gpus_that_nobody_tells_of_are_not_taken_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(machine.look(), gpus=[])
    monkeypatch.setattr(machine, "_OF_GPUS", (tmp_path / "version",))
    assert not machine.has_unknown_gpus(bare)
    (tmp_path / "version").touch()
    assert machine.has_unknown_gpus(bare)
    assert not machine.has_unknown_gpus(replace(bare, gpus=[Gpu("A", "1 MiB", "550")]))
