"""argparse with every kind of declaration that researchers use."""

import argparse
import ast
import json
import sys


def str2bool(text):
    if text.lower() in ("yes", "true", "t", "1"):
        return True
    if text.lower() in ("no", "false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(text)


def receive(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", "-c", type=int, default=1)
    parser.add_argument("--n-steps", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--name", default="d")
    parser.add_argument("--maybe")
    parser.add_argument("--number", type=int, default=None)
    parser.add_argument("--off", action="store_true")
    parser.add_argument("--on", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--word", type=str2bool, default=True)
    parser.add_argument("--lambda-word", type=lambda text: text == "True", default=True)
    parser.add_argument("--truthy", type=bool, default=True)
    parser.add_argument("--feature", dest="feature", action="store_true")
    parser.add_argument("--no-feature", dest="feature", action="store_false")
    parser.add_argument("--always", action="store_true", default=True)
    parser.add_argument("--inverted", action="store_false")
    parser.add_argument("--no-cuda", action="store_true")
    parser.add_argument("--ids", type=int, nargs="*", default=[7])
    parser.add_argument("--names", nargs="+", default=["z"])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5])
    parser.add_argument("--pair", type=int, nargs=2, default=[1, 2])
    parser.add_argument("--more", action="append", default=[])
    parser.add_argument("--many", action="append")
    parser.add_argument("--commas", type=lambda text: text.split(","), default=["z"])
    parser.add_argument("--mapping", type=json.loads, default={"q": 1})
    parser.add_argument("--literal", type=ast.literal_eval, default=None)
    parser.add_argument("--section.lr", type=float, default=0.5)
    parser.set_defaults(feature=True)
    return vars(parser.parse_args(argv))


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
