"""sacred: an experiment with a named config."""

import json
import logging
import sys
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    from sacred import Experiment

experiment = Experiment("received", save_git_info=False)
experiment.add_config(
    count=1,
    n_steps=1,
    rate=0.5,
    name="d",
    maybe="m",
    off=False,
    on=True,
    ids=[7],
    names=["z"],
    nested=[[7]],
    section={"lr": 0.5, "nesterov": True},
)
experiment.add_named_config("tuned", {"rate": 0.25})


@experiment.main
def main(_config):
    return {key: value for key, value in _config.items() if key != "seed"}


def receive(argv):
    logging.disable(logging.CRITICAL)
    try:
        return experiment.run_commandline(["program", *argv]).result
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
