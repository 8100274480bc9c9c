"""What a stash's root config builds on: types and defaults in Hydra's config store, and the variables that it reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from hydra.core.config_store import ConfigStore
from hydra.core.utils import setup_globals

from experimentstash.base.output import USAGE
from experimentstash.compose import hydra_warnings, interpolations
from experimentstash.compose.hydra_compat import application_name, behaving, scan_plugins, typing_late
from experimentstash.stash import paths
from experimentstash.stash.layout import ROOT_VARIABLE, Stash, new_token
from experimentstash.stash.schema import StashConfig

# The root config.
CONFIG_NAME = "config"
# What Hydra is to call the application.
JOB_NAME = "experimentstash"
# Both variables reach the jobs of every launcher by inheritance, so that all see the same stash and name a sweep alike.
TOKEN_VARIABLE = "EXPERIMENTSTASH_TOKEN"
# What Hydra has to tell when it is asked for help: all of it, on one page.
_HELP = """\
${hydra.help.header}
== Flags ==
$FLAGS_HELP
== Configuration groups ==
Compose your configuration from those groups (group=option)

$APP_CONFIG_GROUPS

$HYDRA_CONFIG_GROUPS

== Config ==
Override anything in the config (foo.bar=value); --cfg hydra shows Hydra's own part

$CONFIG
Powered by Hydra ${hydra.runtime.version} (https://hydra.cc)
"""


def register() -> None:
    """Tell Hydra the types and defaults on which a stash's root config builds (`defaults: [experimentstash]`)."""
    interpolations.bound()
    hydra_warnings.told()
    store = ConfigStore.instance()
    if "experimentstash.yaml" in store.repo:
        return
    with typing_late():
        store.store(name="experimentstash_types", node=StashConfig, provider="experimentstash")
    stamp = f"${{now:%Y-%m-%d}}/${{now:%H-%M-%S}}-${{oc.env:{TOKEN_VARIABLE}}}"
    store.store(
        name="experimentstash",
        provider="experimentstash",
        node={
            "defaults": ["experimentstash_types", "_self_", {"override hydra/job_logging": "none"}],
            "hydra": {
                "run": {"dir": f"${{oc.env:{ROOT_VARIABLE}}}/{paths.OUTPUTS}/{stamp}"},
                "sweep": {"dir": f"${{oc.env:{ROOT_VARIABLE}}}/{paths.MULTIRUN}/{stamp}"},
                "job": {"name": JOB_NAME, "chdir": False},
                "help": {
                    "app_name": "experimentstash",
                    "header": f"ExperimentStash runs experiments of foreign tools.\n\n{USAGE}\n",
                    "template": _HELP,
                },
            },
        },
    )


def set_up() -> None:
    """Make Hydra ready to compose a stash's configuration without its application."""
    register()
    behaving()
    setup_globals()
    scan_plugins()  # they contribute to the search path
    application_name(JOB_NAME)


@contextlib.contextmanager
def variables(stash: Stash) -> Iterator[None]:
    """Set what the root config's interpolations read, and have Hydra raise its errors to us, not print them."""
    ours = {ROOT_VARIABLE: str(stash.root), TOKEN_VARIABLE: new_token(), "HYDRA_FULL_ERROR": "1"}
    saved = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
