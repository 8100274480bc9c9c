"""A configuration of the kind that config_flags reads."""

from ml_collections import ConfigDict


def get_config():
    """Return the defaults."""
    return ConfigDict(
        {
            "count": 1,
            "n_steps": 1,
            "rate": 0.5,
            "name": "d",
            "off": False,
            "on": True,
            "pair": (1, 2),
            "ids": (7,),
            "names": ("z",),
            "rates": (0.5,),
            "section": {"lr": 0.5, "nesterov": True},
            "from_file": "second",
        }
    )
