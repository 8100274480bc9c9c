"""typer: types in the signature."""

import json
import sys
from typing import List, Optional, Tuple

import typer

application = typer.Typer()


@application.command()
def command(
    count: int = 1,
    n_steps: int = 1,
    rate: float = 0.5,
    name: str = "d",
    maybe: Optional[str] = "m",
    number: Optional[int] = None,
    off: bool = False,
    on: bool = True,
    word: bool = typer.Option(False, "--word"),
    shout: bool = typer.Option(True, "--shout/--quiet"),
    ids: List[int] = [7],
    names: List[str] = ["z"],
    more: List[str] = [],
    rates: List[float] = [0.5],
    bools: List[bool] = [],
    pair: Tuple[int, int] = (1, 2),
    under_score: int = typer.Option(1, "--under_score"),
):
    return dict(locals())


def receive(argv):
    return application(argv, standalone_mode=False)


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
