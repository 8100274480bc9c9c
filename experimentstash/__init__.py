"""ExperimentStash: composes, freezes, runs and records experiments of foreign tools with Hydra.

In a notebook: ``import experimentstash as es``, then ``es.runs``, ``es.run``, ``es.compare`` (docs/python.md).
"""

import sys

__version__ = "0.1.0"
__all__ = ["Comparison", "Run", "RunFailed", "Runs", "StashError", "StashWarning", "compare", "run", "runs"]

# Every job imports this file: what stands behind the names is imported when somebody asks for one.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from experimentstash.api.comparing import Comparison as Comparison
    from experimentstash.api.comparing import compare as compare
    from experimentstash.api.executing import RunFailed as RunFailed
    from experimentstash.api.executing import run as run
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
        """This package, in which `runs` is the function, though a folder is called so: an import would set that."""

        @property
        def runs(self):
            return __getattr__("runs")

        @runs.setter
        def runs(self, folder):
            pass

    sys.modules[__name__].__class__ = _Package
