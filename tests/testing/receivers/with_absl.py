"""absl.flags, read by app.run or, in a test, by hand."""

import json

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("count", 1, "")
flags.DEFINE_integer("n_steps", 1, "")
flags.DEFINE_float("rate", 0.5, "")
flags.DEFINE_string("name", "d", "")
flags.DEFINE_string("maybe", None, "")
flags.DEFINE_integer("number", None, "")
flags.DEFINE_bool("off", False, "")
flags.DEFINE_boolean("on", True, "")
flags.DEFINE_list("names", ["z"], "")
flags.DEFINE_list("empty", None, "")
flags.DEFINE_multi_string("repeated", ["z"], "")
flags.DEFINE_multi_integer("ids", [7], "")
flags.DEFINE_multi_float("rates", None, "")
_KEPT = flags.DEFINE_enum("kind", "a", ["a", "b"], "")
NAMES = [
    "count",
    "n_steps",
    "rate",
    "name",
    "maybe",
    "number",
    "off",
    "on",
    "names",
    "empty",
    "repeated",
    "ids",
    "rates",
]
NAMES += ["kind"]


def receive(argv):
    FLAGS.unparse_flags()
    for name in NAMES:
        FLAGS[name].unparse()
    rest = FLAGS(["program", *argv])[1:]
    return {**{name: FLAGS[name].value for name in NAMES}, **({"rest": rest} if rest else {})}


def main(argv):
    print(json.dumps({name: FLAGS[name].value for name in NAMES} | ({"rest": argv[1:]} if argv[1:] else {})))


if __name__ == "__main__":
    app.run(main)
