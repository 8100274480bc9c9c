"""transformers' HfArgumentParser: dataclasses."""

import dataclasses
import json
import sys
from typing import List, Optional

from transformers import HfArgumentParser


@dataclasses.dataclass
class Arguments:
    count: int = 1
    n_steps: int = 1
    rate: float = 0.5
    name: str = "d"
    maybe: Optional[str] = None
    number: Optional[int] = None
    off: bool = False
    on: bool = True
    tri: Optional[bool] = None
    ids: List[int] = dataclasses.field(default_factory=lambda: [7])
    names: List[str] = dataclasses.field(default_factory=lambda: ["z"])
    rates: Optional[List[float]] = None


def receive(argv):
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses(argv)
    return dataclasses.asdict(arguments)


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1:])))
