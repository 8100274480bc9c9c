"""simple_parsing: a dataclass."""

import dataclasses
import json
import sys
from typing import List, Optional, Tuple

import simple_parsing


@dataclasses.dataclass
class Config:
    count: int = 1
    n_steps: int = 1
    rate: float = 0.5
    name: str = "d"
    maybe: Optional[str] = None
    number: Optional[int] = None
    off: bool = False
    on: bool = True
    ids: List[int] = dataclasses.field(default_factory=lambda: [7])
    names: List[str] = dataclasses.field(default_factory=lambda: ["z"])
    rates: List[float] = dataclasses.field(default_factory=lambda: [0.5])
    bools: List[bool] = dataclasses.field(default_factory=list)
    pair: Tuple[int, int] = (1, 2)


def receive(argv):
    return dataclasses.asdict(simple_parsing.parse(Config, args=list(argv)))


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
