"""ExperimentStash: composes, freezes, runs and records experiments of foreign tools with Hydra.

In a notebook: ``import experimentstash as es``, then ``es.runs``, ``es.run``, ``es.compare``, ``es.report``
(docs/python.md).
"""

import sys

__version__ = "0.1.0"
__all__ = ["Comparison", "Run", "RunFailed", "Runs", "StashError", "StashWarning", "compare", "report", "run", "runs"]

# Every job imports this file: what stands behind the names is imported when somebody asks for one.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from experimentstash.api.comparing import Comparison as Comparison
    from experimentstash.api.comparing import compare as compare
    from experimentstash.api.executing import RunFailed as RunFailed
    from experimentstash.api.executing import run as run
    from experimentstash.api.reporting import report as report
    from experimentstash.api.run import Run as Run
    from experimentstash.api.selecting import Runs as Runs
    from experimentstash.api.selecting import runs as runs
    from experimentstash.api.telling import StashWarning as StashWarning
    from experimentstash.base.errors import StashError as StashError
else:
    _PLACES = {
        "Comparison": "api.comparing",
        "Run": "api.run",
        "RunFailed": "api.executing",
        "Runs": "api.selecting",
        "StashError": "base.errors",
        "StashWarning": "api.telling",
        "compare": "api.comparing",
        "report": "api.reporting",
        "run": "api.executing",
        "runs": "api.selecting",
    }

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)

    def __dir__():
        return [*globals(), *_PLACES]

    class _Package(type(sys)):
        """This package, in which `runs` and `report` are functions, though folders are called so.

        An import of a folder would set that.
        """

    for _folder in ("report", "runs"):
        setattr(
            _Package,
            _folder,
            property(lambda self, name=_folder: __getattr__(name), lambda self, folder: None),
        )

    sys.modules[__name__].__class__ = _Package
