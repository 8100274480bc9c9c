"""Where a program seems to write is read from its source, and proposed when it is added."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from experimentstash.tools.detect.detect_writes import Write, found, merged, of_options
from experimentstash.tools.detect.detection import detect
from tests.testing.stash import StashUnderTest
from tests.testing.tool_support import repository

OPTIONS = {"save_dir": "checkpoints", "name": "x"}


def seen(text: str) -> list[tuple[str, bool]]:
    return [(write.path, write.is_whole) for write in merged(found(ast.parse(text), "main.py", OPTIONS))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('torch.save(model.state_dict(), "mnist_cnn.pt")', ("mnist_cnn.pt", True)),
        ('torch.save(obj=model, f="mnist_cnn.pt")', ("mnist_cnn.pt", True)),
        ('writer = SummaryWriter(f"runs/{run_name}")', ("runs", True)),
        ("writer = SummaryWriter()", ("runs", True)),
        ('tensorboard.SummaryWriter(log_dir="./logs/a")', ("logs", True)),
        ('open("log.txt", "w")', ("log.txt", True)),
        ('with open("out/log.txt", mode="a") as f: pass', ("out", True)),
        ('Path("results").mkdir(exist_ok=True)', ("results", True)),
        ('(Path("results") / name).write_text("x")', ("results", True)),
        ('Path("results", name).open("w")', ("results", True)),
        ('os.makedirs(os.path.join("out", name))', ("out", True)),
        ('OUT = "results"\nnp.save(OUT + "/x.npy", x)', ("results", True)),
        ('OUT = Path("results")\nplt.savefig(OUT / f"{n}.png")', ("results", True)),
        ('plt.savefig("figure_%d.png" % n)', ("figure_", False)),
        ('plt.savefig("figures/{}.png".format(n))', ("figures", True)),
        ("np.savez(os.path.join(args.save_dir, 'x'), x)", ("checkpoints", True)),
        ('frame.to_csv("table.csv", index=False)', ("table.csv", True)),
        ('gym.wrappers.RecordVideo(env, f"videos/{run_name}")', ("videos", True)),
        ('torch.save(x, f"model-{epoch}.pt")', ("model-", False)),
        ('joblib.dump(model, "model.joblib")', ("model.joblib", True)),
        ('pickle.dump(x, open("x.pkl", "wb"))', ("x.pkl", True)),
        ('model.save("model.keras")', ("model.keras", True)),
        ('logging.basicConfig(filename="train.log")', ("train.log", True)),
        ('save_image(x, "results/a.png")', ("results", True)),
    ],
)
def test_what_is_written(text: str, expected: tuple[str, bool]) -> None:
    assert seen(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        'open("x.txt")',
        'open("x.txt", "rb")',
        'open("/tmp/x", "w")',
        'open(os.path.expanduser("~/x"), "w")',
        "open(path, 'w')",
        'os.makedirs("data", exist_ok=True)',
        'open("../elsewhere", "w")',
        'torch.load("x.pt")',
        'open("s3://bucket/x", "w")',
        "torch.save(x, args.path)",
        "json.dump(x, f)",
        'os.makedirs(os.path.join(root, "x"))',
        "x = x\nopen(x, 'w')",
        "save()",
        "open()",
    ],
)
def test_what_is_not(text: str) -> None:
    assert seen(text) == []


def test_defaults_of_options() -> None:
    options = {"save_dir": "checkpoints", "log-dir": "./logs/x", "model": "resnet", "data_dir": "data", "out": "/tmp/x"}
    assert [write.path for write in of_options(options, "main.py")] == ["checkpoints", "logs"]


CLEANRL = """
import argparse
from torch.utils.tensorboard import SummaryWriter
from helpers import save
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--checkpoint-dir", default="ckpt")
if __name__ == "__main__":
    args = parser.parse_args()
    writer = SummaryWriter(f"runs/{args.seed}")
    save()
"""


def test_a_program_with_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CLEANRL)
    (tmp_path / "helpers.py").write_text("import torch\n\ndef save():\n    torch.save({}, 'model.pt')\n")
    (tmp_path / "other.py").write_text("open('other.txt', 'w')\n")
    assert detect(tmp_path).writes == (
        Write("runs", True, "main.py:10"),
        Write("model.pt", True, "helpers.py:4"),
        Write("ckpt", True, "main.py: --checkpoint-dir"),
    )


def test_it_is_proposed_when_a_tool_is_added(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "upstream", {"main.py": CLEANRL, "helpers.py": "def save(): pass\n"})
    done = stash.cli("tool", "add", "rl", str(upstream), "--no-sync")
    assert done.returncode == 0, done.stderr
    registration = (stash.root / "conf/tool/rl.yaml").read_text()
    assert "collect: [runs, ckpt]  # it seems to write there (main.py:10)" in registration
    assert "it seems to write into its checkout: runs (main.py:10), ckpt (main.py: --checkpoint-dir)" in (
        done.stdout + done.stderr
    )
