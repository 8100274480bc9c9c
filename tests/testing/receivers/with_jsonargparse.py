"""jsonargparse: types in the signature."""

import dataclasses
import json
import sys
from typing import Any, Dict, List, Optional, Tuple, Union

import jsonargparse


@dataclasses.dataclass
class Section:
    lr: float = 0.5
    nesterov: bool = True


def main(
    count: int = 1,
    n_steps: int = 1,
    rate: float = 0.5,
    name: str = "d",
    maybe: Optional[str] = "m",
    number: Optional[int] = 3,
    off: bool = False,
    on: bool = True,
    ids: List[int] = [7],
    names: List[str] = ["z"],
    rates: List[float] = [0.5],
    bools: List[bool] = [],
    nested: List[List[int]] = [[7]],
    pair: Tuple[int, int] = (1, 2),
    mapping: Dict[str, int] = {"q": 1},
    free: dict = {"q": 1},
    anything: Any = 1,
    either: Union[int, str] = 1,
    section: Section = Section(),
):
    return {**locals(), "section": dataclasses.asdict(section)}


def receive(argv):
    return jsonargparse.auto_cli(main, args=list(argv))


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
