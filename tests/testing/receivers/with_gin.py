"""gin bindings through a flag."""

import json
import sys

import gin
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("gin_file", [], "")
flags.DEFINE_multi_string("gin_bindings", [], "")
flags.DEFINE_string("workdir", None, "")


@gin.configurable
def train(count=1, rate=0.5, name="d", maybe="m", off=False, on=True, ids=(7,), names=("z",), mapping=None, nested=()):
    return dict(locals())


def receive(argv):
    FLAGS.unparse_flags()
    for name in ("gin_file", "gin_bindings", "workdir"):
        FLAGS[name].unparse()
    rest = FLAGS(["program", *argv])[1:]
    gin.clear_config()
    gin.parse_config_files_and_bindings(FLAGS.gin_file, FLAGS.gin_bindings)
    return {**{f"train.{key}": value for key, value in train().items()}, "workdir": FLAGS.workdir, "rest": rest}


def main(argv):
    print(json.dumps(receive(sys.argv[1:])))


if __name__ == "__main__":
    app.run(main)
