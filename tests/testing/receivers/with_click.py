"""click with every kind of declaration."""

import json
import sys

import click


@click.command()
@click.option("--count", "-c", type=int, default=1)
@click.option("--n_steps", type=int, default=1)
@click.option("--rate", type=float, default=0.5)
@click.option("--name", default="d")
@click.option("--maybe")
@click.option("--number", type=int, default=None)
@click.option("--off", is_flag=True)
@click.option("--on/--no-on", default=True)
@click.option("--word", type=bool, default=True)
@click.option("--shout/--quiet", default=True)
@click.option("--always", is_flag=True, default=True)
@click.option("--ids", type=int, multiple=True)
@click.option("--names", multiple=True, default=["z"])
@click.option("--rates", type=float, multiple=True)
@click.option("--pair", type=int, nargs=2, default=(1, 2))
@click.option("--words", nargs=2, default=("a", "b"))
def command(**received):
    return received


def receive(argv):
    return command.main(argv, standalone_mode=False)


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
