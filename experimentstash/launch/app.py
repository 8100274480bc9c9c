"""The Hydra application: composes experiments and hands them to freeze and execute."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError, explain_refusal
from experimentstash.compose import command_line, sweepers
from experimentstash.compose.config_store import CONFIG_NAME, JOB_NAME, register
from experimentstash.compose.fast import yaml_text
from experimentstash.compose.fast.loader import Loader
from experimentstash.compose.fast.sweep_loader import SweepLoader
from experimentstash.compose.hydra_compat import (
    behaving,
    copying_as_bytes,
    dumping_by,
    hydra_main,
    is_fast,
    parsing_once,
    scan_plugins,
    search_path,
    trusting,
)
from experimentstash.compose.overrides import normalized, refuse_secrets
from experimentstash.compose.stash_loader import StashLoader
from experimentstash.launch import context as contexts
from experimentstash.launch import result
from experimentstash.launch.begin import Application, OtherMode
from experimentstash.launch.context import LaunchContext
from experimentstash.launch.prepare import Shown
from experimentstash.launch.result import LaunchResult
from experimentstash.launch.tasks import task
from experimentstash.stash.layout import find_stash

if TYPE_CHECKING:
    from experimentstash.launch.again import Again
    from experimentstash.launch.continuation import Continuation


def import_plugins() -> None:
    """Import Hydra's plugins, which it would do a little later."""
    scan_plugins()


def launch(argv: Sequence[str], continuation: Continuation | None = None, again: Again | None = None) -> LaunchResult:
    """Run the Hydra application on its command-line arguments and return what that came to.

    Of a sweep that is continued (``continuation``) only the runs are done that haven't completed. What is
    done ``again`` is refused unless it is what that run was. Whatever ends it once it has begun is in the result.
    """
    line = command_line.read(argv)
    stash = command_line.in_places(find_stash(), line)
    if again is not None:
        stash = replace(stash, conf_then=again.conf)
    arguments = normalized(stash, line).words
    refuse_secrets(arguments)
    register()
    error: BaseException | None = None
    with _called_with(arguments), contexts.entered(LaunchContext(stash, continuation, again)):
        try:
            if not _run(arguments):
                hydra_main(task, stash.conf, CONFIG_NAME, Application, StashLoader)
            bug = contexts.here().account.bug
            if bug is not None:
                raise bug
        except Shown:
            pass
        except Exception as found:
            error = _told(found, arguments)
        except BaseException as found:
            error = found
        context = contexts.here()
        try:
            return result.of(context, error)
        finally:
            if context.begun is not None and context.begun.lock is not None:
                os.close(context.begun.lock)


@contextlib.contextmanager
def _called_with(arguments: Sequence[str]) -> Iterator[None]:
    """Have Hydra see these arguments as the program's."""
    saved = sys.argv
    sys.argv = ["experimentstash", *arguments]
    try:
        yield
    finally:
        sys.argv = saved


def _told(error: Exception, arguments: Sequence[str]) -> Exception:
    """Return what is to be told of an error: itself, if it says all or is a bug."""
    if isinstance(error, StashError):
        return error
    from experimentstash.compose import explain_errors

    context = contexts.here()
    sweeper = None if context.begun is None else context.begun.sweeper
    explained = explain_errors.explain(error, context.stash, arguments) or sweepers.gave_up(error, sweeper)
    if explained is None and isinstance(error, OSError):
        explained = explain_refusal(error, str(context.stash.root))
    if explained is None:
        return error
    explained.__cause__ = error
    return explained


def _run(arguments: Sequence[str]) -> bool:
    """Do what hydra.main does for a single run or a sweep; False where something else is asked of it.

    hydra.main composes once more than it runs, only to read hydra.mode, and reads every file anew for every job.
    """
    overrides = [word for word in arguments if word not in command_line.MULTIRUN]
    is_sweep = len(overrides) < len(arguments)
    is_more = any(word.startswith(("-", "hydra.mode=") if is_sweep else "-") for word in overrides)
    if is_more or not is_fast():
        return False
    behaving()
    context = contexts.here()
    places = search_path(context.stash.conf)
    loader = SweepLoader(places) if is_sweep else Loader(places)
    hydra = Application(task_name=JOB_NAME, config_loader=loader)
    GlobalHydra.instance().initialize(hydra)
    try:
        with trusting(), parsing_once(), copying_as_bytes(), dumping_by(yaml_text.dumper):
            if is_sweep:
                hydra.multirun(CONFIG_NAME, task_function=task, overrides=[*overrides, "hydra.mode=MULTIRUN"])
            else:
                hydra.run(CONFIG_NAME, task_function=task, overrides=overrides)
    except OtherMode:
        return False
    except HydraException:
        # It may be a sweep by what the configuration says, and what is wrong with a run right for that.
        if context.account.has_begun or is_sweep or not any(map(sweeps, overrides)):
            raise
        return False
    finally:
        GlobalHydra.instance().clear()
    return True


def sweeps(word: str) -> bool:
    """Tell whether an override stands for several values."""
    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except (HydraException, ValueError, RecursionError):
        return False
