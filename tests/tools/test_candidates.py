"""Which of a repository's files is what one starts: the first guess is right, or nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.tools import entrypoint_choice
from experimentstash.tools.detect import detection
from experimentstash.tools.detect.candidate import describe
from experimentstash.tools.detect.detection import detect

GUARD = "if __name__ == '__main__':\n    main()\n"
PARSES = "import argparse\ndef main():\n    p = argparse.ArgumentParser()\n    p.add_argument('--a')\n"
PROGRAM = PARSES + GUARD
ACTS = "import sys\nfor step in range(3):\n    print(step)\n"
AT_TOP = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--a')\ngiven = p.parse_args()\nprint(given)\n"
DEFINES = "import os\ndef train():\n    return 1\nclass Net:\n    pass\n"
HYDRA = "import hydra\n@hydra.main(config_path='conf', config_name='c', version_base=None)\ndef main(c): ...\n" + GUARD
BUILD = "[build-system]\nrequires = ['hatchling']\n[project]\nname = 'p'\n"

CLEAR = {
    "one without a guard beside one with": ({"train.py": ACTS, "data/openwebtext/prepare.py": PROGRAM}, "train.py"),
    "of all that have none": ({"train.py": ACTS, "sample.py": ACTS, "bench.py": ACTS, "model.py": DEFINES}, "train.py"),
    "only a call": ({"main.py": "from a import f\nf()\n", "a.py": DEFINES, "plot.py": PROGRAM}, "main.py"),
    "it only assigns": ({"run.py": "from a import f\nresult = f()\n", "a.py": DEFINES, "test.py": PROGRAM}, "run.py"),
    "training, not evaluation": ({"src/__init__.py": "", "src/eval.py": HYDRA, "src/train.py": HYDRA}, "-m src.train"),
    "by its name inside a package": (
        {"net/__init__.py": "", "net/main.py": PROGRAM, "net/other.py": PROGRAM},
        "-m net.main",
    ),
    "the root comes first": ({"train.py": PROGRAM, "src/main.py": PROGRAM, "tools/run.py": PROGRAM}, "train.py"),
    "what prepares, beside the one that doesn't": (
        {"experiment.py": PROGRAM, "download_data.py": PROGRAM, "evaluate.py": HYDRA, "setup_env.py": PROGRAM},
        "experiment.py",
    ),
    "the directory's name counts": ({"experiment.py": PROGRAM, "datasets/make.py": PROGRAM}, "experiment.py"),
    "a module with a test of itself": (
        {"fit.py": "from net import N\n" + PROGRAM, "net.py": DEFINES + GUARD.replace("main", "train")},
        "fit.py",
    ),
    "the only one, whatever its name": ({"evaluate.py": PROGRAM}, "evaluate.py"),
    "a script, not the one that fetches data": (
        {
            "pyproject.toml": BUILD + "[project.scripts]\nfetch-data='p.data:main'\nfit='p.fit:main'\n",
            "p/__init__.py": "",
            "p/data.py": PARSES,
            "p/fit.py": PARSES,
        },
        "fit",
    ),
    "poetry's scripts": (
        {
            "pyproject.toml": "[tool.poetry]\nname='p'\n[tool.poetry.scripts]\nfit='p.fit:main'\n"
            "[build-system]\nrequires=['poetry-core']\n",
            "p/__init__.py": "",
            "p/fit.py": PARSES,
        },
        "fit",
    ),
    "setuptools' scripts": (
        {
            "setup.py": "setup(entry_points={'console_scripts': ['fit = p.fit:main']})",
            "p/__init__.py": "",
            "p/fit.py": PARSES,
        },
        "fit",
    ),
    "a script without a guard": ({"pkg/fit.py": AT_TOP, "model.py": DEFINES}, "pkg/fit.py"),
    "a PEP 723 script": ({"fit.py": "# /// script\n# dependencies = []\n# ///\nx = 1\n", "net.py": DEFINES}, "fit.py"),
}


def build(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize("case", CLEAR)
def test_what_is_clear(tmp_path: Path, case: str) -> None:
    files, entrypoint = CLEAR[case]
    found = detect(build(tmp_path, files))
    assert found.best is not None and found.best.entrypoint == entrypoint and found.is_clear


UNCLEAR = {
    "one Hydra application among many": {"deep/in/it/main.py": HYDRA, "mnist/main.py": PROGRAM, "vae/main.py": PROGRAM},
    "many of a kind": {f"agents/{name}.py": PROGRAM for name in ("c51", "dqn", "ppo")},
    "root mains": {"train.py": ACTS, "main.py": PROGRAM},
    "root mains without guards": {"train.py": ACTS, "run.py": ACTS},
    "only what prepares": {"prepare.py": PROGRAM, "evaluate.py": PROGRAM},
    "a root file and a package": {"train.py": ACTS, "p/__init__.py": "", "p/__main__.py": PROGRAM},
    "two packages": {f"{name}/__{file}__.py": PROGRAM for name in "pq" for file in ("init", "main")},
    "two scripts": {
        "pyproject.toml": BUILD + "[project.scripts]\nfit='p.fit:main'\ngrow='p.grow:main'\n",
        "p/fit.py": PARSES,
        "p/grow.py": PARSES,
        "p/__init__.py": "",
    },
    "a root file that does nothing": {"train.py": DEFINES, "fit.py": PROGRAM},
    "only such without guards": {"pretrain.py": ACTS, "finetune.py": ACTS},
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_not_clear(tmp_path: Path, case: str) -> None:
    found = detect(build(tmp_path, UNCLEAR[case]))
    assert len(found.candidates) > 1 and not found.is_clear


def test_all_others_are_listed_and_what_only_defines_is_not(tmp_path: Path) -> None:
    files = {"train.py": ACTS, "sample.py": ACTS, "data/prepare.py": PROGRAM, "fig/one.py": GUARD, "model.py": DEFINES}
    files |= {"pkg/args.py": PARSES, "setup.py": "setup()", "tests/run.py": PROGRAM, "net_test.py": PROGRAM}
    files |= {"flags.py": "import logging\nlogging.basicConfig()\nimport absl\n"}
    found = detect(build(tmp_path, files))
    assert [each.entrypoint for each in found.candidates] == ["train.py", "sample.py", "fig/one.py", "data/prepare.py"]
    listed = describe(found.candidates, is_numbered=True).splitlines()
    assert len(listed) == 4 and listed[0].split()[:2] == ["1", "train.py"]


def test_a_named_one_keeps_the_others(tmp_path: Path) -> None:
    found = detect(build(tmp_path, {"a.py": PROGRAM, "b.py": PROGRAM}), "b.py --fast")
    assert [each.entrypoint for each in found.candidates] == ["b.py --fast", "a.py", "b.py"]


@pytest.mark.parametrize(
    ("entrypoint", "said", "hint"),
    [
        ("scripts/train.sh", "can't be started by itself", "--entrypoint 'bash scripts/train.sh'"),
        ("scripts/train.sh --fast", "can't be started by itself", "--entrypoint 'bash scripts/train.sh --fast'"),
        ("R/fit.R", "can't be started by itself", "--entrypoint 'Rscript R/fit.R'"),
        ("net.fit", "a module of the repository, and no program", "--entrypoint '-m net.fit'"),
        ("bash scripts/train.sh", None, None),
        ("go.sh", None, None),
        ("accelerate launch net/fit.py", None, None),
    ],
)
def test_what_starts_a_file_that_is_no_program(
    tmp_path: Path, entrypoint: str, said: str | None, hint: str | None
) -> None:
    script = "#!/bin/sh\necho\n"
    files = {"scripts/train.sh": script, "go.sh": script, "R/fit.R": "1\n", "net/__init__.py": "", "net/fit.py": PARSES}
    (build(tmp_path, files) / "go.sh").chmod(0o755)
    found = entrypoint_choice._entrypoint_problem(detection.look(tmp_path), entrypoint)
    assert (None if found is None else found.hint) == hint
    assert found is None or (said or "") in found.message
