"""pyrallis: a dataclass whose values are YAML."""

import dataclasses
import json
import sys
from typing import Dict, List, Optional, Tuple

import pyrallis


@dataclasses.dataclass
class Section:
    lr: float = 0.5
    nesterov: bool = True


@dataclasses.dataclass
class Config:
    count: int = 1
    n_steps: int = 1
    rate: float = 0.5
    name: str = "d"
    maybe: Optional[str] = "m"
    number: Optional[int] = 3
    off: bool = False
    on: bool = True
    ids: List[int] = dataclasses.field(default_factory=lambda: [7])
    names: List[str] = dataclasses.field(default_factory=lambda: ["z"])
    rates: List[float] = dataclasses.field(default_factory=lambda: [0.5])
    bools: List[bool] = dataclasses.field(default_factory=list)
    nested: List[List[int]] = dataclasses.field(default_factory=list)
    pair: Tuple[int, int] = (1, 2)
    mapping: Dict[str, int] = dataclasses.field(default_factory=lambda: {"q": 1})
    section: Section = dataclasses.field(default_factory=Section)


def receive(argv):
    return dataclasses.asdict(pyrallis.parse(Config, args=list(argv)))


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
