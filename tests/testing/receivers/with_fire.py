"""fire: a function that takes whatever is given."""

import json

import fire


def train(count=1, n_steps=1, rate=0.5, name="d", maybe="m", off=False, on=True, ids=(7,), names=("z",), **others):
    received = dict(locals())
    return {**received.pop("others"), **received}


def receive(argv):
    found = []
    fire.Fire(lambda **given: found.append(train(**given)), command=list(argv))
    return found[0]


if __name__ == "__main__":
    fire.Fire(train, serialize=lambda received: json.dumps(received))
